//! Compresses the wire of a side, with zstd or lz4.
//!
//! [`Zstd`] (feature `zstd`) and [`Lz4`] (feature `lz4`) are settings that make a
//! [`CodecLayer`](crate::CodecLayer) for a side, or transforms for a direction of a pair. Two relays with
//! the same compression on the sides that face each other make a compressed tunnel.
//!
//! - zstd compresses better, lz4 costs less CPU and memory. Incompressible bytes are stored, and grow by
//!   a thousandth.
//! - All bytes are sent when the sender pauses. A pause costs a few bytes, and with lz4 the history.
//! - Each direction is one frame. A stream that ends within a frame was cut, and fails; so does a stream
//!   with other bytes behind a frame.
//! - A decompression bomb is decompressed only as fast as it is read: at most 64 KiB at a time, with lz4
//!   one block at a time.
//!
//! # Together with the commands `zstd` and `lz4`
//!
//! The output of the commands is read at every level, also several frames in a row, with checksums,
//! linked blocks and skippable frames, but not with a dictionary. The *window*, the distance from which
//! bytes may be repeated, is held in memory for each connection, and bounded: by 8 MiB unless
//! [`Zstd::max_window`] or [`Lz4::max_window`] sets another bound. That is enough for `zstd` up to level
//! 19 and for every block of `lz4`; `zstd --ultra -22` and `--long` declare up to 128 MiB and more.
//!
//! The commands read the output of this layer. But they write nothing before the end of their input or
//! some hundred KiB, and Python's `zstandard` and `lz4` behave alike unless they are flushed. So the
//! commands can't be a peer in a dialogue.
//!
//! # Memory
//!
//! Of one direction from its first byte to its end, measured:
//!
//! | | compresses | decompresses |
//! |---|---|---|
//! | zstd, level 1 | 521 KiB | 349 KiB |
//! | zstd, level 3 | 969 KiB | 349 KiB |
//! | zstd, level 9 | 777 KiB | 349 KiB |
//! | zstd, level 19 | 1429 KiB | 349 KiB |
//! | lz4 | up to 32 KiB, while bytes wait | up to 64 KiB, while bytes wait |
//!
//! These hold for a peer that compresses with this layer. For another peer its window counts: with zstd up to 8
//! MiB and 300 KiB; with lz4 up to twice a block of up to 4 MiB while it is on its way, and 64 KiB for
//! linked blocks.
//!
//! **Where:** on a side stack, below encryption, because encrypted bytes can't be compressed. Do not
//! compress and encrypt where an attacker can choose a part of the bytes next to a secret: the length
//! reveals the secret (RFC 7457, section 2.6). **Splice:** both directions are copied.
#![cfg_attr(
    feature = "zstd",
    doc = "
```
use couplet_layers::payload::compress::Zstd;

let layer = Zstd::new().level(3).layer();
```"
)]

#[cfg(feature = "lz4")]
mod lz4;
#[cfg(test)]
mod tests;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(feature = "lz4")]
pub use self::lz4::{Lz4, Lz4Compress, Lz4Decompress};
#[cfg(feature = "zstd")]
pub use self::zstd::{Zstd, ZstdCompress, ZstdDecompress};

use thiserror::Error;

/// A stream that is not compressed as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompressError {
    /// The stream ended within a frame, or without one.
    #[error("compressed stream was cut: it ended before the end of a frame")]
    Cut,
    /// The stream, or what follows a frame, does not begin as it should.
    #[error("bytes are not compressed: they do not begin as {0}")]
    Header(&'static str),
    /// The window of a frame is larger than it may be.
    #[error(
        "window of the compressed stream is larger than {allowed} bytes: allow more with \
         `compress.window` (`max_window`), or compress with less (`zstd --zstd=wlog=23`, `lz4 -B4`)"
    )]
    #[non_exhaustive]
    Window {
        /// How many bytes it may have.
        allowed: usize,
    },
    /// The stream can't be decompressed.
    #[error("compressed stream is broken: {0}")]
    Broken(&'static str),
    /// There is no memory to compress or decompress with.
    #[error("memory for {0} is exhausted")]
    Memory(&'static str),
}

/// How much is made in one go.
const ENOUGH: usize = 64 * 1024;

/// The largest window that is taken by default.
const MAX_WINDOW: usize = 8 * 1024 * 1024;

// ===== impl CompressError =====

impl CompressError {
    const fn window(allowed: usize) -> Self {
        Self::Window { allowed }
    }
}
