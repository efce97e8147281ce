//! A connection that a stack refuses ends with a reset, whatever refuses it: an end of stream would
//! pass for the partner's.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

mod helper;

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use couplet_connector::{
    BoxPair, Connector, SideLayers,
    endpoint::{BoxError, BoxIo, Conn, Info, Replay, io::send_and_close, memory},
    layers::{AccessLayer, ExpectToken, HandshakeLayer, Token},
    stack::Slot,
};
use helper::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::{layer::layer_fn, service_fn};

/// What a client reads that sends a wrong token to a side with this layer.
macro_rules! heard {
    ($layer:expr) => {{
        let (clients, listen) = memory::endpoint();
        let (target, _servers) = memory::endpoint();
        let relay = Connector::listen_dial(listen, target)
            .layer_a($layer)
            .start();
        let mut client = clients.connect().await.unwrap();
        client.write_all(b"guess\n").await.unwrap();
        let mut heard = Vec::new();
        let read = soon(client.read_to_end(&mut heard)).await;
        close(&relay).await;
        read.map(|_| heard)
    }};
}

fn token() -> HandshakeLayer<ExpectToken> {
    HandshakeLayer::new(ExpectToken::new(Token::new("secret").unwrap()))
}

#[track_caller]
fn assert_reset(heard: io::Result<Vec<u8>>) {
    assert_eq!(heard.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_reset_whichever_layer_refuses() {
    assert_reset(heard!(AccessLayer::new(|_: &Info| Err::<(), _>(
        "closed today"
    ))));
    assert_reset(heard!(token()));
    // Within a wrapper.
    let mut layers = SideLayers::new();
    layers.push(HandshakeLayer::new(async |conn: Conn<BoxIo>| {
        io::Result::Ok(conn.map_io(Replay::new))
    }));
    layers.push(token());
    assert_reset(heard!(layers));
    // A layer of one's own, which knows nothing of resets.
    assert_reset(heard!(layer_fn(|_: Slot| {
        service_fn(|_: Conn<BoxIo>| async { Err::<(), BoxError>("not today".into()) })
    })));
}

/// A protocol in which the peer is told why: the words, and a clean end.
#[tokio::test(start_paused = true)]
async fn a_connection_refused_with_a_reply_is_closed_and_not_reset() {
    let says = HandshakeLayer::new(|conn: Conn<BoxIo>| async move {
        send_and_close(conn.io, b"no\n", Duration::from_secs(1)).await;
        Err::<Conn<BoxIo>, BoxError>("no".into())
    });
    assert_eq!(heard!(says).unwrap(), b"no\n");
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_is_refused_is_reset_on_both_sides() {
    let (a, listen_a) = memory::endpoint();
    let (b, listen_b) = memory::endpoint();
    let relay = Connector::listen_listen(listen_a, listen_b)
        .before_join(|_: BoxPair| async { Err::<BoxPair, BoxError>("not these two".into()) })
        .start();
    for mut peer in [a.connect().await.unwrap(), b.connect().await.unwrap()] {
        let error = soon(peer.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    close(&relay).await;
}
