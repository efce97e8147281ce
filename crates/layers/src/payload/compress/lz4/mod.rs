mod compress;
mod decompress;
mod frame;

pub use self::{compress::Lz4Compress, decompress::Lz4Decompress};

use super::MAX_WINDOW;
use crate::payload::codec::CodecLayer;

/// Set in a block's length when the block is stored uncompressed.
const STORED: u32 = 1 << 31;

/// Settings of LZ4 in its [frame format](https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md).
/// See the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct Lz4 {
    max_window: usize,
}

// ===== impl Lz4 =====

impl Lz4 {
    /// Settings that write independent blocks of 32 KiB without checksums, and read the output of the
    /// command `lz4`.
    pub const fn new() -> Self {
        Self {
            max_window: MAX_WINDOW,
        }
    }

    /// The longest block that is read, in bytes. 8 MiB by default, more than the format has. A connection
    /// holds up to twice as much while a block is on its way.
    #[must_use]
    pub const fn max_window(mut self, bytes: usize) -> Self {
        self.max_window = bytes;
        self
    }

    /// A layer for a side: bytes read are decompressed, bytes written are compressed.
    pub fn layer(self) -> CodecLayer {
        CodecLayer::transforms(move || self.decompress(), move || self.compress())
    }

    /// A transform that compresses.
    pub fn compress(self) -> Lz4Compress {
        Lz4Compress::new()
    }

    /// A transform that decompresses.
    pub fn decompress(self) -> Lz4Decompress {
        Lz4Decompress::new(self.max_window)
    }
}

impl Default for Lz4 {
    fn default() -> Self {
        Self::new()
    }
}
