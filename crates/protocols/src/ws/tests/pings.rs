//! Pings, on a clock that is paused.

use std::{io::ErrorKind, task::Poll};

use couplet_endpoint::Gone;
use tower::layer::util::Identity;

use super::*;
use crate::testing::{read_some, relay_between};

const PING: &[u8] = &[0x89, 0];
const SECOND: Duration = Duration::from_secs(1);

fn pong() -> Vec<u8> {
    masked(0x8A, b"")
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_is_pinged_for_ever_and_half_closed_too() {
    let (server, mut client) = with_script(EXACTLY, accept()).await;
    let (b_io, mut b) = memory::connection(1024);
    let (_, _end) = relay_between(Identity::new(), server, b_io);
    let begin = tokio::time::Instant::now();
    for n in 1..=3 {
        assert_eq!(read_some(&mut client, 2).await, PING);
        assert_eq!(begin.elapsed().as_secs(), 30 * n);
        client.write_all(&pong()).await.unwrap();
    }
    // The relay of this test waits no longer for a half-closed pair than a minute.
    client.write_all(&masked(0x82, b"")).await.unwrap();
    let mut heard = Vec::new();
    b.read_to_end(&mut heard).await.unwrap();
    assert_eq!(read_some(&mut client, 2).await, PING);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_is_given_up() {
    let (server, mut client) = with_script(EXACTLY, accept().ping(Some(SECOND))).await;
    let (b_io, mut b) = memory::connection(1024);
    let begin = tokio::time::Instant::now();
    let (_, end) = relay_between(Identity::new(), server, b_io);
    let (heard, ended) = read_all(&mut b).await;
    assert!(heard.is_empty());
    ended.unwrap_err();
    let error = end.await.unwrap().unwrap_err();
    assert!(crate::testing::chain(&error).contains("peer is silent"));
    assert_eq!(begin.elapsed(), 3 * SECOND);
    let (heard, _) = read_all(&mut client).await;
    assert!(heard.starts_with(&[PING, PING].concat()));
}

#[tokio::test(start_paused = true)]
async fn another_peer_that_may_be_stuck_is_not_given_up() {
    for (fields, is_given_up) in [("", false), (EXACTLY, true)] {
        let (mut server, _client) = with_script(fields, accept().ping(Some(SECOND))).await;
        server.write_all(b"a lot").await.unwrap();
        let reading = tokio::time::timeout(10 * SECOND, async {
            let mut byte = [0];
            std::future::poll_fn(|cx| {
                let _ = server.poll_upkeep(cx);
                let mut buf = tokio::io::ReadBuf::new(&mut byte);
                std::pin::Pin::new(&mut server)
                    .poll_read(cx, &mut buf)
                    .map_err(|error| error.kind())
            })
            .await
        });
        match reading.await {
            Ok(read) => assert_eq!((read, is_given_up), (Err(ErrorKind::TimedOut), true)),
            Err(_) => assert!(!is_given_up),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_waits_pings_answers_and_keeps_what_comes() {
    let (mut server, mut client) = with_script(EXACTLY, accept()).await;
    client.write_all(&masked(0x89, b"a")).await.unwrap();
    let gone = async |server: &mut End, time| {
        let gone = std::future::poll_fn(|cx| server.poll_gone(cx));
        tokio::time::timeout(time, gone).await
    };
    gone(&mut server, 31 * SECOND).await.unwrap_err();
    assert_eq!(read_some(&mut client, 3).await, [0x8A, 1, b'a']);
    assert_eq!(read_some(&mut client, 2).await, PING);
    client.write_all(&masked(0x82, b"early")).await.unwrap();
    gone(&mut server, SECOND).await.unwrap_err();
    assert_eq!(read_some(&mut server, 5).await, b"early");
    client.write_all(&masked(0x82, b"")).await.unwrap();
    assert_eq!(gone(&mut server, SECOND).await, Ok(Gone::Ended));

    let (mut server, client) = with_script(EXACTLY, accept()).await;
    drop(client);
    assert_eq!(gone(&mut server, SECOND).await, Ok(Gone::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_pings_is_answered_once_a_read_and_holds_no_memory() {
    let (mut server, mut client) = with_script("", accept().ping(None)).await;
    let flood = masked(0x89, &[b'x'; 125]).repeat(1000);
    client.write_all(&flood).await.unwrap();
    let read = futures::poll!(std::pin::pin!(server.read_u8()));
    assert!(matches!(read, Poll::Pending));
    drop(server);
    let (heard, _) = read_all(&mut client).await;
    assert!(heard.len() < flood.len(), "{}", heard.len());
}
