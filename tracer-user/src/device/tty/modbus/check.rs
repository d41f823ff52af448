//! The checks of Modbus frames: CRC-16 for RTU, LRC for ASCII. Modbus over Serial Line V1.02, 6.2.

/// The CRC of `bytes` (6.2.2): polynomial 0xA001, start 0xFFFF. Its low byte is sent first. Over a frame with its
/// CRC it is 0.
pub(super) fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        let index = (crc ^ u16::from(*byte)) & 0xff;
        crc >> 8 ^ TABLE.get(usize::from(index)).copied().unwrap_or_default()
    })
}

/// The CRC of every byte.
static TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u16;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

/// The LRC of `bytes` (6.2.1): what makes their sum 0.
pub(super) fn lrc(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_as_published() {
        // The specification's example, 6.2.2: unit 2, function 7.
        assert_eq!(crc(&[0x02, 0x07]).to_le_bytes(), [0x41, 0x12]);
        assert_eq!(crc(b"123456789"), 0x4b37);
        assert_eq!(crc(&[0x02, 0x07, 0x41, 0x12]), 0);
        assert_eq!(lrc(&[0xf7, 0x03, 0x13, 0x89, 0x00, 0x0a]), 0x60);
    }
}
