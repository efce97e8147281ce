//! The layers of Couplet: side layers for a connection before it has a partner, and pair layers for
//! two joined connections.
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
//! Each is an ordinary tower layer, and works alone and beside tower's own. A stack reads top to bottom
//! in the order in which a connection, or a pair, meets its layers:
//!
//! ```
//! use std::time::Duration;
//!
//! use couplet_endpoint::{BoxError, Conn, Replay, TcpIo};
//! use couplet_layers::{ExpectToken, HandshakeLayer, IdleTimeoutLayer, Stats, StatsLayer, Token};
//! use couplet_pairing::{Pair, WaitSlot};
//! use couplet_relay::{Relay, Summary};
//! use tower::{Service, ServiceBuilder};
//!
//! fn side_stack(
//!     token: Token,
//!     place: WaitSlot<Replay<TcpIo>>,
//! ) -> impl Service<Conn<TcpIo>, Response = (), Error = BoxError> {
//!     ServiceBuilder::new()
//!         .timeout(Duration::from_secs(30)) // tower's own: for all below
//!         .layer(HandshakeLayer::new(ExpectToken::new(token)))
//!         .service(place)
//! }
//!
//! fn pair_stack(
//!     stats: Stats,
//! ) -> impl Service<Pair<Replay<TcpIo>, Replay<TcpIo>>, Response = Summary> {
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
//! | [`SideAccessLogLayer`] | side | records the life of each connection, for the access log | no |
//! | [`AccessLayer`] | side | admits connections by a list of networks (feature `access-list`) or a closure | no |
//! | [`ConnLimitLayer`], `ConnRateLayer` (feature `rate-limit`) | side | bound the open and the new connections, of each address and in all; refuse or queue those beyond | no |
//! | [`HandOverLayer`] | side | hands connections over to other relays of the process | no |
//! | [`LiveLimitLayer`] | side | bounds the open connections, from accept to close, and stops accepting | no |
//! | [`AttemptsLayer`] | side | counts failed handshakes by address; refuses or delays addresses that fail too often | no |
//! | [`DialledForLayer`] | dial | a dialled connection carries the `Info` of the client it was dialled for | no |
//! | [`HandshakeLayer`] | side, pair | runs an async handshake with a deadline and a bound: on a side authentication, TLS, a protocol header; on a pair a step before the join, which sees both sides, chooses transforms, refuses | as the step does |
//! | [`HandshakeLayer`] with [`Replaceable`] | side, pair | a handshake, or the rule of an [`AccessLayer`], that can be replaced at run time | as the step does |
//! | [`HandshakeLayer`] with `ExpectProxyHeader` (feature `proxy-protocol`) | side | reads a PROXY protocol header: the address of the client behind a proxy | until what was read ahead is delivered |
//! | [`HandshakeLayer`] with `SendProxyHeader`, `SendProxyHeaderBeforeJoin` (feature `proxy-protocol`) | side, pair | writes a PROXY protocol header for a server | no |
//! | [`HandshakeLayer`] with [`Sniff`] | side | detects the client's protocol (TLS with SNI and ALPN, SSH, HTTP, none) without consuming bytes | until what was read ahead is delivered |
//! | [`HandshakeLayer`] with [`StartTlsAccept`], [`StartTlsConnect`] | side | what PostgreSQL and SMTP say before TLS, as the server or as the client | no |
//! | [`HandshakeLayer`] with [`VsockConnect`] | side | a port of a virtual machine, behind the Unix socket of its hypervisor | until what was read ahead is delivered |
//! | [`HandshakeLayer`] with `TlsAccept`, `TlsConnect` (feature `tls`) | side | TLS, as the server or as the client | in both directions |
//! | [`HandshakeLayer`] with `NoiseInitiator`, `NoiseResponder` (feature `noise`) | side | Noise: encrypts, by a shared secret or known keys | in both directions |
//! | [`HandshakeLayer`] with `WsAccept`, `WsConnect` (feature `ws`) | side | WebSocket, as the server or as the client | in both directions |
//! | [`HandshakeLayer`] with [`ExpectToken`] | side | expects a shared secret as the first line | until what was read ahead is delivered |
//! | [`HandshakeLayer`] with `ExpectSignedToken` (feature `signed-token`) | side | expects a token as the first line that is signed and expires | until what was read ahead is delivered |
//! | [`HandshakeLayer`] with `ExpectMeeting`, `Meet`, `Follow` (feature `meet`) | side | peers meet by a key, at a relay that both dial | until what was read ahead is delivered |
//! | [`HandshakeLayer`] with [`SendToken`] | side | sends a token of either kind as the first line | no |
//! | [`HandshakeLayer`] with `Challenge`, `AnswerChallenge` (feature `challenge`) | side | the peer signs a challenge with a known key | until what was read ahead is delivered |
//! | [`HandshakeLayer`] with `SocksAccept`, `SocksConnect` (feature `socks`) | side | SOCKS5, as the proxy or as its client | no |
//! | [`HandshakeLayer`] with `HttpConnectAccept`, `HttpConnect` (feature `connect`) | side | HTTP CONNECT, as the proxy or as its client | until what was read ahead is delivered |
//! | [`CodecLayer`] | side | a wire format on the side, plain bytes within | in both directions |
//! | `Zstd`, `Lz4` (features `zstd`, `lz4`) | side | compress the side | in both directions |
//! | [`StatsLayer`] | pair | counts pairs and bytes, lists the live sessions | no |
//! | [`AccessLogLayer`] | pair | writes a record of each pair that has ended | no |
//! | [`HandshakeLayer`] with [`AnnounceJoin`] | pair | tells both peers that they are joined | no |
//! | [`CaptureLayer`] | pair | writes the bytes as packets, to pcapng files | in both directions, while on |
//! | [`TrafficLogLayer`] | pair | shows the bytes as text, hex dump or JSON | in its direction |
//! | [`TransformLayer`] | pair | changes the bytes of a direction | in its direction |
//! | [`BandwidthLayer`] | pair | bounds the bytes per second of a pair, of an address, of all | no |
//! | [`QuotaLayer`] | pair | ends sessions that move more bytes than allowed | no |
//! | `FaultLayer` (feature `fault`) | pair | simulates a bad network, for tests | in its direction, while on |
//! | [`IdleTimeoutLayer`] | pair | ends idle sessions | no |
//! | [`MaxLifetimeLayer`] | pair | ends sessions that last longer than allowed | no |
//!
//! Beside the layers there is `mux` (feature `mux`): `MuxListen` and `MuxDial` stand in place of a side's
//! endpoint, and carry many connections over one. So does `quic` (feature `quic`), whose `QuicListen` and
//! `QuicDial` are endpoints over UDP. Each costs splice in both directions.
//!
//! A test measures the costs in this table. The crate `couplet-conformance` checks a layer of your own.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod accessors;
pub mod admission;
pub mod bounds;
pub mod handshake;
mod mapped;
#[cfg(feature = "mux")]
pub mod mux;
pub mod observe;
pub mod payload;
#[cfg(feature = "quic")]
pub mod quic;
mod shared_io;
#[cfg(test)]
mod testing;

#[cfg(feature = "access-list")]
pub use self::admission::access::{AccessList, Networks};
#[cfg(feature = "rate-limit")]
pub use self::admission::limits::{ConnRateLayer, Rate};
#[cfg(any(feature = "challenge", feature = "noise"))]
pub use self::handshake::InvalidKey;
pub use self::handshake::KeyFileError;
#[cfg(feature = "challenge")]
pub use self::handshake::challenge::{
    AnswerChallenge, AuthorizedKeys, Challenge, ChallengeRefused, Ed25519Key, Ed25519PublicKey,
    NotAsked,
};
#[cfg(feature = "connect")]
pub use self::handshake::connect::{HttpConnect, HttpConnectAccept};
#[cfg(feature = "meet")]
pub use self::handshake::meet::{ExpectMeeting, Meet, MeetingKey};
#[cfg(feature = "noise")]
pub use self::handshake::noise::{
    BadRecord, NoiseFailed, NoiseInitiator, NoiseKey, NoisePeers, NoisePsk, NoisePublicKey,
    NoiseResponder, ShortSecret,
};
#[cfg(any(feature = "connect", feature = "socks"))]
pub use self::handshake::proxy::{RequestedTarget, Via};
#[cfg(feature = "proxy-protocol")]
pub use self::handshake::proxy_protocol::{ExpectProxyHeader, SendProxyHeader};
#[cfg(feature = "signed-token")]
pub use self::handshake::signed_token::{
    Claims, ExpectSignedToken, InvalidClaims, InvalidSecret, Keyring, SignedClaims, SignedToken,
    SignedTokenRefused,
};
#[cfg(feature = "socks")]
pub use self::handshake::socks::{SocksAccept, SocksConnect};
#[cfg(feature = "tls")]
pub use self::handshake::tls::{
    TlsAccept, TlsAcceptConfig, TlsCertificate, TlsConnect, TlsConnectConfig, TlsError, TlsInfo,
    TlsIo,
};
#[cfg(feature = "ws")]
pub use self::handshake::ws::{WsAccept, WsConnect, WsIo};
#[cfg(feature = "mux")]
pub use self::mux::{MuxDial, MuxIo, MuxListen};
#[cfg(feature = "fault")]
pub use self::payload::fault::{Fault, FaultLayer, FaultSwitch};
#[cfg(feature = "quic")]
pub use self::quic::{QuicDial, QuicIo, QuicListen, QuicOptions};
pub use self::{
    admission::access::{AccessLayer, AccessRefused, AccessRule},
    admission::attempts::{AttemptCounts, Attempts, AttemptsLayer, FailedAttempt, TooManyAttempts},
    admission::limits::{ConnLimitLayer, LimitCounts, Over, OverLimit},
    admission::{hand_over::HandOverLayer, live_limit::LiveLimitLayer},
    bounds::bandwidth::{BandwidthLayer, ByteRate},
    bounds::idle_timeout::IdleTimeoutLayer,
    bounds::max_lifetime::MaxLifetimeLayer,
    bounds::quota::QuotaLayer,
    handshake::announce_join::{AnnounceJoin, PartnerLeft},
    handshake::dialled_for::{DialledFor, DialledForLayer},
    handshake::sniff::{Protocol, Sniff},
    handshake::starttls::{StartTls, StartTlsAccept, StartTlsConnect, StartTlsError},
    handshake::token::{ExpectToken, InvalidToken, SendToken, Token, TokenRefused, Tokens},
    handshake::vsock_connect::{VsockConnect, VsockConnectError},
    handshake::{
        Departed, Forwarded, Handshake, HandshakeError, HandshakeLayer, HandshakeRequest,
        HandshakeTimes, HealthCheck, Identity, LineError, Replaceable, take_line,
    },
    observe::access_log::{AccessLog, AccessLogLayer, SideAccessLogLayer},
    observe::capture::{Capture, CaptureLayer},
    observe::stats::{RefusalCause, SideSnapshot, SideStatsLayer, Snapshot, Stats, StatsLayer},
    observe::traffic_log::{Colour, Logged, TrafficLog, TrafficLogLayer},
    payload::codec::{CodecLayer, PlainBytes, PlainText},
    payload::transform::{
        Codec, MapBytes, MapItems, Transform, TransformLayer, Transformed, map_bytes, map_items,
    },
};
