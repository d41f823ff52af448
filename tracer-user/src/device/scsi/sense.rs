//! Sense data, SPC-5 4.4: why a device refused.

use std::fmt;

/// What sense data say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sense {
    /// What kind of trouble.
    pub(super) key: &'static str,
    /// Additional sense code.
    pub(super) code: u8,
    /// Its qualifier.
    pub(super) qualifier: u8,
}

/// Reads fixed (4.4.3) and descriptor (4.4.2) format; `None` if it is neither or too short.
pub(super) fn read(bytes: &[u8]) -> Option<Sense> {
    let at = |index: usize| bytes.get(index).copied();
    let (key, code, qualifier) = match at(0)? & 0x7f {
        0x70 | 0x71 => (at(2)?, at(12).unwrap_or(0), at(13).unwrap_or(0)),
        0x72 | 0x73 => (at(1)?, at(2)?, at(3)?),
        _ => return None,
    };
    let key = KEYS.get(usize::from(key & 0x0f)).copied().unwrap_or_default();
    Some(Sense { key, code, qualifier })
}

impl fmt::Display for Sense {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, code, qualifier } = self;
        write!(out, "{key}, additional sense 0x{code:02x} 0x{qualifier:02x}")?;
        match MEANINGS.iter().find(|(known, ..)| *known == (*code, *qualifier)) {
            Some((_, meaning)) => write!(out, " ({meaning})"),
            None => Ok(()),
        }
    }
}

/// Table 48.
const KEYS: [&str; 16] = [
    "NO_SENSE",
    "RECOVERED_ERROR",
    "NOT_READY",
    "MEDIUM_ERROR",
    "HARDWARE_ERROR",
    "ILLEGAL_REQUEST",
    "UNIT_ATTENTION",
    "DATA_PROTECT",
    "BLANK_CHECK",
    "VENDOR_SPECIFIC",
    "COPY_ABORTED",
    "ABORTED_COMMAND",
    "RESERVED",
    "VOLUME_OVERFLOW",
    "MISCOMPARE",
    "COMPLETED",
];

/// The usual ones of annex F.2.
const MEANINGS: &[((u8, u8), &str)] = &[
    ((0x04, 0x00), "logical unit not ready"),
    ((0x04, 0x01), "becoming ready"),
    ((0x0c, 0x02), "write error, reallocation failed"),
    ((0x11, 0x00), "unrecovered read error"),
    ((0x1a, 0x00), "parameter list length error"),
    ((0x20, 0x00), "invalid command operation code"),
    ((0x21, 0x00), "logical block address out of range"),
    ((0x24, 0x00), "invalid field in the command"),
    ((0x25, 0x00), "logical unit not supported"),
    ((0x26, 0x00), "invalid field in the parameter list"),
    ((0x27, 0x00), "write protected"),
    ((0x28, 0x00), "the medium may have changed"),
    ((0x29, 0x00), "power on or reset"),
    ((0x2a, 0x01), "mode parameters changed"),
    ((0x3a, 0x00), "medium not present"),
    ((0x3f, 0x0e), "reported LUNs have changed"),
    ((0x44, 0x00), "internal target failure"),
];
