//! The layers of Couplet: side layers for a connection before it has a partner, and pair layers for
//! two joined connections. They know no protocol: those that a side can speak, such as TLS, SOCKS5 and the
//! PROXY protocol, are handshakes in the crate `couplet-protocols`.
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
//! | [`HandshakeLayer`] | side, pair | runs an async handshake with a deadline and a bound: on a side authentication, or any protocol of `couplet-protocols`; on a pair a step before the join, which sees both sides, chooses transforms, refuses | as the step does |
//! | [`HandshakeLayer`] with [`Replaceable`] | side, pair | a handshake, or the rule of an [`AccessLayer`], that can be replaced at run time | as the step does |
//! | [`HandshakeLayer`] with [`ExpectToken`] | side | expects a shared secret as the first line | until what was read ahead is delivered |
//! | [`HandshakeLayer`] with [`SendToken`] | side | sends a shared secret as the first line | no |
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
//! Beside the layers there is [`Via`], a dial that asks another server, such as a proxy, for the connection.
//!
//! A test measures the costs in this table. The crate `couplet-conformance` checks a layer of your own.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod accessors;
pub mod admission;
pub mod bounds;
pub mod handshake;
mod mapped;
pub mod observe;
pub mod payload;
mod shared_io;
#[cfg(test)]
mod testing;

#[cfg(feature = "access-list")]
pub use self::admission::access::{AccessList, Networks};
#[cfg(feature = "rate-limit")]
pub use self::admission::limits::{ConnRateLayer, Rate};
#[cfg(feature = "fault")]
pub use self::payload::fault::{Fault, FaultLayer, FaultSwitch};
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
    handshake::token::{ExpectToken, InvalidToken, SendToken, Token, TokenRefused, Tokens},
    handshake::via::{Via, ViaError, ViaTo},
    handshake::{
        Departed, Forwarded, Handshake, HandshakeError, HandshakeLayer, HandshakeRequest,
        HandshakeTimes, HealthCheck, Identity, KeyFileError, LineError, Replaceable, take_line,
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
