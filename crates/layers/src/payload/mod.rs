//! Payload: layers that change the bytes of a stream.
//!
//! [`transform`] changes the bytes of a pair's direction, [`codec`] speaks a wire format on a side,
//! [`compress`] is both for zstd and lz4, and [`fault`] simulates a bad network, for tests. Each costs
//! splice in the directions that it changes.

pub mod codec;
#[cfg(any(feature = "lz4", feature = "zstd"))]
pub mod compress;
#[cfg(feature = "fault")]
pub mod fault;
pub mod transform;
