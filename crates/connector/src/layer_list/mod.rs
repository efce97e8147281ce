//! Lists of layers that are made at run time, from a configuration or a command line.
//!
//! A list of layers is itself a layer. Each of its services and futures is boxed: one allocation a layer
//! and connection, or pair; none for an empty list. For layers that are known at compile time use
//! [`layer_a`](crate::Connector::layer_a) and [`layer_pair`](crate::Connector::layer_pair), which keep
//! the types.
//!
//! ```
//! use std::time::Duration;
//!
//! use couplet_connector::{Connector, PairLayers, SideLayers};
//! use couplet_connector::endpoint::{BoxError, Dial, Listen};
//! use couplet_connector::layers::{ExpectToken, HandshakeLayer, IdleTimeoutLayer, Token};
//!
//! # async fn start(secret: Option<&str>, idle: Option<Duration>) -> Result<(), BoxError> {
//! let mut side = SideLayers::new();
//! if let Some(secret) = secret {
//!     side.push(HandshakeLayer::new(ExpectToken::new(Token::new(secret)?)));
//! }
//! let mut pair = PairLayers::new();
//! if let Some(idle) = idle {
//!     pair.push(IdleTimeoutLayer::new(idle));
//! }
//! let listen = Listen::bind("127.0.0.1:0").await?;
//! Connector::listen_dial(listen, Dial::to("127.0.0.1:22")?)
//!     .layer_a(side)
//!     .layer_pair(pair)
//!     .start();
//! # Ok(())
//! # }
//! ```

mod pair;
mod side;
mod side_handshake;

pub use self::{
    pair::{PairLayers, PairSlot},
    side::SideLayers,
    side_handshake::SideHandshake,
};
