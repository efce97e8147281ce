//! TLS as the server or as the client (RFC 8446 and RFC 5246: versions 1.3 and 1.2), by
//! [rustls](https://docs.rs/rustls).
//!
//! [`TlsAccept`] and [`TlsConnect`] are [handshakes](couplet_layers::handshake) of a side stack. The layers
//! below them see plain text. The outcome is in the connection's [`Info`](couplet_endpoint::Info):
//! [`TlsInfo`], and for a client that shows a certificate its [`Identity`](couplet_layers::Identity): the
//! first URI of the certificate's alternative names, or else the first DNS name, or else the first
//! e-mail address, or else the common name. All names of the CAs you trust for clients are believed.
//!
//! - **Server:** several certificates, chosen by the server name (SNI) that a client asks for,
//!   exactly or by wildcard; client certificates; ALPN; certificates are
//!   [replaced](TlsAccept::replace) at run time.
//! - **Client:** trusts CAs, any verifier of rustls, or [pinned keys](KeyPin); checks the name that
//!   was dialled; client certificates; ALPN. The check can't be switched off.
//!
//! The ends of a stream:
//!
//! - Shutting the io down sends a `close_notify`; data of the peer still arrives, in either version.
//!   The socket is shut down when both directions have ended.
//! - The peer's stream ends with the peer's `close_notify`. A connection that closes without one is
//!   an error, because an attacker may have cut it, and the relay resets the other side. The one
//!   exception: a client may close without one after the server has finished.
//! - These clients send no `close_notify` when they close: Python's `ssl`, urllib and requests,
//!   wget, ncat, redis-cli, Node's `https` and Java. These do: curl, socat, OpenSSL's and GnuTLS's
//!   programs. [`Truncation::Tolerate`] is for the former.
//! - A connection that is dropped without being shut down sends no `close_notify`; one that is
//!   aborted is reset.
//! - TLS 1.2 required the receiver of a `close_notify` to answer with one at once (RFC 5246, section
//!   7.2.1), so some old peers stop sending after ours.
//!
//! Files are PEM. Every block of a file is understood, or loading it fails with the line; an error
//! shows nothing of a file's content. A certificate that has expired is a warning in the log when it
//! is loaded.
//!
//! ring does the cryptography unless [another provider](TlsAcceptConfig::provider) is passed. AES-128-GCM is
//! preferred, and a server prefers it for every client that knows it, whatever the client's order, as Go's
//! servers do: SHA-384, which comes with AES-256-GCM, takes a fifth of a handshake. With another provider the
//! client's order counts. aws-lc
//! needs no feature of this crate, as its types are those of rustls: `cargo add rustls
//! --no-default-features --features aws_lc_rs`, and
//! `.provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))`.
//!
//! **Where:** on a side stack, after access lists and a PROXY header, before what TLS is to protect,
//! such as a token. **Splice:** none, both directions are copied. **Memory:** 4 KiB for an idle
//! connection (measured with 1500 accepted ones): its keys, and no buffer; up to 72 KiB of records each way
//! while a reader or a writer stalls; 144 KiB for each thread. **Sessions** are resumed: clients keep
//! them in tickets, sealed with a key of ring that changes every six hours; with another provider the
//! configuration remembers 256.
//!
//! ```no_run
//! use couplet_layers::HandshakeLayer;
//! use couplet_protocols::tls::{TlsAccept, TlsAcceptConfig, TlsCertificate};
//!
//! let certificate = TlsCertificate::from_files("cert.pem", Some("key.pem".as_ref()))?;
//! let accept = TlsAccept::new(TlsAcceptConfig::new(certificate).alpn(["h2"]).build()?);
//! let layer = HandshakeLayer::new(accept.clone());
//!
//! // Later, when the certificate has been renewed:
//! let certificate = TlsCertificate::from_files("cert.pem", Some("key.pem".as_ref()))?;
//! accept.replace(TlsAcceptConfig::new(certificate).alpn(["h2"]).build()?);
//! # Ok::<(), couplet_protocols::tls::TlsConfigError>(())
//! ```

mod accept;
mod certificate;
mod connect;
mod error;
mod info;
mod io;
mod options;
mod pem;
mod pin;
mod records;
mod session;
mod stream;
#[cfg(test)]
mod tests;
mod validity;
mod wire;

#[cfg(feature = "quic")]
pub(crate) use self::info::put_identity;
pub use self::{
    accept::{ClientCertificates, TlsAccept, TlsAcceptConfig, UnknownName},
    certificate::{TlsCertificate, roots_from_file, roots_from_pem},
    connect::{TlsConnect, TlsConnectConfig},
    error::{TlsConfigError, TlsError},
    info::TlsInfo,
    io::{TlsIo, Truncation},
    pem::PemError,
    pin::{Fingerprint, KeyPin},
};
/// The rustls whose types are in this module's signatures.
pub use ::rustls;

use std::sync::Arc;

use self::rustls::{
    CipherSuite,
    crypto::{CryptoProvider, ring},
};

/// The cryptography that is used by default: ring's, with AES-128-GCM before AES-256-GCM and
/// ChaCha20-Poly1305. Nothing is installed for the whole process.
pub fn default_provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    // Stable: the others keep their order.
    provider.cipher_suites.sort_by_key(|suite| {
        !matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    });
    Arc::new(provider)
}
