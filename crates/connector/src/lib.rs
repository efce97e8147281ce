//! Joins two TCP connections into one, accepted or dialled on each side.
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
//! - A **side stack** serves one connection before it has a partner. Its innermost service hands the
//!   connection to the pairing.
//! - The **pairing** turns connections into a stream of pairs.
//! - A **pair stack** serves two joined connections. Its innermost service is the
//!   [`Relay`](relay::Relay).
//! - [`serve`] drives a stream into a service. It asks for capacity *first*, so that back-pressure
//!   runs from the relay to the system's accept queue.
//!
//! A [`Connector`] puts the stages together in one of these modes:
//!
//! | constructor | the original's name | A | B | pairing |
//! |---|---|---|---|---|
//! | [`listen_listen`](Connector::listen_listen) | `server_to_server` | accepts | accepts | [`rendezvous`](pairing::rendezvous) |
//! | [`listen_dial`](Connector::listen_dial) | `server_to_socket` | accepts | dials | [`dial_for_a`](pairing::dial_for_a) |
//! | [`dial_listen`](Connector::dial_listen) | `socket_to_server` | dials | accepts | [`dial_for_b`](pairing::dial_for_b); once: [`rendezvous`](pairing::rendezvous) |
//! | [`dial_dial`](Connector::dial_dial) | `socket_to_socket` | dials | dials | [`dial_for_a`](pairing::dial_for_a), one at a time |
//! | [`keyed`](Connector::keyed) | | accepts all | | by a key: [`rendezvous_keyed`](pairing::rendezvous_keyed) |
//! | [`listen_listen`](Connector::listen_listen)`(…).`[`by_key`](Connector::by_key)`(…)` | | accepts | accepts | by a key, too |
//!
//! The original's names are second names of the same constructors.
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
//! let mut client = TcpStream::connect(relay.local_addr(Side::A)?.to_string()).await?;
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
//! [`start`](Connector::start) returns a [`Handle`], which lists the live sessions and the statistics,
//! drains, and closes. Build a relay of another shape from the stages themselves, re-exported here as
//! [`endpoint`], [`pairing`], [`layers`] and [`relay`]. [`stack`] has the traits of the stacks, [`mode`]
//! the modes. TLS and the other protocols that a side can speak are handshakes of the crate
//! `couplet-protocols`, which goes beside this one.

mod assembly;
mod connector;
mod error;
mod event;
mod handle;
mod incoming;
mod layer_list;
mod lifecycle;
mod loop_switch;
pub mod mode;
mod observers;
mod refusals;
mod serve;
mod settings;
mod slot;
pub mod stack;
mod succession;
mod timer_tick;
mod track;

pub use couplet_endpoint as endpoint;
pub use couplet_layers as layers;
pub use couplet_pairing as pairing;
pub use couplet_relay as relay;

pub use self::{
    connector::Connector,
    error::ConnectorError,
    event::{Refused, RelayEvent},
    handle::Handle,
    layer_list::{PairLayers, SideHandshake, SideLayers},
    serve::serve,
};

pub use couplet_endpoint::{BoxError, Conn, Dial, Listen, Side};
pub use couplet_pairing::Pair;

use couplet_endpoint::BoxIo;

/// A pair of boxed ios, the request of a [`Connector`]'s pair stack.
pub type BoxPair = Pair<BoxIo, BoxIo>;
