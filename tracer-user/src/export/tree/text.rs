//! Texts for the terminal: harmless, of known width, in handy units.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Names come from traced programs and networks: control characters could command the terminal, and marks of
/// direction could make it show something else than there is. Each becomes a dot.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let harmful = |char: char| {
        char.is_control()
            || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.contains(harmful) { text.replace(harmful, "·").into() } else { text.into() }
}

/// At most `width` columns of `text`, with an ellipsis if there is more.
pub(super) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return text.into();
    }
    let Some(room) = width.checked_sub(1) else { return "".into() };
    let mut used = 0;
    let head: String = text
        .chars()
        .take_while(|char| {
            used += char.width().unwrap_or(0);
            used <= room
        })
        .collect();
    format!("{head}…").into()
}

/// `text` with blanks up to `width` columns.
pub(super) fn pad(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(blanks))
}

/// Nanoseconds in the unit that leaves one to three digits before the point.
pub(super) fn duration(nanos: u64) -> String {
    const UNITS: [(&str, f64); 3] = [("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
    if nanos < 1000 {
        return format!("{nanos} ns");
    }
    let mut text = String::new();
    for (unit, factor) in UNITS {
        let value = nanos as f64 / factor;
        text = if value < 99.95 {
            let value = format!("{value:.1}");
            format!("{} {unit}", value.strip_suffix(".0").unwrap_or(&value))
        } else {
            format!("{value:.0} {unit}")
        };
        if value < 999.5 {
            break;
        }
    }
    text
}

/// Bytes in a handy unit.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    if bytes < 1 << 10 {
        return format!("{bytes} B");
    }
    let (unit, shift) = UNITS.into_iter().rev().find(|(_, shift)| bytes >> shift > 0).unwrap_or(UNITS[0]);
    let value = format!("{:.1}", bytes as f64 / f64::from(1_u32 << shift));
    format!("{} {unit}", value.strip_suffix(".0").unwrap_or(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (nanos, expected) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1000, "1 µs"),
            (92_000, "92 µs"),
            (92_440, "92.4 µs"),
            (123_456, "123 µs"),
            (999_499, "999 µs"),
            (999_500, "1 ms"),
            (8_100_000, "8.1 ms"),
            (99_960_000, "100 ms"),
            (1_500_000_000, "1.5 s"),
            (4_000_000_000_000, "4000 s"),
        ] {
            assert_eq!(duration(nanos), expected);
        }
    }

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (5 << 20, "5 MiB"),
            (u64::MAX, "17179869184 GiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn nothing_commands_the_terminal() {
        assert_eq!(clean("plant/1"), "plant/1");
        assert_eq!(clean("a\x1b[31m\n\u{9b}b\u{202e}c"), "a·[31m··b·c");
    }

    #[test]
    fn cutting_counts_columns() {
        for (text, width, expected) in [
            ("plant", 5, "plant"),
            ("plants", 5, "plan…"),
            ("温度計", 6, "温度計"),
            ("温度計", 5, "温度…"),
            ("温度計", 4, "温…"),
            ("ab", 0, ""),
        ] {
            assert_eq!(cut(text, width), expected, "{text} {width}");
        }
        assert_eq!(pad("温", 4), "温  ");
    }
}
