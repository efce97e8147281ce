//! SOCKS version 5 (RFC 1928), as the client of a proxy and as the proxy, with a user and a password
//! (RFC 1929) or without.
//!
//! [`SocksConnect`] asks a proxy for a connection; with [`Via`](couplet_layers::Via) it makes a
//! dial through the proxy. [`SocksAccept`] is the proxy's end: see [`proxy`](crate::proxy) for
//! how a relay is made of it.
//!
//! - **Addresses:** a client sends names as names, so that the proxy resolves them, and IP addresses as
//!   such. The proxy takes all three types; an address that is sent as a name, in brackets or without, is
//!   an address.
//! - **Commands:** CONNECT. BIND and UDP ASSOCIATE are answered 07, "command not supported".
//! - **SOCKS4 and 4a** are refused, in their own words.
//! - **Early bytes** are kept both ways: behind the client's request, and behind the proxy's reply.
//! - **Bounds:** 512 bytes and a few from a client, 262 from a proxy.
//!
//! SOCKS5 encrypts nothing. A user and a password are for a proxy on the same machine, or behind TLS.
//!
//! **Where:** [`SocksAccept`] is the last handshake of a side stack, since the client waits for the
//! proxy's answer until its target is dialled. **Splice:** kept: no byte behind the dialogue is read.

mod accept;
mod connect;
mod read;
#[cfg(test)]
mod tests;
mod wire;

pub use self::{
    accept::{SocksAccept, SocksRefused},
    connect::SocksConnect,
};
