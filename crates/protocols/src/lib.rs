//! The protocols that a side of Couplet can speak: TLS, Noise, WebSocket, QUIC, SOCKS5, HTTP CONNECT, the PROXY
//! protocol, many connections over one, and steps by which peers prove and find each other.
//!
//! ```text
//!  conn ──▶ [PROXY header] ─▶ [Sniff] ─▶ [TLS, Noise, WebSocket] ─▶ [challenge, SOCKS5, …] ─▶ pairing
//! ```
//!
//! Most are [handshakes](couplet_layers::Handshake) of a side stack: each talks with the peer, and then the
//! connection goes on. The [`HandshakeLayer`](couplet_layers::HandshakeLayer) that runs one gives it a deadline
//! and a bound; [`Replaceable`](couplet_layers::Replaceable) swaps one at run time:
//!
//! ```
//! # #[cfg(feature = "tls")]
//! # fn side<S>(place: S) -> Result<(), couplet_endpoint::BoxError> {
//! use std::time::Duration;
//!
//! use couplet_layers::HandshakeLayer;
//! use couplet_protocols::{Sniff, TlsAccept, TlsAcceptConfig, TlsCertificate};
//! use tower::ServiceBuilder;
//!
//! let certificate = TlsCertificate::from_files("cert.pem", Some("key.pem".as_ref()))?;
//! let tls = TlsAccept::new(TlsAcceptConfig::new(certificate).build()?);
//! let side = ServiceBuilder::new()
//!     .layer(HandshakeLayer::new(Sniff::new()))
//!     .layer(HandshakeLayer::new(tls).timeout(Some(Duration::from_secs(5))))
//!     .service(place);
//! # Ok(())
//! # }
//! ```
//!
//! A program names this crate beside `couplet-connector`, with a feature for each module that the program uses.
//! `full` has all modules; without a feature there are those that have no dependencies of their own.
//!
//! | handshake | stack | what it does | costs splice |
//! |---|---|---|---|
//! | `ExpectProxyHeader` (feature `proxy-protocol`) | side | reads a PROXY protocol header: the address of the client behind a proxy | until what was read ahead is delivered |
//! | `SendProxyHeader`, `SendProxyHeaderBeforeJoin` (feature `proxy-protocol`) | side, pair | writes a PROXY protocol header for a server | no |
//! | [`Sniff`] | side | detects the client's protocol (TLS with SNI and ALPN, SSH, HTTP, none) without consuming bytes | until what was read ahead is delivered |
//! | [`StartTlsAccept`], [`StartTlsConnect`] | side | what PostgreSQL and SMTP say before TLS, as the server or as the client | no |
//! | [`VsockConnect`] | side | a port of a virtual machine, behind the Unix socket of its hypervisor | until what was read ahead is delivered |
//! | `TlsAccept`, `TlsConnect` (feature `tls`) | side | TLS, as the server or as the client | in both directions |
//! | `NoiseInitiator`, `NoiseResponder` (feature `noise`) | side | Noise: encrypts, by a shared secret or known keys | in both directions |
//! | `WsAccept` (feature `ws`) | side | WebSocket, as the server | from the peer |
//! | `WsConnect` (feature `ws`) | side | WebSocket, as the client | in both directions |
//! | `ExpectSignedToken` (feature `signed-token`) | side | expects a token as the first line that is signed and expires | until what was read ahead is delivered |
//! | `ExpectMeeting`, `Meet`, `Follow` (feature `meet`) | side | peers meet by a key, at a relay that both dial | until what was read ahead is delivered |
//! | `Challenge`, `AnswerChallenge` (feature `challenge`) | side | the peer signs a challenge with a known key | until what was read ahead is delivered |
//! | `SocksAccept`, `SocksConnect` (feature `socks`) | side | SOCKS5, as the proxy or as its client | no |
//! | `HttpConnectAccept`, `HttpConnect` (feature `connect`) | side | HTTP CONNECT, as the proxy or as its client | until what was read ahead is delivered |
//!
//! `mux` (feature `mux`) is no handshake: `MuxListen` and `MuxDial` stand in place of a side's endpoint, and carry
//! many connections over one. So does `quic` (feature `quic`), whose `QuicListen` and `QuicDial` are endpoints
//! over UDP. Each costs splice in both directions.
//!
//! A test measures the costs in this table.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "challenge")]
pub mod challenge;
#[cfg(feature = "connect")]
pub mod connect;
#[cfg(any(feature = "connect", feature = "ws"))]
mod http_head;
#[cfg(any(feature = "challenge", feature = "noise"))]
mod key_names;
#[cfg(any(feature = "challenge", feature = "noise"))]
mod key_text;
#[cfg(feature = "meet")]
pub mod meet;
#[cfg(feature = "mux")]
pub mod mux;
#[cfg(feature = "noise")]
pub mod noise;
#[cfg(any(feature = "connect", feature = "socks"))]
pub mod proxy;
#[cfg(feature = "proxy-protocol")]
pub mod proxy_protocol;
#[cfg(feature = "quic")]
pub mod quic;
#[cfg(any(feature = "mux", feature = "tls", feature = "ws"))]
mod shared_io;
#[cfg(feature = "signed-token")]
pub mod signed_token;
pub mod sniff;
#[cfg(feature = "socks")]
pub mod socks;
pub mod starttls;
#[cfg(test)]
mod testing;
#[cfg(feature = "tls")]
pub mod tls;
pub mod vsock_connect;
#[cfg(feature = "ws")]
pub mod ws;

#[cfg(feature = "challenge")]
pub use self::challenge::{
    AnswerChallenge, AuthorizedKeys, Challenge, ChallengeRefused, Ed25519Key, Ed25519PublicKey,
    NotAsked,
};
#[cfg(feature = "connect")]
pub use self::connect::{HttpConnect, HttpConnectAccept};
#[cfg(any(feature = "challenge", feature = "noise"))]
pub use self::key_text::InvalidKey;
#[cfg(feature = "meet")]
pub use self::meet::{ExpectMeeting, Meet, MeetingKey};
#[cfg(feature = "mux")]
pub use self::mux::{MuxDial, MuxIo, MuxListen};
#[cfg(feature = "noise")]
pub use self::noise::{
    BadRecord, NoiseFailed, NoiseInitiator, NoiseKey, NoisePeers, NoisePsk, NoisePublicKey,
    NoiseResponder, ShortSecret,
};
#[cfg(any(feature = "connect", feature = "socks"))]
pub use self::proxy::RequestedTarget;
#[cfg(feature = "proxy-protocol")]
pub use self::proxy_protocol::{ExpectProxyHeader, SendProxyHeader};
#[cfg(feature = "quic")]
pub use self::quic::{QuicDial, QuicIo, QuicListen, QuicOptions};
#[cfg(feature = "signed-token")]
pub use self::signed_token::{
    Claims, ExpectSignedToken, InvalidClaims, InvalidSecret, Keyring, SignedClaims, SignedToken,
    SignedTokenRefused,
};
#[cfg(feature = "socks")]
pub use self::socks::{SocksAccept, SocksConnect};
#[cfg(feature = "tls")]
pub use self::tls::{
    TlsAccept, TlsAcceptConfig, TlsCertificate, TlsConnect, TlsConnectConfig, TlsError, TlsInfo,
    TlsIo,
};
#[cfg(feature = "ws")]
pub use self::ws::{WsAccept, WsConnect, WsIo};
pub use self::{
    sniff::{Protocol, Sniff},
    starttls::{StartTls, StartTlsAccept, StartTlsConnect, StartTlsError},
    vsock_connect::{VsockConnect, VsockConnectError},
};
