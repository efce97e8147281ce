//! Bounds the bytes per second of each pair, of each address, or of all together.
//!
//! The layer sets a budget that the relay asks before each read, and wraps no io, so bytes are still
//! spliced. No byte is dropped: the relay pauses reading from a sender that is too fast, and TCP's
//! back-pressure holds the sender up as for a slow reader.
//!
//! - **Exact.** In any span of time at most [`ByteRate::burst`] more bytes pass than the rate allows, and
//!   a sender that is always ready gets the whole rate.
//! - **Several at once.** Bounds of a pair, of an address and of all are separate layers; the lowest
//!   counts.
//! - **Fair.** Pairs that wait for the same bound take turns of the bytes of 20 ms each, whatever they
//!   have to send. A pair that does not use its turn leaves the bytes to the others.
//! - **Directions.** Both directions of a pair share the bound, unless it is for
//!   [one of them alone](BandwidthLayer::only).
//!
//! Bytes are counted as by the [meter](couplet_pairing::Meter): after transforms. Bytes that are
//! discarded because no peer can take them any more do not count.
//!
//! **Idle and half-close timeouts** do not run while a direction waits for its turn, and start again
//! afterwards: a delayed pair is not idle. The peer's own timeouts, and its `TCP_USER_TIMEOUT`, run on.
//!
//! **Where:** anywhere on a pair stack. **Splice:** costs none. **Memory:** a few hundred bytes a
//! pair, and a timer while it waits. A pair without a bound holds nothing.
//!
//! ```
//! use std::num::NonZeroU64;
//!
//! use couplet_endpoint::Side;
//! use couplet_layers::{BandwidthLayer, ByteRate};
//!
//! # fn main() -> Option<()> {
//! let mib = |n: u64| NonZeroU64::new(n * 1024 * 1024);
//! let upload = BandwidthLayer::per_pair(ByteRate::per_second(mib(1)?)).only(Side::A);
//! let client = BandwidthLayer::per_address(Side::A, ByteRate::per_second(mib(10)?));
//! let all = BandwidthLayer::shared(ByteRate::per_second(mib(100)?).burst(mib(50)?));
//! # Some(())
//! # }
//! # main().unwrap();
//! ```

mod addresses;
mod bucket;
mod layer;
mod rate;
mod share;
#[cfg(test)]
mod tests;

pub use self::{layer::BandwidthLayer, rate::ByteRate};

use crate::mapped::Mapped;

/// Gives pairs their bounds before its inner service gets them: made by [`BandwidthLayer`].
pub type Bandwidth<S> = Mapped<BandwidthLayer, S>;
