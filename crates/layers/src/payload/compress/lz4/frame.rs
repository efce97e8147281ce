//! The header of a frame.

use std::hash::Hasher;

use twox_hash::XxHash32;

use crate::payload::compress::CompressError;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// The magic number of a skippable frame; its four lowest bits may have any value.
const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

/// The beginning of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Begins {
    Frame(Frame),
    /// A skippable frame of this many bytes.
    Skipped(u32),
}

/// The content of a frame's header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    /// Blocks repeat bytes of the blocks before them.
    pub(super) linked: bool,
    pub(super) block_checksums: bool,
    pub(super) content_checksum: bool,
    pub(super) content_size: Option<u64>,
    /// The longest block.
    pub(super) max_block: usize,
}

// ===== impl Begins =====

impl Begins {
    /// The beginning of a frame and the length of its header, if the header is complete.
    pub(super) fn read(input: &[u8]) -> Result<Option<(Self, usize)>, CompressError> {
        let known = input.len().min(4);
        let is = |magic: &[u8; 4], lowest: u8| {
            let mut begin: Vec<u8> = input[..known].to_vec();
            if let Some(first) = begin.first_mut() {
                *first &= !lowest;
            }
            begin == magic[..known]
        };
        let (is_frame, is_skippable) = (is(&MAGIC, 0), is(&SKIPPABLE, 0x0f));
        if !is_frame && !is_skippable {
            return Err(CompressError::Header("an lz4 frame"));
        }
        if is_skippable && !is_frame {
            let length = input.get(4..8).and_then(|length| length.first_chunk());
            return Ok(length.map(|length| (Self::Skipped(u32::from_le_bytes(*length)), 8)));
        }
        Frame::read(input).map(|read| read.map(|(frame, length)| (Self::Frame(frame), length)))
    }
}

// ===== impl Frame =====

impl Frame {
    fn read(input: &[u8]) -> Result<Option<(Self, usize)>, CompressError> {
        let (Some(&flags), Some(&block)) = (input.get(4), input.get(5)) else {
            return Ok(None);
        };
        let has = |bit: u8| flags & (1 << bit) != 0;
        if flags >> 6 != 1 || has(1) || block & 0x8f != 0 {
            return Err(CompressError::Header("an lz4 frame of version 1"));
        }
        if has(0) {
            return Err(CompressError::Header("an lz4 frame without a dictionary"));
        }
        let max_block = match block >> 4 {
            code @ 4..=7 => 1 << (8 + 2 * u32::from(code)),
            _ => return Err(CompressError::Header("an lz4 frame of blocks up to 4 MiB")),
        };
        let length = if has(3) { 15 } else { 7 };
        let Some(header) = input.get(..length) else {
            return Ok(None);
        };
        let content_size = header.get(6..14).and_then(|size| size.first_chunk());
        let (described, checksum) = (&header[4..length - 1], header[length - 1]);
        if (checksum_of(described) >> 8) as u8 != checksum {
            return Err(CompressError::Broken("the checksum of the header is wrong"));
        }
        let frame = Self {
            linked: !has(5),
            block_checksums: has(4),
            content_checksum: has(2),
            content_size: content_size.map(|size| u64::from_le_bytes(*size)),
            max_block,
        };
        Ok(Some((frame, length)))
    }
}

/// The checksum of all three kinds: XXH32.
pub(super) fn checksum_of(bytes: &[u8]) -> u32 {
    let mut hasher = XxHash32::with_seed(0);
    hasher.write(bytes);
    hasher.finish_32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_header_is_read() {
        // As `lz4 -B4 -BI --no-frame-crc` and `lz4 -B7 -BD` begin theirs.
        let ours = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
        let Ok(Some((Begins::Frame(frame), 7))) = Begins::read(&ours) else {
            panic!("it is one");
        };
        assert!(!frame.linked && !frame.content_checksum && !frame.block_checksums);
        assert_eq!((frame.max_block, frame.content_size), (64 * 1024, None));
        for cut in 0..ours.len() {
            assert_eq!(Begins::read(&ours[..cut]), Ok(None), "{cut}");
        }
        let mut changed = ours;
        changed[6] ^= 1;
        assert!(matches!(
            Begins::read(&changed),
            Err(CompressError::Broken(_))
        ));
        for (at, bit) in [
            (0, 1),
            (4, 1),
            (4, 2),
            (4, 0x80),
            (5, 0x80),
            (5, 1),
            (5, 0x60),
        ] {
            let mut changed = ours;
            changed[at] ^= bit;
            assert!(
                matches!(Begins::read(&changed), Err(CompressError::Header(_))),
                "byte {at}, bit {bit}"
            );
        }
    }

    #[test]
    fn a_skippable_frame_is_skipped() {
        let skipped = [0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0];
        assert_eq!(Begins::read(&skipped), Ok(Some((Begins::Skipped(3), 8))));
        assert_eq!(Begins::read(&skipped[..7]), Ok(None));
    }
}
