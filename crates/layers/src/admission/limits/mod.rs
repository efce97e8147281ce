//! How many connections a side takes, and how fast: from each address, and in all.
//!
//! [`ConnLimitLayer`] bounds the connections that are open at a time, and `ConnRateLayer` (feature
//! `rate-limit`) the new ones in a time. Each is either for every address by itself or for all
//! addresses together. A side may have all four, those per address above those overall, so that an
//! address that has used up its own share can't use up everybody's:
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
//! A connection over a limit is closed before a byte is exchanged, or it [waits](Over::Queue) in a
//! queue in which addresses take turns. Neither holds up the accept loop: a connection that waits has
//! been accepted, and the next may pass it if its own address's limit lets it.
//! [`LiveLimitLayer`](crate::LiveLimitLayer) is the layer that stops accepting.
//!
//! An IPv4 address is one client, and so is an IPv6 network of 64 bits, as that is the least a
//! site is given (RFC 6177). An IPv4 address that is mapped into IPv6 is that IPv4 address. All
//! peers without an address (on a Unix socket, within the process) count as one client. The address
//! is that of [`Info::peer`](couplet_endpoint::Info::peer) when the connection meets the layer:
//! below a layer that reads a PROXY protocol header, the real client's.
//!
//! - **Where:** on a side stack, below the access list; above handshakes if silent clients are to
//!   count, below if only clients that have shaken hands are.
//! - **Splice:** costs none; after a wait, once the bytes that came meanwhile are delivered.
//! - **Memory:** an entry for each address that has a connection open or waiting; up to 4 KiB of early
//!   bytes for each connection that waits; of a rate, an entry for each address until its share is
//!   whole again and a minute at the most beyond that, at most 65,536.
//! - **Readiness:** the inner service's; a connection that is refused takes none of it. Where
//!   connections wait, the layer is always ready, as a place that it reserved would be missing to
//!   them: then those that have to wait for the inner service are in the same queue.
//! - **Errors:** [`OverLimit`]. [`LimitCounts`] tells how many were admitted, refused and wait.

mod conns;
mod counts;
mod departure;
mod error;
mod future;
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
    future::LimitFuture,
    queue::{Over, Queue},
    service::LimitService,
};
