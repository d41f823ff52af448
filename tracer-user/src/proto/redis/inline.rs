//! Commands as people type them: words on a line (redis.io, "inline commands").

use bytes::Bytes;

use super::entry::Arg;
use super::names::is_command;
use super::resp::HEAD;
use crate::proto::Outcome;

/// Words of a line that are kept.
const WORDS: usize = 128;

/// Length of the line that `head` begins with, if it is a command's. Of longer ones than [`HEAD`] nothing is made.
pub(super) fn reach(head: &[u8]) -> Result<u64, Outcome> {
    let head = head.get(..HEAD).unwrap_or(head);
    if matches!(head, [b'\n', ..] | [b'\r', b'\n', ..]) {
        return Ok(if head.first() == Some(&b'\n') { 1 } else { 2 });
    }
    let end = head.iter().position(|byte| *byte == b'\n');
    let line = head.get(..end.unwrap_or(head.len())).unwrap_or(head);
    let plausible = line.iter().all(|byte| *byte >= b' ' || matches!(byte, b'\t' | b'\r'));
    let word = line.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or(&[]);
    let word_ends = word.len() < line.len() || end.is_some();
    // What HTTP asks with is also a command.
    let http =
        [&b" HTTP/1."[..], b"Host:"].iter().any(|mark| line.windows(mark.len()).any(|part| part == *mark));
    match end {
        _ if !plausible || http || (word_ends && line != b"\r" && !is_command(word)) => Err(Outcome::Invalid),
        Some(end) => Ok(end as u64 + 1),
        None if head.len() < HEAD => Err(Outcome::NeedMore),
        None => Err(Outcome::Invalid),
    }
}

/// The words of a line; quotes as `redis-cli` and the server understand them.
pub(super) fn split(line: &Bytes, out: &mut Vec<Arg>) {
    let mut at = 0;
    while out.len() < WORDS {
        let blanks =
            line.get(at..).unwrap_or(&[]).iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        at += blanks;
        let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) else { return };
        let plain = rest.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
        let quoted = rest.iter().take(plain).any(|byte| matches!(byte, b'"' | b'\''));
        let (bytes, length) = if quoted { unquote(rest) } else { (line.slice(at..at + plain), plain) };
        at += length.max(1);
        out.push(Arg { size: bytes.len() as u64, bytes });
    }
}

/// The word that `text` begins with, and how many bytes it is there.
fn unquote(text: &[u8]) -> (Bytes, usize) {
    let mut word = Vec::new();
    let mut quote = None;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, byte) if byte.is_ascii_whitespace() => break,
            (Some(open), byte) if open == byte => quote = None,
            (Some(b'\''), b'\\') if text.get(at) == Some(&b'\'') => {
                word.push(b'\'');
                at += 1;
            }
            (Some(b'"'), b'\\') => {
                let hex = text.get(at + 1..at + 3).filter(|_| text.get(at) == Some(&b'x'));
                let hex = hex.and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok());
                let (byte, length) = match (hex, text.get(at)) {
                    (Some(byte), _) => (byte, 3),
                    (None, Some(b'n')) => (b'\n', 1),
                    (None, Some(b'r')) => (b'\r', 1),
                    (None, Some(b't')) => (b'\t', 1),
                    (None, Some(b'b')) => (8, 1),
                    (None, Some(b'a')) => (7, 1),
                    (None, Some(other)) => (*other, 1),
                    (None, None) => break,
                };
                word.push(byte);
                at += length;
            }
            (_, byte) => word.push(byte),
        }
    }
    (word.into(), at)
}
