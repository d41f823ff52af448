//! Cutting contents into tokens.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

/// Most numbers of a content that are compared.
const MAX_NUMBERS: usize = 24;

/// Most words of a content that are compared.
const MAX_WORDS: usize = 24;

/// Most runs of a binary content that are compared: half of what is looked at.
const MAX_RUNS: usize = 1024;

/// Shortest word with a digit.
const SHORT_WORD: usize = 4;

/// Shortest word without.
const LONG_WORD: usize = 8;

/// Words that are long but tell nothing: quantities and states that programs write in every message.
pub(super) const COMMON: [&str; 24] = [
    "temperature",
    "humidity",
    "pressure",
    "position",
    "voltage",
    "distance",
    "timestamp",
    "datetime",
    "measurement",
    "reading_",
    "location",
    "elevation",
    "altitude",
    "latitude",
    "longitude",
    "response",
    "undefined",
    "disconnected",
    "connected",
    "available",
    "unavailable",
    "complete",
    "completed",
    "variable",
];

/// A number as it was shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    value: f64,
    /// Shown decimals, negative with a large exponent.
    decimals: i32,
    /// Whether it shows enough to tell anything.
    telling: bool,
}

impl Number {
    /// Whether `self` and `other` are the same quantity, as precisely as the coarser one shows it.
    fn same(self, other: Self) -> bool {
        let (coarse, fine) = if self.decimals <= other.decimals { (self, other) } else { (other, self) };
        // Half a unit of the coarser one's last decimal: whichever way a program rounds halves.
        let unit = 10f64.powi(-coarse.decimals);
        let tolerance = if coarse.decimals == fine.decimals { 0.01 } else { 0.5 + 1e-6 };
        coarse.telling && (coarse.value - fine.value).abs() <= unit * tolerance
    }
}

/// The telling parts of a content.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tokens {
    numbers: Vec<Number>,
    words: Vec<u64>,
    /// Sorted; empty for text.
    runs: Vec<u32>,
}

impl Tokens {
    /// Cuts `content`.
    pub(super) fn of(content: &[u8]) -> Self {
        let mut tokens = Self::default();
        let mut at = 0;
        while let Some(&byte) = content.get(at) {
            if !is_token(byte) {
                at += 1;
                continue;
            }
            let length =
                content.get(at..).map_or(0, |rest| rest.iter().take_while(|&&byte| is_token(byte)).count());
            let end = at + length.max(1);
            if let Some(token) = content.get(at..end) {
                tokens.take(token, is_key(content, at, end));
            }
            at = end;
        }
        if !is_text(content) {
            tokens.runs = runs(content);
        }
        tokens
    }

    /// Whether nothing in it tells anything.
    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.words.is_empty() && self.runs.is_empty()
    }

    /// Which tokens of `self` are in `other` too: one bit each for numbers and words, one for all runs.
    pub(super) fn shared(&self, other: &Self) -> u64 {
        let mut bits = 0;
        let mut bit = 1u64;
        for number in &self.numbers {
            if other.numbers.iter().any(|other| number.same(*other)) {
                bits |= bit;
            }
            bit <<= 1;
        }
        for word in &self.words {
            if other.words.contains(word) {
                bits |= bit;
            }
            bit <<= 1;
        }
        if share_sorted(&self.runs, &other.runs) {
            bits |= bit;
        }
        bits
    }

    fn take(&mut self, token: &[u8], is_key: bool) {
        if is_key {
            return;
        }
        if let Some(number) = number(token) {
            if self.numbers.len() < MAX_NUMBERS && number.value.is_finite() && !is_trivial(number.value) {
                self.numbers.push(number);
            }
            return;
        }
        let token = trim(token);
        let letters = token.iter().any(u8::is_ascii_alphabetic);
        let digits = token.iter().any(u8::is_ascii_digit);
        let shortest = if digits { SHORT_WORD } else { LONG_WORD };
        if !letters || token.len() < shortest || self.words.len() >= MAX_WORDS {
            return;
        }
        if COMMON.iter().any(|common| common.as_bytes().eq_ignore_ascii_case(token)) {
            return;
        }
        let mut hasher = SipHasher13::new();
        hasher.write(token);
        let hash = hasher.finish();
        if !self.words.contains(&hash) {
            self.words.push(hash);
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-' | b'_')
}

/// Whether `content[start..end]` is a JSON key: in quotes, and a colon follows.
fn is_key(content: &[u8], start: usize, end: usize) -> bool {
    let quoted = start.checked_sub(1).and_then(|before| content.get(before)) == Some(&b'"');
    let Some([b'"', rest @ ..]) = content.get(end..) else { return false };
    quoted && rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

fn trim(token: &[u8]) -> &[u8] {
    let is_edge = |byte: &u8| matches!(byte, b'.' | b'+' | b'-' | b'_');
    let start = token.iter().position(|byte| !is_edge(byte)).unwrap_or(token.len());
    let end = token.iter().rposition(|byte| !is_edge(byte)).map_or(start, |last| last + 1);
    token.get(start..end).unwrap_or_default()
}

/// The number that `token` is, perhaps with a unit behind it (`21.5C`, `3.3kOhm`) or one or two letters before it
/// (`X10.25`), as instruments and machine tools write it.
fn number(token: &[u8]) -> Option<Number> {
    let prefix = token.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    if prefix > 2 {
        return None;
    }
    let token = trim_end(token.get(prefix..)?);
    let sign = usize::from(matches!(token.first(), Some(b'+' | b'-')));
    let rest = token.get(sign..)?;
    let whole = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = whole;
    let mut decimals = 0;
    if rest.get(length) == Some(&b'.') {
        decimals = rest.iter().skip(length + 1).take_while(|byte| byte.is_ascii_digit()).count();
        length += 1 + decimals;
    }
    if whole + decimals == 0 {
        return None;
    }
    let mantissa = rest.get(..length)?;
    let (exponent, exponent_length) = exponent(rest.get(length..)?);
    let unit = rest.get(length + exponent_length..)?;
    if !unit.iter().all(u8::is_ascii_alphabetic) || (prefix > 0 && !unit.is_empty()) || unit.len() > 4 {
        return None;
    }
    let value: f64 = std::str::from_utf8(token.get(..sign + length + exponent_length)?).ok()?.parse().ok()?;
    let decimals = i32::try_from(decimals).ok()?.saturating_sub(exponent);
    let telling = significant(mantissa) >= 3 || (length >= 4 && significant(mantissa) >= 1);
    Some(Number { value, decimals: decimals.clamp(-30, 30), telling })
}

/// Full stops end sentences too.
fn trim_end(token: &[u8]) -> &[u8] {
    let end =
        token.iter().rposition(|byte| !matches!(byte, b'.' | b'+' | b'-' | b'_')).map_or(0, |last| last + 1);
    token.get(..end).unwrap_or_default()
}

/// A decimal exponent at the start of `rest`: its value and length, zeros if there is none.
fn exponent(rest: &[u8]) -> (i32, usize) {
    let none = (0, 0);
    let [b'e' | b'E', tail @ ..] = rest else { return none };
    let sign = usize::from(matches!(tail.first(), Some(b'+' | b'-')));
    let digits = tail.iter().skip(sign).take_while(|byte| byte.is_ascii_digit()).count();
    let value = tail.get(..sign + digits).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    match value {
        Some(value) if (1..=3).contains(&digits) => (value, 1 + sign + digits),
        _ => none,
    }
}

/// Significant digits of a mantissa: without leading zeros, and for whole numbers without trailing ones.
fn significant(mantissa: &[u8]) -> usize {
    let digits: Vec<u8> = mantissa.iter().copied().filter(u8::is_ascii_digit).collect();
    let leading = digits.iter().take_while(|&&digit| digit == b'0').count();
    let trailing = match mantissa.contains(&b'.') {
        true => 0,
        false => digits.iter().rev().take_while(|&&digit| digit == b'0').count(),
    };
    digits.len().saturating_sub(leading + trailing)
}

/// Zero, a power of ten, or an integer below 10.
fn is_trivial(value: f64) -> bool {
    let value = value.abs();
    if value == 0.0 || (value < 10.0 && value.fract() == 0.0) {
        return true;
    }
    let power = value.log10().round();
    (-6.0..=12.0).contains(&power) && (value / 10f64.powf(power) - 1.0).abs() < 1e-12
}

fn is_text(content: &[u8]) -> bool {
    std::str::from_utf8(content)
        .is_ok_and(|text| !text.bytes().any(|byte| byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n')))
}

fn runs(content: &[u8]) -> Vec<u32> {
    let mut runs: Vec<u32> = content
        .windows(4)
        .filter_map(|window| <[u8; 4]>::try_from(window).ok())
        .filter(|window| {
            let mut sorted = *window;
            sorted.sort_unstable();
            sorted.windows(2).filter(|pair| matches!(pair, [a, b] if a != b)).count() >= 2
        })
        .take(MAX_RUNS)
        .map(u32::from_be_bytes)
        .collect();
    runs.sort_unstable();
    runs
}

fn share_sorted(left: &[u32], right: &[u32]) -> bool {
    let (small, large) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    small.iter().any(|run| large.binary_search(run).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(reply: &[u8], body: &[u8]) -> bool {
        let (reply, body) = (Tokens::of(reply), Tokens::of(body));
        let forth = body.shared(&reply) != 0;
        assert_eq!(forth, reply.shared(&body) != 0, "both ways");
        forth
    }

    #[test]
    fn finds_telling_content_and_no_other() {
        let table: &[(&[u8], &[u8], bool)] = &[
            // Numbers, reformatted.
            (b"21.53\r\n", br#"{"v":21.53}"#, true),
            (b"+2.15300E+01", b"21.53", true),
            (b"+2.15349E+01", b"21.5", true),
            (b"21.449", b"21.45", true),
            (b"21.46", b"21.5", true),
            (b"21.56", b"21.5", false),
            (b"21.54", b"21.53", false),
            (b"T=21.53C;H=40.1%", b"a,b\n1,40.1", true),
            (b"21.500", br#"{"t": 21.5}"#, true),
            (b"-5.25", b"5.25", false),
            (b"X10.25 Y3", br#"{"x":10.25}"#, true),
            (b"1013.25 hPa", b"1013", true),
            (b"Reading is 21.53.", b"21.53", true),
            (b"0.0525", b"0.0525", true),
            // Trivial values.
            (b"0", b"0", false),
            (b"1", b"[1,1,1]", false),
            (b"100", b"100", false),
            (b"100.0", b"100", false),
            (b"1.000", b"1.000", false),
            (b"0.000", b"0.0000", false),
            (b"42", b"42", false),
            (b"7.0", b"7.00", false),
            (b"21.4", b"21", false),
            (b"120", b"120", false),
            // Words.
            (b"SN-40A7", br#"{"serial":"SN-40A7"}"#, true),
            (b"deadbeef01", b"id=deadbeef01", true),
            (b"temperature 3", b"temperature 9", false),
            (b"overheated", br#"{"state":"overheated"}"#, true),
            (br#"{"overheated":1}"#, br#"{"overheated":2}"#, false),
            (b"true", b"true", false),
            (b"OK", b"OK", false),
            (b"192.168.1.10", b"192.168.1.99", false),
            (b"550e8400-e29b-41d4-a716-446655440000", b"x 550e8400-e29b-41d4-a716-446655440000", true),
            // Binary.
            (&[0x01, 0xde, 0xad, 0xbe, 0xef, 0x00], &[0xff, 0xde, 0xad, 0xbe, 0xef], true),
            (&[0, 0, 0, 1, 0xff], &[0, 0, 0, 1, 0xfe], false),
            (&[0, 0, 0, 0, 0, 0], &[0, 0, 0, 0, 0, 0], false),
            (&[0x02, b'2', b'1', b'.', b'5', b'3', 0x03], b"21.53", true),
            (b"", b"", false),
            (b"9e999", b"9e999", false),
            (b"1e", b"...+-", false),
        ];
        for (reply, body, expected) in table {
            let words =
                format!("{:?} in {:?}", String::from_utf8_lossy(reply), String::from_utf8_lossy(body));
            assert_eq!(shares(reply, body), *expected, "{words}");
        }
    }

    proptest::proptest! {
        #[test]
        fn takes_any_bytes(left: Vec<u8>, right: Vec<u8>) {
            shares(&left, &right);
        }

        #[test]
        fn finds_a_number_however_it_is_wrapped(value in 1000u32..9_999_999, word in "[a-z ]{0,9}") {
            proptest::prop_assume!(!is_trivial(f64::from(value)));
            let reply = format!("{word} {value}\r\n");
            let body = format!("{{\"v\": {value}, \"n\": 1}}");
            proptest::prop_assert!(shares(reply.as_bytes(), body.as_bytes()));
        }
    }
}
