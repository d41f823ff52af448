//! Lines that a program requested: which, and their values and configuration by offset.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::NAME;
use crate::device::fields::{flag_names, flags, number_at, text_at, u64_at};
use crate::device::ioc::{Args, u32_at};
use crate::model::command::Value;

/// Names of lines by offset.
pub(super) type Names = BTreeMap<u32, Arc<str>>;

/// `GPIO_V2_LINES_MAX` and `GPIOHANDLES_MAX`.
const LINES: usize = 64;
/// `GPIO_V2_LINE_NUM_ATTRS_MAX`.
const ATTRIBUTES: usize = 10;

/// Where `struct gpiohandle_request` has the new descriptor.
pub(super) const HANDLE_FD: usize = 360;
/// Where `struct gpioevent_request` has it.
pub(super) const EVENT_FD: usize = 44;
/// Where `struct gpio_v2_line_request` has it.
pub(super) const LINE_FD: usize = 588;

/// Which of the two interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// What a descriptor stands for.
pub(super) enum Descriptor {
    /// The chip, of which lines are watched.
    Watch(Version),
    /// Lines of it.
    Lines(Lines),
}

/// The lines of a descriptor.
pub(super) struct Lines {
    pub(super) version: Version,
    pub(super) offsets: Vec<u32>,
    pub(super) consumer: Option<Arc<str>>,
    /// Which clock the times of their edges are of; `None` if it is not known or differs between them.
    pub(super) clock: Option<&'static str>,
}

impl Lines {
    /// Says which lines: `offset` and `name` of one, `offsets` and `names` of several.
    pub(super) fn describe(&self, names: &Names, args: &mut Args) {
        match self.offsets[..] {
            [offset] => {
                args.push(("offset", Value::Int(offset.into())));
                args.extend(name(offset, names));
            }
            _ => {
                let offsets = self.offsets.iter().map(|offset| offset.to_string().into());
                args.push(("offsets", Value::Texts(offsets.collect())));
                if self.offsets.iter().any(|offset| names.contains_key(offset)) {
                    let names = self.offsets.iter().map(|offset| names.get(offset).cloned());
                    args.push(("names", Value::Texts(names.map(Option::unwrap_or_default).collect())));
                }
            }
        }
    }
}

/// The attribute for a line's name, if it is known.
pub(super) fn name(offset: u32, names: &Names) -> Option<(&'static str, Value)> {
    names.get(&offset).map(|name| ("name", Value::Shared(Arc::clone(name))))
}

/// `struct gpiohandle_request`.
pub(super) fn handle(given: &[u8], args: &mut Args) -> Option<Lines> {
    let lines = Lines {
        version: Version::One,
        offsets: offsets(given, u32_at(given, 356)?)?,
        consumer: text_at(given, 324, NAME).map(Into::into),
        clock: None,
    };
    consumer(&lines, args);
    let set = u32_at(given, 256)?;
    args.push(("flags", flags(set.into(), HANDLE_FLAGS)));
    if set & OUTPUT != 0 {
        defaults(given.get(260..)?, &lines, args);
    }
    Some(lines)
}

/// `struct gpioevent_request`.
pub(super) fn event(given: &[u8], args: &mut Args) -> Option<Lines> {
    let lines = Lines {
        version: Version::One,
        offsets: vec![u32_at(given, 0)?],
        consumer: text_at(given, 12, NAME).map(Into::into),
        clock: None,
    };
    consumer(&lines, args);
    args.push(("flags", flags(u32_at(given, 4)?.into(), HANDLE_FLAGS)));
    args.push(("edges", flags(u32_at(given, 8)?.into(), &[(1, "RISING_EDGE"), (2, "FALLING_EDGE")])));
    Some(lines)
}

/// `struct gpio_v2_line_request`.
pub(super) fn line(given: &[u8], args: &mut Args) -> Option<Lines> {
    let mut lines = Lines {
        version: Version::Two,
        offsets: offsets(given, u32_at(given, 560)?)?,
        consumer: text_at(given, 256, NAME).map(Into::into),
        clock: None,
    };
    consumer(&lines, args);
    lines.clock = v2_config(given.get(288..560)?, Some(&lines), args);
    let size = number_at(given, 564).filter(|size| *size != Value::Int(0));
    args.extend(size.map(|size| ("event_buffer_size", size)));
    Some(lines)
}

fn offsets(given: &[u8], count: u32) -> Option<Vec<u32>> {
    // More than there can be: the kernel will refuse it.
    let count = usize::try_from(count).ok().filter(|count| *count <= LINES)?;
    (0..count).map(|index| u32_at(given, index * 4)).collect()
}

fn consumer(lines: &Lines, args: &mut Args) {
    args.extend(lines.consumer.clone().map(|consumer| ("consumer", Value::Shared(consumer))));
}

/// `GPIOHANDLE_REQUEST_OUTPUT`.
const OUTPUT: u32 = 1 << 1;

/// `GPIOHANDLE_REQUEST_*`.
const HANDLE_FLAGS: &[(u64, &str)] = &[
    (1 << 0, "INPUT"),
    (1 << 1, "OUTPUT"),
    (1 << 2, "ACTIVE_LOW"),
    (1 << 3, "OPEN_DRAIN"),
    (1 << 4, "OPEN_SOURCE"),
    (1 << 5, "BIAS_PULL_UP"),
    (1 << 6, "BIAS_PULL_DOWN"),
    (1 << 7, "BIAS_DISABLE"),
];

/// `GPIO_V2_LINE_FLAG_*`.
pub(super) const LINE_FLAGS: &[(u64, &str)] = &[
    (1 << 0, "USED"),
    (1 << 1, "ACTIVE_LOW"),
    (1 << 2, "INPUT"),
    (1 << 3, "OUTPUT"),
    (1 << 4, "EDGE_RISING"),
    (1 << 5, "EDGE_FALLING"),
    (1 << 6, "OPEN_DRAIN"),
    (1 << 7, "OPEN_SOURCE"),
    (1 << 8, "BIAS_PULL_UP"),
    (1 << 9, "BIAS_PULL_DOWN"),
    (1 << 10, "BIAS_DISABLED"),
    (1 << 11, "EVENT_CLOCK_REALTIME"),
    (1 << 12, "EVENT_CLOCK_HTE"),
];

/// `struct gpiohandle_config`: flags, and values if the lines become outputs.
pub(super) fn v1_config(given: &[u8], lines: Option<&Lines>, names: &Names, args: &mut Args) {
    let Some(set) = u32_at(given, 0) else { return };
    args.push(("flags", flags(set.into(), HANDLE_FLAGS)));
    let Some(lines) = lines else { return };
    lines.describe(names, args);
    if set & OUTPUT != 0 {
        defaults(given.get(4..).unwrap_or(&[]), lines, args);
    }
}

/// A line of a request.
#[derive(Clone, Copy)]
struct Line {
    /// Its place in the request.
    index: usize,
    /// Its number on the chip, if the request was seen.
    offset: Option<u32>,
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(formatter, "{offset}"),
            None => write!(formatter, "#{}", self.index),
        }
    }
}

/// The first values of outputs, a byte for each line.
fn defaults(bytes: &[u8], lines: &Lines, args: &mut Args) {
    push_values(&bytewise(bytes, lines), None, args);
}

/// `struct gpiohandle_data`: a byte for each line. Without the lines it is not known how many there are.
pub(super) fn v1_values(bytes: &[u8], lines: Option<&Lines>, names: &Names, args: &mut Args) {
    if let Some(lines) = lines {
        push_values(&bytewise(bytes, lines), Some(names), args);
    }
}

/// `struct gpio_v2_line_values`: a bit for each line that the mask has.
pub(super) fn v2_values(bytes: &[u8], lines: Option<&Lines>, names: &Names, args: &mut Args) {
    if let (Some(bits), Some(mask)) = (u64_at(bytes, 0), u64_at(bytes, 8)) {
        push_values(&bitwise(bits, mask, lines), Some(names), args);
    }
}

fn bytewise(bytes: &[u8], lines: &Lines) -> Vec<(Line, bool)> {
    let each = lines.offsets.iter().zip(bytes).enumerate();
    each.map(|(index, (offset, value))| (Line { index, offset: Some(*offset) }, *value != 0)).collect()
}

/// The lines of a mask with their bits.
fn bitwise(bits: u64, mask: u64, lines: Option<&Lines>) -> Vec<(Line, bool)> {
    let line = |index: usize| match lines {
        Some(lines) => lines.offsets.get(index).map(|offset| Line { index, offset: Some(*offset) }),
        None => Some(Line { index, offset: None }),
    };
    // Bits beyond the lines say nothing.
    let lines = (0..LINES).filter(|index| mask >> index & 1 != 0).filter_map(line);
    lines.map(|line| (line, bits >> line.index & 1 != 0)).collect()
}

/// The lines of a mask.
fn of_mask(mask: u64, lines: Option<&Lines>) -> impl Iterator<Item = Line> {
    bitwise(0, mask, lines).into_iter().map(|(line, _)| line)
}

/// `value` of one line (with `names`, also which it is), `values` of several. A line whose offset is not known goes by
/// its place in the request: `#3`.
fn push_values(values: &[(Line, bool)], names: Option<&Names>, args: &mut Args) {
    match values {
        [] => {}
        [(Line { offset: Some(offset), .. }, value)] => {
            if let Some(names) = names {
                args.push(("offset", Value::Int((*offset).into())));
                args.extend(name(*offset, names));
            }
            args.push(("value", Value::Int((*value).into())));
        }
        _ => {
            let each = values.iter().map(|(line, value)| format!("{line}={}", u8::from(*value)).into());
            args.push(("values", Value::Texts(each.collect())));
        }
    }
}

/// `struct gpio_v2_line_config`: flags, and up to ten attributes for some of the lines each. Returns the clock of their
/// edges, if it is the same for all.
pub(super) fn v2_config(config: &[u8], lines: Option<&Lines>, args: &mut Args) -> Option<&'static str> {
    let set = u64_at(config, 0)?;
    args.push(("flags", flags(set, LINE_FLAGS)));
    let mut clock = Some(match set {
        _ if set & 1 << 11 != 0 => "realtime",
        _ if set & 1 << 12 != 0 => "hte",
        _ => "monotonic",
    });
    let (mut own_flags, mut values, mut debounced) = (Vec::new(), Vec::new(), Vec::new());
    let count = u32_at(config, 8)? as usize;
    for attribute in (0..count.min(ATTRIBUTES)).map_while(|index| config.get(32 + index * 24..)) {
        let (Some(id), Some(value), Some(mask)) =
            (u32_at(attribute, 0), u64_at(attribute, 8), u64_at(attribute, 16))
        else {
            break;
        };
        match id {
            1 => {
                clock = None;
                let named = flag_names(value, LINE_FLAGS);
                own_flags.extend(of_mask(mask, lines).map(|line| (line, named.clone())));
            }
            2 => values.extend(bitwise(value, mask, lines)),
            3 => debounced.extend(of_mask(mask, lines).map(|line| (line, value as u32))),
            _ => {}
        }
    }
    values.truncate(LINES);
    push_values(&values, None, args);
    let each = |(line, named)| format!("{line}={named}").into();
    if !own_flags.is_empty() {
        args.push(("line_flags", Value::Texts(own_flags.into_iter().take(LINES).map(each).collect())));
    }
    if let [(_, first), rest @ ..] = &debounced[..] {
        args.push((
            "debounce_us",
            match rest.iter().all(|(_, other)| other == first) {
                true => Value::Int((*first).into()),
                false => Value::Texts(
                    debounced.iter().take(LINES).map(|(line, us)| format!("{line}={us}").into()).collect(),
                ),
            },
        ));
    }
    clock
}
