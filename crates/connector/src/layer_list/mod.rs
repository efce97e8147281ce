//! Stacks whose layers are known only at run time: from a configuration, or a command line.
//!
//! A list of layers is itself a layer. Each of its services is boxed, and so is each future: one
//! allocation a layer and connection, or pair; none where the list is empty. Where the layers are
//! known when the program is written, [`side_a`](crate::Connector::layer_a) and
//! [`pair`](crate::Connector::layer_pair) keep their types instead.
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

pub use self::{
    pair::{PairLayers, PairSlot},
    side::SideLayers,
};
