//! SPI devices, `/dev/spidevB.C`: `Documentation/spi/spidev.rst`, `include/uapi/linux/spi/spidev.h` and `spi.h`.
//!
//! Span rule: one command per call. `SPI_IOC_MESSAGE` is one command with all its transfers, between which the chip
//! stays selected unless they say otherwise; all bytes that they send are the request and all that they receive the
//! reply. `read` and `write` are transfers of one direction with the device's settings. What this process last set or
//! asked of those (mode, word length, speed) is added to transfers that do not bring their own: they belong to the
//! device, whatever descriptor they were made on (`drivers/spi/spidev.c`), and are forgotten with its last descriptor.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::class::{Class, Context, Ioctl, Moved, Row, Session};
use super::fields::{byte_at, flags, number_at};
use super::generic;
use super::ioc::{Args, Argument, Nested, ior, iow, join, no_args, u16_at, u32_at};
use crate::model::command::{Command, Status, Value};
use crate::model::time::Interval;
use tracer_common::recipe::{Condition, ENTRY, EXIT, Field, Recipe, without_size};

/// The class.
pub(crate) const CLASS: Class = Class { name: "spi", ioctls: TABLE, session: || Box::new(Chip::default()) };

const MESSAGE: u32 = iow(b'k', 0, 0);
const WR_MODE: u32 = iow(b'k', 1, 1);
const RD_MODE: u32 = ior(b'k', 1, 1);
const WR_LSB_FIRST: u32 = iow(b'k', 2, 1);
const RD_LSB_FIRST: u32 = ior(b'k', 2, 1);
const WR_BITS_PER_WORD: u32 = iow(b'k', 3, 1);
const RD_BITS_PER_WORD: u32 = ior(b'k', 3, 1);
const WR_MAX_SPEED_HZ: u32 = iow(b'k', 4, 4);
const RD_MAX_SPEED_HZ: u32 = ior(b'k', 4, 4);
const WR_MODE32: u32 = iow(b'k', 5, 4);
const RD_MODE32: u32 = ior(b'k', 5, 4);

static TABLE: &[Row] = &[
    // `SPI_IOC_MESSAGE(0)` up to `(511)`.
    Row::new(MESSAGE, "SPI_IOC_MESSAGE", no_args).any_size().follow(&TRANSFERS).finish(message),
    Row::new(RD_MODE, "SPI_IOC_RD_MODE", |argument, args| mode8(argument.answered, args)),
    Row::new(WR_MODE, "SPI_IOC_WR_MODE", |argument, args| mode8(argument.given, args)),
    Row::new(RD_LSB_FIRST, "SPI_IOC_RD_LSB_FIRST", |argument, args| {
        args.extend(byte_at(argument.answered, 0).map(|value| ("lsb_first", value)));
    }),
    Row::new(WR_LSB_FIRST, "SPI_IOC_WR_LSB_FIRST", |argument, args| {
        args.extend(byte_at(argument.given, 0).map(|value| ("lsb_first", value)));
    }),
    Row::new(RD_BITS_PER_WORD, "SPI_IOC_RD_BITS_PER_WORD", |argument, args| {
        args.extend(byte_at(argument.answered, 0).map(|value| ("bits_per_word", value)));
    }),
    Row::new(WR_BITS_PER_WORD, "SPI_IOC_WR_BITS_PER_WORD", |argument, args| {
        args.extend(byte_at(argument.given, 0).map(|value| ("bits_per_word", value)));
    }),
    Row::new(RD_MAX_SPEED_HZ, "SPI_IOC_RD_MAX_SPEED_HZ", |argument, args| {
        args.extend(number_at(argument.answered, 0).map(|value| ("speed_hz", value)));
    }),
    Row::new(WR_MAX_SPEED_HZ, "SPI_IOC_WR_MAX_SPEED_HZ", |argument, args| {
        args.extend(number_at(argument.given, 0).map(|value| ("speed_hz", value)));
    }),
    Row::new(RD_MODE32, "SPI_IOC_RD_MODE32", |argument, args| mode32(argument.answered, args)),
    Row::new(WR_MODE32, "SPI_IOC_WR_MODE32", |argument, args| mode32(argument.given, args)),
];

fn mode8(bytes: &[u8], args: &mut Args) {
    args.extend(bytes.first().map(|mode| ("mode", mode_name((*mode).into()))));
}

fn mode32(bytes: &[u8], args: &mut Args) {
    args.extend(u32_at(bytes, 0).map(|mode| ("mode", mode_name(mode))));
}

/// `SPI_CPHA` and `SPI_CPOL`: the two bits of the mode's number.
const MODE_NUMBER: u32 = 3;
/// `SPI_LSB_FIRST`.
const LSB_FIRST: u32 = 1 << 3;

/// The mode's number, then its other bits, `include/uapi/linux/spi/spi.h`.
fn mode_name(mode: u32) -> Value {
    const NAMES: &[(u64, &str)] = &[
        (1 << 2, "CS_HIGH"),
        (1 << 3, "LSB_FIRST"),
        (1 << 4, "3WIRE"),
        (1 << 5, "LOOP"),
        (1 << 6, "NO_CS"),
        (1 << 7, "READY"),
        (1 << 8, "TX_DUAL"),
        (1 << 9, "TX_QUAD"),
        (1 << 10, "RX_DUAL"),
        (1 << 11, "RX_QUAD"),
        (1 << 12, "CS_WORD"),
        (1 << 13, "TX_OCTAL"),
        (1 << 14, "RX_OCTAL"),
        (1 << 15, "3WIRE_HIZ"),
        (1 << 16, "RX_CPHA_FLIP"),
        (1 << 17, "MOSI_IDLE_LOW"),
        (1 << 18, "MOSI_IDLE_HIGH"),
    ];
    let number = format!("MODE_{}", mode & MODE_NUMBER);
    match flags(u64::from(mode & !MODE_NUMBER), NAMES) {
        Value::Text(others) if others != "0" => Value::Text(format!("{number}|{others}").into()),
        _ => Value::Text(number.into()),
    }
}

/// Size of `struct spi_ioc_transfer`, the same for 32-bit programs: its pointers always have 8 bytes.
const TRANSFER: usize = 32;

const FOLLOWED: Recipe = Recipe::PLAIN
    .array(TRANSFER as u16)
    .buffer(0, ENTRY, (0, 8), Field::u32(16), Condition::ALWAYS)
    .buffer(1, EXIT, (8, 8), Field::u32(16), Condition::ALWAYS);

static TRANSFERS: Nested = Nested { native: FOLLOWED, compat: FOLLOWED, alternative: None };

/// Transfers of one message that are listed; programs send a handful.
const LISTED: usize = 64;

/// One transfer of a message.
struct Transfer {
    writes: bool,
    reads: bool,
    length: u32,
    speed_hz: u32,
    delay_us: u16,
    bits_per_word: u8,
    cs_change: u8,
    tx_nbits: u8,
    rx_nbits: u8,
    word_delay_us: u8,
}

impl Transfer {
    fn of(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            writes: bytes.get(..8)?.iter().any(|byte| *byte != 0),
            reads: bytes.get(8..16)?.iter().any(|byte| *byte != 0),
            length: u32_at(bytes, 16)?,
            speed_hz: u32_at(bytes, 20)?,
            delay_us: u16_at(bytes, 24)?,
            bits_per_word: *bytes.get(26)?,
            cs_change: *bytes.get(27)?,
            tx_nbits: *bytes.get(28)?,
            rx_nbits: *bytes.get(29)?,
            word_delay_us: *bytes.get(30)?,
        })
    }

    /// What it does and what it does otherwise than the device's settings say.
    fn text(&self) -> Arc<str> {
        let direction = match (self.writes, self.reads) {
            (true, true) => "write+read",
            (true, false) => "write",
            (false, true) => "read",
            (false, false) => "clock",
        };
        let mut text = format!("{direction} {} B", self.length);
        let mut more = |shown: bool, what: String| {
            if shown {
                text.push_str(&what);
            }
        };
        more(self.speed_hz != 0, format!(" {} Hz", self.speed_hz));
        more(self.bits_per_word != 0, format!(" {} bits", self.bits_per_word));
        more(self.delay_us != 0, format!(" delay {} µs", self.delay_us));
        more(self.word_delay_us != 0, format!(" word delay {} µs", self.word_delay_us));
        more(self.tx_nbits > 1, format!(" tx {} wires", self.tx_nbits));
        more(self.rx_nbits > 1, format!(" rx {} wires", self.rx_nbits));
        more(self.cs_change != 0, " cs_change".into());
        text.into()
    }
}

fn message(argument: &Argument<'_>, command: &mut Command) {
    let transfers: Vec<Transfer> = argument.given.chunks_exact(TRANSFER).map_while(Transfer::of).collect();
    let count = super::ioc::Number::of(argument.command).size as usize / TRANSFER;
    command.args.push(("count", Value::Int(count as i64)));
    let listed = transfers.iter().take(LISTED).map(Transfer::text);
    command.args.push(("transfers", Value::Texts(listed.collect())));
    let same = |field: fn(&Transfer) -> u32| {
        let first = transfers.first().map(field).filter(|first| *first != 0)?;
        transfers.iter().all(|transfer| field(transfer) == first).then_some(Value::Int(first.into()))
    };
    command.args.extend(same(|transfer| transfer.speed_hz).map(|value| ("speed_hz", value)));
    command.args.extend(same(|transfer| transfer.bits_per_word.into()).map(|value| ("bits_per_word", value)));
    let sent = transfers.iter().enumerate().filter(|(_, transfer)| transfer.writes);
    command.request =
        join(sent.map(|(index, transfer)| (argument.given_buffer(index, 0), transfer.length.into())));
    if argument.result >= 0 && transfers.iter().any(|transfer| transfer.reads) {
        let received = transfers.iter().enumerate().filter(|(_, transfer)| transfer.reads);
        command.reply = Some(join(
            received.map(|(index, transfer)| (argument.answered_buffer(index, 1), transfer.length.into())),
        ));
    }
    refusal(command);
}

/// Says what an errno of spidev means, `drivers/spi/spidev.c`.
fn refusal(command: &mut Command) {
    let Status::Error { kind, message } = &mut command.status else { return };
    let meaning = match &**kind {
        "EMSGSIZE" => "longer than spidev's buffer (its parameter bufsiz)",
        "ESHUTDOWN" => "the device was taken away",
        "ETIMEDOUT" => "the controller did not finish in time",
        _ => return,
    };
    meaning.clone_into(message);
}

/// Descriptors of one process on one device that are counted; with more, settings are kept longer than they hold.
const DESCRIPTORS: usize = 64;

/// The device's settings as this process last saw them.
#[derive(Default)]
struct Chip {
    mode: Option<u32>,
    bits_per_word: Option<u8>,
    speed_hz: Option<u32>,
    descriptors: BTreeSet<i32>,
}

impl Chip {
    /// Adds the settings that hold for a transfer, unless it brought its own.
    fn settings(&self, args: &mut Args) {
        let known = [
            ("mode", self.mode.map(mode_name)),
            ("bits_per_word", self.bits_per_word.map(|bits| Value::Int(bits.into()))),
            ("speed_hz", self.speed_hz.map(|speed| Value::Int(speed.into()))),
        ];
        for (key, value) in known {
            if args.iter().all(|(present, _)| *present != key) {
                args.extend(value.map(|value| (key, value)));
            }
        }
    }

    /// Learns from a call that succeeded.
    fn learn(&mut self, command: u32, given: &[u8], answered: &[u8]) {
        let byte = |bytes: &[u8]| bytes.first().copied();
        match command {
            WR_MODE => self.mode = byte(given).map(u32::from),
            RD_MODE => self.mode = byte(answered).map(|low| self.mode.unwrap_or(0) & !0xff | u32::from(low)),
            WR_MODE32 => self.mode = u32_at(given, 0),
            RD_MODE32 => self.mode = u32_at(answered, 0),
            WR_LSB_FIRST | RD_LSB_FIRST => {
                let lsb = byte(if command == WR_LSB_FIRST { given } else { answered });
                self.mode = self.mode.zip(lsb).map(|(mode, lsb)| match lsb {
                    0 => mode & !LSB_FIRST,
                    _ => mode | LSB_FIRST,
                });
            }
            WR_BITS_PER_WORD => self.bits_per_word = byte(given),
            RD_BITS_PER_WORD => self.bits_per_word = byte(answered),
            WR_MAX_SPEED_HZ => self.speed_hz = u32_at(given, 0),
            RD_MAX_SPEED_HZ => self.speed_hz = u32_at(answered, 0),
            _ => return,
        }
        // 0 stands for the default.
        self.bits_per_word = self.bits_per_word.map(|bits| if bits == 0 { 8 } else { bits });
        self.speed_hz = self.speed_hz.filter(|speed| *speed != 0);
    }

    fn used(&mut self, fd: i32) {
        if self.descriptors.len() < DESCRIPTORS {
            self.descriptors.insert(fd);
        }
    }
}

impl Session for Chip {
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        self.used(call.fd);
        if let Some(mut command) = generic::moved_command(call, context) {
            self.settings(&mut command.args);
            refusal(&mut command);
            context.emit(command);
        }
    }

    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        self.used(call.fd);
        let mut command = generic::ioctl_command(call, row, context);
        if without_size(call.command) == MESSAGE {
            self.settings(&mut command.args);
        } else if call.error.is_none() {
            self.learn(call.command, call.before.unwrap_or(call.after), call.after);
        }
        context.emit(command);
    }

    fn opened(&mut self, fd: i32, _write_only: bool) {
        self.used(fd);
    }

    fn closed(&mut self, fds: std::ops::RangeInclusive<i64>, _at: Interval, _context: &mut Context<'_>) {
        let before = self.descriptors.len();
        self.descriptors.retain(|fd| !fds.contains(&i64::from(*fd)));
        if before != 0 && self.descriptors.is_empty() {
            *self = Self::default();
        }
    }
}
