use std::io;

use couplet_endpoint::{Conn, Origin, Replay, memory, memory::MemoryStream};
use couplet_layers::{Handshake, Identity};
use couplet_pairing::{PairError, Policy, dial_for_a};
use tokio::io::AsyncWriteExt;
use tower::{Service, ServiceExt, service_fn};

use super::*;
use crate::{
    proxy::{DialFailure, Login, ProxyError, RequestedTarget, Users},
    testing::{conn, read_all, read_some},
};

/// Writes this in pieces cut at `cut`, and ends the stream. A peer that has gone takes no more.
async fn say(peer: &mut MemoryStream, said: &[u8], cut: usize) {
    for piece in [&said[..cut], &said[cut..]] {
        let _ = peer.write_all(piece).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    let _ = peer.shutdown().await;
}

// ===== the client of a proxy =====

/// What comes of a proxy that says this; and what the proxy has heard.
async fn asks(
    connect: HttpConnect,
    target: &str,
    said: &[u8],
    cut: usize,
) -> (Result<Vec<u8>, ProxyError>, String) {
    let (mut proxy, io) = memory::connection(32 * 1024);
    let mut conn = Conn::new(io, Origin::Dialled);
    conn.info.target = Some(std::sync::Arc::new(target.parse().unwrap()));
    let asking = tokio::spawn(connect.handshake(conn));
    say(&mut proxy, said, cut).await;
    let outcome = match asking.await.unwrap() {
        Ok(mut conn) => Ok(read_all(&mut conn.io).await.0),
        Err(error) => Err(error),
    };
    let heard = read_all(&mut proxy).await.0;
    (outcome, String::from_utf8(heard).unwrap())
}

const REQUEST: &str = "CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\n\r\n";

#[tokio::test]
async fn an_answer_may_be_cut_anywhere_and_bytes_behind_it_are_kept() {
    for answer in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nVia: a\r\n\r\n",
        "HTTP/1.1 299 \r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
    ] {
        let said = [answer.as_bytes(), b"220 welcome\r\n"].concat();
        for cut in 0..=said.len() {
            let (outcome, heard) = asks(HttpConnect::new(), "example.org:80", &said, cut).await;
            assert_eq!(outcome.unwrap(), b"220 welcome\r\n", "{answer} {cut}");
            assert_eq!(heard, REQUEST);
        }
        for end in 0..answer.len() {
            let cut = &answer.as_bytes()[..end];
            let (outcome, _) = asks(HttpConnect::new(), "example.org:80", cut, 0).await;
            assert!(
                matches!(outcome, Err(ProxyError::Ended)),
                "{answer} {end}: {outcome:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_target_and_the_user_are_in_the_request() {
    let ok = b"HTTP/1.1 200 OK\r\n\r\n";
    for (target, head) in [
        (
            "[2001:db8::5]:22",
            "CONNECT [2001:db8::5]:22 HTTP/1.1\r\nHost: [2001:db8::5]:22\r\n\r\n",
        ),
        (
            "192.0.2.7:443",
            "CONNECT 192.0.2.7:443 HTTP/1.1\r\nHost: 192.0.2.7:443\r\n\r\n",
        ),
    ] {
        let (outcome, heard) = asks(HttpConnect::new(), target, ok, 0).await;
        outcome.unwrap();
        assert_eq!(heard, head);
    }
    let login = Login::new("me", "se:cret").unwrap();
    let (outcome, heard) = asks(HttpConnect::new().login(login), "example.org:80", ok, 0).await;
    outcome.unwrap();
    assert!(
        heard.contains("\r\nProxy-Authorization: Basic bWU6c2U6Y3JldA==\r\n"),
        "{heard}"
    );
    let (outcome, heard) = asks(HttpConnect::new(), "[fe80::1%3]:22", ok, 0).await;
    assert!(matches!(outcome, Err(ProxyError::Scoped(_))));
    assert_eq!(heard, "", "nothing is asked");
}

#[tokio::test]
async fn each_answer_of_a_proxy_has_a_text() {
    let login = || HttpConnect::new().login(Login::new("me", "secret").unwrap());
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(8192));
    let endless = "HTTP/1.1 100 Continue\r\n\r\n".repeat(400) + "HTTP/1.1 200 OK\r\n\r\n";
    for (connect, said, text, failure) in [
        (
            login(),
            "HTTP/1.1 403 Forbidden\r\n\r\n",
            "answers: 403 Forbidden",
            DialFailure::Denied,
        ),
        (
            login(),
            "HTTP/1.1 504 Gateway Time-out\r\n\r\n",
            "answers: 504",
            DialFailure::TimedOut,
        ),
        (
            login(),
            "HTTP/1.1 502\r\n\r\n",
            "answers: 502",
            DialFailure::Other,
        ),
        (
            login(),
            "HTTP/1.1 101 Switching\r\n\r\n",
            "answers: 101",
            DialFailure::Other,
        ),
        (
            login(),
            "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",
            "answers: 302",
            DialFailure::Other,
        ),
        (
            HttpConnect::new(),
            "HTTP/1.1 407 x\r\n\r\n",
            "asks for a user",
            DialFailure::Other,
        ),
        (
            login(),
            "HTTP/1.1 407 x\r\nProxy-Authenticate: bAsic realm=x\r\n\r\n",
            "refuses the user",
            DialFailure::Other,
        ),
        (
            login(),
            "HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM\r\n\r\n",
            "accepts neither",
            DialFailure::Other,
        ),
        (
            login(),
            "SSH-2.0-OpenSSH_9.2\r\n",
            "invalid answer of the proxy: no HTTP/1.1",
            DialFailure::Other,
        ),
        (login(), &long, "longer than 8192 bytes", DialFailure::Other),
        (
            login(),
            &endless,
            "longer than 8192 bytes",
            DialFailure::Other,
        ),
        (login(), "", "without an answer", DialFailure::Other),
    ] {
        let (outcome, _) = asks(connect, "example.org:80", said.as_bytes(), 0).await;
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.failure(), failure, "{said}");
    }
}

#[tokio::test]
async fn what_a_proxy_says_is_shown_escaped() {
    let said = b"HTTP/1.1 500 \x80\xff no\r\n\r\n";
    let (outcome, _) = asks(HttpConnect::new(), "example.org:80", said, 0).await;
    let shown = outcome.unwrap_err().to_string();
    assert!(shown.chars().all(|c| !c.is_control()), "{shown:?}");
}

// ===== the proxy =====

async fn said(
    accept: &HttpConnectAccept,
    said: &[u8],
    cut: usize,
) -> Result<Conn<Replay<MemoryStream>>, (HttpConnectRefused, String)> {
    let (mut client, io) = memory::connection(32 * 1024);
    let accepting = tokio::spawn(accept.handshake(conn(io)));
    say(&mut client, said, cut).await;
    match accepting.await.unwrap() {
        Ok(conn) => Ok(conn),
        Err(error) => {
            let heard = read_all(&mut client).await.0;
            Err((error, String::from_utf8(heard).unwrap()))
        }
    }
}

fn users() -> HttpConnectAccept {
    let users: Users = "me:se:cret\n".parse().unwrap();
    HttpConnectAccept::new().users(users)
}

#[tokio::test]
async fn a_request_may_be_cut_anywhere_and_bytes_behind_it_are_kept() {
    for (accept, request, target, user) in [
        (HttpConnectAccept::new(), REQUEST, "example.org:80", None),
        (
            HttpConnectAccept::new(),
            "CONNECT 192.0.2.7:443 HTTP/1.0\r\n\r\n",
            "192.0.2.7:443",
            None,
        ),
        (
            HttpConnectAccept::new(),
            "CONNECT [2001:db8::5]:22 HTTP/1.1\n\n",
            "[2001:db8::5]:22",
            None,
        ),
        (
            users(),
            "CONNECT a:1 HTTP/1.1\r\nproxy-authorization: bAsIc bWU6c2U6Y3JldA==\r\n\r\n",
            "a:1",
            Some("me"),
        ),
        (
            users(),
            "CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic bWU6c2U6Y3JldA\r\n\r\n",
            "a:1",
            Some("me"),
        ),
    ] {
        let all = [request.as_bytes(), b"early"].concat();
        for cut in 0..=all.len() {
            let mut conn = said(&accept, &all, cut).await.unwrap();
            let requested = RequestedTarget::of(&conn.info).unwrap();
            assert_eq!(requested.to_string(), target);
            assert_eq!(
                conn.info.extensions.get::<Identity>().map(Identity::name),
                user
            );
            assert_eq!(read_all(&mut conn.io).await.0, b"early");
        }
        for end in 0..request.len() {
            let (refused, heard) = said(&accept, &request.as_bytes()[..end], 0)
                .await
                .unwrap_err();
            assert!(matches!(refused, HttpConnectRefused::Ended), "{end}");
            assert_eq!(heard, "");
        }
    }
}

#[tokio::test]
async fn each_refusal_has_a_status() {
    let long = format!("CONNECT a:1 HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(8192));
    let many = format!("CONNECT a:1 HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(101));
    let open = HttpConnectAccept::new;
    for (accept, request, status) in [
        (open(), "GET http://example.org/ HTTP/1.1\r\n\r\n", 405),
        (open(), "connect a:1 HTTP/1.1\r\n\r\n", 405),
        (open(), "CONNECT a HTTP/1.1\r\n\r\n", 400),
        (open(), "CONNECT a: HTTP/1.1\r\n\r\n", 400),
        (open(), "CONNECT a:0 HTTP/1.1\r\n\r\n", 400),
        (open(), "CONNECT a:+1 HTTP/1.1\r\n\r\n", 400),
        (open(), "CONNECT a:65536 HTTP/1.1\r\n\r\n", 400),
        (open(), "CONNECT a/b:1 HTTP/1.1\r\n\r\n", 400),
        (open(), "CONNECT http://a:1 HTTP/1.1\r\n\r\n", 400),
        (open(), "CONNECT me@a:1 HTTP/1.1\r\n\r\n", 400),
        (open(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (open(), "\x05\x01\x00", 400),
        (open(), &long, 431),
        (open(), &many, 400),
        (users(), REQUEST, 407),
        (users(), "GET / HTTP/1.1\r\n\r\n", 407),
        (
            users(),
            "CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Digest x\r\n\r\n",
            407,
        ),
        (
            users(),
            "CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic\r\n\r\n",
            407,
        ),
        (
            users(),
            "CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic !\r\n\r\n",
            407,
        ),
        (
            users(),
            "CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic bWU=\r\n\r\n",
            407,
        ),
        (
            users(),
            "CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n",
            407,
        ),
        // Two of which one is right.
        (
            users(),
            "CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic bWU6c2U6Y3JldA==\r\n\
             Proxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n",
            407,
        ),
    ] {
        let (error, heard) = said(&accept, request.as_bytes(), 0).await.unwrap_err();
        assert!(
            heard.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {error}: {heard}"
        );
        assert!(heard.ends_with("Connection: close\r\n\r\n"), "{heard}");
        assert_eq!(heard.contains("Basic realm="), status == 407);
    }
}

// ===== the answer =====

#[tokio::test(start_paused = true)]
async fn the_client_is_answered_once_the_dial_has_failed() {
    for (kind, status) in [
        (io::ErrorKind::ConnectionRefused, "502 Bad Gateway"),
        (io::ErrorKind::PermissionDenied, "403 Forbidden"),
        (io::ErrorKind::TimedOut, "504 Gateway Timeout"),
    ] {
        let dial =
            service_fn(move |_| async move { Err::<Conn<MemoryStream>, _>(io::Error::from(kind)) });
        let (mut slot, _pairs) = dial_for_a(Policy::default(), dial);
        let (mut client, io) = memory::connection(1024);
        client.write_all(REQUEST.as_bytes()).await.unwrap();
        let conn = HttpConnectAccept::new().handshake(conn(io)).await.unwrap();
        let joining = tokio::spawn(slot.ready().await.unwrap().call(conn));
        let heard = read_all(&mut client).await.0;
        assert!(heard.starts_with(format!("HTTP/1.1 {status}\r\n").as_bytes()));
        drop(client);
        let joined = joining.await.unwrap();
        assert!(matches!(joined, Err(PairError::Asked { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_is_answered_once_the_dial_stands() {
    let (_server, io) = memory::connection(64);
    let mut io = Some(io);
    let dial = service_fn(move |_| {
        let io = io.take().unwrap();
        async move { Ok::<_, io::Error>(Conn::new(io, Origin::Dialled)) }
    });
    let (mut slot, _pairs) = dial_for_a(Policy::default(), dial);
    let (mut client, io) = memory::connection(1024);
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    let conn = HttpConnectAccept::new().handshake(conn(io)).await.unwrap();
    let _joining = tokio::spawn(slot.ready().await.unwrap().call(conn));
    let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
    assert_eq!(read_some(&mut client, answer.len()).await, answer);
}
