//! One line of G-code: its name, its number, its check, and how long a machine may take for it.

use super::{GRBL, SPOKEN};
use crate::device::tty::protocol::Integrity;

/// How many reply timeouts movements may take. A planner that is full takes a line when a movement is over.
const MOVES: u32 = 10;

/// Those of homing, levelling and heating.
const LASTS: u32 = 300;

/// Those of what waits for people: longer than anyone watches a machine that died.
const PEOPLE: u32 = 3600;

/// Longest name of an extended command.
const EXTENDED: usize = 40;

/// One line of G-code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Code {
    /// `G1`, `M105`, `$H`.
    pub(super) name: String,
    /// `N…`
    pub(super) number: Option<i64>,
    pub(super) integrity: Integrity,
    /// How many reply timeouts it may take.
    pub(super) patience: u32,
}

impl Code {
    /// Takes one line apart; where a `dialect` is spoken also what is G-code only there.
    pub(super) fn of(line: &[u8], dialect: Option<&'static str>) -> Option<Self> {
        let spoken = dialect.is_some();
        let line = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if let Some(setting) = line.strip_prefix(b"$") {
            let name = setting_name(setting)?;
            let patience = patience(&name, b"", dialect);
            return Some(Self { name, number: None, integrity: Integrity::Absent, patience });
        }
        let star = line.iter().rposition(|byte| *byte == b'*');
        let check = star.and_then(|star| decimal(line.get(star + 1..)?.trim_ascii()));
        let (content, integrity) = match (star, check) {
            (Some(star), Some(check)) => {
                let content = line.get(..star).unwrap_or_default();
                let right = i64::from(content.iter().fold(0_u8, |sum, byte| sum ^ byte)) == check;
                (content, if right { Integrity::Ok } else { Integrity::Bad })
            }
            _ => (line, Integrity::Absent),
        };
        let (number, words) = match content.strip_prefix(b"N") {
            Some(rest) => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                (Some(decimal(rest.get(..digits)?)?), rest.get(digits..)?.trim_ascii_start())
            }
            None => (None, content),
        };
        let certain = spoken || number.is_some() && integrity != Integrity::Absent;
        let (letter, rest) = words.split_first()?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let point = match rest.get(digits..) {
            Some([b'.', minor, ..]) if minor.is_ascii_digit() => 2,
            _ => 0,
        };
        let parameters = rest.get(digits + point..)?;
        let upper = letter.to_ascii_uppercase();
        let known = if certain { upper } else { *letter };
        let code = matches!(known, b'G' | b'M' | b'T') && (1..=4).contains(&digits);
        let texts = known == b'M' && takes_text(rest.get(..digits)?);
        if code && (certain || texts || are_words(parameters)) {
            let digits = String::from_utf8_lossy(rest.get(..digits + point)?);
            let name = format!("{}{digits}", char::from(upper));
            // Where the guess may be wrong nothing is waited for as long.
            let patience = if certain { patience(&name, parameters, dialect) } else { 1 };
            return Some(Self { name, number, integrity, patience });
        }
        // Modal: the word alone, after an earlier `G1`.
        let modal = spoken && upper.is_ascii_alphabetic() && digits + point > 0 && are_words(words);
        if modal {
            let name = char::from(upper).to_string();
            let patience = patience(&name, b"", dialect);
            return Some(Self { name, number, integrity, patience });
        }
        let word = if dialect == Some(SPOKEN) { extended(words)? } else { return None };
        Some(Self { name: String::from_utf8_lossy(word).into_owned(), number, integrity, patience: LASTS })
    }
}

/// The name of an extended command of Klipper: `SET_FAN_SPEED FAN=x`, `BED_MESH_CALIBRATE`.
fn extended(words: &[u8]) -> Option<&[u8]> {
    let word = words.split(|byte| *byte == b' ').next()?;
    let fits = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let named = (3..=EXTENDED).contains(&word.len()) && word.first().is_some_and(u8::is_ascii_uppercase);
    (named && word.contains(&b'_') && word.iter().all(fits)).then_some(word)
}

/// The name of a `$` command of Grbl 1.1: `$`, `$$`, `$H`, `$J`, `$100`.
fn setting_name(rest: &[u8]) -> Option<String> {
    let end = rest.iter().position(|byte| *byte == b'=').unwrap_or(rest.len());
    let word = rest.get(..end)?;
    let known = matches!(
        word,
        b"" | b"$"
            | b"#"
            | b"G"
            | b"I"
            | b"N"
            | b"C"
            | b"X"
            | b"H"
            | b"HX"
            | b"HY"
            | b"HZ"
            | b"SLP"
            | b"J"
            | b"RST"
            | b"N0"
            | b"N1"
    );
    let setting = end < rest.len() && (1..=3).contains(&word.len()) && word.iter().all(u8::is_ascii_digit);
    let valued = matches!(word, b"J" | b"RST" | b"N0" | b"N1");
    (known && (valued == (end < rest.len())) || setting)
        .then(|| format!("${}", String::from_utf8_lossy(word)))
}

/// Whether all of `text` is words, a letter and a number each, and comments.
fn are_words(text: &[u8]) -> bool {
    let mut rest = text.trim_ascii();
    while let Some((letter, behind)) = rest.split_first() {
        if *letter == b'(' {
            let Some(end) = behind.iter().position(|byte| *byte == b')') else { return false };
            rest = behind.get(end + 1..).unwrap_or_default().trim_ascii_start();
            continue;
        }
        let number = behind
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'))
            .count();
        if !letter.is_ascii_uppercase() || behind.get(number).is_some_and(u8::is_ascii_lowercase) {
            return false;
        }
        // `LED` is no row of words without numbers.
        if number == 0 && behind.first().is_some_and(u8::is_ascii_alphabetic) {
            return false;
        }
        rest = behind.get(number..).unwrap_or_default().trim_ascii_start();
    }
    true
}

/// The `M` codes that a text follows: messages and file names.
fn takes_text(number: &[u8]) -> bool {
    matches!(
        number,
        b"16" | b"23" | b"28" | b"29" | b"30" | b"32" | b"33" | b"117" | b"118" | b"486" | b"928"
    )
}

/// How many reply timeouts a command may take until its `ok` or a first sign of life. Grbl tells nothing while it is at
/// work; Marlin says `busy:` every 2 s, older firmware nothing.
fn patience(name: &str, parameters: &[u8], dialect: Option<&str>) -> u32 {
    match name {
        "G4" => MOVES.saturating_add(dwell(parameters, dialect == Some(GRBL))),
        "G0" | "G1" | "G2" | "G3" | "G5" | "G38.2" | "G38.3" | "G38.4" | "G38.5" | "M400" | "$J" | "G"
        | "X" | "Y" | "Z" => MOVES,
        "G28" | "G29" | "G30" | "G33" | "G34" | "G76" | "M109" | "M116" | "M190" | "M191" | "M303" | "$H"
        | "$HX" | "$HY" | "$HZ" => LASTS,
        "M0" | "M1" | "M226" | "M600" => PEOPLE,
        _ if name.starts_with('T') => MOVES,
        _ => 1,
    }
}

/// How long `G4` is told to wait, s: `S` is seconds, `P` milliseconds or, for Grbl, seconds.
fn dwell(parameters: &[u8], grbl: bool) -> u32 {
    let value = |letter: u8| {
        let at = parameters.iter().position(|byte| byte.eq_ignore_ascii_case(&letter))?;
        let rest = parameters.get(at + 1..)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        decimal(rest.get(..digits)?)
    };
    let milliseconds = if grbl { 1 } else { 1000 };
    let seconds = value(b'P').map_or(0, |number| number / milliseconds).max(value(b'S').unwrap_or(0));
    u32::try_from(seconds.saturating_add(1)).unwrap_or(PEOPLE).min(PEOPLE)
}

/// A number of at most ten digits.
pub(super) fn decimal(digits: &[u8]) -> Option<i64> {
    let plain = !digits.is_empty() && digits.len() <= 10 && digits.iter().all(u8::is_ascii_digit);
    if plain { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}
