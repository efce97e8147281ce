//! Bounds how many bytes pass in a second: of each pair, of each address, or of all together.
//!
//! It is a bound on what the relay takes from a source, not an io around it, so what it lets through
//! is still spliced. Nothing is dropped: a sender that is too fast is not read from for a while, and
//! the system holds it up as it does for a slow reader.
//!
//! - **Exact.** In any span of time at most [`ByteRate::burst`] more bytes pass than the rate allows, and
//!   a sender that is always ready gets all of it.
//! - **Several at once.** Bounds of a pair, of its address and of all are added as layers, and the
//!   least counts.
//! - **Fair.** Pairs that wait for the same bound take turns, each with what passes in 20 ms, however
//!   many bytes one of them would send. A pair that does not use its turn leaves it to the others.
//! - **Directions.** Both directions of a pair share the bound, unless it is for
//!   [one of them alone](BandwidthLayer::only).
//!
//! Bytes are counted as the [meter](couplet_pairing::Meter) does: those that come out of a transform.
//! What is thrown away because nobody can take it any more is not.
//!
//! **Idle and half-close timeouts** count no time in which a direction waits for its turn: a
//! delayed pair is not idle. They begin anew after it. What does run on is a peer's own patience, and its
//! `TCP_USER_TIMEOUT`.
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

use std::task::{Context, Poll};

use couplet_pairing::Pair;
use tower_service::Service;

/// Gives pairs their bounds before its inner service gets them: made by [`BandwidthLayer`].
#[derive(Clone, Debug)]
pub struct Bandwidth<S> {
    layer: BandwidthLayer,
    inner: S,
}

// ===== impl Bandwidth =====

impl<A, B, S: Service<Pair<A, B>>> Service<Pair<A, B>> for Bandwidth<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut pair: Pair<A, B>) -> S::Future {
        let share = self.layer.share(&pair.session);
        pair.session.limit(share);
        self.inner.call(pair)
    }
}
