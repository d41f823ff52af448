//! What serial ports are set to and have counted: `include/uapi/linux/serial.h`, `tty_flags.h`.

use crate::device::fields::{As, Fields, choice, fields, flags};
use crate::device::ioc::{Args, Argument, int_at, u32_at};
use crate::model::command::Value;

/// `PORT_*`, in the order of their numbers.
const PORTS: &[&str] = &[
    "unknown", "8250", "16450", "16550", "16550A", "Cirrus", "16650", "16650V2", "16750", "Startech",
    "16C950", "16654", "16850", "RSA",
];

/// `SERIAL_IO_*`, in the order of their numbers.
const ACCESS: &[&str] = &["port", "hub6", "mem", "mem32", "au", "tsi", "mem32be", "mem16"];

/// `ASYNC_*` that programs may set, but for the speeds.
const FLAGS: &[(u64, &str)] = &[
    (1 << 0, "HUP_NOTIFY"),
    (1 << 1, "FOURPORT"),
    (1 << 2, "SAK"),
    (1 << 3, "SPLIT_TERMIOS"),
    (1 << 6, "SKIP_TEST"),
    (1 << 7, "AUTO_IRQ"),
    (1 << 8, "SESSION_LOCKOUT"),
    (1 << 9, "PGRP_LOCKOUT"),
    (1 << 10, "CALLOUT_NOHUP"),
    (1 << 11, "HARDPPS_CD"),
    (1 << 13, "LOW_LATENCY"),
    (1 << 14, "BUGGY_UART"),
    (1 << 15, "AUTOPROBE"),
    (1 << 16, "MAGIC_MULTIPLIER"),
];

/// `ASYNC_SPD_MASK`: what 38400 baud means instead.
const SPEED: u32 = 0x1030;

/// `SER_RS485_*`.
const RS485_FLAGS: &[(u64, &str)] = &[
    (1 << 0, "ENABLED"),
    (1 << 1, "RTS_ON_SEND"),
    (1 << 2, "RTS_AFTER_SEND"),
    (1 << 4, "RX_DURING_TX"),
    (1 << 5, "TERMINATE_BUS"),
    (1 << 6, "ADDRB"),
    (1 << 7, "ADDR_RECV"),
    (1 << 8, "ADDR_DEST"),
    (1 << 9, "MODE_RS422"),
];

/// `struct serial_struct`, as far as it lies where it does for 32-bit programs too: the address of memory that is
/// mapped in comes behind.
pub(super) fn serial(bytes: &[u8], args: &mut Args) {
    args.extend(u32_at(bytes, 0).map(|number| ("type", choice(u64::from(number), PORTS))));
    fields(bytes, &[("line", 4, As::Int), ("port", 8, As::Int), ("irq", 12, As::Int)], args);
    if let Some(bits) = u32_at(bytes, 16) {
        args.push(("flags", flags((bits & !SPEED).into(), FLAGS)));
        let speed = match bits & SPEED {
            0 => None,
            0x10 => Some("57600"),
            0x20 => Some("115200"),
            0x30 => Some("custom"),
            0x1000 => Some("230400"),
            0x1010 => Some("460800"),
            _ => Some("other"),
        };
        args.extend(speed.map(|speed| ("speed", Value::Text(speed.into()))));
    }
    const NUMBERS: Fields<'_> = &[
        ("fifo_size", 20, As::Int),
        ("custom_divisor", 24, As::Int),
        ("baud_base", 28, As::Int),
        ("close_delay_cs", 32, As::Short),
    ];
    fields(bytes, NUMBERS, args);
    args.extend(bytes.get(34).map(|number| ("access", choice(u64::from(*number), ACCESS))));
    fields(bytes, &[("closing_wait_cs", 40, As::Short)], args);
}

/// `struct serial_rs485`.
pub(super) fn rs485(bytes: &[u8], args: &mut Args) {
    let Some(bits) = u32_at(bytes, 0) else { return };
    args.push(("flags", flags(bits.into(), RS485_FLAGS)));
    fields(bytes, &[("delay_before_ms", 4, As::Int), ("delay_after_ms", 8, As::Int)], args);
    for (bit, key, offset) in [(1 << 7, "address_received", 12), (1 << 8, "address_sent", 13)] {
        let address = bytes.get(offset).filter(|_| bits & bit != 0);
        args.extend(address.map(|address| (key, Value::Int(i64::from(*address)))));
    }
}

/// `struct serial_iso7816`.
pub(super) fn iso7816(bytes: &[u8], args: &mut Args) {
    let Some(bits) = u32_at(bytes, 0) else { return };
    args.push(("enabled", Value::Bool(bits & 1 != 0)));
    args.push(("protocol", Value::Text(format!("T={}", bits >> 4 & 0xf).into())));
    let numbers =
        [("guard_time", 4, As::Int), ("fi", 8, As::Int), ("di", 12, As::Int), ("clock", 16, As::Int)];
    fields(bytes, &numbers, args);
}

/// `struct serial_icounter_struct`.
pub(super) fn icounter(argument: &Argument<'_>, args: &mut Args) {
    let keys = [
        "cts",
        "dsr",
        "ring",
        "cd",
        "received",
        "sent",
        "frame",
        "overrun",
        "parity",
        "break",
        "buffer_overrun",
    ];
    for (index, key) in keys.into_iter().enumerate() {
        args.extend(int_at(argument.answered, index * 4).map(|value| (key, value)));
    }
}
