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
//! use couplet_pairing::{Pair, WaitSlot};
//! use couplet_relay::{Relay, Summary};
//! use tokio::net::TcpStream;
//! use tower::{Service, ServiceBuilder};
//!
//! fn side_stack(
//!     token: Token,
//!     place: WaitSlot<Replay<TcpStream>>,
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
//! | [`HandshakeLayer`] with `Challenge`, `AnswerChallenge` (feature `challenge`) | side | the peer signs a challenge with a key that is known | until what was read ahead is delivered |
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
//! | `FaultLayer` (feature `fault`) | pair | lets something go wrong, for tests | in its direction, while on |
//! | [`IdleTimeoutLayer`] | pair | ends sessions that are idle | no |
//! | [`MaxLifetimeLayer`] | pair | ends sessions that have lasted long enough | no |
//!
//! A test measures the costs in this table. The crate `couplet-conformance` checks a layer of your own.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod accessors;
pub mod admission;
pub mod bounds;
pub mod handshake;
pub mod observe;
pub mod payload;
#[cfg(test)]
mod testing;

#[cfg(feature = "access-list")]
pub use self::admission::access::{AccessList, Networks};
#[cfg(feature = "rate-limit")]
pub use self::admission::limits::{ConnRateLayer, Rate};
#[cfg(any(feature = "challenge", feature = "noise"))]
pub use self::handshake::InvalidKey;
#[cfg(any(feature = "challenge", feature = "noise", feature = "signed-token"))]
pub use self::handshake::KeyFileError;
#[cfg(feature = "challenge")]
pub use self::handshake::challenge::{
    AnswerChallenge, AuthorizedKeys, Challenge, ChallengeRefused, Ed25519Key, Ed25519PublicKey,
    NotAsked,
};
#[cfg(feature = "meet")]
pub use self::handshake::meet::{ExpectMeeting, Meet, MeetingKey};
#[cfg(feature = "noise")]
pub use self::handshake::noise::{
    BadRecord, NoiseFailed, NoiseInitiator, NoiseKey, NoisePeers, NoisePsk, NoisePublicKey,
    NoiseResponder, ShortSecret,
};
#[cfg(feature = "proxy-protocol")]
pub use self::handshake::proxy_protocol::{ExpectProxyHeader, SendProxyHeader};
#[cfg(feature = "signed-token")]
pub use self::handshake::signed_token::{
    Claims, ExpectSignedToken, InvalidClaims, InvalidSecret, Keyring, SignedClaims, SignedToken,
    SignedTokenRefused,
};
#[cfg(feature = "tls")]
pub use self::handshake::tls::{
    TlsAccept, TlsAcceptConfig, TlsCertificate, TlsConnect, TlsConnectConfig, TlsError, TlsInfo,
    TlsIo,
};
#[cfg(feature = "fault")]
pub use self::payload::fault::{Fault, FaultLayer, FaultSwitch};
pub use self::{
    admission::access::{AccessLayer, AccessRefused, AccessRule},
    admission::attempts::{AttemptCounts, Attempts, AttemptsLayer, FailedAttempt, TooManyAttempts},
    admission::limits::{ConnLimitLayer, LimitCounts, Over, OverLimit},
    admission::live_limit::LiveLimitLayer,
    bounds::bandwidth::{BandwidthLayer, ByteRate},
    bounds::idle_timeout::IdleTimeoutLayer,
    bounds::max_lifetime::MaxLifetimeLayer,
    bounds::quota::QuotaLayer,
    handshake::announce_join::{AnnounceJoin, PartnerLeft},
    handshake::dialled_for::{DialledFor, DialledForLayer},
    handshake::sniff::{Protocol, Sniff},
    handshake::token::{ExpectToken, InvalidToken, SendToken, Token, TokenRefused},
    handshake::{
        Handshake, HandshakeError, HandshakeLayer, HealthCheck, Identity, LineError, Replaceable,
        take_line,
    },
    observe::access_log::{AccessLog, AccessLogLayer, SideAccessLogLayer},
    observe::capture::{Capture, CaptureLayer},
    observe::stats::{SideSnapshot, SideStatsLayer, Snapshot, Stats, StatsLayer},
    observe::traffic_log::{Colour, Logged, TrafficLog, TrafficLogLayer},
    payload::codec::{CodecLayer, PlainBytes, PlainText},
    payload::transform::{
        Codec, MapBytes, MapItems, Transform, TransformLayer, Transformed, map_bytes, map_items,
    },
};
