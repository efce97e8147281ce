//! Requests that must not be answered, each as bytes.

mod helper;

use couplet_admin::{Access, Server};
use couplet_connector::{Listen, serve};
use helper::*;

/// The head of a request, and the status of the answer.
const LOOKS: &[(&str, u16)] = &[
    // As curl and a browser ask.
    ("GET /v1/status HTTP/1.1\r\nHost: localhost\r\n", 200),
    ("GET /v1/status HTTP/1.1\r\nHost: localhost:9180\r\n", 200),
    ("GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1:9180\r\n", 200),
    ("GET /v1/status HTTP/1.1\r\nHost: [::1]:9180\r\n", 200),
    (
        "GET /v1/status HTTP/1.1\r\nHost: LOCALHOST\r\nSec-Fetch-Site: none\r\n",
        200,
    ),
    (
        "GET /v1/status HTTP/1.1\r\nHost: localhost:9180\r\nOrigin: http://localhost:9180\r\nSec-Fetch-Site: \
         same-origin\r\n",
        200,
    ),
    (
        "GET /v1/status HTTP/1.1\r\nHost: relay.example.org\r\n",
        200,
    ),
    // DNS rebinding: a name of the attacker's that has our address.
    ("GET /v1/status HTTP/1.1\r\nHost: evil.example\r\n", 421),
    (
        "GET /v1/status HTTP/1.1\r\nHost: localhost.evil.example\r\n",
        421,
    ),
    (
        "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1.evil.example:9180\r\n",
        421,
    ),
    (
        "GET /v1/status HTTP/1.1\r\nHost: evil.example#localhost\r\n",
        421,
    ),
    (
        "GET /v1/status HTTP/1.1\r\nHost: localhost@evil.example\r\n",
        421,
    ),
    (
        "GET http://evil.example/v1/status HTTP/1.1\r\nHost: localhost\r\n",
        421,
    ),
    ("GET /live HTTP/1.1\r\nHost: evil.example\r\n", 421),
    ("GET /nowhere HTTP/1.1\r\nHost: evil.example\r\n", 421),
    // None, or two.
    ("GET /v1/status HTTP/1.1\r\n", 400),
    (
        "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
        400,
    ),
    ("GET /v1/status HTTP/1.1\r\nHost: \r\n", 421),
    // A page of another origin.
    (
        "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n",
        403,
    ),
    (
        "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n",
        403,
    ),
    (
        "GET /v1/status HTTP/1.1\r\nHost: localhost:9180\r\nOrigin: http://localhost:9181\r\n",
        403,
    ),
    (
        "GET /v1/status HTTP/1.1\r\nHost: localhost:9180\r\nOrigin: http://localhost\r\n",
        403,
    ),
    (
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n",
        403,
    ),
    (
        "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-site\r\n",
        403,
    ),
    (
        "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n",
        403,
    ),
    // A preflight gets no permission.
    (
        "OPTIONS /v1/pairs HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\
         Access-Control-Request-Method: DELETE\r\nAccess-Control-Request-Headers: couplet-admin\r\n",
        403,
    ),
    ("OPTIONS /v1/pairs HTTP/1.1\r\nHost: localhost\r\n", 403),
    // What is no request.
    ("GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n", 404),
    (
        "GET /v1/relays/..%2f..%2fetc HTTP/1.1\r\nHost: localhost\r\n",
        404,
    ),
    ("GET /v1/relays/%ff HTTP/1.1\r\nHost: localhost\r\n", 400),
    ("GET /v1/pairs?limit=0 HTTP/1.1\r\nHost: localhost\r\n", 400),
    (
        "GET /v1/pairs?limit=99999999999999999999 HTTP/1.1\r\nHost: localhost\r\n",
        400,
    ),
    (
        "GET /v1/pairs?older=-1s HTTP/1.1\r\nHost: localhost\r\n",
        400,
    ),
    (
        "GET /v1/pairs?secret=1 HTTP/1.1\r\nHost: localhost\r\n",
        400,
    ),
    ("GET /v1/pairs/x HTTP/1.1\r\nHost: localhost\r\n", 400),
    ("GET /v1/pairs/4711 HTTP/1.1\r\nHost: localhost\r\n", 404),
    (
        "POST /v1/status HTTP/1.1\r\nHost: localhost\r\nCouplet-Admin: 1\r\nContent-Type: application/json\r\n",
        405,
    ),
    ("BREW /v1/status HTTP/1.1\r\nHost: localhost\r\n", 403),
    // A client of another protocol: `Host` would be in its body.
    ("EHLO evil.example\r\n", 400),
];

/// Changes, all of pair 1.
const CHANGES: &[(&str, u16)] = &[
    // A form of a page, and an image.
    (
        "POST /v1/relays/ssh/pause HTTP/1.1\r\nHost: localhost\r\n",
        403,
    ),
    (
        "POST /v1/relays/ssh/pause HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        403,
    ),
    (
        "GET /v1/relays/ssh/pause HTTP/1.1\r\nHost: localhost\r\n",
        405,
    ),
    (
        "DELETE /v1/pairs?all=true HTTP/1.1\r\nHost: localhost\r\n",
        403,
    ),
    (
        "DELETE /v1/pairs?all=true HTTP/1.1\r\nHost: localhost\r\nCouplet-Admin: 1\r\nContent-Type: text/plain\r\n",
        415,
    ),
    (
        "DELETE /v1/pairs?all=true HTTP/1.1\r\nHost: localhost\r\nCouplet-Admin: 1\r\n",
        415,
    ),
    (
        "DELETE /v1/pairs?all=true HTTP/1.1\r\nHost: localhost\r\nCouplet-Admin: 0\r\nContent-Type: \
         application/json\r\n",
        403,
    ),
    (
        "DELETE /v1/pairs?all=true HTTP/1.1\r\nHost: evil.example\r\nCouplet-Admin: 1\r\nContent-Type: \
         application/json\r\n",
        421,
    ),
    (
        "DELETE /v1/pairs?all=true HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nCouplet-Admin: \
         1\r\nContent-Type: application/json\r\n",
        403,
    ),
    // No filter, or one that does not choose.
    (
        "DELETE /v1/pairs HTTP/1.1\r\nHost: localhost\r\nCouplet-Admin: 1\r\nContent-Type: application/json\r\n",
        400,
    ),
    (
        "DELETE /v1/pairs?limit=1 HTTP/1.1\r\nHost: localhost\r\nCouplet-Admin: 1\r\nContent-Type: \
         application/json\r\n",
        400,
    ),
    (
        "DELETE /v1/pairs?relay= HTTP/1.1\r\nHost: localhost\r\nCouplet-Admin: 1\r\nContent-Type: \
         application/json\r\n",
        400,
    ),
    (
        "DELETE /v1/pairs?relay=other HTTP/1.1\r\nHost: localhost\r\nCouplet-Admin: 1\r\nContent-Type: \
         application/json\r\n",
        404,
    ),
];

const NO_CHANGE: &str = "DELETE /v1/pairs?all=true HTTP/1.1\r\nHost: localhost\r\nCouplet-Admin: 1\r\nContent-Type: application/json\r\n";

async fn attack(server: &Server, head: &str) -> Answer {
    let answer = send(server, &format!("{head}Connection: close\r\n\r\n")).await;
    assert_eq!(answer.header("access-control-allow-origin"), None, "{head}");
    if answer.status != 0 && answer.header("content-security-policy").is_some() {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    if answer.status >= 400 && !answer.body.is_empty() {
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{head}"
        );
        assert_eq!(answer.json()["status"], answer.status);
        assert!(
            !answer.body.contains("ssh"),
            "an error tells nothing: {answer:?}"
        );
    }
    answer
}

#[tokio::test]
async fn a_request_that_may_be_a_foreign_pages_is_told_nothing() {
    let rig = Rig::new();
    let admin = rig.admin.clone().host("relay.example.org");
    let server = Server::new(&admin, Access::Everything);
    let mut wrong = Vec::new();
    for (head, expected) in LOOKS {
        let answer = attack(&server, head).await;
        if answer.status != *expected {
            wrong.push((head, answer.status, *expected));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_change_needs_more_than_a_form_of_a_page_can_send() {
    let mut rig = Rig::new();
    let _pair = rig.pair().await;
    let server = rig.server(Access::Everything);
    let mut wrong = Vec::new();
    for (head, expected) in CHANGES {
        let answer = send(&server, &format!("{head}Connection: close\r\n\r\n")).await;
        if answer.status != *expected {
            wrong.push((head, answer.status, *expected));
        }
        assert!(!rig.relay.is_paused(), "{head}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(rig.relay.live_pairs(), 1);
}

#[tokio::test]
async fn an_address_that_only_looks_changes_nothing() {
    let mut rig = Rig::new();
    let _pair = rig.pair().await;
    let server = rig.server(Access::Look);
    assert_eq!(attack(&server, NO_CHANGE).await.status, 403);
    for path in ["pause", "resume", "drain"] {
        let answer = change(&server, &format!("POST /v1/relays/ssh/{path}")).await;
        assert_eq!(answer.status, 403, "{path}");
    }
    assert_eq!(rig.relay.live_pairs(), 1);
    assert!(!rig.relay.is_paused() && !rig.relay.is_draining());
    assert_eq!(get(&server, "/v1/pairs").await.status, 200);
    let page = ask(&server, "GET /", &["Accept: text/html"]).await;
    assert!(!page.body.contains("data-delete=") && !page.body.contains("data-post="));
}

#[tokio::test]
async fn a_token_is_needed_for_all_but_a_sign_of_life() {
    let mut rig = Rig::new();
    let _pair = rig.pair().await;
    let server = rig.server(Access::Token("correct horse".into()));
    for path in [
        "/",
        "/metrics",
        "/ready",
        "/v1/status",
        "/v1/events",
        "/page",
        "/nowhere",
    ] {
        let answer = get(&server, path).await;
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let wrong = ask(
            &server,
            &format!("GET {path}"),
            &["Authorization: Bearer wrong"],
        )
        .await;
        assert_eq!(wrong.status, 401, "{path}");
    }
    assert_eq!(get(&server, "/live").await.status, 200);
    let token = "Authorization: Bearer correct horse";
    assert_eq!(ask(&server, "GET /v1/status", &[token]).await.status, 200);
    assert_eq!(
        change(&server, "DELETE /v1/pairs?all=true").await.status,
        401
    );
    assert_eq!(rig.relay.live_pairs(), 1);
    let headers = [token, "Couplet-Admin: 1", "Content-Type: application/json"];
    let cut = ask(&server, "DELETE /v1/pairs?all=true", &headers).await;
    assert_eq!((cut.status, &cut.json()["cut"]), (200, &1.into()));
    until(|| rig.relay.live_pairs() == 0).await;
}

#[tokio::test]
async fn streams_are_bounded() {
    let rig = Rig::new();
    let server = rig.server(Access::Look);
    let mut open = Vec::new();
    for _ in 0..8 {
        let (mut client, io) = tokio::io::duplex(1024 * 1024);
        let server = server.clone();
        open.push(tokio::spawn(async move { server.serve(io).await }));
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let request = b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut status = [0; 12];
        client.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        // Kept open.
        Box::leak(Box::new(client));
    }
    assert_eq!(get(&server, "/page").await.status, 503);
    assert_eq!(get(&server, "/v1/status").await.status, 200);
    for stream in open {
        stream.abort();
        let _ = stream.await;
    }
    assert_eq!(get(&server, "/live").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_waited_for_ten_seconds() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let rig = Rig::new();
    let server = rig.server(Access::Look);
    let (mut client, io) = tokio::io::duplex(1024);
    let begun = tokio::time::Instant::now();
    let serving = tokio::spawn(async move { server.serve(io).await });
    client
        .write_all(b"GET /v1/status HTTP/1.1\r\nHost: loc")
        .await
        .unwrap();
    serving.await.unwrap().unwrap_err();
    let _ = client.read_to_end(&mut Vec::new()).await;
    let waited = begun.elapsed().as_secs();
    assert!((10..12).contains(&waited), "{waited}");
}

#[tokio::test]
async fn silent_clients_of_one_address_keep_no_other_out() {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpSocket, TcpStream},
    };

    let rig = Rig::new();
    let listen = Listen::bind("127.0.0.1:0").await.unwrap();
    let addr = listen.local_addr();
    let serving = tokio::spawn(serve(listen, rig.server(Access::Look)));
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(TcpStream::connect(addr).await.unwrap());
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(addr).await.unwrap();
    let ask = b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    other.write_all(ask).await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The youngest still has its time, so that the answer did not wait until the silent ones were ended.
    let mut youngest = silent.pop().unwrap().into_std().unwrap();
    let read = std::io::Read::read(&mut youngest, &mut [0]);
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    // The oldest has given way.
    assert!(matches!(silent[0].read(&mut [0]).await, Ok(0) | Err(_)));
    serving.abort();
}
