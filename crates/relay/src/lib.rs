//! Moves the bytes of two joined connections.
//!
//! ```text
//!              ┌───────── Relay ─────────┐
//!   A ──read──▶│ buffer or pipe, while   │──write──▶ B
//!   A ◀─write──│ bytes wait              │◀──read─── B
//!              └─────────────────────────┘
//! ```
//!
//! [`Relay`] is the innermost service of a pair stack: a `tower::Service` of a
//! [`Pair`](couplet_pairing::Pair) that answers with a [`Summary`].
//!
//! ```
//! use couplet_endpoint::{Conn, Origin, Side, memory};
//! use couplet_pairing::{CloseReason, Pair};
//! use couplet_relay::Relay;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let (mut alice, a) = memory::connection(64);
//! let (mut bob, b) = memory::connection(64);
//! let pair = Pair::new(Conn::new(a, Origin::Accepted), Conn::new(b, Origin::Accepted));
//! let relaying = tokio::spawn(Relay::new().oneshot(pair));
//!
//! alice.write_all(b"hello").await?;
//! alice.shutdown().await?;
//! let mut heard = String::new();
//! bob.read_to_string(&mut heard).await?;
//! assert_eq!(heard, "hello");
//! drop(bob);
//!
//! let summary = relaying.await??;
//! assert_eq!(summary.a_to_b, 5);
//! assert_eq!(summary.reason, CloseReason::Finished(Side::A));
//! # Ok(())
//! # }
//! ```

mod ack_watch;
mod buffer;
mod direction;
#[cfg(target_os = "linux")]
mod pipe;
mod relay;
mod relaying;
mod summary;
mod transfer;
mod turn;

#[cfg(target_os = "linux")]
pub use self::pipe::open_pipes;
pub use self::{
    relay::Relay,
    relaying::Relaying,
    summary::{RelayError, Summary},
    transfer::Splice,
};
