use bytes::{BufMut, BytesMut};
use couplet_endpoint::BoxError;
use lz4_flex::block::{compress_into, get_maximum_output_size};

use super::STORED;
use crate::payload::transform::Transform;

/// The beginning of a frame of independent blocks of at most 64 KiB, without checksums: magic
/// number, flags, block size, and the checksum of these two.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];

/// The bytes compressed at once.
const BLOCK: usize = 32 * 1024;

/// Compresses a stream into one frame: made by [`Lz4`](super::Lz4).
#[derive(Debug)]
pub struct Lz4Compress {
    begun: bool,
    held: BytesMut,
}

// ===== impl Lz4Compress =====

impl Lz4Compress {
    pub(super) fn new() -> Self {
        Self {
            begun: false,
            held: BytesMut::new(),
        }
    }

    fn begin(&mut self, output: &mut BytesMut) {
        if !std::mem::replace(&mut self.begun, true) {
            output.put_slice(&HEADER);
        }
    }

    fn block(&mut self, plain: &[u8], output: &mut BytesMut) -> Result<(), BoxError> {
        self.begin(output);
        let length_at = output.len();
        output.put_u32_le(0);
        let start = output.len();
        output.resize(start + get_maximum_output_size(plain.len()), 0);
        let mut length = compress_into(plain, &mut output[start..])?;
        let mut flag = 0;
        if length >= plain.len() {
            output[start..start + plain.len()].copy_from_slice(plain);
            (length, flag) = (plain.len(), STORED);
        }
        output.truncate(start + length);
        let length = u32::try_from(length).expect("a block is short") | flag;
        output[length_at..start].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }
}

impl Transform for Lz4Compress {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        self.held.unsplit(input.split());
        while self.held.len() >= BLOCK {
            let block = self.held.split_to(BLOCK);
            self.block(&block, output)?;
        }
        Ok(())
    }

    fn flush(&mut self, output: &mut BytesMut) -> Result<(), BoxError> {
        match std::mem::take(&mut self.held) {
            held if held.is_empty() => Ok(()),
            held => self.block(&held, output),
        }
    }

    fn finish(&mut self, _: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        self.flush(output)?;
        self.begin(output);
        output.put_u32_le(0);
        Ok(())
    }
}
