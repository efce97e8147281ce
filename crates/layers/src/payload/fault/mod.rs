//! Simulates a bad network, for tests: latency, low bandwidth, small segments, resets, black holes.
//!
//! Each [`FaultLayer`] makes one [`Fault`]; stack several to combine them, each on the bytes that the
//! one above lets through. A fault may be for [one direction](FaultLayer::only) or for [some
//! pairs](FaultLayer::probability), and can be switched [off and on](FaultSwitch) while pairs are live.
//! Chance comes from a [seed](FaultLayer::seed): the n-th pair of a layer has the same faults in every
//! run. The clock is tokio's, so a test may pause it.
//!
//! [`Fault::Limit`] makes up an end of stream, on purpose and alone in Couplet. All other faults pass on
//! the end or the reset that came.
//!
//! **Where:** on a pair stack, above the layers under test. **Splice:** while the fault is on, its
//! direction is copied; while it is off, and for a pair without the fault, splice remains. A direction
//! in splice notices a switch with the next byte. **Memory:** [`Fault::Latency`] holds up to 1 MiB a
//! direction, the others no byte. **Feature:** `fault`.
//!
//! ```
//! use std::time::Duration;
//!
//! use couplet_endpoint::Side;
//! use couplet_layers::{Fault, FaultLayer};
//!
//! let late = FaultLayer::new(Fault::Latency {
//!     delay: Duration::from_millis(200),
//!     jitter: Duration::from_millis(50),
//! });
//! let flaky = FaultLayer::new(Fault::Reset { after: 10_000 })
//!     .only(Side::B)
//!     .probability(0.1)
//!     .seed(7);
//! let switch = flaky.switch();
//! switch.off();
//! # let _ = late;
//! ```

mod active;
mod io;
mod late;
mod layer;
mod switch;
#[cfg(test)]
mod tests;

pub use self::{
    io::Faulty,
    layer::{FaultLayer, FaultService},
    switch::FaultSwitch,
};

use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

/// A fault of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Bytes, the end and a reset come later, by the delay and at most the jitter more or less, and in
    /// order.
    Latency {
        /// How much later.
        delay: Duration,
        /// How much more or less that may be.
        jitter: Duration,
    },
    /// Delivers this many bytes a second, evenly, for each pair. A timer that fires late is made up for: no
    /// burst is longer than 100 ms.
    Slow {
        /// How many.
        bytes_per_second: NonZeroU64,
    },
    /// Delivers this many bytes at once, with at least this pause after each piece.
    Slice {
        /// The size of a piece.
        size: NonZeroUsize,
        /// The pause, which may be none.
        pause: Duration,
    },
    /// The end of the stream, or its reset, comes later; bytes do not.
    SlowClose {
        /// How much later.
        delay: Duration,
    },
    /// Nothing comes any more, and after that time the connection fails.
    Timeout {
        /// How long after it was switched on, or after the pair began to be relayed.
        after: Duration,
    },
    /// Resets the connection after this many bytes.
    Reset {
        /// How many that come while it is on.
        after: u64,
    },
    /// Ends the stream after this many bytes, as if its peer had closed it.
    Limit {
        /// How many that come while it is on.
        bytes: u64,
    },
    /// What comes is thrown away, and so is the end: the other side hears nothing. Once something was
    /// lost, switching it off is a reset, for what is lost does not come again.
    Blackhole,
}
