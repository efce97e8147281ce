//! Joins two connections into one, whichever way round each of them comes.
//!
//! **Everything is a stream driven into a tower service.** Three stages, two hand-overs, one
//! driver:
//!
//! ```text
//!  endpoint A ──serve──▶ side stack A ─┐
//!  (stream of Conn)      (tower)       ├─▶ pairing ──serve──▶ pair stack ─▶ Relay
//!  endpoint B ──serve──▶ side stack B ─┘   (stream of Pair)   (tower)       (moves the bytes)
//! ```
//!
//! - An **endpoint** is a stream of connections: [`Listen`] accepts,
//!   [`Dial`] connects out.
//! - A **side stack** is what happens to one connection before it has a partner. Its innermost
//!   service is a place in the pairing.
//! - The **pairing** turns waiting connections into a stream of pairs.
//! - A **pair stack** is what happens to two joined connections. Its innermost service is the
//!   [`Relay`](relay::Relay).
//! - [`serve`] drives a stream into a service. It asks for capacity *first*, so that back-pressure
//!   runs from the relay to the system's accept queue.
//!
//! A [`Connector`] puts the stages together in one of these modes:
//!
//! | constructor | the original's name | A | B | pairing |
//! |---|---|---|---|---|
//! | [`listen_listen`](Connector::listen_listen) | `server_to_server` | comes to us | comes to us | [`rendezvous`](pairing::rendezvous) |
//! | [`listen_dial`](Connector::listen_dial) | `server_to_socket` | comes to us | is dialled | [`dial_for_a`](pairing::dial_for_a) |
//! | [`dial_listen`](Connector::dial_listen) | `socket_to_server` | is dialled | comes to us | [`dial_for_b`](pairing::dial_for_b); once: [`rendezvous`](pairing::rendezvous) |
//! | [`dial_dial`](Connector::dial_dial) | `socket_to_socket` | is dialled | is dialled | [`dial_for_a`](pairing::dial_for_a), one at a time |
//! | [`keyed`](Connector::keyed) | | all come to us | | by a key: [`rendezvous_keyed`](pairing::rendezvous_keyed) |
//! | [`listen_listen`](Connector::listen_listen)`(…).`[`by_key`](Connector::by_key)`(…)` | | comes to us | comes to us | by a key, too |
//!
//! The original's names work, too.
//!
//! ```
//! use couplet_connector::{
//!     BoxError, Connector, Dial, Listen, Side,
//!     layers::{TransformLayer, map_bytes},
//! };
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::{TcpListener, TcpStream};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let server = TcpListener::bind("127.0.0.1:0").await?;
//!
//! let relay = Connector::listen_dial(
//!     Listen::bind("127.0.0.1:0").await?,
//!     Dial::new(server.local_addr()?),
//! )
//! .layer_pair(TransformLayer::new().a_to_b(|| map_bytes(|bytes| bytes.to_ascii_uppercase())))
//! .once()
//! .start();
//!
//! let mut client = TcpStream::connect(relay.local_addr(Side::A)?).await?;
//! client.write_all(b"hello").await?;
//! client.shutdown().await?;
//!
//! let (mut served, _) = server.accept().await?;
//! let mut heard = String::new();
//! served.read_to_string(&mut heard).await?;
//! assert_eq!(heard, "HELLO");
//! drop(served);
//!
//! relay.done().await?;
//! assert_eq!(relay.snapshot().a_to_b, 5);
//! # Ok(())
//! # }
//! ```
//!
//! The [`Handle`] that [`start`](Connector::start) returns knows the live sessions and the
//! statistics, drains, and closes. A relay of another shape is built from the stages themselves, which
//! are re-exported here: [`endpoint`], [`pairing`], [`layers`], [`relay`]; what its stacks have to be
//! is in [`stack`], and what the modes are in [`mode`].

mod assembly;
mod connector;
mod error;
mod handle;
mod incoming;
mod layer_list;
mod lifecycle;
pub mod mode;
mod refusals;
mod serve;
mod settings;
mod slot;
pub mod stack;
mod timer_tick;
mod track;

pub use couplet_endpoint as endpoint;
pub use couplet_layers as layers;
pub use couplet_pairing as pairing;
pub use couplet_relay as relay;

pub use self::{
    connector::Connector,
    error::ConnectorError,
    handle::Handle,
    layer_list::{PairLayers, SideLayers},
    serve::serve,
};

pub use couplet_endpoint::{BoxError, Conn, Dial, Listen, Side};
pub use couplet_pairing::Pair;

use couplet_endpoint::BoxIo;

/// A pair as the pair stack of a [`Connector`] gets it.
pub type BoxPair = Pair<BoxIo, BoxIo>;
