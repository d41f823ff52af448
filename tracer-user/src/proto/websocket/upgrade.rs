//! The HTTP exchange by which a connection becomes a WebSocket (RFC 6455, section 4).

/// Bytes of a request or answer that are read at most: servers refuse more than 8 to 16 KiB.
const BYTES: usize = 16 * 1024;

/// Bytes of a line that are kept: only short ones matter.
const LINE: usize = 128;

/// The head of a request or of an answer while it is read, from its first byte.
#[derive(Debug, Default)]
pub(super) struct Upgrade {
    /// The line that is being read, as far as it is kept, in small letters.
    line: Vec<u8>,
    /// Whether the first line was read.
    begun: bool,
    /// Whether it changes to the WebSocket protocol.
    upgrades: bool,
    read: usize,
}

/// How far a head came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More is to come.
    More,
    /// It ends `behind` bytes into what was given; `upgrades`: a WebSocket's frames follow.
    Done { behind: usize, upgrades: bool },
    /// It is none.
    Not,
}

impl Upgrade {
    /// Takes in the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Progress {
        for (index, &byte) in bytes.iter().enumerate() {
            self.read += 1;
            if self.read > BYTES {
                return Progress::Not;
            }
            match byte {
                b'\n' => {
                    if self.line.last() == Some(&b'\r') {
                        self.line.pop();
                    }
                    if self.line.is_empty() && self.begun {
                        return Progress::Done { behind: index + 1, upgrades: self.upgrades };
                    }
                    if !self.begin_or_header() {
                        return Progress::Not;
                    }
                    self.line.clear();
                }
                _ if self.line.len() < LINE => {
                    self.line.push(byte.to_ascii_lowercase());
                    if !self.begun && !self.may_begin() {
                        return Progress::Not;
                    }
                }
                _ => {}
            }
        }
        Progress::More
    }

    /// Whether the first line may be a request's or an answer's, as far as it goes.
    fn may_begin(&self) -> bool {
        [&b"get "[..], b"http/1."]
            .iter()
            .any(|begin| self.line.iter().zip(*begin).all(|(is, wanted)| is == wanted))
    }

    fn begin_or_header(&mut self) -> bool {
        if !std::mem::replace(&mut self.begun, true) {
            self.upgrades = self.line.starts_with(b"http/1.1 101");
            return self.line.len() > 4 && self.may_begin();
        }
        if let Some(value) = self.line.strip_prefix(b"upgrade:") {
            self.upgrades |= value.trim_ascii() == b"websocket";
        }
        true
    }
}

/// Whether `bytes` are the beginning of a request or an answer that may upgrade the connection: which way it goes.
pub(super) fn begins(bytes: &[u8]) -> Begins {
    const ANSWER: &[u8] = b"HTTP/1.1 101";
    if !bytes.is_empty() && (ANSWER.starts_with(bytes) || bytes.starts_with(ANSWER)) {
        return if bytes.len() < ANSWER.len() { Begins::Perhaps } else { Begins::Yes { to_server: false } };
    }
    if bytes.is_empty() || !(b"GET ".starts_with(bytes) || bytes.starts_with(b"GET ")) {
        return Begins::No;
    }
    // Other protocols have a GET too; only HTTP ends the line with its name.
    let line = bytes.get(..LINE).unwrap_or(bytes);
    match line.iter().position(|&byte| byte == b'\n') {
        Some(end) => match line.get(..end).map(<[u8]>::trim_ascii_end) {
            Some(line) if line.ends_with(b" HTTP/1.1") => Begins::Yes { to_server: true },
            _ => Begins::No,
        },
        // A target that long could be anything, but nothing else is so long before its first line ends.
        None if bytes.len() >= LINE => Begins::Yes { to_server: true },
        None => Begins::Perhaps,
    }
}

/// See [`begins`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    Yes {
        to_server: bool,
    },
    No,
    /// Too few bytes to tell.
    Perhaps,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers() {
        for (text, expected) in [
            ("GET /mqtt HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", Some(true)),
            ("GET /mqtt HTTP/1.1\r\nupgrade:WebSocket \r\nConnection: Upgrade\r\n\r\n", Some(true)),
            ("GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n", Some(false)),
            ("GET /mqtt HTTP/1.1\r\nX-Upgrade: websocket\r\n\r\n", Some(false)),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", Some(true)),
            ("HTTP/1.1 404 Not Found\r\n\r\n", Some(false)),
            ("POST / HTTP/1.1\r\n\r\n", None),
        ] {
            let expected = match expected {
                Some(upgrades) => Progress::Done { behind: text.len(), upgrades },
                None => Progress::Not,
            };
            assert_eq!(Upgrade::default().take(text.as_bytes()), expected, "{text:?}");
            // Byte by byte.
            let mut upgrade = Upgrade::default();
            let last = text.bytes().map(|byte| upgrade.take(&[byte])).find(|step| *step != Progress::More);
            let expected = match expected {
                Progress::Done { upgrades, .. } => Progress::Done { behind: 1, upgrades },
                other => other,
            };
            assert_eq!(last, Some(expected), "{text:?}");
        }
        let mut upgrade = Upgrade::default();
        assert_eq!(upgrade.take(b"GET / HTTP/1.1\r\n"), Progress::More);
        assert_eq!(upgrade.take(&[b'x'; BYTES]), Progress::Not);
        assert!(upgrade.line.len() <= LINE);
    }

    #[test]
    fn what_may_become_a_websocket() {
        for (text, expected) in [
            ("", Begins::No),
            ("G", Begins::Perhaps),
            ("GET /mqtt HTT", Begins::Perhaps),
            ("GET /mqtt HTTP/1.1\r\n", Begins::Yes { to_server: true }),
            ("GET key\r\n", Begins::No),
            ("GETX", Begins::No),
            ("H", Begins::Perhaps),
            ("HMSG a 1", Begins::No),
            ("HTTP/1.1 101 S", Begins::Yes { to_server: false }),
            ("HTTP/1.1 200 OK", Begins::No),
            ("\x10\x0c\0\x04MQTT", Begins::No),
        ] {
            assert_eq!(begins(text.as_bytes()), expected, "{text:?}");
        }
    }
}
