//! Urgent data (`MSG_OOB`) in a connection of ours: what lies behind it is read without waiting for
//! the next packet.

#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]
#![cfg(target_os = "linux")]

use std::time::Duration;

use couplet_endpoint::{Dial, Listen, Replay, TcpIo};
use futures::TryStreamExt;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// This long nothing of it takes.
const LONG: Duration = Duration::from_secs(20);

async fn accepted() -> (TcpStream, TcpIo) {
    let mut listen = Listen::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listen.local_addr()).await.unwrap();
    (peer, listen.try_next().await.unwrap().unwrap().io)
}

async fn dialled() -> (TcpStream, TcpIo) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dial = Dial::new(listener.local_addr().unwrap());
    let conn = dial.connect().await.unwrap();
    (listener.accept().await.unwrap().0, conn.io)
}

/// What one write after the other sends, an urgent byte between each two of them. The connection
/// stays open.
async fn send(peer: &mut TcpStream, pieces: &[&[u8]]) {
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            SockRef::from(&*peer).send_out_of_band(b"!").unwrap();
        }
        peer.write_all(piece).await.unwrap();
    }
}

/// Reads more at a time than comes, as protocols do, until there is as much as was sent.
async fn read(io: &mut (impl AsyncRead + Unpin), len: usize) -> Vec<u8> {
    let mut heard = Vec::new();
    while heard.len() < len {
        let mut piece = [0; 1000];
        let n = timeout(LONG, io.read(&mut piece)).await.expect("it stalls");
        heard.extend_from_slice(&piece[..n.unwrap()]);
    }
    heard
}

/// An exchange, so that the runtime has heard of the socket.
async fn ping_pong(peer: &mut TcpStream, io: &mut TcpIo) {
    for _ in 0..2 {
        peer.write_all(b"ping").await.unwrap();
        assert_eq!(read(io, 4).await, b"ping");
        io.write_all(b"pong").await.unwrap();
        assert_eq!(read(peer, 4).await, b"pong");
    }
}

#[tokio::test]
async fn a_read_that_ends_at_the_mark_is_followed_by_another() {
    for (mut peer, mut io) in [accepted().await, dialled().await] {
        ping_pong(&mut peer, &mut io).await;
        send(&mut peer, &[b"abc", b"def"]).await;
        assert_eq!(read(&mut io, 7).await, b"abc!def");
        send(&mut peer, &[b"", b"", b"gh", b"i"]).await;
        assert_eq!(read(&mut io, 6).await, b"!!gh!i");
        ping_pong(&mut peer, &mut io).await;
    }
}

#[tokio::test]
async fn the_first_read_may_end_at_the_mark() {
    for (mut peer, mut io) in [accepted().await, dialled().await] {
        send(&mut peer, &[b"abc", b"def"]).await;
        assert_eq!(read(&mut io, 7).await, b"abc!def");
    }
}

/// More than the window takes: the sender waits until the relay has read behind the mark.
#[tokio::test]
async fn a_sender_that_waits_for_the_window_goes_on() {
    for (mut peer, mut io) in [accepted().await, dialled().await] {
        let piece = vec![7; 4 << 20];
        let pieces: [&[u8]; 3] = [&piece, &piece, &piece];
        let ((), heard) = tokio::join!(send(&mut peer, &pieces), read(&mut io, (12 << 20) + 2));
        assert!(heard == pieces.join(&b'!'));
    }
}

#[tokio::test]
async fn reading_ahead_goes_on_behind_the_mark() {
    let (mut peer, mut io) = accepted().await;
    ping_pong(&mut peer, &mut io).await;
    let mut replay = Replay::new(io);
    send(&mut peer, &[b"abc", b"def"]).await;
    while replay.ahead().len() < 7 {
        let ahead = timeout(LONG, replay.read_ahead(1000)).await;
        ahead.expect("it stalls").unwrap();
    }
    assert_eq!(replay.ahead(), b"abc!def");
}
