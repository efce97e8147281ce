//! What is spoken on a side is compressed.
//!
//! [`Zstd`] (feature `zstd`) and [`Lz4`] (feature `lz4`) are settings, from which come a
//! [`CodecLayer`](crate::CodecLayer) for a side, and transforms for a direction of a pair. Two
//! relays whose facing sides compress alike make a compressed tunnel. On the wire is what the
//! command of the same name reads and writes: one frame each way.
//!
//! - zstd compresses better, lz4 costs less CPU and memory. What can't be compressed is stored: it
//!   grows by a thousandth.
//! - Whatever was sent is on its way when its sender pauses; a pause costs a few bytes, and with lz4
//!   what comes after it is compressed afresh.
//! - Each stream has an end of its own. One that ends without it was cut, and is a failure. So is
//!   anything behind it.
//! - Little that becomes much is made as it drains, 64 KiB at a time, however small it came.
//!
//! Memory of a direction, measured, from its first byte on to its end:
//!
//! | | compresses | decompresses |
//! |---|---|---|
//! | zstd, level 1 | 521 KiB | 349 KiB |
//! | zstd, level 3 | 969 KiB | 349 KiB |
//! | zstd, level 9 | 777 KiB | 349 KiB |
//! | zstd, level 19 | 1429 KiB | 349 KiB |
//! | lz4 | up to 32 KiB, while bytes wait | up to 64 KiB, while bytes wait |
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

/// What is read is not compressed as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompressError {
    /// It ended without an end of its own.
    #[error("the stream was cut: it ended without its end mark")]
    Cut,
    /// There is something behind its end.
    #[error("there is more behind the stream's end mark")]
    BehindEnd,
    /// It is no frame of the format, or one with settings that are not taken.
    #[error("it does not begin as {0}")]
    Header(&'static str),
    /// It can't be decompressed.
    #[error("it can't be decompressed: {0}")]
    Broken(&'static str),
    /// There is no memory to compress or decompress with.
    #[error("out of memory: {0}")]
    Memory(&'static str),
}

/// How much is made in one go.
const ENOUGH: usize = 64 * 1024;
