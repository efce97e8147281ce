//! Bounds the connections of a side, and the rate of new ones: per address, and overall.
//!
//! [`ConnLimitLayer`] bounds the connections that are open at a time, `ConnRateLayer` (feature
//! `rate-limit`) the new connections in a time. Each counts either every address by itself or all
//! together. A side may have all four. Put the limits per address above the overall ones, so that one
//! address can't use up the overall limit:
//!
//! ```
//! use couplet_layers::{ConnLimitLayer, Over, admission::limits::Queue};
//! use tower::ServiceBuilder;
//!
//! # fn stack<S>(place: S) {
//! let stack = ServiceBuilder::new()
//!     .layer(ConnLimitLayer::per_address(4))
//!     .layer(ConnLimitLayer::overall(100).over(Over::Queue(Queue::new())))
//!     .service(place);
//! # }
//! ```
//!
//! A connection over a limit is closed before a byte is exchanged, or [waits](Over::Queue) in a queue
//! in which addresses take turns. Neither holds up the accept loop: a waiting connection has been
//! accepted, and a later connection may pass if the limit of its own address allows it.
//! [`LiveLimitLayer`](crate::LiveLimitLayer) stops accepting instead.
//!
//! A client is an IPv4 address or an IPv6 network of 64 bits, the least that a site is given (RFC
//! 6177). An IPv4-mapped IPv6 address counts as IPv4. All peers without an address (on a Unix socket,
//! within the process) count as one client. The address is
//! [`Info::peer`](couplet_endpoint::Info::peer) when the connection meets the layer: below a PROXY
//! protocol header, the real client's.
//!
//! - **Where:** on a side stack, below the access list; above handshakes to count silent clients,
//!   below them to count only authenticated ones.
//! - **Splice:** costs none; after a wait, from when the early bytes are delivered.
//! - **Memory:** an entry for each address with an open or waiting connection; up to 4 KiB of early bytes
//!   for each waiting connection; for a rate, an entry for each address until its rate has recovered and
//!   up to a minute more, at most 65,536 entries.
//! - **Readiness:** the inner service's; a refused connection takes none. With a queue the layer is
//!   always ready, because a slot reserved here would be missing to the queue; connections that have to
//!   wait for the inner service are in the same queue.
//! - **Errors:** [`OverLimit`]. [`LimitCounts`] has the numbers of admitted, refused and waiting
//!   connections.

mod conns;
mod counts;
mod departure;
mod error;
mod key;
mod limiter;
mod queue;
#[cfg(feature = "rate-limit")]
mod rate;
mod service;
mod table;
#[cfg(test)]
mod tests;

#[cfg(feature = "rate-limit")]
pub use self::rate::{ConnRateLayer, Rate, Rates};
pub use self::{
    conns::{ConnLimitLayer, Conns},
    counts::LimitCounts,
    error::{Limit, OverLimit},
    queue::{Over, Queue},
    service::{LimitFuture, LimitService},
};
