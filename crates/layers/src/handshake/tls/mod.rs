//! TLS, from us as the server or as the client (RFC 8446 and RFC 5246: versions 1.3 and 1.2), by
//! [rustls](https://docs.rs/rustls).
//!
//! [`TlsAccept`] and [`TlsConnect`] are [handshakes](crate::handshake) of a side stack. What is
//! below them sees the plain text. What they agreed upon is in the connection's
//! [`Info`](couplet_endpoint::Info): [`TlsInfo`], and of a client that has shown a certificate its
//! [`Identity`](crate::Identity): of the certificate's alternative names the first URI, or else DNS
//! name, or else e-mail address, and only if there is none of these the common name. Which CA
//! hands them out is yours to choose; all of its names are believed.
//!
//! - **Server:** several certificates, chosen by the name a client asks for, exactly or by wildcard;
//!   client certificates; ALPN; certificates are [replaced](TlsAccept::replace) while it runs.
//! - **Client:** trusts the CAs it is given, any verifier of rustls, or [pinned keys](KeyPin); the
//!   name is the one that was dialled; client certificates; ALPN. There is no way not to check.
//!
//! What holds for the ends of a stream:
//!
//! - The end of ours is a `close_notify` and nothing more; what the peer sends still comes, in
//!   either version. The socket is shut down when both have ended.
//! - The end of the peer's stream is its `close_notify`. If its connection ends without one, that
//!   is an error: somebody on the way may have cut it. The relay then resets the other side.
//!   OpenSSL's programs and curl say goodbye; Python's `ssl` does not unless a program calls
//!   `unwrap()`, and more are like it: [`Truncation::Tolerate`] is for these.
//! - Dropping a connection that was not shut down says no goodbye, and aborting it resets it.
//! - TLS 1.2 had the receiver of a `close_notify` answer with its own at once (RFC 5246, section
//!   7.2.1), so some old peers do not go on sending after ours.
//!
//! The cryptography is ring's unless [another](TlsAcceptConfig::provider) is passed. aws-lc's needs no
//! feature of this crate, as its types are those of rustls: `cargo add rustls --no-default-features
//! --features aws_lc_rs`, and `.provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))`.
//!
//! **Where:** on a side stack, after access lists and a PROXY header, before whatever it is to
//! protect, such as a token. **Splice:** both directions are copied. **Memory:** an idle connection
//! holds 7 KiB more than without, of which 4 KiB are a buffer that rustls keeps, and 11 KiB after it
//! has carried large records (measured with 2000 accepted ones); one whose reader stalls up to
//! 64 KiB of records more. A configuration remembers 256 sessions for resumption.
//!
//! ```no_run
//! use couplet_layers::{
//!     HandshakeLayer,
//!     handshake::tls::{TlsAccept, TlsAcceptConfig, TlsCertificate},
//! };
//!
//! let certificate = TlsCertificate::from_files("cert.pem", Some("key.pem".as_ref()))?;
//! let accept = TlsAccept::new(TlsAcceptConfig::new(certificate).alpn(["h2"]).build()?);
//! let layer = HandshakeLayer::new(accept.clone());
//!
//! // Later, when there is a new one:
//! let certificate = TlsCertificate::from_files("cert.pem", Some("key.pem".as_ref()))?;
//! accept.replace(TlsAcceptConfig::new(certificate).alpn(["h2"]).build()?);
//! # Ok::<(), couplet_layers::handshake::tls::TlsConfigError>(())
//! ```

mod accept;
mod certificate;
mod connect;
mod error;
mod info;
mod io;
mod pin;
#[cfg(test)]
mod tests;
mod wire;

pub use self::{
    accept::{ClientCertificates, TlsAccept, TlsAcceptConfig, UnknownName},
    certificate::{TlsCertificate, roots_from_file, roots_from_pem},
    connect::{TlsConnect, TlsConnectConfig},
    error::{TlsConfigError, TlsError},
    info::TlsInfo,
    io::{TlsIo, Truncation},
    pin::{Fingerprint, KeyPin},
};
/// The rustls whose types stand in this module's.
pub use tokio_rustls::rustls;

use std::sync::Arc;

use self::rustls::crypto::{CryptoProvider, ring};

/// Whose cryptography is used where nothing else is said: ring's. Nothing is installed for the
/// whole process.
pub fn default_provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn check_alpn(protocols: &[Vec<u8>]) -> Result<(), TlsConfigError> {
    match protocols.iter().find(|name| !matches!(name.len(), 1..=255)) {
        Some(name) => Err(TlsConfigError::Protocol(name.escape_ascii().to_string())),
        None => Ok(()),
    }
}
