//! Urgent data (`MSG_OOB`) is an ordinary byte of the stream, and nothing behind it is lost.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

mod helper;

use couplet_endpoint::{Conn, Listen, TcpIo};
use couplet_pairing::Pair;
use couplet_relay::{Relay, Splice};
use futures::TryStreamExt;
use helper::{MIB, noise, read_all};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::Service;

/// A client, and its connection as a listener of ours accepts it.
async fn accepted() -> (TcpStream, Conn<TcpIo>) {
    let mut listen = Listen::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listen.local_addr()).await.unwrap();
    (client, listen.try_next().await.unwrap().unwrap())
}

/// The bytes of these pieces, with an urgent one between each two of them.
async fn send(client: &mut TcpStream, pieces: &[Vec<u8>]) -> Vec<u8> {
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            client.writable().await.unwrap();
            SockRef::from(&*client).send_out_of_band(b"!").unwrap();
        }
        client.write_all(piece).await.unwrap();
    }
    pieces.join(&b'!')
}

/// How it is relayed, and how much lies between two marks: all of it fits into the window.
const WAYS: [(Splice, usize); 3] = [
    (Splice::Auto, 8_000),
    (Splice::Never, 8_000),
    (Splice::Never, 100),
];

/// The same with more than the window takes.
const BULK: [(Splice, usize); 3] = [
    (Splice::Auto, 4 * MIB),
    (Splice::Auto, 100_000),
    (Splice::Never, 4 * MIB),
];

#[tokio::test]
async fn urgent_data_before_the_end_is_not_lost() {
    nothing_is_lost(&WAYS).await;
}

#[tokio::test]
async fn urgent_data_beyond_the_window_is_not_lost() {
    nothing_is_lost(&BULK).await;
}

async fn nothing_is_lost(ways: &[(Splice, usize)]) {
    for &(splice, size) in ways {
        let (mut client, a) = accepted().await;
        let (mut server, b) = accepted().await;
        let relaying = tokio::spawn(Relay::new().splice(splice).call(Pair::new(a, b)));
        let pieces: Vec<_> = (0..5).map(|seed| noise(seed, size)).collect();
        let sending = async {
            let sent = send(&mut client, &pieces).await;
            client.shutdown().await.unwrap();
            sent
        };
        let (sent, (heard, end)) = tokio::join!(sending, read_all(&mut server));
        assert!(heard == sent, "{splice:?}, {size}: {} bytes", heard.len());
        assert!(end.is_ok());
        server.shutdown().await.unwrap();
        relaying.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_stream_does_not_stall_at_the_urgent_mark() {
    let (mut client, a) = accepted().await;
    let (mut server, b) = accepted().await;
    let relaying = tokio::spawn(Relay::new().call(Pair::new(a, b)));
    let pieces: Vec<_> = (0..3).map(|seed| noise(seed, 4 * MIB)).collect();
    let mut heard = vec![0; 12 * MIB + 2];
    let (sent, read) = tokio::join!(send(&mut client, &pieces), server.read_exact(&mut heard));
    read.unwrap();
    assert!(heard == sent);
    drop((client, server));
    relaying.await.unwrap().unwrap();
}

/// All lies in the system's queue before the relay looks.
#[tokio::test]
async fn urgent_data_before_the_join_is_whole() {
    let (mut client, a) = accepted().await;
    let (mut server, b) = accepted().await;
    let sent = send(
        &mut client,
        &[noise(1, 1000), noise(2, 1000), noise(3, 1000)],
    )
    .await;
    client.shutdown().await.unwrap();
    let relaying = tokio::spawn(Relay::new().call(Pair::new(a, b)));
    let (heard, end) = read_all(&mut server).await;
    assert!(heard == sent);
    assert!(end.is_ok());
    drop((client, server));
    relaying.await.unwrap().unwrap();
}

/// A dialogue: the sender says no more until it is answered.
#[tokio::test]
async fn bytes_behind_an_urgent_mark_do_not_wait_for_the_next_packet() {
    let (mut client, a) = accepted().await;
    let (mut server, b) = accepted().await;
    let relaying = tokio::spawn(Relay::new().call(Pair::new(a, b)));
    for number in 0..20 {
        let sent = send(&mut client, &[noise(number, 30), noise(number, 1), vec![]]).await;
        let mut heard = vec![0; sent.len()];
        server.read_exact(&mut heard).await.unwrap();
        assert!(heard == sent);
        server.write_all(&heard).await.unwrap();
        client.read_exact(&mut heard).await.unwrap();
    }
    drop((client, server));
    relaying.await.unwrap().unwrap();
}
