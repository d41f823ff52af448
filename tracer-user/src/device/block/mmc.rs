//! Commands passed through to memory cards: `include/uapi/linux/mmc/ioctl.h`.

use crate::device::ioc::{Args, Argument, Nested, join, u32_at};
use crate::model::command::{Command, Status, Value};
use tracer_common::recipe::{Condition, ENTRY, EXIT, Field, Recipe};

/// Size of `struct mmc_ioc_cmd`.
const BYTES: u16 = 72;
/// `MMC_IOC_MAX_CMDS`: the driver takes no more.
const LISTED: usize = 255;

const OUT: u8 = 0;
const IN: u8 = 1;

/// `MMC_RSP_PRESENT`, `MMC_RSP_136`: `include/linux/mmc/core.h`.
const PRESENT: u32 = 1;
const LONG: u32 = 1 << 1;
/// `MMC_RSP_CRC` and `MMC_RSP_OPCODE`: with `MMC_RSP_PRESENT` a response of type R1, the card's status.
const CHECKED: u32 = 1 << 2 | 1 << 4;

/// What in a card's status says that it did not do what it was told: `include/linux/mmc/mmc.h`, and `CMD_ERRORS` of
/// `drivers/mmc/core/block.c`.
const REFUSALS: &[(u32, &str)] = &[
    (1 << 31, "OUT_OF_RANGE"),
    (1 << 30, "ADDRESS_ERROR"),
    (1 << 29, "BLOCK_LEN_ERROR"),
    (1 << 26, "WP_VIOLATION"),
    (1 << 21, "CARD_ECC_FAILED"),
    (1 << 20, "CC_ERROR"),
    (1 << 19, "ERROR"),
];

/// `data_ptr`: `blocks` of `blksz` bytes, to the card if `write_flag` is set.
const fn data(recipe: Recipe) -> Recipe {
    let direction = Field::u32(0);
    recipe
        .buffer(OUT as usize, ENTRY, (64, 8), Field::u32(40), Condition::any(direction, u32::MAX))
        .unit(OUT as usize, Field::u32(36))
        .buffer(IN as usize, EXIT, (64, 8), Field::u32(40), Condition::none(direction, u32::MAX))
        .unit(IN as usize, Field::u32(36))
}

const ONE: Recipe = data(Recipe::PLAIN.argument(BYTES));
/// `struct mmc_ioc_multi_cmd`: a number of 64 bits, then the commands.
const SEVERAL: Recipe = data(Recipe::PLAIN.behind(ENTRY | EXIT, 8, Field::u32(0), BYTES));

pub(super) static COMMAND: Nested = Nested { native: ONE, compat: ONE, alternative: None };
pub(super) static COMMANDS: Nested = Nested { native: SEVERAL, compat: SEVERAL, alternative: None };

/// `struct mmc_ioc_cmd`.
pub(super) fn args(argument: &Argument<'_>, args: &mut Args) {
    for (name, at) in [("write", 0), ("opcode", 8), ("argument", 12), ("block_size", 36), ("blocks", 40)] {
        args.extend(u32_at(argument.given, at).map(|word| (name, Value::Int(word.into()))));
    }
    if u32_at(argument.given, 4).is_some_and(|application| application != 0) {
        args.push(("application", Value::Bool(true)));
    }
}

/// What moved, and what the card said.
pub(super) fn finish(argument: &Argument<'_>, command: &mut Command) {
    let place = |buffer| (buffer, length(argument.given));
    if is_write(argument.given) {
        command.request = join([place(argument.given_buffer(0, OUT))]);
    } else if argument.result >= 0 && length(argument.given) > 0 {
        command.reply = Some(join([place(argument.answered_buffer(0, IN))]));
    }
    if argument.result >= 0
        && let Some(text) = response(argument.given, argument.answered)
    {
        command.args.push(("response", Value::Text(text.into())));
        if let Some(kind) = refusal(argument.given, argument.answered) {
            let message = "the card's status says so".to_owned();
            command.status = Status::Error { kind: kind.into(), message };
        }
    }
}

/// The card's own refusal inside a call that succeeded.
fn refusal(given: &[u8], answered: &[u8]) -> Option<&'static str> {
    let (opcode, flags, blocks) = (u32_at(given, 8)?, u32_at(given, 32)?, u32_at(given, 40)?);
    // `SEND_RELATIVE_ADDR` and, without data, `SEND_IF_COND` have responses of the same form that are no status.
    let is_status =
        flags & (PRESENT | LONG | CHECKED) == PRESENT | CHECKED && opcode != 3 && (opcode != 8 || blocks > 0);
    let status = u32_at(answered, 16).filter(|_| is_status)?;
    REFUSALS.iter().find(|(bit, _)| status & bit != 0).map(|(_, name)| *name)
}

/// Several commands in one call: which, and all that they moved.
pub(super) fn several(argument: &Argument<'_>, command: &mut Command) {
    let Some(count) = u32_at(argument.given, 0) else { return };
    command.args.push(("count", Value::Int(count.into())));
    let commands: Vec<&[u8]> =
        (0..LISTED.min(count as usize)).map_while(|index| argument.given_element(index)).collect();
    let opcodes: Vec<String> =
        commands.iter().filter_map(|given| Some(u32_at(given, 8)?.to_string())).collect();
    if !opcodes.is_empty() {
        command.args.push(("opcodes", Value::Text(opcodes.join(" ").into())));
    }
    let of = |write: bool| {
        let those = commands.iter().enumerate().filter(move |(_, given)| is_write(given) == write);
        those.map(|(index, given)| (index, length(given)))
    };
    command.request = join(of(true).map(|(index, length)| (argument.given_buffer(index, OUT), length)));
    let reply = join(of(false).map(|(index, length)| (argument.answered_buffer(index, IN), length)));
    if argument.result >= 0 && reply.size > 0 {
        command.reply = Some(reply);
    }
}

fn is_write(given: &[u8]) -> bool {
    u32_at(given, 0).is_some_and(|write| write != 0)
}

/// Bytes of data.
fn length(given: &[u8]) -> u64 {
    u64::from(u32_at(given, 36).unwrap_or(0)) * u64::from(u32_at(given, 40).unwrap_or(0))
}

/// The response, most significant word first, in hex.
fn response(given: &[u8], answered: &[u8]) -> Option<String> {
    let flags = u32_at(given, 32)?;
    let words = match flags & (PRESENT | LONG) {
        PRESENT => 1,
        0 | LONG => return None,
        _ => 4,
    };
    (0..words).map(|word| u32_at(answered, 16 + 4 * word).map(|word| format!("{word:08x}"))).collect()
}
