//! A client that leaves while it waits for the inner service.

use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::Departed;

/// Both ends of a connection through the kernel: what was accepted, and its peer.
async fn tcp() -> (Conn<TcpStream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).await;
    (conn(listener.accept().await.unwrap().0), peer.unwrap())
}

/// A side with one slot, whose inner service never has room.
fn full<I: Io>() -> impl Service<Conn<I>, Response = Conn<Replay<I>>, Error = BoxError> {
    let full = ConcurrencyLimit::new(give_back(), 0);
    let shake = async |conn: Conn<I>| Ok::<_, Infallible>(conn.map_io(Replay::new));
    HandshakeLayer::new(shake).bound(1).layer(full)
}

#[tokio::test]
async fn a_reset_or_an_end_without_a_byte_leaves_at_once() {
    let mut side = full();
    for is_reset in [true, false] {
        let (conn, mut peer) = tcp().await;
        let mut call = task::spawn(side.ready().await.unwrap().call(conn));
        assert_pending!(call.poll());
        if is_reset {
            peer.abort();
        }
        drop(peer);
        let error = call.await.unwrap_err();
        assert!(error.is::<Departed>(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_spoken_and_ended_waits_on_until_it_is_reset() {
    let mut side = full();
    let (mut conn, mut peer) = tcp().await;
    conn.info.has_spoken = true;
    let mut call = task::spawn(side.ready().await.unwrap().call(conn));
    peer.shutdown().await.unwrap();
    let waited = tokio::time::timeout(60 * SECOND, &mut call).await;
    assert!(waited.is_err(), "it may want to receive");
    peer.abort();
    drop(peer);
    assert!(call.await.unwrap_err().is::<Departed>());
}

#[tokio::test(start_paused = true)]
async fn a_reset_behind_bytes_is_noticed_within_a_second() {
    let mut side = full();
    let (conn, mut peer) = tcp().await;
    peer.write_all(b"hello").await.unwrap();
    let call = task::spawn(side.ready().await.unwrap().call(conn));
    peer.abort();
    drop(peer);
    let left = tokio::time::timeout(2 * SECOND, call).await;
    assert!(left.unwrap().unwrap_err().is::<Departed>());
}
