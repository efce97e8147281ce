//! What each layer costs: a direction that it has to see is not spliced, every other is.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(unix)]

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    io,
    num::NonZeroU64,
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{Conn, Info, Io, Origin, Side};
use couplet_layers::{
    AccessLayer, AccessLog, AccessLogLayer, BandwidthLayer, ByteRate, Capture, CaptureLayer,
    ConnLimitLayer, ExpectToken, HandshakeLayer, IdleTimeoutLayer, LiveLimitLayer,
    MaxLifetimeLayer, QuotaLayer, SendToken, SideAccessLogLayer, SideStatsLayer, Sniff, Stats,
    StatsLayer, Token, TrafficLogLayer, TransformLayer, map_bytes,
};
use couplet_pairing::Pair;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use tower::{Service, ServiceExt, layer::util::Identity};
use tower_layer::Layer;

/// The innermost service: gives back what came.
#[derive(Clone)]
struct GiveBack;

impl<R> Service<R> for GiveBack {
    type Response = R;
    type Error = Infallible;
    type Future = Ready<Result<R, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        ready(Ok(request))
    }
}

/// Which directions of the pair can be spliced below the layer: from A to B, from B to A.
async fn below<L, A: Io, B: Io>(layer: L) -> [bool; 2]
where
    L: Layer<GiveBack>,
    L::Service: Service<Pair<UnixStream, UnixStream>, Response = Pair<A, B>, Error: fmt::Debug>,
{
    let (_, a) = UnixStream::pair().unwrap();
    let (_, b) = UnixStream::pair().unwrap();
    let conn = |io| Conn::new(io, Origin::Accepted);
    let pair = Pair::new(conn(a), conn(b));
    let pair = layer.layer(GiveBack).oneshot(pair).await.unwrap();
    let a_to_b = pair.a.splice_source().is_some() && pair.b.splice_sink().is_some();
    let b_to_a = pair.b.splice_source().is_some() && pair.a.splice_sink().is_some();
    [a_to_b, b_to_a]
}

/// The connection below the layer, when its peer has sent this.
async fn side<L, I: Io>(layer: L, sent: &[u8]) -> I
where
    L: Layer<GiveBack>,
    L::Service: Service<Conn<UnixStream>, Response = Conn<I>, Error: fmt::Debug>,
{
    let (mut peer, io) = UnixStream::pair().unwrap();
    peer.write_all(sent).await.unwrap();
    let conn = Conn::new(io, Origin::Accepted);
    layer.layer(GiveBack).oneshot(conn).await.unwrap().io
}

fn token() -> Token {
    Token::new("secret").unwrap()
}

#[tokio::test]
async fn who_only_watches_costs_nothing() {
    let long = Duration::from_secs(3600);
    assert_eq!(below(Identity::new()).await, [true, true]);
    assert_eq!(below(StatsLayer::new(Stats::new())).await, [true, true]);
    let log = AccessLog::new(|_| {});
    assert_eq!(below(AccessLogLayer::new(log)).await, [true, true]);
    assert_eq!(below(IdleTimeoutLayer::new(long)).await, [true, true]);
    assert_eq!(below(MaxLifetimeLayer::new(long)).await, [true, true]);
    let rate = ByteRate::per_second(NonZeroU64::MIN);
    assert_eq!(below(BandwidthLayer::shared(rate)).await, [true, true]);
    assert_eq!(below(QuotaLayer::new(1)).await, [true, true]);
    let step = HandshakeLayer::new(async |pair| io::Result::Ok(pair));
    assert_eq!(below(step).await, [true, true]);
}

#[tokio::test]
async fn a_transform_costs_its_direction() {
    let same = || map_bytes(|bytes| bytes);
    let layer = TransformLayer::new();
    assert_eq!(below(layer.clone()).await, [true, true]);
    assert_eq!(below(layer.clone().a_to_b(same)).await, [false, true]);
    assert_eq!(below(layer.clone().b_to_a(same)).await, [true, false]);
    assert_eq!(below(layer.a_to_b(same).b_to_a(same)).await, [false, false]);
}

#[cfg(feature = "faults")]
#[tokio::test]
async fn a_fault_costs_its_direction_while_it_is_on() {
    use couplet_layers::{Fault, FaultLayer};

    let layer = FaultLayer::new(Fault::Blackhole);
    assert_eq!(below(layer.clone().only(Side::A)).await, [false, true]);
    assert_eq!(below(layer.clone().only(Side::B)).await, [true, false]);
    assert_eq!(below(layer.clone().probability(0.0)).await, [true, true]);
    assert_eq!(below(layer.clone()).await, [false, false]);
    layer.switch().off();
    assert_eq!(below(layer).await, [true, true]);
}

#[tokio::test]
async fn a_log_costs_its_direction() {
    let layer = TrafficLogLayer::text();
    assert_eq!(below(layer.clone().only(Side::A)).await, [false, true]);
    assert_eq!(below(layer.clone().only(Side::B)).await, [true, false]);
    assert_eq!(below(layer).await, [false, false]);
}

#[tokio::test]
async fn a_capture_costs_both_directions_while_it_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    let capture = Capture::to_file(scratch.path().join("trace.pcapng"));
    let layer = CaptureLayer::new(capture.clone());
    assert_eq!(below(layer.clone()).await, [true, true], "before its start");
    capture.start().unwrap();
    assert_eq!(below(layer.clone()).await, [false, false]);
    capture.finish(Duration::from_secs(60));
    assert_eq!(below(layer).await, [true, true]);
}

#[tokio::test]
async fn a_log_that_has_reached_its_limit_costs_nothing() {
    let (mut peer, a) = UnixStream::pair().unwrap();
    let (_, b) = UnixStream::pair().unwrap();
    let conn = |io| Conn::new(io, Origin::Accepted);
    let layer = TrafficLogLayer::text().limit(4);
    let pair = layer.layer(GiveBack).oneshot(Pair::new(conn(a), conn(b)));
    let mut pair = pair.await.unwrap();
    for (sent, reached) in [(b"abc", false), (b"def", true)] {
        peer.write_all(sent).await.unwrap();
        pair.a.read_exact(&mut [0; 3]).await.unwrap();
        assert_eq!(pair.a.splice_source().is_some(), reached);
    }
}

#[tokio::test]
async fn a_side_that_is_counted_or_limited_costs_nothing() {
    let all = AccessLayer::new(|_: &Info| io::Result::Ok(()));
    let io = side(all, b"").await;
    assert!(io.splice_source().is_some() && io.splice_sink().is_some());
    let io = side(ConnLimitLayer::per_address(1), b"").await;
    assert!(io.splice_source().is_some() && io.splice_sink().is_some());
    let io = side(LiveLimitLayer::new(1), b"").await;
    assert!(io.splice_source().is_some() && io.splice_sink().is_some());
    let io = side(SideStatsLayer::new(Stats::new(), Side::A), b"").await;
    assert!(io.splice_source().is_some() && io.splice_sink().is_some());
    let log = SideAccessLogLayer::new(AccessLog::new(|_| {}), Side::A);
    let io = side(log, b"").await;
    assert!(io.splice_source().is_some() && io.splice_sink().is_some());
}

#[tokio::test]
async fn a_token_costs_nothing_once_what_came_with_it_was_read() {
    let io = side(HandshakeLayer::new(SendToken::new(token())), b"").await;
    assert!(io.splice_source().is_some() && io.splice_sink().is_some());

    let expect = HandshakeLayer::new(ExpectToken::new(token()));
    let io = side(expect.clone(), b"secret\n").await;
    assert!(io.splice_source().is_some() && io.splice_sink().is_some());

    let mut io = side(expect, b"secret\nrest").await;
    assert!(io.splice_source().is_none() && io.splice_sink().is_some());
    io.read_exact(&mut [0; 4]).await.unwrap();
    assert!(io.splice_source().is_some());
}

#[tokio::test]
async fn sniffing_costs_nothing_once_what_was_looked_at_was_read() {
    let mut io = side(HandshakeLayer::new(Sniff::new()), b"SSH-2.0-x").await;
    assert!(io.splice_source().is_none() && io.splice_sink().is_some());
    io.read_exact(&mut [0; 9]).await.unwrap();
    assert!(io.splice_source().is_some());
}

#[cfg(feature = "proxy-protocol")]
#[tokio::test]
async fn a_proxy_header_costs_nothing_once_what_came_with_it_was_read() {
    use couplet_layers::{DialledFor, ExpectProxyHeader, Handshake, SendProxyHeader};

    let (mut peer, io) = UnixStream::pair().unwrap();
    peer.write_all(b"PROXY UNKNOWN\r\nrest").await.unwrap();
    let mut conn = Conn::new(io, Origin::Accepted);
    conn.info.peer = Some("127.0.0.1:1".parse().unwrap());
    let expect = ExpectProxyHeader::required("127.0.0.1".parse().unwrap());
    let mut io = expect.handshake(conn).await.unwrap().io;
    assert!(io.splice_source().is_none() && io.splice_sink().is_some());
    io.read_exact(&mut [0; 4]).await.unwrap();
    assert!(io.splice_source().is_some());

    let (_peer, io) = UnixStream::pair().unwrap();
    let mut conn = Conn::new(io, Origin::Dialled);
    let client = DialledFor(Info::new(Origin::Accepted));
    conn.info.extensions.insert(client);
    let io = SendProxyHeader::v1().handshake(conn).await.unwrap().io;
    assert!(io.splice_source().is_some() && io.splice_sink().is_some());
}
