//! What a chip says of a line.

use super::NAME;
use super::lines::LINE_FLAGS;
use crate::device::fields::{As, Fields, fields, flags, number_at, u64_at};
use crate::device::ioc::{Args, Argument, u32_at};

/// `GPIOLINE_FLAG_*` of the first version.
const FLAGS: &[(u64, &str)] = &[
    (1 << 0, "KERNEL"),
    (1 << 1, "IS_OUT"),
    (1 << 2, "ACTIVE_LOW"),
    (1 << 3, "OPEN_DRAIN"),
    (1 << 4, "OPEN_SOURCE"),
    (1 << 5, "BIAS_PULL_UP"),
    (1 << 6, "BIAS_PULL_DOWN"),
    (1 << 7, "BIAS_DISABLE"),
];

/// `struct gpioline_info`, asked for.
pub(super) fn v1(argument: &Argument<'_>, args: &mut Args) {
    // The program gives the offset; of a call that failed nothing else counts.
    match argument.answered {
        [] => args.extend(number_at(argument.given, 0).map(|offset| ("offset", offset))),
        answered => line_v1(answered, args),
    }
}

/// `struct gpio_v2_line_info`, asked for.
pub(super) fn v2(argument: &Argument<'_>, args: &mut Args) {
    match argument.answered {
        [] => args.extend(number_at(argument.given, 2 * NAME).map(|offset| ("offset", offset))),
        answered => line_v2(answered, args),
    }
}

/// `struct gpioline_info`.
pub(super) fn line_v1(info: &[u8], args: &mut Args) {
    const LINE: Fields<'_> =
        &[("offset", 0, As::Number), ("name", 8, As::Text(NAME)), ("consumer", 8 + NAME, As::Text(NAME))];
    fields(info, LINE, args);
    args.extend(u32_at(info, 4).map(|set| ("flags", flags(set.into(), FLAGS))));
}

/// `struct gpio_v2_line_info`.
pub(super) fn line_v2(info: &[u8], args: &mut Args) {
    const LINE: Fields<'_> =
        &[("offset", 2 * NAME, As::Number), ("name", 0, As::Text(NAME)), ("consumer", NAME, As::Text(NAME))];
    fields(info, LINE, args);
    args.extend(u64_at(info, 72).map(|set| ("flags", flags(set, LINE_FLAGS))));
    let attributes = u32_at(info, 68).unwrap_or(0).min(10) as usize;
    let debounce = (0..attributes).map(|index| 80 + index * 16).find(|at| u32_at(info, *at) == Some(3));
    args.extend(debounce.and_then(|at| number_at(info, at + 8)).map(|period| ("debounce_us", period)));
}
