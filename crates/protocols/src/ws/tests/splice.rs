//! What a relay splices into a server's frames.

use std::{future::poll_fn, pin::pin};

use tokio::net::UnixStream;
use tower::layer::util::Identity;

use super::{super::io::Role, *};
use crate::testing::{read_some, relay_between};

/// Of the longest frame.
const HEAD: [u8; 10] = [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0];

fn server() -> (WsIo<UnixStream>, UnixStream) {
    let (io, client) = UnixStream::pair().unwrap();
    (WsIo::new(io, Role::Server, true, None), client)
}

/// How many of the bytes that are left may be spliced.
async fn splicing(server: &mut WsIo<UnixStream>, left: u32) -> u32 {
    poll_fn(|cx| server.poll_splicing(cx, left)).await.unwrap()
}

/// Passes these bytes by the frames, as splice does.
async fn spliced(server: &WsIo<UnixStream>, client: &mut UnixStream, bytes: &[u8]) {
    let socket = server.get_ref();
    let written = async {
        let mut left = bytes;
        while !left.is_empty() {
            socket.writable().await.unwrap();
            let n = socket.try_write(left).unwrap_or_default();
            left = &left[n..];
        }
    };
    let ((), heard) = tokio::join!(written, read_some(client, bytes.len()));
    assert_eq!(heard, bytes);
}

#[tokio::test]
async fn a_piece_goes_in_frames_and_nothing_between_their_bytes() {
    let (mut server, mut client) = server();
    assert_eq!(splicing(&mut server, 100_000).await, 65_536);
    assert_eq!(read_some(&mut client, 10).await, HEAD);
    client.write_all(&masked(0x89, b"a")).await.unwrap();
    server.get_ref().readable().await.unwrap();
    assert!(futures::poll!(pin!(server.read_u8())).is_pending());
    server.flush().await.unwrap();
    assert!(server.has_unsent());
    spliced(&server, &mut client, &[1; 1000]).await;
    assert_eq!(splicing(&mut server, 99_000).await, 64_536);
    spliced(&server, &mut client, &[2; 64_536]).await;

    assert_eq!(splicing(&mut server, 34_464).await, 34_464);
    let expected = [0x8A, 1, b'a', 0x82, 126, 0x86, 0xA0];
    assert_eq!(read_some(&mut client, 7).await, expected);
    spliced(&server, &mut client, &[3; 34_464]).await;
    assert_eq!(splicing(&mut server, 0).await, 0);
    assert!(!server.has_unsent());
    server.write_all(b"x").await.unwrap();
    assert_eq!(read_some(&mut client, 3).await, [0x82, 1, b'x']);
}

#[tokio::test]
async fn a_cut_within_a_frame_puts_no_close_there() {
    let (mut server, mut client) = server();
    assert_eq!(splicing(&mut server, 10).await, 10);
    server.abort();
    drop(server);
    assert_eq!(read_all(&mut client).await.0, [0x82, 10]);
}

#[tokio::test]
async fn what_a_client_sends_is_masked_and_not_spliced() {
    let (io, _server) = UnixStream::pair().unwrap();
    let client = WsIo::new(io, Role::Client, true, None);
    assert!(client.splice_sink().is_none() && client.splice_source().is_none());
}

#[tokio::test]
async fn a_relay_splices_to_a_client_and_ends_the_stream_by_its_message() {
    let (server, client) = server();
    let mut client = WsIo::new(client, Role::Client, true, None);
    let (b_io, mut b) = UnixStream::pair().unwrap();
    let (session, end) = relay_between(Identity::new(), server, b_io);
    hears_all(&mut client, &mut b).await;
    assert!(session.meter().is_spliced(couplet_endpoint::Side::B));
    client.write_all(b"answer").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut b).await.0, b"answer");
    end.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_last_end_is_a_message_too() {
    let (server, client) = server();
    let mut client = WsIo::new(client, Role::Client, true, None);
    let (b_io, mut b) = UnixStream::pair().unwrap();
    let (_session, end) = relay_between(Identity::new(), server, b_io);
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut b).await.0, b"");
    hears_all(&mut client, &mut b).await;
    end.await.unwrap().unwrap();
}

/// What `b` sends comes to the client, and its end.
async fn hears_all(client: &mut WsIo<UnixStream>, b: &mut UnixStream) {
    let sent: Vec<_> = (0..3_000_000_u32).map(|n| (n / 251) as u8).collect();
    let sends = async {
        b.write_all(&sent).await.unwrap();
        b.shutdown().await.unwrap();
    };
    let ((), (heard, ended)) = tokio::join!(sends, read_all(client));
    assert!(heard == sent, "{} bytes", heard.len());
    ended.unwrap();
}
