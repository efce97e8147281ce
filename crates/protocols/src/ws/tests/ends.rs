//! How streams end.

use std::io::ErrorKind;

use couplet_endpoint::Side;
use couplet_pairing::CloseReason;
use tower::layer::util::Identity;

use super::*;
use crate::testing::{assert_reset, relay_between};

const CLOSE: &[u8] = &[0x88, 2, 3, 0xE8];
const END: &[u8] = &[0x82, 0];

async fn hears(io: &mut MemoryStream, expected: &[u8]) {
    let heard = crate::testing::read_some(io, expected.len()).await;
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn each_direction_ends_by_itself_and_close_comes_when_both_have() {
    let (server, mut client) = with_script(EXACTLY, accept()).await;
    let (b_io, mut b) = memory::connection(1024);
    let (_, end) = relay_between(Identity::new(), server, b_io);
    let script = [masked(0x82, b"question"), masked(0x82, b"")].concat();
    client.write_all(&script).await.unwrap();
    let (question, ended) = read_all(&mut b).await;
    assert_eq!(question, b"question");
    ended.unwrap();
    // Half-closed, a ping is answered.
    client.write_all(&masked(0x89, b"?")).await.unwrap();
    hears(&mut client, &[0x8A, 1, b'?']).await;
    b.write_all(b"answer").await.unwrap();
    drop(b);
    hears(&mut client, b"\x82\x06answer").await;
    hears(&mut client, END).await;
    hears(&mut client, CLOSE).await;
    // The pair lives until the peer has heard all.
    assert!(!end.is_finished());
    client.write_all(&masked(0x88, &[3, 0xE8])).await.unwrap();
    let summary = end.await.unwrap().unwrap();
    assert_eq!(summary.reason, CloseReason::Finished(Side::A));
    let (rest, ended) = read_all(&mut client).await;
    assert!(rest.is_empty());
    ended.unwrap();
}

#[tokio::test]
async fn our_end_first() {
    let (server, mut client) = with_script(EXACTLY, accept()).await;
    let (b_io, mut b) = memory::connection(1024);
    let (_, end) = relay_between(Identity::new(), server, b_io);
    b.shutdown().await.unwrap();
    hears(&mut client, END).await;
    let script = [masked(0x82, b"all of it"), masked(0x82, b"")].concat();
    client.write_all(&script).await.unwrap();
    let (heard, ended) = read_all(&mut b).await;
    assert_eq!(heard, b"all of it");
    ended.unwrap();
    hears(&mut client, CLOSE).await;
    client.write_all(&masked(0x88, &[3, 0xE8])).await.unwrap();
    end.await.unwrap().unwrap();
}

/// A peer that never closes is not waited for longer than the relay lingers.
#[tokio::test(start_paused = true)]
async fn a_peer_that_never_closes() {
    let (server, mut client) = with_script(EXACTLY, accept()).await;
    let (b_io, b) = memory::connection(1024);
    let (_, end) = relay_between(Identity::new(), server, b_io);
    client.write_all(&masked(0x82, b"")).await.unwrap();
    drop(b);
    let summary = end.await.unwrap().unwrap();
    assert_eq!(summary.reason, CloseReason::Finished(Side::A));
    let (heard, ended) = read_all(&mut client).await;
    assert_eq!(heard[..2], *END);
    ended.unwrap();
}

#[tokio::test]
async fn with_another_peer_our_end_is_a_close_and_what_comes_is_read() {
    let (server, mut client) = with_script("", accept()).await;
    let (b_io, mut b) = memory::connection(1024);
    let (_, end) = relay_between(Identity::new(), server, b_io);
    b.write_all(b"question").await.unwrap();
    b.shutdown().await.unwrap();
    hears(&mut client, b"\x82\x08question").await;
    hears(&mut client, CLOSE).await;
    let script = [masked(0x81, b"answer"), masked(0x88, b"")].concat();
    client.write_all(&script).await.unwrap();
    let (heard, ended) = read_all(&mut b).await;
    assert_eq!(heard, b"answer");
    ended.unwrap();
    end.await.unwrap().unwrap();
}

#[tokio::test]
async fn another_peers_close_ends_its_stream_and_ours_goes_on() {
    let (server, mut client) = with_script("", accept()).await;
    let (b_io, mut b) = memory::connection(1024);
    let (_, end) = relay_between(Identity::new(), server, b_io);
    client.write_all(&masked(0x88, &[3, 0xE8])).await.unwrap();
    let (_, ended) = read_all(&mut b).await;
    ended.unwrap();
    b.write_all(b"answer").await.unwrap();
    drop(b);
    hears(&mut client, b"\x82\x06answer").await;
    hears(&mut client, CLOSE).await;
    end.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reset_is_a_close_and_a_reset() {
    for fields in ["", EXACTLY] {
        let (server, mut client) = with_script(fields, accept()).await;
        let (b_io, mut b) = memory::connection(1024);
        let (_, end) = relay_between(Identity::new(), server, b_io);
        b.write_all(b"half").await.unwrap();
        b.abort();
        drop(b);
        let (heard, ended) = read_all(&mut client).await;
        assert_eq!(heard, b"\x82\x04half\x88\x02\x03\xF3");
        assert_reset(&ended);
        end.await.unwrap().unwrap_err();
    }
}

#[tokio::test]
async fn a_cut_resets_the_other_side() {
    for cut in [
        masked(0x88, &[3, 0xE9]),
        masked(0x88, &[3, 0xF3]),
        Vec::new(),
    ] {
        let (server, mut client) = with_script(EXACTLY, accept()).await;
        let (b_io, mut b) = memory::connection(1024);
        let (_, end) = relay_between(Identity::new(), server, b_io);
        let script = [masked(0x82, b"half"), cut].concat();
        client.write_all(&script).await.unwrap();
        drop(client);
        let (heard, ended) = read_all(&mut b).await;
        assert_eq!(heard, b"half");
        assert_reset(&ended);
        end.await.unwrap().unwrap_err();
    }
}

#[tokio::test]
async fn bytes_behind_the_end_are_an_error() {
    let (mut server, mut client) = with_script(EXACTLY, accept()).await;
    let script = [masked(0x82, b""), masked(0x82, b"more")].concat();
    client.write_all(&script).await.unwrap();
    let error = server.read(&mut [0; 64]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_peer_that_does_not_read_holds_us_up() {
    let (server, mut client) = memory::connection(1024);
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    let server = accept()
        .handshake(Conn::new(server, Origin::Accepted))
        .await;
    let mut server = server.unwrap().io;
    let mut taken = 0;
    while let std::task::Poll::Ready(n) = futures::poll!(std::pin::pin!(server.write(&[0; 4096]))) {
        taken += n.unwrap();
    }
    assert_eq!(taken, 4096, "one frame is held, and no more is taken");
    assert!(server.has_unsent());
}
