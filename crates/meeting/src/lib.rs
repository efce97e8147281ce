//! A rendezvous by key on several nodes: joins clients that connect to different nodes.
//!
//! ```text
//!  client ──▶ node 1 ◀──────── bytes ────────▶ node 2 ◀── client
//!                │                                │
//!                └──▶ match-maker: which key ◀────┘
//!                     waits at which node
//! ```
//!
//! Each node has a rendezvous by key of its own. A connection that finds no partner at its node is offered to a
//! *match-maker*, under a random [`Ticket`], with the address of its node. The next connection with the same
//! key, at any node, is told the ticket; its node dials the other one, and joins the two.
//!
//! **The node whose memory holds the waiting connection decides.** A ticket is taken once
//! ([`Switchboard::take`](couplet_connector::pairing::Switchboard::take)), whatever the match-maker says. So a
//! match-maker may forget offers and repeat itself: a forgotten one is made again a third of its lease later, a
//! repeated one is answered with `GONE`. The key goes with the ticket, so that nothing a
//! match-maker says makes a wrong pair, or a double one.
//!
//! The match-maker is a [`tower::Service`] of [`Request`], so that tower's layers bound it, time it and watch
//! it. [`MemoryEngine`] is one within a process; [`redis`] is one on a server.
//!
//! [`Node`] is the node, with an example of all of it. The bytes of a pair over two nodes go through both, by
//! splice where much moves; half-close, resets and back-pressure are those of each relay. The other node's
//! client has its own address and proven name in [`Info`](couplet_connector::endpoint::Info), and
//! [`Forwarded`](couplet_connector::layers::Forwarded) in the extensions.
//!
//! [`Request`]: engine::Request
//! [`Ticket`]: engine::Ticket

pub mod engine;
mod node;

#[cfg(feature = "redis")]
pub use self::engine::redis;
pub use self::{
    engine::memory::MemoryEngine,
    node::{
        Cluster, ClusterError, Count, ExpectNode, MeetingCounts, Node, Port, Reception, Secret,
        WireError,
    },
};
