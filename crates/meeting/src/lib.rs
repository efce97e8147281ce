//! Two clients meet though each came to another node.
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
//! repeated one is answered with `GONE`. It makes no wrong pair and no double one.
//!
//! The match-maker is a [`tower::Service`] of [`Request`], so that tower's layers bound it, time it and watch
//! it. [`MemoryEngine`] is one within a process; [`redis`] is one on a server.
//!
//! [`Request`]: engine::Request
//! [`Ticket`]: engine::Ticket

pub mod engine;

pub use self::engine::memory::MemoryEngine;
#[cfg(feature = "redis")]
pub use self::engine::redis;
