//! The PROXY protocol, versions 1 and 2: a header before the first byte that says for whom a proxy
//! has connected ([HAProxy's specification]).
//!
//! [`ExpectProxyHeader`] reads it, [`SendProxyHeader`] sends it. Both are
//! [handshakes](crate::handshake); what comes behind the header is not lost.
//!
//! # From a proxy before us
//!
//! A header says whatever its sender likes, so it is believed only from the networks that are
//! listed, by the address that the connection really comes from. From anywhere else,
//! [`required`](ExpectProxyHeader::required) refuses the connection, and
//! [`accepted`](ExpectProxyHeader::accepted) does not even look for a header: all bytes are the
//! stream's own. (They may well be a header: do not let the partner believe such a thing from us,
//! unless we send one of our own before it.)
//!
//! Afterwards [`Info::peer`](couplet_endpoint::Info::peer) and `local` are what the header says:
//! the client's address, and the one the client has connected to. [`Proxied`] in the extensions has
//! what they were, and what else was said: the name the client asked for, its protocol, an
//! identifier. A header without addresses (`UNKNOWN`, `LOCAL`: the proxy speaks for itself, to see
//! whether we are alive) leaves them as they are.
//!
//! # To a server that we dial
//!
//! The dialled connection has to know whom it was dialled for: wrap the dial in
//! [`DialledForLayer`](crate::DialledForLayer). Where both sides come by themselves, in a
//! rendezvous, the header can only be sent when it is known who is joined with whom:
//! [`before_join`](SendProxyHeader::before_join) is a step of the pair stack. There it comes behind
//! whatever the side's own handshakes have said, and inside of TLS.
//!
//! ```
//! use couplet_layers::{
//!     DialledForLayer, HandshakeLayer,
//!     handshake::proxy_protocol::{ExpectProxyHeader, SendProxyHeader},
//! };
//!
//! let expect = HandshakeLayer::new(ExpectProxyHeader::required("10.0.0.0/8".parse()?));
//!
//! let dial = couplet_endpoint::Dial::to("192.0.2.7:443")?;
//! let dial = tower::ServiceBuilder::new().layer(DialledForLayer).service(dial);
//! let send = HandshakeLayer::new(SendProxyHeader::v2());
//! # Ok::<(), couplet_endpoint::BoxError>(())
//! ```
//!
//! - **Where:** the header is the first on the wire: above TLS and whatever else talks, and above
//!   what asks for the client's address, such as an access list.
//! - **Splice:** costs none, once what came with the header has been read.
//! - **Memory:** a header's 4096 bytes at most while it is read; its additions as long as the
//!   connection.
//!
//! [HAProxy's specification]: https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt

mod crc32c;
mod expect;
mod frame;
mod proxied;
mod send;
#[cfg(test)]
mod tests;
mod tlv;

pub use self::{
    expect::{ExpectProxyHeader, ProxyHeaderRefused},
    proxied::Proxied,
    send::{SendProxyHeader, SendProxyHeaderBeforeJoin, SendProxyHeaderError},
    tlv::Tlv,
};
