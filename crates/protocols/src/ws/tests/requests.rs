//! The handshakes.

use super::*;

/// What becomes of a request that is cut at `cut`, and what its client hears.
async fn judged(accept: &WsAccept, request: &str, cut: usize) -> (Result<bool, WsRefused>, String) {
    let (server, mut client) = memory::connection(64 * 1024);
    let (accept, request) = (accept.clone(), request.to_owned());
    let judging = tokio::spawn(async move {
        let accepted = accept.handshake(Conn::new(server, Origin::Accepted)).await;
        accepted.map(|conn| conn.io.is_exact())
    });
    for piece in [&request[..cut], &request[cut..]] {
        let _ = client.write_all(piece.as_bytes()).await;
        tokio::task::yield_now().await;
    }
    let answer = match client.read_u8().await {
        Ok(_) => format!("H{}", head(&mut client).await),
        Err(_) => String::new(),
    };
    drop(client);
    (judging.await.unwrap(), answer)
}

#[tokio::test]
async fn a_request_may_be_cut_anywhere() {
    for cut in 0..REQUEST.len() {
        let (judged, answer) = judged(&accept(), REQUEST, cut).await;
        assert!(!judged.unwrap(), "{cut}");
        // The example of RFC 6455, section 1.3.
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!answer.contains("Sec-WebSocket-Protocol"));
    }
}

#[tokio::test]
async fn a_request_that_is_not_right_is_refused_with_a_status() {
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(9000));
    let many = request(&"X: y\r\n".repeat(120));
    let without = |field: &str| {
        let lines = REQUEST.split_inclusive("\r\n");
        lines.filter(|line| !line.starts_with(field)).collect()
    };
    let changed = |from: &str, to: &str| REQUEST.replace(from, to);
    for (request, status, told) in [
        (changed("GET", "POST"), "405", "method is not GET"),
        (changed("HTTP/1.1", "HTTP/1.0"), "405", "method"),
        (
            changed("/relay", "/other"),
            "404",
            "path has no WebSocket: /other",
        ),
        (changed("/relay", "/relay/"), "404", "path has no WebSocket"),
        (without("Upgrade"), "426", "no WebSocket"),
        (without("Connection"), "426", "no WebSocket"),
        (without("Sec-WebSocket-Key"), "426", "no WebSocket"),
        (changed("Version: 13", "Version: 8"), "426", "no WebSocket"),
        (changed("ZSBub25jZQ", "n"), "426", "no WebSocket"),
        (
            changed("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=x"),
            "426",
            "no WebSocket",
        ),
        (
            request("Origin: https://evil.test\r\n"),
            "403",
            "page of a site",
        ),
        (request("Origin: null\r\n"), "403", "page of a site"),
        (changed("GET", "\u{1}"), "400", "invalid HTTP/1.1"),
        (many, "400", "invalid HTTP/1.1"),
        (long, "431", "longer than 8192"),
    ] {
        let (judged, answer) = judged(&accept(), &request, 0).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answer}"
        );
        let error = judged.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[tokio::test]
async fn a_query_counts_where_the_path_has_one() {
    for (path, target, is_right) in [
        ("/relay", "/relay?id=7", true),
        ("/relay?id=7", "/relay?id=7", true),
        ("/relay?id=7", "/relay?id=8", false),
        ("/relay?id=7", "/relay", false),
    ] {
        let accept = WsAccept::new(path.parse().unwrap());
        let request = REQUEST.replace("/relay", target);
        let (judged, _) = judged(&accept, &request, 0).await;
        assert_eq!(judged.is_ok(), is_right, "{path} {target}");
    }
}

#[tokio::test]
async fn sites_and_hosts_are_judged() {
    let site = WsOrigins::These(vec!["https://example.org".into()]);
    let accept = accept().origins(site).hosts(["example.org", "[::1]:80"]);
    let origin = |site: &str| request(&format!("Origin: {site}\r\n"));
    let host = |host: &str| REQUEST.replace("Host: example.org", &format!("Host: {host}"));
    for (request, is_right) in [
        (REQUEST.to_owned(), true),
        (origin("https://example.org"), true),
        (origin("HTTPS://Example.org"), true),
        (origin("http://example.org"), false),
        (origin("https://example.org.evil.test"), false),
        (
            origin("https://example.org\r\nOrigin: https://evil.test"),
            false,
        ),
        (host("EXAMPLE.org:8443"), true),
        (host("[::1]:80"), true),
        (host("[::1]"), false),
        (host("example.org.evil.test"), false),
        (host("example.org\r\nHost: evil.test"), false),
        (REQUEST.replace("Host: example.org\r\n", ""), false),
    ] {
        let (judged, answer) = judged(&accept, &request, 0).await;
        assert_eq!(judged.is_ok(), is_right, "{request}{answer}");
    }
    let anybody = WsAccept::new("/relay".parse().unwrap()).origins(WsOrigins::Any);
    let (judged, _) = judged(&anybody, &origin("https://evil.test"), 0).await;
    judged.unwrap();
}

#[tokio::test]
async fn a_protocol_that_was_offered_is_chosen() {
    for (offered, chosen) in [
        ("couplet.1", Some("couplet.1")),
        ("binary, couplet.1", Some("couplet.1")),
        ("mqtt\r\nSec-WebSocket-Protocol: binary", Some("binary")),
        ("mqtt", Some("mqtt")),
        (",", None),
    ] {
        let request = request(&format!("Sec-WebSocket-Protocol: {offered}\r\n"));
        let (judged, answer) = judged(&accept(), &request, 0).await;
        assert_eq!(judged.unwrap(), chosen == Some("couplet.1"));
        let field = chosen.map(|chosen| format!("Sec-WebSocket-Protocol: {chosen}\r\n"));
        let has = field.map_or(!answer.contains("WebSocket-Protocol"), |field| {
            answer.contains(&field)
        });
        assert!(has, "{offered}: {answer}");
    }
}

/// What comes of an answer, in which `KEY` is the right one.
async fn answered(answer: &str) -> (Result<bool, WsNotAccepted>, String) {
    let (mut server, client) = memory::connection(64 * 1024);
    let mut conn = Conn::new(client, Origin::Dialled);
    conn.info.target = Some(std::sync::Arc::new("example.org:8080".parse().unwrap()));
    let connecting = tokio::spawn(connect().handshake(conn));
    let request = head(&mut server).await;
    let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap();
    let key = key.split("\r\n").next().unwrap();
    let right = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let answer = answer.replace("KEY", &right).replace('\n', "\r\n");
    server.write_all(answer.as_bytes()).await.unwrap();
    drop(server);
    let connected = connecting.await.unwrap();
    (connected.map(|conn| conn.io.is_exact()), request)
}

#[tokio::test]
async fn an_answer_is_checked() {
    let right = "HTTP/1.1 101 Fine\nUpgrade: WebSocket\nConnection: upgrade\n\
        Sec-WebSocket-Accept: KEY\nSec-WebSocket-Protocol: couplet.1\n\n";
    let (is_exact, request) = answered(right).await;
    assert!(is_exact.unwrap());
    assert!(request.starts_with("GET /relay HTTP/1.1\r\nHost: example.org:8080\r\n"));
    let changed = |from: &str, to: &str| right.replace(from, to);
    for (answer, expected) in [
        (
            changed("Sec-WebSocket-Protocol: couplet.1\n", ""),
            Ok(false),
        ),
        (changed("couplet.1", "binary"), Ok(false)),
        (format!("HTTP/1.1 103 Early Hints\n\n{right}"), Ok(true)),
        (
            changed("couplet.1", "binary, couplet.1"),
            Err("Sec-WebSocket-Protocol"),
        ),
        (changed("couplet.1", "mqtt"), Err("Sec-WebSocket-Protocol")),
        (
            changed("KEY", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            Err("Sec-WebSocket-Accept"),
        ),
        (changed("Connection: upgrade\n", ""), Err("Upgrade")),
        (
            changed("Upgrade: WebSocket", "Upgrade: h2c"),
            Err("Upgrade"),
        ),
        (
            changed(
                "Sec-WebSocket-P",
                "Sec-WebSocket-Extensions: x\nSec-WebSocket-P",
            ),
            Err("Extensions"),
        ),
        (
            "HTTP/1.1 403 Forbidden\nContent-Length: 2\n\nno".to_owned(),
            Err("403 Forbidden"),
        ),
        ("HTTP/1.1 200\n\n".to_owned(), Err("200")),
        ("SSH-2.0-x\n".to_owned(), Err("no HTTP/1.1")),
        (
            format!("HTTP/1.1 101 {}\n\n", "x".repeat(9000)),
            Err("longer than"),
        ),
        ("HTTP/1.1 101 Fi".to_owned(), Err("failed")),
    ] {
        match (answered(&answer).await.0, expected) {
            (Ok(is_exact), Ok(expected)) => assert_eq!(is_exact, expected, "{answer}"),
            (Err(error), Err(expected)) => {
                let error = error.to_string();
                assert!(error.contains(expected), "{answer}: {error}");
            }
            (other, _) => panic!("{answer}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_follows_the_heads_is_not_lost() {
    let (server, mut client) = memory::connection(64 * 1024);
    let mut bytes = REQUEST.as_bytes().to_vec();
    bytes.extend(masked(0x82, b"hello"));
    client.write_all(&bytes).await.unwrap();
    let server = accept()
        .handshake(Conn::new(server, Origin::Accepted))
        .await;
    let mut heard = [0; 5];
    server.unwrap().io.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
}

#[test]
fn a_path_is_one() {
    for path in ["/", "/relay", "/a/b?c=d&e=%20"] {
        let parsed: WsPath = path.parse().unwrap();
        assert_eq!(parsed.to_string(), path);
    }
    for wrong in [
        "",
        "relay",
        "/a b",
        "/a\r\nX: y",
        "/#a",
        "/ä",
        &"/x".repeat(600),
    ] {
        wrong.parse::<WsPath>().unwrap_err();
    }
}
