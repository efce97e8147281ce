//! The layers of Couplet: what happens to a connection before it has a partner, and to a pair
//! once it is joined.
//!
//! ```text
//!  conn ──▶ [SideStats] ─▶ [Access] ─▶ [Codec] ─▶ [Handshake: token, …] ─▶ place ─┐
//!                                                                                 ├─▶ pairing
//!  conn ──▶ [SideStats] ─▶ [Access] ─▶ [Codec] ─▶ [Handshake: token, …] ─▶ place ─┘      │
//!                                                                                        ▼
//!    pair ──▶ [Stats] ─▶ [Handshake: the step before the join] ─▶ [TrafficLog]
//!         ─▶ [Transform] ─▶ [Bandwidth] ─▶ [IdleTimeout] ─▶ [MaxLifetime] ─▶ relay
//! ```
//!
//! Each is an ordinary tower layer, works alone and in any order that makes sense, and stands
//! beside tower's own. A stack reads top to bottom in the order in which a connection, or a pair,
//! meets its layers:
//!
//! ```
//! use std::time::Duration;
//!
//! use couplet_endpoint::{BoxError, Conn, Replay};
//! use couplet_layers::{ExpectToken, HandshakeLayer, IdleTimeoutLayer, Stats, StatsLayer, Token};
//! use couplet_pairing::{Pair, Place};
//! use couplet_relay::{Relay, Summary};
//! use tokio::net::TcpStream;
//! use tower::{Service, ServiceBuilder};
//!
//! fn side_stack(
//!     token: Token,
//!     place: Place<Replay<TcpStream>>,
//! ) -> impl Service<Conn<TcpStream>, Response = (), Error = BoxError> {
//!     ServiceBuilder::new()
//!         .timeout(Duration::from_secs(30)) // tower's own: for all below
//!         .layer(HandshakeLayer::new(ExpectToken::new(token)))
//!         .service(place)
//! }
//!
//! fn pair_stack(
//!     stats: Stats,
//! ) -> impl Service<Pair<Replay<TcpStream>, Replay<TcpStream>>, Response = Summary> {
//!     ServiceBuilder::new()
//!         .concurrency_limit(10_000) // tower's own: live pairs
//!         .layer(StatsLayer::new(stats))
//!         .layer(IdleTimeoutLayer::new(Duration::from_secs(3600)))
//!         .service(Relay::new())
//! }
//! ```
//!
//! | layer | stack | what it does | costs splice |
//! |---|---|---|---|
//! | [`SideStatsLayer`] | side | counts connections, refusals and addresses | no |
//! | [`SideAccessLogLayer`] | side | takes down what becomes of each connection, for the access log | no |
//! | [`AccessLayer`] | side | lets in whom a list of networks (feature `access-list`) or a closure admits | no |
//! | [`ConnLimitLayer`], `ConnRateLayer` (feature `rate-limit`) | side | bound the open and the new connections, of each address and in all: refuse or queue | no |
//! | [`LiveLimitLayer`] | side | bounds the connections that are open, from accept to close, and accepts no more | no |
//! | [`AttemptsLayer`] | side | counts failed handshakes by address, refuses or delays those that fail too often | no |
//! | [`DialledForLayer`] | dial | what is dialled knows for whom | no |
//! | [`HandshakeLayer`] | side, pair | a step that talks: on a side authentication, TLS, a protocol header; on a pair the step before the join, which sees both, chooses transforms, refuses | as the step does |
//! | [`HandshakeLayer`] with [`Replaceable`] | side, pair | a step, or the rule of an [`AccessLayer`], that can be replaced while it runs | as the step does |
//! | [`HandshakeLayer`] with `ExpectProxyHeader` (feature `proxy-protocol`) | side | the PROXY protocol: who the client behind a proxy is | until what was read ahead is delivered |
//! | [`HandshakeLayer`] with `SendProxyHeader`, `SendProxyHeaderBeforeJoin` (feature `proxy-protocol`) | side, pair | the same, told to a server | no |
//! | [`HandshakeLayer`] with [`Sniff`] | side | which protocol the first bytes are, and for which host | until what was read ahead is delivered |
//! | [`HandshakeLayer`] with `TlsAccept`, `TlsConnect` (feature `tls`) | side | TLS, from us as the server or as the client | in both directions |
//! | [`HandshakeLayer`] with `NoiseInitiator`, `NoiseResponder` (feature `noise`) | side | encrypts, by a shared secret or known keys | in both directions |
//! | [`HandshakeLayer`] with [`ExpectToken`] | side | the first line is a shared secret | until what was read ahead is delivered |
//! | [`HandshakeLayer`] with `ExpectSignedToken` (feature `signed-token`) | side | the first line is a token that is signed and expires | until what was read ahead is delivered |
//! | [`HandshakeLayer`] with `ExpectMeeting`, `Meet` (feature `meet`) | side | strangers meet by a key, at a relay that both dial | until what was read ahead is delivered |
//! | [`HandshakeLayer`] with [`SendToken`] | side | sends either as the first line | no |
//! | [`HandshakeLayer`] with `Challenge`, `AnswerChallenge` (feature `ed25519`) | side | the peer signs a challenge with a key that is known | until what was read ahead is delivered |
//! | [`CodecLayer`] | side | a wire format on that side, plain bytes within | in both directions |
//! | `Zstd`, `Lz4` (features `zstd`, `lz4`) | side | that side is compressed | in both directions |
//! | [`StatsLayer`] | pair | counts pairs and bytes, knows the live sessions | no |
//! | [`AccessLogLayer`] | pair | makes a record of each pair that has ended | no |
//! | [`HandshakeLayer`] with [`AnnounceJoin`] | pair | tells both that they have found each other | no |
//! | [`CaptureLayer`] | pair | writes the bytes as packets, to pcapng files | in both directions, while on |
//! | [`TrafficLogLayer`] | pair | shows the bytes as text, hex dump or JSON | in its direction |
//! | [`TransformLayer`] | pair | changes the bytes of a direction | in its direction |
//! | [`BandwidthLayer`] | pair | bounds the bytes per second: of a pair, of an address, of all | no |
//! | [`QuotaLayer`] | pair | ends sessions that would move more bytes than they may | no |
//! | `FaultLayer` (feature `faults`) | pair | lets something go wrong, for tests | in its direction, while on |
//! | [`IdleTimeoutLayer`] | pair | ends sessions that are idle | no |
//! | [`MaxLifetimeLayer`] | pair | ends sessions that have lasted long enough | no |
//!
//! What a layer costs is measured by a test, which reads this table. Whether a layer of one's own
//! does as it should is told by `conformance` (feature `conformance`).

pub mod access;
pub mod access_log;
pub mod announce_join;
pub mod attempts;
pub mod bandwidth;
pub mod capture;
#[cfg(feature = "ed25519")]
pub mod challenge;
pub mod codec;
#[cfg(any(feature = "lz4", feature = "zstd"))]
pub mod compress;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod dialled_for;
#[cfg(feature = "faults")]
pub mod fault;
pub mod handshake;
mod identity;
pub mod idle_timeout;
#[cfg(feature = "json")]
mod json;
#[cfg(any(feature = "ed25519", feature = "noise", feature = "signed-token"))]
mod key_file;
#[cfg(any(feature = "ed25519", feature = "noise"))]
mod key_names;
#[cfg(any(feature = "ed25519", feature = "noise"))]
mod key_text;
pub mod limits;
pub mod live_limit;
pub mod max_lifetime;
#[cfg(feature = "meet")]
pub mod meet;
#[cfg(feature = "noise")]
pub mod noise;
#[cfg(feature = "proxy-protocol")]
pub mod proxy_protocol;
pub mod quota;
mod redact;
mod replaceable;
#[cfg(feature = "signed-token")]
pub mod signed_token;
pub mod sniff;
pub mod stats;
#[cfg(test)]
mod testing;
#[cfg(feature = "tls")]
pub mod tls;
pub mod token;
mod traffic_log;
pub mod transform;
mod writer;

#[cfg(feature = "access-list")]
pub use self::access::{AccessList, Networks};
#[cfg(feature = "ed25519")]
pub use self::challenge::{
    AnswerChallenge, AuthorizedKeys, Challenge, ChallengeRefused, Ed25519Key, Ed25519PublicKey,
    NotAsked,
};
#[cfg(feature = "faults")]
pub use self::fault::{Fault, FaultLayer, FaultSwitch};
#[cfg(any(feature = "ed25519", feature = "noise", feature = "signed-token"))]
pub use self::key_file::KeyFileError;
#[cfg(any(feature = "ed25519", feature = "noise"))]
pub use self::key_text::InvalidKey;
#[cfg(feature = "rate-limit")]
pub use self::limits::{ConnRateLayer, Rate};
#[cfg(feature = "meet")]
pub use self::meet::{ExpectMeeting, Meet, MeetingKey};
#[cfg(feature = "noise")]
pub use self::noise::{
    BadRecord, NoiseFailed, NoiseInitiator, NoiseKey, NoisePeers, NoisePsk, NoisePublicKey,
    NoiseResponder, ShortSecret,
};
#[cfg(feature = "proxy-protocol")]
pub use self::proxy_protocol::{ExpectProxyHeader, SendProxyHeader};
#[cfg(feature = "signed-token")]
pub use self::signed_token::{
    Claims, ExpectSignedToken, InvalidClaims, InvalidSecret, Keyring, SignedClaims, SignedToken,
    SignedTokenRefused,
};
#[cfg(feature = "tls")]
pub use self::tls::{
    TlsAccept, TlsAcceptConfig, TlsCertificate, TlsConnect, TlsConnectConfig, TlsError, TlsInfo,
    TlsIo,
};
pub use self::{
    access::{AccessLayer, AccessRefused, AccessRule},
    access_log::{AccessLog, AccessLogLayer, SideAccessLogLayer},
    announce_join::{AnnounceJoin, PartnerLeft},
    attempts::{AttemptCounts, Attempts, AttemptsLayer, FailedAttempt, TooManyAttempts},
    bandwidth::{BandwidthLayer, ByteRate},
    capture::{Capture, CaptureLayer},
    codec::{CodecLayer, PlainBytes, PlainText},
    dialled_for::{DialledFor, DialledForLayer},
    handshake::{Handshake, HandshakeError, HandshakeLayer, LineError, take_line},
    identity::Identity,
    idle_timeout::IdleTimeoutLayer,
    limits::{ConnLimitLayer, LimitCounts, Over, OverLimit},
    live_limit::LiveLimitLayer,
    max_lifetime::MaxLifetimeLayer,
    quota::QuotaLayer,
    replaceable::Replaceable,
    sniff::{Protocol, Sniff},
    stats::{SideSnapshot, SideStatsLayer, Snapshot, Stats, StatsLayer},
    token::{ExpectToken, InvalidToken, SendToken, Token, TokenRefused},
    traffic_log::{Colour, Logged, TrafficLog, TrafficLogLayer},
    transform::{Codec, MapBytes, Transform, TransformLayer, Transformed, map_bytes},
};
