//! The proxies whose headers are believed.

use super::*;

#[tokio::test]
async fn a_header_from_an_untrusted_network_is_never_believed() {
    for peer in ["203.0.113.9:1", "[2001:db8::9]:1", "[::ffff:203.0.113.9]:1"] {
        for header in [V1.to_vec(), v2(0x21, 0x11, &[TCP4])] {
            let (mut theirs, io) = memory::connection(256);
            theirs.write_all(&header).await.unwrap();
            drop(theirs);
            let conn = accepted().handshake(from(io, peer)).await.unwrap();
            assert_eq!(conn.info.peer, Some(addr(peer)));
            assert!(conn.info.extensions.get::<Proxied>().is_none());
            assert_eq!(rest(conn).await, header);

            let (mut theirs, io) = memory::connection(256);
            theirs.write_all(&header).await.unwrap();
            let refused = required().handshake(from(io, peer)).await.unwrap_err();
            assert!(matches!(refused, ProxyHeaderRefused::Untrusted));
        }
    }
    // Nor from one without an address.
    let (_peer, io) = memory::connection(256);
    let refused = required().handshake(conn(io)).await.unwrap_err();
    assert!(matches!(refused, ProxyHeaderRefused::Untrusted));
}

#[tokio::test]
async fn a_trusted_ipv4_proxy_may_connect_to_a_dual_stack_listener() {
    let (mut theirs, io) = memory::connection(256);
    theirs.write_all(V1).await.unwrap();
    let conn = required().handshake(from(io, "[::ffff:10.1.2.3]:5"));
    assert_eq!(conn.await.unwrap().info.peer, Some(addr("192.0.2.1:51234")));
}

#[tokio::test]
async fn a_client_that_need_not_send_a_header_goes_on_without() {
    for sent in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"PROXY",
        b"PROXYING",
        b"\r\n",
        b"P",
        b"",
    ] {
        let conn = expect(accepted(), &[sent]).await.unwrap();
        assert_eq!(conn.info.peer, Some(addr("10.0.0.1:40000")));
        assert!(conn.info.extensions.get::<Proxied>().is_none());
        assert_eq!(rest(conn).await, sent);
    }
    for sent in [&b"GET / HTTP/1.1\r\n"[..], b"PROXYING"] {
        let refused = expect(required(), &[sent]).await.unwrap_err();
        assert!(matches!(refused, ProxyHeaderRefused::Missing));
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_goes_on_after_the_wait_for_an_optional_header() {
    for sent in [&b""[..], b"\r\n", b"PROXY"] {
        let (mut theirs, io) = memory::connection(256);
        theirs.write_all(sent).await.unwrap();
        let accepted = accepted().wait(Duration::from_secs(2));
        let mut shaking = task::spawn(accepted.handshake(from(io, "10.0.0.1:40000")));
        assert_pending!(shaking.poll());
        tokio::time::advance(Duration::from_millis(1999)).await;
        assert_pending!(shaking.poll());
        tokio::time::advance(Duration::from_millis(2)).await;
        let conn = assert_ready!(shaking.poll()).unwrap();
        // It comes too late to be believed.
        theirs.write_all(&V1[sent.len()..]).await.unwrap();
        drop(theirs);
        assert_eq!(conn.info.peer, Some(addr("10.0.0.1:40000")));
        assert_eq!(rest(conn).await, [sent, &V1[sent.len()..]].concat());
    }
}

#[tokio::test(start_paused = true)]
async fn an_optional_header_may_be_waited_for_without_end() {
    let (_theirs, io) = memory::connection(256);
    let accepted = accepted().wait(Duration::MAX);
    let mut shaking = task::spawn(accepted.handshake(from(io, "10.0.0.1:40000")));
    assert_pending!(shaking.poll());
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_pending!(shaking.poll());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_began_a_header_must_finish_in_time() {
    for handshake in [required(), accepted()] {
        for sent in [&V1[..20], &v2(0x21, 0x11, &[TCP4])[..20]] {
            let (mut theirs, io) = memory::connection(256);
            theirs.write_all(sent).await.unwrap();
            let pass = service_fn(async |conn| Ok::<_, Infallible>(conn));
            let service = HandshakeLayer::new(handshake.clone()).layer(pass);
            let conn = from(io, "10.0.0.1:40000");
            let refused: Result<Conn<Replay<MemoryStream>>, _> = service.oneshot(conn).await;
            let error: Box<HandshakeError> = refused.unwrap_err().downcast().unwrap();
            assert!(matches!(*error, HandshakeError::Timeout(_)));
        }
    }
}

#[tokio::test]
async fn a_proxy_on_a_unix_socket_is_trusted_by_its_user() {
    for (trusted, is_trusted) in [
        ("uid:7", true),
        ("gid:8", true),
        ("uid:8+10.0.0.0/8", false),
    ] {
        let (mut theirs, io) = memory::connection(256);
        theirs.write_all(V1).await.unwrap();
        let mut conn = conn(io);
        conn.info = crate::testing::of_user(7, 8);
        let expect = ExpectProxyHeader::required(trusted.parse().unwrap());
        match expect.handshake(conn).await {
            Ok(conn) => {
                assert!(is_trusted);
                assert_eq!(conn.info.peer, Some(addr("192.0.2.1:51234")));
            }
            Err(error) => {
                assert!(!is_trusted);
                assert!(matches!(error, ProxyHeaderRefused::Untrusted));
            }
        }
    }
}
