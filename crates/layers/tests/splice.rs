//! A direction that a layer has to see is not spliced, every other is. What each layer costs as the
//! tables say it is measured beside this, in `splice_table`; here is what depends on its settings.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(unix)]

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    task::{Context, Poll},
};

use couplet_endpoint::{Conn, Io, Origin, Side};
use couplet_layers::{
    ExpectToken, HandshakeLayer, Token, TrafficLogLayer, TransformLayer, map_bytes,
};
use couplet_pairing::Pair;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use tower::{Service, ServiceExt};
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
async fn a_transform_costs_splice_in_its_direction() {
    let same = || map_bytes(|bytes| bytes);
    let layer = TransformLayer::new();
    assert_eq!(below(layer.clone()).await, [true, true]);
    assert_eq!(below(layer.clone().a_to_b(same)).await, [false, true]);
    assert_eq!(below(layer.clone().b_to_a(same)).await, [true, false]);
    assert_eq!(below(layer.a_to_b(same).b_to_a(same)).await, [false, false]);
}

#[cfg(feature = "fault")]
#[tokio::test]
async fn a_fault_costs_splice_in_its_direction_while_it_is_on() {
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
async fn a_traffic_log_costs_splice_in_its_direction() {
    let layer = TrafficLogLayer::text();
    assert_eq!(below(layer.clone().only(Side::A)).await, [false, true]);
    assert_eq!(below(layer.clone().only(Side::B)).await, [true, false]);
    assert_eq!(below(layer).await, [false, false]);
}

#[tokio::test]
async fn a_traffic_log_at_its_limit_costs_no_splice() {
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
async fn a_token_without_bytes_behind_it_costs_no_splice() {
    let expect = HandshakeLayer::new(ExpectToken::new(token()));
    let io = side(expect, b"secret\n").await;
    assert!(io.splice_source().is_some() && io.splice_sink().is_some());
}
