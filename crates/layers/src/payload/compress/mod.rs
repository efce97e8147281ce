//! What is spoken on a side is compressed.
//!
//! [`Zstd`] (feature `zstd`) and [`Lz4`] (feature `lz4`) are settings, from which come a
//! [`CodecLayer`](crate::CodecLayer) for a side, and transforms for a direction of a pair. Two
//! relays whose facing sides compress alike make a compressed tunnel.
//!
//! - zstd compresses better, lz4 costs less CPU and memory. What can't be compressed is stored: it
//!   grows by a thousandth.
//! - What was sent is on its way when its sender pauses. A pause costs a few bytes, and with lz4 what
//!   comes after it is compressed afresh.
//! - What is written is one frame for each direction. A stream that ends within a frame was cut, and
//!   fails; so does one in which something else follows a frame.
//! - Bytes that decompress to many more are decompressed as they are read, up to 64 KiB at a time,
//!   with lz4 one block at a time.
//!
//! # What the commands `zstd` and `lz4` write
//!
//! is read at every level, also several frames in a row, with checksums, linked blocks and frames to
//! be skipped; not with a dictionary. How far back bytes may be repeated, the *window*, is bounded, as
//! it has to be held for each connection: by 8 MiB unless [`Zstd::max_window`] or
//! [`Lz4::max_window`] says otherwise. That is enough for `zstd` up to level 19 and for every block of
//! `lz4`; `zstd --ultra -22` and `--long` declare up to 128 MiB and more.
//!
//! The commands read what is written here. But they write nothing before their input has ended or
//! some hundred KiB have come, and so do Python's `zstandard` and `lz4` unless they are flushed: for a
//! dialogue the commands are no peer.
//!
//! # Memory
//!
//! of a direction, measured, from its first byte to its end:
//!
//! | | compresses | decompresses |
//! |---|---|---|
//! | zstd, level 1 | 521 KiB | 349 KiB |
//! | zstd, level 3 | 969 KiB | 349 KiB |
//! | zstd, level 9 | 777 KiB | 349 KiB |
//! | zstd, level 19 | 1429 KiB | 349 KiB |
//! | lz4 | up to 32 KiB, while bytes wait | up to 64 KiB, while bytes wait |
//!
//! That is with a peer that compresses as here. Another peer's window comes instead: with zstd up to
//! 8 MiB and 300 KiB, with lz4 up to twice its blocks of up to 4 MiB while one is on its way, and
//! 64 KiB if they are linked.
//!
//! **Where:** on a side stack; below encryption on its own wire, because what is encrypted can't be
//! compressed. Where an attacker can choose a part of what is sent beside a secret, the length of
//! what is compressed and then encrypted tells of the secret (RFC 7457, section 2.6): don't.
//! **Splice:** both directions are copied.
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
