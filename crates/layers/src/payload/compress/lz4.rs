use bytes::{Buf, BufMut, BytesMut};
use couplet_endpoint::BoxError;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

use super::{CompressError, ENOUGH};
use crate::{payload::codec::CodecLayer, payload::transform::Transform};

/// The beginning of a frame of independent blocks of at most 64 KiB, without checksums: magic
/// number, flags, block size, and the checksum of these two.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];

/// How much is compressed at once.
const BLOCK: usize = 32 * 1024;

/// How long a block that is read may be, compressed or not.
const MAX_BLOCK: usize = 64 * 1024;

/// How much a byte of a compressed block makes at most: it says a length, and goes on.
const MAX_RATIO: usize = 255;

/// Set in a block's length when it is stored as it is.
const STORED: u32 = 1 << 31;

/// LZ4 in its frame format, <https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md>. See the
/// [module](super).
///
/// Frames of independent blocks of 64 KiB without checksums are taken, as the command `lz4 -B4 -BI
/// --no-frame-crc` makes them.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Lz4;

/// Compresses what goes through: made by [`Lz4`].
#[derive(Debug)]
pub struct Lz4Compress {
    begun: bool,
    held: BytesMut,
}

/// Decompresses what goes through: made by [`Lz4`].
#[derive(Debug)]
pub struct Lz4Decompress {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Header,
    Blocks,
    Ended,
}

// ===== impl Lz4 =====

impl Lz4 {
    /// It has no settings.
    pub const fn new() -> Self {
        Self
    }

    /// A layer for a side: what is read is decompressed, what is written compressed.
    pub fn layer(self) -> CodecLayer {
        CodecLayer::transforms(move || self.decompress(), move || self.compress())
    }

    /// A transform that compresses.
    pub fn compress(self) -> Lz4Compress {
        Lz4Compress {
            begun: false,
            held: BytesMut::new(),
        }
    }

    /// A transform that decompresses.
    pub const fn decompress(self) -> Lz4Decompress {
        Lz4Decompress {
            state: State::Header,
        }
    }
}

// ===== impl Lz4Compress =====

impl Lz4Compress {
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

// ===== impl Lz4Decompress =====

impl Lz4Decompress {
    /// Takes one block, if it is there.
    fn block(
        &mut self,
        input: &mut BytesMut,
        output: &mut BytesMut,
    ) -> Result<bool, CompressError> {
        let Some(length) = input.first_chunk() else {
            return Ok(false);
        };
        let length = u32::from_le_bytes(*length);
        let stored = length & STORED != 0;
        let length = (length & !STORED) as usize;
        if length > MAX_BLOCK {
            return Err(CompressError::Broken("a block is longer than 64 KiB"));
        }
        if input.len() < 4 + length {
            return Ok(false);
        }
        input.advance(4);
        if length == 0 && !stored {
            self.state = State::Ended;
            return Ok(true);
        }
        let block = input.split_to(length);
        if stored {
            output.put_slice(&block);
            return Ok(true);
        }
        let start = output.len();
        output.resize(start + MAX_BLOCK.min(block.len() * MAX_RATIO), 0);
        let made = decompress_into(&block, &mut output[start..]);
        output.truncate(start + made.as_ref().unwrap_or(&0));
        made.map_err(|_| CompressError::Broken("a block is not what it should be"))?;
        Ok(true)
    }
}

impl Transform for Lz4Decompress {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        while output.len() < ENOUGH && !input.is_empty() {
            match self.state {
                State::Header => {
                    let known = input.len().min(HEADER.len());
                    if input[..known] != HEADER[..known] {
                        return Err(CompressError::Header(
                            "an LZ4 frame of independent blocks of 64 KiB without checksums",
                        )
                        .into());
                    }
                    if known < HEADER.len() {
                        return Ok(());
                    }
                    input.advance(known);
                    self.state = State::Blocks;
                }
                State::Blocks => {
                    if !self.block(input, output)? {
                        return Ok(());
                    }
                }
                State::Ended => return Err(CompressError::BehindEnd.into()),
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut BytesMut, _: &mut BytesMut) -> Result<(), BoxError> {
        match self.state {
            State::Ended => Ok(()),
            _ => Err(CompressError::Cut.into()),
        }
    }
}
