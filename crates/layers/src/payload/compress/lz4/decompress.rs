use std::hash::Hasher;

use bytes::{Buf, BytesMut};
use couplet_endpoint::BoxError;
use lz4_flex::block::decompress_into_with_dict;
use twox_hash::XxHash32;

use super::{
    STORED,
    frame::{Begins, Frame, checksum_of},
};
use crate::payload::{
    compress::{CompressError, ENOUGH},
    transform::Transform,
};

/// The distance from which a block may repeat bytes.
const HISTORY: usize = 64 * 1024;

/// The most bytes that one byte of a compressed block can make.
const MAX_RATIO: usize = 255;

/// Decompresses a stream of frames in a row: made by [`Lz4`](super::Lz4).
pub struct Lz4Decompress {
    max_window: usize,
    state: State,
    /// Decompressed bytes that wait.
    plain: BytesMut,
}

enum State {
    /// No frame has come.
    New,
    /// Between two frames.
    Between,
    /// In a skippable frame, with this many bytes to come.
    Skipping(u32),
    Blocks(Box<Blocks>),
}

/// A frame under way.
struct Blocks {
    frame: Frame,
    /// The last bytes before this block, where blocks are linked.
    history: Vec<u8>,
    made: u64,
    hasher: XxHash32,
    /// Only the checksum of the content is to come.
    ended: bool,
}

// ===== impl Lz4Decompress =====

impl Lz4Decompress {
    pub(super) fn new(max_window: usize) -> Self {
        Self {
            max_window,
            state: State::New,
            plain: BytesMut::new(),
        }
    }

    /// Takes one step, if there is enough input.
    fn step(&mut self, input: &mut BytesMut) -> Result<bool, CompressError> {
        match &mut self.state {
            State::New | State::Between => {
                let Some((begins, length)) = Begins::read(input)? else {
                    return Ok(false);
                };
                self.state = match begins {
                    Begins::Skipped(length) => State::Skipping(length),
                    Begins::Frame(frame) if frame.max_block > self.max_window => {
                        return Err(CompressError::window(self.max_window));
                    }
                    Begins::Frame(frame) => State::Blocks(Box::new(Blocks::new(frame))),
                };
                input.advance(length);
            }
            State::Skipping(left) => {
                let skipped = input.len().min(*left as usize);
                input.advance(skipped);
                *left -= skipped as u32;
                if *left > 0 {
                    return Ok(false);
                }
                self.state = State::Between;
            }
            State::Blocks(blocks) if blocks.ended => {
                let Some(checksum) = input.first_chunk() else {
                    return Ok(false);
                };
                if u32::from_le_bytes(*checksum) != blocks.hasher.finish_32() {
                    return Err(CompressError::Broken(
                        "the checksum of the content is wrong",
                    ));
                }
                input.advance(4);
                self.state = State::Between;
            }
            State::Blocks(blocks) => {
                if !blocks.block(input, &mut self.plain)? {
                    return Ok(false);
                }
                if blocks.ended && !blocks.frame.content_checksum {
                    self.state = State::Between;
                }
            }
        }
        Ok(true)
    }
}

impl Transform for Lz4Decompress {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        loop {
            let room = ENOUGH.saturating_sub(output.len());
            let going = self.plain.len().min(room);
            output.extend_from_slice(&self.plain[..going]);
            self.plain.advance(going);
            if !self.plain.is_empty() || room == 0 {
                return Ok(());
            }
            self.plain = BytesMut::new();
            if input.is_empty() || !self.step(input)? {
                return Ok(());
            }
        }
    }

    fn finish(&mut self, input: &mut BytesMut, _: &mut BytesMut) -> Result<(), BoxError> {
        match self.state {
            State::Between if input.is_empty() => Ok(()),
            _ => Err(CompressError::Cut.into()),
        }
    }
}

impl std::fmt::Debug for Lz4Decompress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lz4Decompress")
            .field("max_window", &self.max_window)
            .finish_non_exhaustive()
    }
}

// ===== impl Blocks =====

impl Blocks {
    fn new(frame: Frame) -> Self {
        Self {
            frame,
            history: Vec::new(),
            made: 0,
            hasher: XxHash32::with_seed(0),
            ended: false,
        }
    }

    /// Takes one block, or the mark behind the last one, if it is complete.
    fn block(&mut self, input: &mut BytesMut, plain: &mut BytesMut) -> Result<bool, CompressError> {
        let Some(length) = input.first_chunk() else {
            return Ok(false);
        };
        let length = u32::from_le_bytes(*length);
        if length == 0 {
            if self
                .frame
                .content_size
                .is_some_and(|size| size != self.made)
            {
                return Err(CompressError::Broken(
                    "the content has another length than its header says",
                ));
            }
            self.ended = true;
            input.advance(4);
            return Ok(true);
        }
        let is_stored = length & STORED != 0;
        let length = (length & !STORED) as usize;
        if length > self.frame.max_block {
            return Err(CompressError::Broken(
                "a block is longer than the frame's header allows",
            ));
        }
        let checksum = if self.frame.block_checksums { 4 } else { 0 };
        let Some(block) = input.get(4..4 + length + checksum) else {
            return Ok(false);
        };
        let (block, checksum) = block.split_at(length);
        if let Some(checksum) = checksum.first_chunk()
            && u32::from_le_bytes(*checksum) != checksum_of(block)
        {
            return Err(CompressError::Broken("the checksum of a block is wrong"));
        }
        match is_stored {
            true => plain.extend_from_slice(block),
            false => self.decompress(block, plain)?,
        }
        let taken = 4 + length + if self.frame.block_checksums { 4 } else { 0 };
        input.advance(taken);
        self.remember(plain);
        Ok(true)
    }

    fn decompress(&self, block: &[u8], plain: &mut BytesMut) -> Result<(), CompressError> {
        let most = block.len().saturating_mul(MAX_RATIO);
        plain.resize(self.frame.max_block.min(most), 0);
        let made = decompress_into_with_dict(block, plain, &self.history);
        plain.truncate(*made.as_ref().unwrap_or(&0));
        made.map(drop)
            .map_err(|_| CompressError::Broken("a block can't be decompressed"))
    }

    fn remember(&mut self, plain: &[u8]) {
        self.made += plain.len() as u64;
        if self.frame.content_checksum {
            self.hasher.write(plain);
        }
        if self.frame.linked {
            let new = &plain[plain.len().saturating_sub(HISTORY)..];
            let kept = self.history.len().min(HISTORY - new.len());
            self.history.drain(..self.history.len() - kept);
            self.history.extend_from_slice(new);
        }
    }
}
