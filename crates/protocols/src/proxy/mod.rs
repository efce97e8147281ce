//! Dials through proxies, and serves clients as a proxy: what SOCKS5 and HTTP CONNECT have in common.
//!
//! **Out.** [`Via`](couplet_layers::Via) wraps a dial of a proxy, and asks the proxy for a connection to a target. How the
//! proxy is asked is a [handshake](couplet_layers::handshake): `SocksConnect` (feature `socks`) or `HttpConnect`
//! (feature `connect`). The proxy resolves the target's name, and we never do. A `Via` around another
//! is a chain.
//!
//! ```no_run
//! use couplet_endpoint::{Dial, DialAddr};
//! use couplet_layers::Via;
//! use couplet_protocols::SocksConnect;
//! use tower::ServiceExt;
//!
//! # async fn dial() -> Result<(), couplet_endpoint::BoxError> {
//! let proxy = Via::new(Dial::to("localhost:1080")?, SocksConnect::new());
//!
//! // A service of targets:
//! let conn = proxy.clone().oneshot("example.org:22".parse::<DialAddr>()?).await?;
//! // Or a dial with one target, for a connector; here through a second proxy:
//! let second = Via::new(proxy.to("proxy.example.org:1080".parse()?), SocksConnect::new());
//! let dial = second.to("example.com:22".parse()?);
//! # Ok(())
//! # }
//! ```
//!
//! **In.** `SocksAccept` and `HttpConnectAccept` are handshakes of a listening side: the target that a
//! client asks for becomes a fact in the connection's [`Info`](couplet_endpoint::Info), a
//! [`RequestedTarget`], by which [`dial_by`](couplet_endpoint::dial_by) dials the other side. The client
//! is answered once the dial has succeeded or failed: the handshake leaves a
//! [`DialReply`](couplet_pairing::DialReply) in the `Info`, which the pairing sends. So these
//! handshakes are for a side whose partner is dialled.
//!
//! ```
//! use couplet_endpoint::{Dial, Info, dial_by};
//! use couplet_layers::HandshakeLayer;
//! use couplet_protocols::{SocksAccept, proxy::RequestedTarget};
//!
//! let side_a = HandshakeLayer::new(SocksAccept::new());
//! let side_b = dial_by(|client: &Info| match RequestedTarget::of(client) {
//!     Some(target) => Ok(Dial::new(target.addr().clone())),
//!     None => Err("the client has asked for no target"),
//! });
//! ```
//!
//! A program that dials what strangers ask for is an open proxy: give such a dial a
//! [rule](couplet_endpoint::Dial::permit) for the addresses that it may connect to. A `public` `AccessList`
//! (feature `access-list`) refuses loopback, private and link-local ones.

mod error;
mod failure;
mod login;
mod target;
#[cfg(all(test, feature = "socks"))]
mod tests;
mod users;

pub use self::{
    error::ProxyError,
    failure::DialFailure,
    login::{InvalidLogin, Login},
    target::{InvalidTarget, RequestedTarget},
    users::Users,
};
