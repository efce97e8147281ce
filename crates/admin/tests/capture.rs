//! A live pair is captured over the endpoint, from now on.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

mod helper;

use std::time::Duration;

use couplet_admin::{Access, Server};
use helper::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A request that is answered for as long as the pair lives.
async fn capture(server: &Server, id: u64) -> DuplexStream {
    let (mut client, io) = tokio::io::duplex(64 * 1024);
    let server = server.clone();
    tokio::spawn(async move { server.serve(io).await });
    let request = format!(
        "GET /v1/pairs/{id}/capture HTTP/1.1\r\nHost: localhost\r\nCouplet-Admin: 1\r\nConnection: close\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    client
}

async fn read_until(client: &mut DuplexStream, what: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let reading = async {
        while !answer.windows(what.len()).any(|some| some == what) {
            let mut some = [0; 4096];
            let n = client.read(&mut some).await.unwrap();
            assert!(n > 0, "it ended: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&some[..n]);
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reading)
        .await
        .unwrap();
    answer
}

fn captures_on(rig: &Rig) -> bool {
    let text = couplet_admin::metrics::text(
        &rig.admin,
        couplet_admin::metrics::Format::Text,
        &couplet_admin::metrics::Selection::default(),
    );
    text.contains("couplet_captures_on{relay=\"ssh\"} 1")
}

#[tokio::test]
async fn what_a_live_pair_says_from_now_on_is_captured_to_its_end() {
    let mut rig = Rig::new();
    let server = rig.server(Access::Everything);
    let [mut client, mut at_server] = rig.pair().await;
    let id = rig.relay.sessions()[0].id().get();
    let mut reader = capture(&server, id).await;
    // The header, and the opening of a connection, come at once.
    let begun = read_until(&mut reader, b"session ").await;
    let text = String::from_utf8_lossy(&begun);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.contains("application/x-pcapng"), "{text}");
    assert!(!text.contains("hello"), "what was said before is not seen");
    assert!(captures_on(&rig));
    let listed = get(&server, &format!("/v1/pairs/{id}")).await.json();
    assert_eq!(listed["captured"], true);

    client.write_all(b"from A now").await.unwrap();
    at_server.read_exact(&mut [0; 10]).await.unwrap();
    at_server.write_all(b"from B now").await.unwrap();
    client.read_exact(&mut [0; 10]).await.unwrap();
    let all = read_until(&mut reader, b"from B now").await;
    assert!(all.windows(10).any(|some| some == b"from A now"));

    // One at a time.
    let again = ask(
        &server,
        &format!("GET /v1/pairs/{id}/capture"),
        &["Couplet-Admin: 1"],
    )
    .await;
    assert_eq!(again.status, 409, "{again:?}");

    drop((client, at_server));
    let mut rest = Vec::new();
    let reading = reader.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(30), reading)
        .await
        .unwrap()
        .unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the answer has its end");
    until(|| !captures_on(&rig)).await;
    let gone = ask(
        &server,
        &format!("GET /v1/pairs/{id}/capture"),
        &["Couplet-Admin: 1"],
    )
    .await;
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn a_reader_that_leaves_ends_the_capture_and_not_the_pair() {
    let mut rig = Rig::new();
    let server = rig.server(Access::Everything);
    let [mut client, mut at_server] = rig.pair().await;
    let session = rig.relay.sessions().remove(0);
    for _ in 0..6 {
        let mut reader = capture(&server, session.id().get()).await;
        read_until(&mut reader, b"session ").await;
        assert!(session.is_tapped());
        drop(reader);
        until(|| !session.is_tapped() && !captures_on(&rig)).await;
        client.write_all(b"on").await.unwrap();
        at_server.read_exact(&mut [0; 2]).await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_cut_off_and_the_pair_goes_on() {
    let mut rig = Rig::new();
    let server = rig.server(Access::Everything);
    let [mut client, mut at_server] = rig.pair().await;
    let session = rig.relay.sessions().remove(0);
    let mut reader = capture(&server, session.id().get()).await;
    read_until(&mut reader, b"session ").await;
    // More than waits for a reader.
    let piece = vec![b'x'; 64 * 1024];
    for _ in 0..128 {
        client.write_all(&piece).await.unwrap();
        at_server
            .read_exact(&mut vec![0; piece.len()])
            .await
            .unwrap();
    }
    let mut rest = Vec::new();
    let reading = reader.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(30), reading)
        .await
        .unwrap()
        .unwrap();
    assert!(
        !rest.ends_with(b"0\r\n\r\n"),
        "an answer that is not whole has no end"
    );
    assert!(rest.len() > 1024 * 1024, "what there was is there");
    until(|| !session.is_tapped()).await;
    client.write_all(b"on").await.unwrap();
    at_server.read_exact(&mut [0; 2]).await.unwrap();
}

#[tokio::test]
async fn few_pairs_are_captured_at_a_time() {
    let mut rig = Rig::new();
    let server = rig.server(Access::Everything);
    let (mut pairs, mut readers) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        pairs.push(rig.pair().await);
    }
    let sessions = rig.relay.sessions();
    for session in &sessions[..4] {
        let mut reader = capture(&server, session.id().get()).await;
        read_until(&mut reader, b"session ").await;
        readers.push(reader);
    }
    let line = format!("GET /v1/pairs/{}/capture", sessions[4].id());
    let fifth = ask(&server, &line, &["Couplet-Admin: 1"]).await;
    assert_eq!(fifth.status, 503, "{fifth:?}");
    drop(readers);
}
