//! What the probe of the capture tests writes, so that the tests know it.

/// The first `len` bytes of what `probe_calls` writes: no two of its stretches of 256 bytes are alike.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(byte).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the low byte is what is wanted")]
fn byte(index: usize) -> u8 {
    (index * 31 + index / 256 * 7 + index / 65_536 * 5 + 1) as u8
}
