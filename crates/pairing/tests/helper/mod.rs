//! What the tests of this crate share.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod by_key;
pub(crate) mod dials;

use std::{pin::pin, task::Poll};

use couplet_endpoint::{
    Conn, ConnId, Info, Io, Origin, Side,
    memory::{self, MemoryStream},
};
use couplet_pairing::{Pair, Pairs, WaitSlot};
use futures::{StreamExt, poll};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    task::yield_now,
};
use tokio_test::{assert_ready_ok, task};
use tower::{Service, ServiceExt};

/// How often other tasks get their turn before something counts as not happening.
const TURNS: usize = 100_000;

/// A connection that was accepted, and its peer.
pub(crate) fn conn() -> (Conn<MemoryStream>, MemoryStream) {
    conn_holding(1024)
}

/// A connection each direction of which holds that many bytes, and its peer.
pub(crate) fn conn_holding(bytes: usize) -> (Conn<MemoryStream>, MemoryStream) {
    let (io, peer) = memory::connection(bytes);
    (Conn::new(io, Origin::Accepted), peer)
}

/// Ends a connection by a reset.
pub(crate) fn reset(mut peer: impl Io) {
    peer.abort();
}

/// It hears of a reset: an end of stream would be made up.
pub(crate) async fn hears_reset(peer: &mut MemoryStream) {
    let heard = soon(peer.read(&mut [0])).await;
    let kind = heard.map_err(|error| error.kind());
    assert_eq!(kind, Err(std::io::ErrorKind::ConnectionReset));
}

/// The connections that were joined.
pub(crate) fn joined<A, B>(pair: &Pair<A, B>) -> [&Info; 2] {
    [Side::A, Side::B].map(|side| pair.session.info(side))
}

/// The next pair, which must be there without any time passing.
pub(crate) async fn next<A, B>(pairs: &mut Pairs<A, B>) -> Pair<A, B>
where
    Pairs<A, B>: Unpin,
{
    match soon(pairs.next()).await {
        Some(Ok(pair)) => pair,
        None => panic!("the pairing has ended"),
    }
}

/// Lets the other tasks do all they can do now. No time passes.
pub(crate) async fn settle() {
    for _ in 0..32 {
        yield_now().await;
    }
}

/// Waits for what the other tasks can do now. No time passes, so that a paused clock stands still.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..TURNS {
        if let Poll::Ready(output) = poll!(future.as_mut()) {
            return output;
        }
        yield_now().await;
    }
    panic!("did not happen: {}", std::any::type_name::<F>());
}

/// Waits until it holds, as [`soon`] does.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    soon(std::future::poll_fn(|_| match holds() {
        true => Poll::Ready(()),
        false => Poll::Pending,
    }))
    .await;
}

/// Fills a slot at once.
pub(crate) fn fill<I: Io>(slot: &mut WaitSlot<I>, conn: Conn<I>) {
    assert_ready_ok!(task::spawn(slot.ready()).poll());
    assert_ready_ok!(task::spawn(slot.call(conn)).poll());
}

/// A connection comes: its number, and its peer.
pub(crate) fn arrive(slot: &mut WaitSlot<MemoryStream>) -> (ConnId, MemoryStream) {
    let (conn, peer) = conn();
    let id = conn.info.id;
    fill(slot, conn);
    (id, peer)
}

/// Both ends of a connection through the kernel: what was accepted, and its peer.
pub(crate) async fn tcp() -> (Conn<TcpStream>, TcpStream) {
    let both = async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let peer = TcpStream::connect(listener.local_addr()?);
        tokio::try_join!(listener.accept(), peer)
    };
    let ((io, _), peer) = both.await.expect("the loopback works");
    (Conn::new(io, Origin::Accepted), peer)
}
