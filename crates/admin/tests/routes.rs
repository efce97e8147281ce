//! What each route answers.

mod helper;

use axum::Router;
use couplet_admin::{Access, Server};
use couplet_connector::{
    endpoint::{UnixAddr, UnixListen},
    serve,
};
use helper::*;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

#[tokio::test]
async fn what_runs_and_what_has_happened() {
    let mut rig = Rig::new();
    let server = rig.server(Access::Everything);
    rig.refused().await;
    let pair = rig.pair().await;
    let other = rig.pair().await;
    drop(other);
    until(|| rig.relay.live_pairs() == 1).await;

    let status = get(&server, "/v1/status").await.json();
    assert_eq!(status["ready"], true);
    assert_eq!(status["relays"][0]["name"], "ssh");
    assert_eq!(status["relays"][0]["live"], 1);

    let relay = get(&server, "/v1/relays/ssh").await.json();
    assert_eq!(relay["pairing"], "dial-for A");
    assert_eq!(relay["a"]["refused"]["token"], 1);
    assert_eq!(relay["a"]["stack"][0]["name"], "token");
    assert_eq!(relay["pairs"]["ended"]["AF"], 1);
    assert_eq!(relay["a_to_b"]["bytes"], 10);
    assert_eq!(get(&server, "/v1/relays").await.json()[0], relay);
    assert_eq!(get(&server, "/v1/relays/other").await.status, 404);

    let pairs = get(&server, "/v1/pairs").await.json();
    assert_eq!(pairs["total"], 1);
    let id = pairs["pairs"][0]["id"].as_u64().unwrap();
    assert_eq!(pairs["pairs"][0]["a_to_b"]["bytes"], 5);
    let one = get(&server, &format!("/v1/pairs/{id}")).await.json();
    assert_eq!(one["b_to_a"]["bytes"], 2);
    assert!(one["a"]["handshake_seconds"].is_number());

    let ended = get(&server, "/v1/ended").await.json();
    assert_eq!(ended[0]["state"], "AF");
    assert_eq!(ended[0]["reason"], "finished, A first");
    let refused = get(&server, "/v1/refused?relay=ssh").await.json();
    assert_eq!(refused[0]["reason"], "token");
    assert_eq!(refused.as_array().unwrap().len(), 1);
    assert_eq!(
        get(&server, "/v1/waiting").await.json(),
        serde_json::json!([])
    );
    drop(pair);
}

#[tokio::test]
async fn pairs_are_chosen_sorted_and_paged() {
    let mut rig = Rig::new();
    let server = rig.server(Access::Look);
    let mut pairs = Vec::new();
    for n in 0..5_usize {
        let mut pair = rig.pair().await;
        pair[0].write_all(&vec![0; n * 10]).await.unwrap();
        pair[1].read_exact(&mut vec![0; n * 10]).await.unwrap();
        pairs.push(pair);
    }
    let ids = async |query: &str| -> Vec<u64> {
        let found = get(&server, &format!("/v1/pairs{query}")).await.json();
        let found = found["pairs"].as_array().unwrap().clone();
        found
            .iter()
            .map(|pair| pair["id"].as_u64().unwrap())
            .collect()
    };
    let all = ids("").await;
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted(), "the oldest first");
    let mut most_first = all.clone();
    most_first.reverse();
    assert_eq!(ids("?sort=bytes").await, most_first);
    assert_eq!(ids("?limit=2").await, all[..2]);
    assert_eq!(ids(&format!("?limit=2&after={}", all[1])).await, all[2..4]);
    assert!(ids("?older=1h").await.is_empty());
    assert!(ids("?addr=203.0.113.7").await.is_empty());
    assert!(ids("?identity=alice").await.is_empty());
    assert_eq!(ids("?relay=ssh&addr=&identity=").await, all);
}

#[tokio::test]
async fn pairs_are_cut_and_relays_paused_and_drained() {
    let mut rig = Rig::new();
    let server = rig.server(Access::Everything);
    let mut first = rig.pair().await;
    let _second = rig.pair().await;
    let id = rig.relay.sessions()[0].id();
    let cut = change(&server, &format!("DELETE /v1/pairs/{id}")).await;
    assert_eq!((cut.status, &cut.json()["cut"]), (200, &1.into()));
    first[0].read(&mut [0]).await.unwrap_err();
    until(|| rig.relay.live_pairs() == 1).await;
    let again = change(&server, &format!("DELETE /v1/pairs/{id}")).await;
    assert_eq!(again.status, 404);
    assert_eq!(get(&server, "/v1/ended").await.json()[0]["state"], "OC");

    assert_eq!(get(&server, "/ready").await.status, 200);
    assert_eq!(
        change(&server, "POST /v1/relays/ssh/pause").await.json()["state"],
        "paused"
    );
    assert!(rig.relay.is_paused());
    let ready = get(&server, "/ready").await;
    assert_eq!(
        (ready.status, &ready.json()["not_ready"]["ssh"]),
        (503, &"paused".into())
    );
    assert_eq!(
        change(&server, "POST /v1/relays/ssh/resume").await.json()["state"],
        "ready"
    );

    assert_eq!(
        change(&server, "DELETE /v1/pairs?relay=ssh").await.json()["cut"],
        1
    );
    assert_eq!(
        change(&server, "POST /v1/relays/ssh/drain").await.status,
        200
    );
    rig.relay.done().await.unwrap();
    assert_eq!(
        get(&server, "/ready?relay=ssh").await.json()["not_ready"]["ssh"],
        "ended"
    );
    assert_eq!(
        change(&server, "POST /v1/relays/ssh/drain").await.status,
        409
    );
    assert_eq!(get(&server, "/live").await.status, 200);
}

#[tokio::test]
async fn a_method_that_is_not_for_a_path_is_told_which_are() {
    let rig = Rig::new();
    let server = rig.server(Access::Everything);
    let answer = change(&server, "POST /v1/pairs").await;
    assert_eq!(answer.status, 405);
    let allow = answer.header("allow").unwrap();
    assert!(allow.contains("GET") && allow.contains("DELETE"), "{allow}");
}

#[tokio::test]
async fn events_come_as_they_happen_and_go_on_where_a_reader_left() {
    let mut rig = Rig::new();
    let server = rig.server(Access::Look);
    rig.refused().await;
    until(|| rig.relay.snapshot().a.refused == 1).await;
    let (mut client, io) = tokio::io::duplex(1024 * 1024);
    let serving = {
        let server = server.clone();
        tokio::spawn(async move { server.serve(io).await })
    };
    // From before the refusal.
    let request = b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut lines = BufReader::new(client).lines();
    let mut next = async |kind: &str| -> serde_json::Value {
        let wanted = format!("event: {kind}");
        let mut found = false;
        while let Some(line) = lines.next_line().await.unwrap() {
            found |= line == wanted;
            if found && let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
        panic!("no {kind}");
    };
    assert_eq!(next("refused").await["reason"], "token");
    assert_eq!(next("summary").await["refused"], 1);
    let pair = rig.pair().await;
    let joined = next("joined").await;
    drop(pair);
    let ended = next("ended").await;
    assert_eq!(
        (&ended["state"], &ended["session"]),
        (&"AF".into(), &joined["session"])
    );
    serving.abort();
}

#[tokio::test]
async fn the_router_is_mounted_in_one_line() {
    let rig = Rig::new();
    let app = Router::new().nest("/relay", rig.admin.router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let ask = async |path: &str| {
        let mut client = tokio::net::TcpStream::connect(addr).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
        );
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let page = ask("/relay").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("data-base=\"/relay/\"") && page.contains("action=\"/relay\""));
    assert!(ask("/relay/v1/status").await.contains("\"name\":\"ssh\""));
    assert!(
        ask("/relay/metrics")
            .await
            .contains("couplet_pairs_live{relay=\"ssh\",generation=\"current\"} 0")
    );
    serving.abort();
}

#[tokio::test]
async fn the_page_says_everything_without_a_script() {
    let mut rig = Rig::new();
    let server = rig.server(Access::Everything);
    rig.refused().await;
    drop(rig.pair().await);
    until(|| rig.relay.live_pairs() == 0).await;
    let _pair = rig.pair().await;
    let page = ask(&server, "GET /", &["Accept: text/html"]).await;
    for said in [
        "Live pairs",
        "ssh",
        "listen:9000",
        "dial:localhost:22",
        "token",
        "1 refused",
        "finished, A first",
        "2 in all",
        "5 B",
        "<noscript>",
    ] {
        assert!(page.body.contains(said), "{said}");
    }
    // Two pairs and a refusal are 3 KiB of it.
    assert!(page.body.len() <= 40 * 1024, "{}", page.body.len());
    let curl = get(&server, "/").await;
    assert!(curl.body.starts_with("couplet ") && curl.body.contains("listen:9000"));
    assert_eq!(
        curl.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
}

#[tokio::test]
async fn a_unix_socket_serves() {
    let rig = Rig::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let addr = UnixAddr::path(&path).unwrap();
    let listen = UnixListen::options().mode(0o600).bind(addr).await.unwrap();
    let serving = tokio::spawn(serve(listen, Server::new(&rig.admin, Access::Everything)));
    let mut client = tokio::net::UnixStream::connect(&path).await.unwrap();
    let request = b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("live\n"), "{answer}");
    serving.abort();
}
