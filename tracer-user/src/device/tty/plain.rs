//! Requests that no protocol knows: a line of text is answered by lines, anything else by bytes until silence.

use std::borrow::Cow;

use super::protocol::{
    Answers, Asked, Extent, Known, Protocol, Verdict, ends_line, is_text, is_text_line, lines, refused, token,
};

/// A line of text.
pub(crate) struct Text;

/// Anything.
pub(crate) struct Binary;

/// What a request is called that nobody knows.
pub(crate) fn unrecognised() -> Known {
    Known::new("request", Answers::IfAwaited)
}

impl Protocol for Text {
    fn command(&self, asked: Asked<'_>) -> Option<Known> {
        is_text_line(asked.request).then(unrecognised)
    }

    fn extent(&self, _asked: Asked<'_>, reply: &[u8], seen: usize) -> Extent {
        text_extent(reply, seen)
    }

    fn verdict(&self, _asked: Asked<'_>, reply: Option<&[u8]>) -> Verdict {
        let said = || lines(reply.unwrap_or_default());
        let error = said().find_map(error_line).map(refused);
        Verdict { error, spoken: said().find_map(super::gcode::greeting), ..Verdict::default() }
    }

    fn is_strict(&self) -> bool {
        false
    }
}

impl Protocol for Binary {
    fn command(&self, _asked: Asked<'_>) -> Option<Known> {
        Some(unrecognised())
    }

    fn extent(&self, _asked: Asked<'_>, _reply: &[u8], _seen: usize) -> Extent {
        Extent::Pause
    }

    fn verdict(&self, _asked: Asked<'_>, _reply: Option<&[u8]>) -> Verdict {
        Verdict::default()
    }

    fn is_strict(&self) -> bool {
        false
    }
}

/// An answer in lines may be over whenever a line is; an answer that turns out to be no text, at any time.
pub(crate) fn text_extent(reply: &[u8], seen: usize) -> Extent {
    let at_end = reply.last().copied().is_some_and(ends_line);
    // A character that was cut off before may have been completed since.
    let fresh = reply.get(seen..).unwrap_or_default();
    if at_end
        || fresh.iter().copied().any(super::protocol::is_control)
        || !is_text(reply.get(..64).unwrap_or(reply))
    {
        Extent::Pause
    } else {
        Extent::More
    }
}

/// What a line such as `ERROR 5`, `ERR: overload` or `ERR_RANGE` says; `None` if it is no error.
pub(crate) fn error_line(line: &[u8]) -> Option<Cow<'static, str>> {
    let end =
        line.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let upper = word.to_ascii_uppercase();
    let tail = upper.strip_prefix(b"ERROR").or_else(|| upper.strip_prefix(b"ERR"))?;
    // `ERRATUM` is none; `ERR5` and `ERR_RANGE` are.
    if tail.first().is_some_and(u8::is_ascii_alphabetic) {
        return None;
    }
    // `ERR=0` answers a question about errors; there is none.
    let value = rest.trim_ascii_start().strip_prefix(b"=").map(<[u8]>::trim_ascii);
    if value.is_some_and(|value| !value.is_empty() && value.iter().all(|byte| *byte == b'0')) {
        return None;
    }
    Some(Cow::Owned(token(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_plain_text() {
        for (line, expected) in [
            ("ERROR", Some("ERROR")),
            ("ERR", Some("ERR")),
            ("error: overload", Some("ERROR")),
            ("ERR 05", Some("ERR")),
            ("ERR_RANGE: 5", Some("ERR_RANGE")),
            ("ERR5", Some("ERR5")),
            ("ERR=0", None),
            ("ERR=3", Some("ERR")),
            ("ERRATUM", None),
            ("OK", None),
            ("no error", None),
            ("", None),
        ] {
            assert_eq!(error_line(line.as_bytes()).as_deref(), expected, "{line:?}");
        }
    }

    #[test]
    fn an_answer_in_lines_pauses_at_their_ends() {
        for (reply, expected) in [
            ("21", Extent::More),
            ("21.5\n", Extent::Pause),
            ("21.5\r", Extent::Pause),
            ("21.5\n22", Extent::More),
            ("\x01\x02", Extent::Pause),
        ] {
            assert_eq!(text_extent(reply.as_bytes(), 0), expected, "{reply:?}");
        }
    }
}
