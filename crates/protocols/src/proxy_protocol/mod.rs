//! The PROXY protocol, versions 1 and 2: a header before the first byte with the addresses of the
//! client that a proxy has connected for ([HAProxy's specification]).
//!
//! [`ExpectProxyHeader`] reads the header, [`SendProxyHeader`] sends it. Both are
//! [handshakes](couplet_layers::handshake); bytes behind the header are kept.
//!
//! # Behind a proxy
//!
//! A header says whatever its sender likes, so it is believed only from the networks that are
//! listed, by the address of the transport, or by its user where it is a Unix socket. A connection from another address is refused by
//! [`required`](ExpectProxyHeader::required), and passed on as it is by
//! [`accepted`](ExpectProxyHeader::accepted): a header it begins with is then a part of the stream. (Do
//! not let the server behind us believe such a header, unless we send one of our own before it.)
//!
//! Afterwards [`Info::peer`](couplet_endpoint::Info::peer) is the client's address and `local` the
//! address that the client has connected to. [`Proxied`] in the extensions has the transport's
//! addresses and the header's additions (TLVs): the server name that the client asked for, the
//! application protocol, an identifier. A header without addresses (`UNKNOWN`, `LOCAL`, `AF_UNSPEC`)
//! leaves `peer` and `local` as they are, and so does one of Unix sockets (`AF_UNIX`), whose names are
//! in [`Proxied`].
//!
//! A proxy that checks our health connects on its own behalf (`LOCAL`). If it closes, or resets the
//! connection, within a second and without a byte, nothing is dialled: the connection ends with
//! [`HealthCheck`](couplet_layers::HealthCheck). A check that sends something, or waits longer for the server to
//! speak, reaches the server.
//!
//! # In front of a server
//!
//! The dialled connection must know the client: wrap the dial in
//! [`DialledForLayer`](couplet_layers::DialledForLayer). In a rendezvous, where both sides come by themselves,
//! the client is known at the join: [`before_join`](SendProxyHeader::before_join) is a layer of the
//! pair stack. A client of a Unix socket is sent as one (`AF_UNIX`) in version 2, as `UNKNOWN` in version 1.
//! The header comes behind what the side's own handshakes have said, and inside TLS.
//!
//! Only the addresses are sent by default. Each [`Addition`] is a choice: nginx 1.22's stream module,
//! for one, refuses headers of more than 107 bytes.
//!
//! ```
//! use couplet_layers::{DialledForLayer, HandshakeLayer};
//! use couplet_protocols::proxy_protocol::{ExpectProxyHeader, SendProxyHeader};
//!
//! let expect = HandshakeLayer::new(ExpectProxyHeader::required("10.0.0.0/8".parse()?));
//!
//! let dial = couplet_endpoint::Dial::to("192.0.2.7:443")?;
//! let dial = tower::ServiceBuilder::new().layer(DialledForLayer).service(dial);
//! let send = HandshakeLayer::new(SendProxyHeader::v2());
//! # Ok::<(), couplet_endpoint::BoxError>(())
//! ```
//!
//! - **Where:** first on the wire: above TLS and all that talks, and above what asks for the client's
//!   address, such as an access list.
//! - **Splice:** kept, once the bytes that came with the header have been read.
//! - **Memory:** at most 4096 bytes for a header while it is read; its additions as long as the
//!   connection.
//!
//! [HAProxy's specification]: https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt

mod addition;
mod crc32c;
mod expect;
mod frame;
mod parse;
mod proxied;
mod send;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;
mod tlv;
mod unix;

pub use self::{
    addition::Addition,
    expect::{ExpectProxyHeader, ProxyHeaderRefused},
    parse::MalformedHeader,
    proxied::Proxied,
    send::{SendProxyHeader, SendProxyHeaderBeforeJoin, SendProxyHeaderError},
    tlv::Tlv,
};
