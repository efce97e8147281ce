//! TCP connections, and services that give back what came through a layer.

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    task::{Context, Poll},
};

use couplet_connector::{
    endpoint::{Conn, Io, Origin},
    pairing::Pair,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Service, ServiceExt};
use tower_layer::Layer;

use crate::{AHEAD, BOTH, Cost, DIRECTION, FROM_PEER, NOTHING};

/// What a peer says behind its handshake.
pub(crate) const REST: &[u8] = b"rest";

/// The innermost service: gives back what came.
#[derive(Clone)]
pub(crate) struct GiveBack;

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

/// The two ends of a connection: the peer's, and ours with what is known of it.
pub(crate) async fn tcp() -> (TcpStream, Conn<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap());
    let (peer, accepted) = tokio::join!(dialled, listener.accept());
    let (io, address) = accepted.unwrap();
    let mut conn = Conn::new(io, Origin::Accepted);
    conn.info.peer = Some(address);
    conn.info.local = conn.io.local_addr().ok();
    (peer.unwrap(), conn)
}

/// Can what is read be spliced, and what is written?
pub(crate) fn ways(io: &impl Io) -> [bool; 2] {
    [io.splice_source().is_some(), io.splice_sink().is_some()]
}

/// What a layer costs a side whose peer says this, of which `below` is what is heard below it.
pub(crate) async fn side<L, I: Io>(layer: L, says: &[u8], below: &[u8]) -> Cost
where
    L: Layer<GiveBack>,
    L::Service: Service<Conn<TcpStream>, Response = Conn<I>, Error: fmt::Debug>,
{
    let talks = async |mut peer: TcpStream| {
        peer.write_all(says).await.unwrap();
        peer
    };
    side_with(layer, talks, below).await
}

/// What a layer costs a side with such a peer, before what it said is read and after.
pub(crate) async fn side_with<L, I: Io, P>(
    layer: L,
    talks: impl AsyncFnOnce(TcpStream) -> P,
    below: &[u8],
) -> Cost
where
    L: Layer<GiveBack>,
    L::Service: Service<Conn<TcpStream>, Response = Conn<I>, Error: fmt::Debug>,
{
    let (peer, conn) = tcp().await;
    let (_peer, conn) = tokio::join!(talks(peer), layer.layer(GiveBack).oneshot(conn));
    let mut io = conn.unwrap().io;
    let before = ways(&io);
    let mut heard = vec![0; below.len()];
    io.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, below);
    match (before, ways(&io)) {
        ([true, true], [true, true]) => NOTHING,
        ([false, true], [true, true]) => AHEAD,
        ([false, true], [false, true]) => FROM_PEER,
        ([false, false], [false, false]) => BOTH,
        other => panic!("there is no word for it: {other:?}"),
    }
}

/// Which directions of the pair can be spliced below the layer: from A to B, from B to A.
pub(crate) async fn below<L, A: Io, B: Io>(layer: L) -> [bool; 2]
where
    L: Layer<GiveBack>,
    L::Service: Service<Pair<TcpStream, TcpStream>, Response = Pair<A, B>, Error: fmt::Debug>,
{
    let ((_a, a), (_b, b)) = (tcp().await, tcp().await);
    let pair = Pair::new(a, b);
    let pair = layer.layer(GiveBack).oneshot(pair).await.unwrap();
    let ([from_a, to_a], [from_b, to_b]) = (ways(&pair.a), ways(&pair.b));
    [from_a && to_b, from_b && to_a]
}

/// What a layer costs a pair.
pub(crate) async fn pair<L, A: Io, B: Io>(layer: L) -> Cost
where
    L: Layer<GiveBack>,
    L::Service: Service<Pair<TcpStream, TcpStream>, Response = Pair<A, B>, Error: fmt::Debug>,
{
    match below(layer).await {
        [true, true] => NOTHING,
        [false, false] => BOTH,
        other => panic!("there is no word for it: {other:?}"),
    }
}

/// What a layer costs that is for one direction: first from A to B, then from B to A.
pub(crate) async fn direction<L, A: Io, B: Io>(a_to_b: L, b_to_a: L) -> Cost
where
    L: Layer<GiveBack>,
    L::Service: Service<Pair<TcpStream, TcpStream>, Response = Pair<A, B>, Error: fmt::Debug>,
{
    match (below(a_to_b).await, below(b_to_a).await) {
        ([true, true], [true, true]) => NOTHING,
        ([false, true], [true, false]) => DIRECTION,
        other => panic!("there is no word for it: {other:?}"),
    }
}
