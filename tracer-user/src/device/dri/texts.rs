//! Commands that answer with texts in buffers of the program.

use crate::device::fields::{As, Fields, fields, text_at};
use crate::device::ioc::{Args, Argument, Nested, u32_at};
use crate::model::command::Value;
use tracer_common::recipe::{Condition, EXIT, Field, Recipe};

/// `struct drm_version`: three numbers, then three times a length and a pointer of the program's own size.
pub(super) static VERSION: Nested = Nested {
    native: texts(Recipe::PLAIN.argument(64), 16, 8, 3),
    compat: texts(Recipe::PLAIN.argument(36), 12, 4, 3),
    alternative: None,
};

/// `struct drm_unique`.
pub(super) static UNIQUE: Nested = Nested {
    native: texts(Recipe::PLAIN.argument(16), 0, 8, 1),
    compat: texts(Recipe::PLAIN.argument(8), 0, 4, 1),
    alternative: None,
};

/// So many pairs of length and pointer, each of `word` bytes, from `at` on.
const fn texts(mut recipe: Recipe, at: u16, word: u8, count: usize) -> Recipe {
    let mut index = 0;
    while index < count {
        let pair = at + index as u16 * 2 * word as u16;
        recipe = recipe.buffer(index, EXIT, (pair + word as u16, word), Field::u32(pair), Condition::ALWAYS);
        index += 1;
    }
    recipe
}

/// The text in a buffer, of which the driver says how long it is, and the program how much of it there is room for.
fn answered_text(argument: &Argument<'_>, buffer: u8, length_at: usize) -> Option<Value> {
    let found = argument.answered_buffer(0, buffer)?;
    let room = u32_at(argument.given, length_at)?.min(u32_at(argument.answered, length_at)?) as usize;
    let text = found.captured.get(..room)?;
    Some(Value::Text(text_at(text, 0, room)?.into()))
}

/// `DRM_IOCTL_VERSION`.
pub(super) fn version(argument: &Argument<'_>, args: &mut Args) {
    const NUMBERS: Fields<'_> = &[("major", 0, As::Int), ("minor", 4, As::Int), ("patch", 8, As::Int)];
    fields(argument.answered, NUMBERS, args);
    let (first, pair) = if argument.compat { (12, 8) } else { (16, 16) };
    for (buffer, key) in ["name", "date", "description"].into_iter().enumerate() {
        args.extend(answered_text(argument, buffer as u8, first + buffer * pair).map(|text| (key, text)));
    }
}

/// `DRM_IOCTL_GET_UNIQUE`.
pub(super) fn unique(argument: &Argument<'_>, args: &mut Args) {
    args.extend(answered_text(argument, 0, 0).map(|name| ("unique", name)));
}
