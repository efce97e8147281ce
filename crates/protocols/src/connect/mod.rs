//! HTTP's CONNECT (RFC 9110, section 9.3.6) in HTTP/1.1, as the client of a proxy and as the proxy, with
//! the `Basic` scheme of authentication (RFC 7617) or without.
//!
//! [`HttpConnect`] asks a proxy for a connection; with [`Via`](couplet_layers::Via) it makes a
//! dial through the proxy. [`HttpConnectAccept`] is the proxy's end: see
//! [`proxy`](crate::proxy) for how a relay is made of it.
//!
//! - **Answers of a proxy:** any status from 200 to 299 is a success, whatever its fields say of a body;
//!   those from 100 to 199 before it are skipped.
//! - **Requests of a client:** CONNECT alone; others are answered 405. IPv6 addresses are in brackets.
//! - **Early bytes** are kept both ways: behind the client's request, and behind the proxy's answer.
//! - **Bounds:** a head of 8 KiB with 100 fields, 1xx answers before it included.
//!
//! Nothing is encrypted. A user and a password are for a proxy on the same machine, or behind TLS.
//!
//! **Where:** [`HttpConnectAccept`] is the last handshake of a side stack, since the client waits for the
//! proxy's answer until its target is dialled. **Splice:** kept, once bytes behind the heads have been
//! read.

mod accept;
mod ask;
mod head;
#[cfg(test)]
mod tests;

pub use self::{
    accept::{HttpConnectAccept, HttpConnectRefused},
    ask::HttpConnect,
};
