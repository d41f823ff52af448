//! Commands of terminals and serial ports, `include/uapi/asm-generic/ioctls.h`: the same numbers on amd64, arm64, i386
//! and armhf, and the same layouts but for the end of `serial_struct`, of which nothing is shown.

mod serial;

use super::termios::{self, TERMIOS, TERMIOS2};
use crate::device::class::Ioctl;
use crate::device::fields::{by_value, choice, flags};
use crate::device::ioc::{Args, Argument, Row, int_at, io, ior, iow, iowr, no_args, u16_at, u32_at};
use crate::model::command::Value;

/// Size of `struct termio`, from System V.
const TERMIO: u16 = 18;
/// Size of an `int`.
const INT: u16 = 4;
/// Size of `struct winsize`.
const WINSIZE: u16 = 8;
/// Size of `struct serial_struct` on 64-bit machines, the larger one.
const SERIAL: u16 = 72;
/// Size of `struct serial_icounter_struct`.
const ICOUNTER: u16 = 80;
/// Size of `struct serial_rs485`.
const RS485: u16 = 32;
/// Size of `struct termiox`.
const TERMIOX: u16 = 16;
/// Size of `struct serial_multiport_struct`.
const MULTIPORT: u16 = 168;
/// Size of `struct serial_iso7816`.
const ISO7816: u32 = 44;

/// Every command, with the bytes that the kernel reads and writes where the number does not tell.
pub(super) static TABLE: &[Row] = &[
    Row::legacy(0x5401, "TCGETS", (0, TERMIOS), termios::answered),
    Row::legacy(0x5402, "TCSETS", (TERMIOS, 0), termios::given),
    Row::legacy(0x5403, "TCSETSW", (TERMIOS, 0), termios::given),
    Row::legacy(0x5404, "TCSETSF", (TERMIOS, 0), termios::given),
    Row::legacy(0x5405, "TCGETA", (0, TERMIO), termios::answered_old),
    Row::legacy(0x5406, "TCSETA", (TERMIO, 0), termios::given_old),
    Row::legacy(0x5407, "TCSETAW", (TERMIO, 0), termios::given_old),
    Row::legacy(0x5408, "TCSETAF", (TERMIO, 0), termios::given_old),
    Row::legacy(0x5409, "TCSBRK", (0, 0), tcsbrk),
    Row::legacy(0x540a, "TCXONC", (0, 0), tcxonc),
    Row::legacy(0x540b, "TCFLSH", (0, 0), tcflsh),
    Row::legacy(0x540c, "TIOCEXCL", (0, 0), no_args),
    Row::legacy(0x540d, "TIOCNXCL", (0, 0), no_args),
    Row::legacy(0x540e, "TIOCSCTTY", (0, 0), |argument, args| by_value("steal", argument, args)),
    Row::legacy(0x540f, "TIOCGPGRP", (0, INT), |argument, args| int_out("process_group", argument, args)),
    Row::legacy(0x5410, "TIOCSPGRP", (INT, 0), |argument, args| int_in("process_group", argument, args)),
    Row::legacy(0x5411, "TIOCOUTQ", (0, INT), |argument, args| int_out("bytes", argument, args)),
    // The byte that it types is private.
    Row::legacy(0x5412, "TIOCSTI", (0, 0), no_args),
    Row::legacy(0x5413, "TIOCGWINSZ", (0, WINSIZE), |argument, args| winsize(argument.answered, args)),
    Row::legacy(0x5414, "TIOCSWINSZ", (WINSIZE, 0), |argument, args| winsize(argument.given, args)),
    Row::legacy(0x5415, "TIOCMGET", (0, INT), |argument, args| modem(argument.answered, args)),
    Row::legacy(0x5416, "TIOCMBIS", (INT, 0), |argument, args| modem(argument.given, args)),
    Row::legacy(0x5417, "TIOCMBIC", (INT, 0), |argument, args| modem(argument.given, args)),
    Row::legacy(0x5418, "TIOCMSET", (INT, 0), |argument, args| modem(argument.given, args)),
    Row::legacy(0x5419, "TIOCGSOFTCAR", (0, INT), |argument, args| int_out("on", argument, args)),
    Row::legacy(0x541a, "TIOCSSOFTCAR", (INT, 0), |argument, args| int_in("on", argument, args)),
    Row::legacy(0x541c, "TIOCLINUX", (1, 0), tioclinux),
    Row::legacy(0x541d, "TIOCCONS", (0, 0), no_args),
    Row::legacy(0x541e, "TIOCGSERIAL", (0, SERIAL), |argument, args| serial::serial(argument.answered, args)),
    Row::legacy(0x541f, "TIOCSSERIAL", (SERIAL, 0), |argument, args| serial::serial(argument.given, args)),
    Row::legacy(0x5420, "TIOCPKT", (INT, 0), |argument, args| int_in("on", argument, args)),
    Row::legacy(0x5422, "TIOCNOTTY", (0, 0), no_args),
    Row::legacy(0x5423, "TIOCSETD", (INT, 0), |argument, args| discipline(argument.given, args)),
    Row::legacy(0x5424, "TIOCGETD", (0, INT), |argument, args| discipline(argument.answered, args)),
    Row::legacy(0x5425, "TCSBRKP", (0, 0), |argument, args| by_value("deciseconds", argument, args)),
    Row::legacy(0x5427, "TIOCSBRK", (0, 0), no_args),
    Row::legacy(0x5428, "TIOCCBRK", (0, 0), no_args),
    Row::legacy(0x5429, "TIOCGSID", (0, INT), |argument, args| int_out("session", argument, args)),
    Row::new(ior(b'T', 0x2a, TERMIOS2), "TCGETS2", termios::answered),
    Row::new(iow(b'T', 0x2b, TERMIOS2), "TCSETS2", termios::given),
    Row::new(iow(b'T', 0x2c, TERMIOS2), "TCSETSW2", termios::given),
    Row::new(iow(b'T', 0x2d, TERMIOS2), "TCSETSF2", termios::given),
    Row::legacy(0x542e, "TIOCGRS485", (0, RS485), |argument, args| serial::rs485(argument.answered, args)),
    Row::legacy(0x542f, "TIOCSRS485", (RS485, RS485), |argument, args| serial::rs485(argument.given, args)),
    Row::new(ior(b'T', 0x30, 4), "TIOCGPTN", |argument, args| int_out("number", argument, args)),
    Row::new(iow(b'T', 0x31, 4), "TIOCSPTLCK", |argument, args| int_in("on", argument, args)),
    Row::new(ior(b'T', 0x32, 4), "TIOCGDEV", |argument, args| int_out("device", argument, args)),
    Row::new(iow(b'T', 0x36, 4), "TIOCSIG", |argument, args| by_value("signal", argument, args)),
    // Gone since Linux 5.12; no driver took them.
    Row::legacy(0x5432, "TCGETX", (0, TERMIOX), no_args),
    Row::legacy(0x5433, "TCSETX", (TERMIOX, 0), no_args),
    Row::legacy(0x5434, "TCSETXF", (TERMIOX, 0), no_args),
    Row::legacy(0x5435, "TCSETXW", (TERMIOX, 0), no_args),
    Row::legacy(0x5437, "TIOCVHANGUP", (0, 0), no_args),
    Row::new(ior(b'T', 0x38, 4), "TIOCGPKT", |argument, args| int_out("on", argument, args)),
    Row::new(ior(b'T', 0x39, 4), "TIOCGPTLCK", |argument, args| int_out("on", argument, args)),
    Row::new(ior(b'T', 0x40, 4), "TIOCGEXCL", |argument, args| int_out("on", argument, args)),
    Row::new(io(b'T', 0x41), "TIOCGPTPEER", |argument, args| by_value("flags", argument, args)),
    Row::new(ior(b'T', 0x42, ISO7816), "TIOCGISO7816", |argument, args| {
        serial::iso7816(argument.answered, args);
    }),
    Row::new(iowr(b'T', 0x43, ISO7816), "TIOCSISO7816", |argument, args| {
        serial::iso7816(argument.given, args)
    }),
    Row::legacy(0x5453, "TIOCSERCONFIG", (0, 0), no_args),
    Row::legacy(0x5454, "TIOCSERGWILD", (0, INT), |argument, args| int_out("irqs", argument, args)),
    Row::legacy(0x5455, "TIOCSERSWILD", (INT, 0), |argument, args| int_in("irqs", argument, args)),
    Row::legacy(0x5456, "TIOCGLCKTRMIOS", (0, TERMIOS), no_args),
    Row::legacy(0x5457, "TIOCSLCKTRMIOS", (TERMIOS, 0), no_args),
    Row::legacy(0x5459, "TIOCSERGETLSR", (0, INT), |argument, args| {
        int_out("transmitter_empty", argument, args)
    }),
    Row::legacy(0x5458, "TIOCSERGSTRUCT", (0, 0), no_args),
    Row::legacy(0x545a, "TIOCSERGETMULTI", (0, MULTIPORT), no_args),
    Row::legacy(0x545b, "TIOCSERSETMULTI", (MULTIPORT, 0), no_args),
    Row::legacy(0x545c, "TIOCMIWAIT", (0, 0), |argument, args| lines(argument.value as u32, args)),
    Row::legacy(0x545d, "TIOCGICOUNT", (0, ICOUNTER), serial::icounter),
];

/// `TIOCM_*`.
const MODEM: &[(u64, &str)] = &[
    (0x001, "LE"),
    (0x002, "DTR"),
    (0x004, "RTS"),
    (0x008, "ST"),
    (0x010, "SR"),
    (0x020, "CTS"),
    (0x040, "CD"),
    (0x080, "RI"),
    (0x100, "DSR"),
    (0x2000, "OUT1"),
    (0x4000, "OUT2"),
    (0x8000, "LOOP"),
];

/// `N_*`, `include/uapi/linux/tty.h`, in the order of their numbers.
const DISCIPLINES: &[&str] = &[
    "N_TTY",
    "N_SLIP",
    "N_MOUSE",
    "N_PPP",
    "N_STRIP",
    "N_AX25",
    "N_X25",
    "N_6PACK",
    "N_MASC",
    "N_R3964",
    "N_PROFIBUS_FDL",
    "N_IRDA",
    "N_SMSBLOCK",
    "N_HDLC",
    "N_SYNC_PPP",
    "N_HCI",
    "N_GIGASET_M101",
    "N_SLCAN",
    "N_PPS",
    "N_V253",
    "N_CAIF",
    "N_GSM0710",
    "N_TI_WL",
    "N_TRACESINK",
    "N_TRACEROUTER",
    "N_NCI",
    "N_SPEAKUP",
    "N_NULL",
    "N_MCTP",
    "N_DEVELOPMENT",
    "N_CAN327",
];

/// `TIOCL_*`, `include/uapi/linux/tiocl.h`.
const SUBCODES: &[(u8, &str)] = &[
    (2, "SETSEL"),
    (3, "PASTESEL"),
    (4, "UNBLANKSCREEN"),
    (5, "SELLOADLUT"),
    (6, "GETSHIFTSTATE"),
    (7, "GETMOUSEREPORTING"),
    (10, "SETVESABLANK"),
    (11, "SETKMSGREDIRECT"),
    (12, "GETFGCONSOLE"),
    (13, "SCROLLCONSOLE"),
    (14, "BLANKSCREEN"),
    (15, "BLANKEDSCREEN"),
    (17, "GETKMSGREDIRECT"),
];

/// Whether what had come and was not read is thrown away: `tcflush`, and settings "after a flush".
pub(super) fn flushes_input(call: &Ioctl<'_>) -> bool {
    const TCSETAF: u32 = 0x5408;
    const TCSETSF: u32 = 0x5404;
    const TCSETSF2: u32 = iow(b'T', 0x2d, termios::TERMIOS2);
    let flushes = match call.command {
        0x540b => call.value as u32 != 1,
        TCSETAF | TCSETSF | TCSETSF2 => true,
        _ => false,
    };
    flushes && call.error.is_none()
}

fn int_in(key: &'static str, argument: &Argument<'_>, args: &mut Args) {
    args.extend(int_at(argument.given, 0).map(|value| (key, value)));
}

fn int_out(key: &'static str, argument: &Argument<'_>, args: &mut Args) {
    args.extend(int_at(argument.answered, 0).map(|value| (key, value)));
}

/// Any number but 0 waits until everything is sent (`tcdrain`).
fn tcsbrk(argument: &Argument<'_>, args: &mut Args) {
    args.push(("action", Value::Text(if argument.value as u32 == 0 { "break" } else { "drain" }.into())));
}

fn tcxonc(argument: &Argument<'_>, args: &mut Args) {
    args.push(("action", choice(argument.value, &["TCOOFF", "TCOON", "TCIOFF", "TCION"])));
}

fn tcflsh(argument: &Argument<'_>, args: &mut Args) {
    args.push(("queue", choice(argument.value, &["TCIFLUSH", "TCOFLUSH", "TCIOFLUSH"])));
}

fn tioclinux(argument: &Argument<'_>, args: &mut Args) {
    args.extend(argument.given.first().map(|code| {
        let name = SUBCODES.iter().find(|(number, _)| number == code);
        ("subcode", name.map_or(Value::Int(i64::from(*code)), |(_, name)| Value::Text((*name).into())))
    }));
}

fn winsize(bytes: &[u8], args: &mut Args) {
    for (key, offset) in [("rows", 0), ("columns", 2), ("width", 4), ("height", 6)] {
        args.extend(u16_at(bytes, offset).map(|value| (key, Value::Int(i64::from(value)))));
    }
}

fn modem(bytes: &[u8], args: &mut Args) {
    if let Some(bits) = u32_at(bytes, 0) {
        lines(bits, args);
    }
}

fn lines(bits: u32, args: &mut Args) {
    args.push(("lines", flags(bits.into(), MODEM)));
}

fn discipline(bytes: &[u8], args: &mut Args) {
    args.extend(u32_at(bytes, 0).map(|number| ("discipline", choice(u64::from(number), DISCIPLINES))));
}
