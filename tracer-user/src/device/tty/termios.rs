//! `struct termios` and `termios2`: what a line is set to. `include/uapi/asm-generic/termbits.h`.

use crate::device::ioc::{Args, Argument, u16_at, u32_at};
use crate::model::command::Value;

/// Size of the kernel's `struct termios`, which is not the C library's.
pub(super) const TERMIOS: u16 = 36;
/// Size of `struct termios2`: the same, and two speeds.
pub(super) const TERMIOS2: u32 = 44;

/// Offset of `c_cc`, behind four sets of flags and the line discipline.
const CC: usize = 17;
const VTIME: usize = 5;
const VMIN: usize = 6;
/// Offset of `c_ispeed` in `struct termios2`.
const ISPEED: usize = 36;
/// Where the code of the input's speed begins in `c_cflag`.
const IBSHIFT: u32 = 16;
/// Offset of `c_ospeed` in `struct termios2`.
const OSPEED: usize = 40;

const IXON: u32 = 0o2000;
const IXOFF: u32 = 0o10000;
const CBAUD: u32 = 0x100f;
const BOTHER: u32 = 0x1000;
const CSIZE: u32 = 0x30;
const CSTOPB: u32 = 0x40;
const PARENB: u32 = 0x100;
const PARODD: u32 = 0x200;
const CMSPAR: u32 = 0x4000_0000;
const CRTSCTS: u32 = 0x8000_0000;
const ICANON: u32 = 2;
const ECHO: u32 = 8;

/// Speeds by the number in `CBAUD`; those from `B57600` on have the bit of `BOTHER`.
const BAUD: [u32; 16] = [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400];
const BAUD_EXTENDED: [u32; 16] = [
    0, 57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000,
    2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000,
];

/// Arguments of a command of System V that asks.
pub(super) fn answered_old(argument: &Argument<'_>, args: &mut Args) {
    old(argument.answered, args);
}

/// Arguments of a command of System V that sets.
pub(super) fn given_old(argument: &Argument<'_>, args: &mut Args) {
    old(argument.given, args);
}

/// `struct termio`: the same flags in 16 bits each, without those above.
fn old(bytes: &[u8], args: &mut Args) {
    let mut wide = Vec::with_capacity(usize::from(TERMIOS));
    for offset in [0, 2, 4, 6] {
        let Some(flags) = u16_at(bytes, offset) else { return };
        wide.extend_from_slice(&u32::from(flags).to_le_bytes());
    }
    wide.extend_from_slice(bytes.get(8..).unwrap_or_default());
    settings(&wide, args);
}

/// Arguments of a command that asks.
pub(super) fn answered(argument: &Argument<'_>, args: &mut Args) {
    settings(argument.answered, args);
}

/// Arguments of a command that sets.
pub(super) fn given(argument: &Argument<'_>, args: &mut Args) {
    settings(argument.given, args);
}

/// The speed that a code in `CBAUD` means; `other` is the number that goes with `BOTHER`, which `termios` alone has not.
fn baud(code: u32, other: Option<u32>) -> Option<u32> {
    let row = (code & 0xf) as usize;
    match code & CBAUD {
        BOTHER => other,
        extended if extended & BOTHER != 0 => BAUD_EXTENDED.get(row).copied(),
        _ => BAUD.get(row).copied(),
    }
}

fn settings(bytes: &[u8], args: &mut Args) {
    let (Some(input), Some(control), Some(local)) = (u32_at(bytes, 0), u32_at(bytes, 8), u32_at(bytes, 12))
    else {
        return;
    };
    // All that follows.
    args.reserve(10);
    let baud = baud(control, u32_at(bytes, OSPEED));
    args.extend(baud.map(|baud| ("baud", Value::Int(i64::from(baud)))));
    // 0: the same.
    let input_baud = match control >> IBSHIFT & CBAUD {
        0 => baud,
        code => self::baud(code, u32_at(bytes, ISPEED)),
    };
    if input_baud != baud {
        args.extend(input_baud.map(|baud| ("input_baud", Value::Int(i64::from(baud)))));
    }
    args.push(("data_bits", Value::Int(5 + i64::from((control & CSIZE) >> 4))));
    let parity = match (control & PARENB != 0, control & CMSPAR != 0, control & PARODD != 0) {
        (false, ..) => "none",
        (true, false, false) => "even",
        (true, false, true) => "odd",
        (true, true, false) => "space",
        (true, true, true) => "mark",
    };
    args.push(("parity", Value::Text(parity.into())));
    args.push(("stop_bits", Value::Int(if control & CSTOPB != 0 { 2 } else { 1 })));
    let flow = match (control & CRTSCTS != 0, input & (IXON | IXOFF) != 0) {
        (false, false) => "none",
        (true, false) => "rts/cts",
        (false, true) => "xon/xoff",
        (true, true) => "rts/cts+xon/xoff",
    };
    args.push(("flow", Value::Text(flow.into())));
    args.push(("canonical", Value::Bool(local & ICANON != 0)));
    args.push(("echo", Value::Bool(local & ECHO != 0)));
    for (key, index) in [("vmin", VMIN), ("vtime", VTIME)] {
        if let Some(value) = bytes.get(CC + index) {
            args.push((key, Value::Int(i64::from(*value))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    fn shown(control: u32, input: u32, size: usize) -> String {
        let mut bytes = vec![0; size];
        bytes[..4].copy_from_slice(&input.to_le_bytes());
        bytes[8..12].copy_from_slice(&control.to_le_bytes());
        bytes[12] = 2;
        bytes[CC + VMIN] = 1;
        bytes[CC + VTIME] = 10;
        if let Some(speed) = bytes.get_mut(OSPEED..OSPEED + 4) {
            speed.copy_from_slice(&250_000_u32.to_le_bytes());
        }
        let mut args = Args::new();
        settings(&bytes, &mut args);
        args.iter().fold(String::new(), |mut text, (key, value)| {
            match value {
                Value::Int(number) => write!(text, "{key}={number} "),
                Value::Text(word) => write!(text, "{key}={word} "),
                other => write!(text, "{key}={other:?} "),
            }
            .unwrap();
            text
        })
    }

    #[test]
    fn lines_are_described() {
        let rest = "canonical=Bool(true) echo=Bool(false) vmin=1 vtime=10 ";
        for (control, input, size, expected) in [
            (0x0d | 0x30, 0, 36, "baud=9600 data_bits=8 parity=none stop_bits=1 flow=none "),
            (
                0x1002 | 0x20 | 0x100,
                IXON,
                36,
                "baud=115200 data_bits=7 parity=even stop_bits=1 flow=xon/xoff ",
            ),
            (
                BOTHER | 0x30 | 0x40 | 0x300 | CRTSCTS,
                0,
                44,
                "baud=250000 data_bits=8 parity=odd stop_bits=2 flow=rts/cts ",
            ),
            (
                (BOTHER | 0x30) | 0x0d << IBSHIFT,
                0,
                44,
                "baud=250000 input_baud=9600 data_bits=8 parity=none stop_bits=1 flow=none ",
            ),
            (BOTHER | CMSPAR | 0x300, 0, 36, "data_bits=5 parity=mark stop_bits=1 flow=none "),
            (0x100f, 0, 44, "baud=4000000 data_bits=5 parity=none stop_bits=1 flow=none "),
        ] {
            assert_eq!(shown(control, input, size), format!("{expected}{rest}"));
        }
    }
}
