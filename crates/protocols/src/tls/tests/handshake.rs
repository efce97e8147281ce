//! How a handshake comes about, and how not.

use std::{convert::Infallible, time::Duration};

use couplet_endpoint::{BoxError, find_cause};
use couplet_layers::{HandshakeError, HandshakeLayer, Identity};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_test::task;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::*;
use crate::testing::{chain, conn, read_all, read_some};

/// What becomes of a client that sends this, and then ends its stream.
async fn hears(accept: &TlsAccept, script: &[u8]) -> (TlsError, Vec<u8>) {
    let (mut peer, io) = memory::connection(64 * 1024);
    peer.write_all(script).await.unwrap();
    peer.shutdown().await.unwrap();
    let error = accept.handshake(conn(io)).await.unwrap_err();
    (error, read_all(&mut peer).await.0)
}

/// What a client begins with.
async fn client_hello(ca: &Ca) -> Vec<u8> {
    let (io, mut peer) = memory::connection(64 * 1024);
    let mut connecting = task::spawn(ca.connect().handshake(conn(io)));
    assert!(connecting.poll().is_pending());
    let mut hello = vec![0; 64 * 1024];
    let n = peer.read(&mut hello).await.unwrap();
    hello.truncate(n);
    hello
}

#[tokio::test]
async fn a_handshake_may_come_in_small_pieces() {
    let ca = Ca::new();
    // Not smaller: the one sends six bytes before it reads, in the middle of the other's flight.
    for buffer in [6, 7, 16, 100] {
        let (server, client) =
            shake_over(buffer, &ca.accept_without_tickets(), &ca.connect()).await;
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        let saying = async {
            client.io.write_all(b"hello").await.unwrap();
            client.io.flush().await.unwrap();
        };
        let ((), heard) = tokio::join!(saying, read_some(&mut server.io, 5));
        assert_eq!(heard, b"hello");
    }
}

#[tokio::test]
async fn both_peers_know_version_and_protocol() {
    let ca = Ca::new();
    let config = TlsAcceptConfig::new(ca.server(&["server.test"])).alpn(["b", "a"]);
    let accept = TlsAccept::new(config.build().unwrap());
    let config = TlsConnectConfig::with_roots(ca.roots()).alpn(["a", "c"]);
    let connect = connect_to(config, "server.test");
    let (server, client) = shake(&accept, &connect).await;
    let (server, client) = (server.unwrap(), client.unwrap());
    for conn in [&server, &client] {
        assert_eq!(info(conn).version(), Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(info(conn).alpn(), Some(&b"a"[..]));
        assert_eq!(info(conn).server_name(), Some("server.test"));
    }
    assert_eq!(info(&server).fingerprint(), None);
    assert!(info(&client).fingerprint().is_some());
    let shown = info(&server).to_string();
    assert_eq!(shown, "TLS 1.3, name server.test, ALPN a");
    assert!(server.info.extensions.get::<Identity>().is_none());
}

#[tokio::test]
async fn bytes_that_are_not_tls_are_named() {
    let accept = Ca::new().accept(&["server.test"]);
    for garbage in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"SSH-2.0-x\r\n"] {
        let (error, heard) = hears(&accept, garbage).await;
        assert!(matches!(error, TlsError::NotTls), "{error:?}");
        assert_eq!(heard.first(), Some(&21), "an alert");
    }

    let (mut peer, io) = memory::connection(1024);
    peer.write_all(b"220 mail ESMTP\r\n").await.unwrap();
    let error = Ca::new().connect().handshake(conn(io)).await.unwrap_err();
    assert!(matches!(error, TlsError::NotTls), "{error:?}");
}

#[tokio::test]
async fn an_end_within_the_handshake_is_named_wherever_it_comes() {
    let ca = Ca::new();
    let hello = client_hello(&ca).await;
    let accept = ca.accept(&["server.test"]);
    for cut in 0..=hello.len() {
        let (error, _) = hears(&accept, &hello[..cut]).await;
        assert!(matches!(error, TlsError::Ended), "cut at {cut}: {error:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_is_refused(mut garbage: Vec<u8>, flips: Vec<(u16, u8)>, begin: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let ca = Ca::new();
            if begin {
                let hello = client_hello(&ca).await;
                garbage.splice(0..0, hello);
                for (at, flip) in flips {
                    let at = usize::from(at) % garbage.len();
                    garbage[at] ^= flip;
                }
            }
            hears(&ca.accept(&["server.test"]), &garbage).await;
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_refused_at_the_deadline() {
    let ca = Ca::new();
    let hello = client_hello(&ca).await;
    for len in [0, 1, hello.len() - 1, hello.len()] {
        let (mut peer, io) = memory::connection(64 * 1024);
        peer.write_all(&hello[..len]).await.unwrap();
        let pass = service_fn(async |_| Ok::<_, Infallible>(()));
        let service = HandshakeLayer::new(ca.accept(&["server.test"])).layer(pass);
        let error: BoxError = service.oneshot(conn(io)).await.unwrap_err();
        let time = Duration::from_secs(10);
        let cause = find_cause(&*error);
        assert!(matches!(cause, Some(HandshakeError::Timeout(after)) if *after == time));
    }
}

#[tokio::test]
async fn a_protocol_of_one_peer_alone_is_not_chosen() {
    let ca = Ca::new();
    let config = TlsAcceptConfig::new(ca.server(&["server.test"])).alpn(["h2"]);
    let accept = TlsAccept::new(config.build().unwrap());
    let connect = TlsConnectConfig::with_roots(ca.roots()).alpn(["ftp"]);
    let (server, client) = shake(&accept, &connect_to(connect, "server.test")).await;
    for error in [server.unwrap_err(), client.unwrap_err()] {
        assert!(matches!(error, TlsError::NoCommonProtocol), "{error:?}");
    }

    // A client that offers none is let in.
    let (server, _) = shake(&accept, &ca.connect()).await;
    assert_eq!(info(&server.unwrap()).alpn(), None);
}

#[tokio::test]
async fn a_client_that_comes_again_resumes_its_session() {
    use rustls::HandshakeKind::{Full, Resumed};

    let ca = Ca::new();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let accept = ca.accept(&["server.test"]);
        let config = rustls::ClientConfig::builder_with_provider(default_provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(ca.roots())
            .with_no_client_auth();
        let name = "server.test".try_into().unwrap();
        let connect = TlsConnect::new(Arc::new(config)).server_name(name);
        // More than rustls remembers sessions of by default.
        for (expected, others) in [(Full, 150), (Resumed, 0), (Resumed, 0)] {
            let (server, client) = shake(&accept, &connect).await;
            let (mut server, mut client) = (server.unwrap(), client.unwrap());
            for conn in [&server, &client] {
                assert_eq!(conn.io.session().handshake_kind(), Some(expected));
                assert_eq!(info(conn).server_name(), Some("server.test"));
            }
            // The client reads the tickets before that.
            server.io.write_all(b"x").await.unwrap();
            server.io.flush().await.unwrap();
            assert_eq!(client.io.read_u8().await.unwrap(), b'x');
            for _ in 0..others {
                let (server, _client) = shake(&accept, &ca.connect()).await;
                server.unwrap();
            }
        }
        accept.replace(ca.accept(&["server.test"]).config());
        let (server, client) = shake(&accept, &connect).await;
        assert_eq!(server.unwrap().io.session().handshake_kind(), Some(Full));
        client.unwrap();
    }
}

#[tokio::test]
async fn aes_128_is_preferred_by_both_ends_and_a_client_without_it_is_served() {
    use rustls::{CipherSuite, crypto::ring};

    let ca = Ca::new();
    let theirs = ring::default_provider();
    let suites = |provider: &CryptoProvider| {
        let suites = provider.cipher_suites.iter();
        suites.map(|suite| suite.suite()).collect::<Vec<_>>()
    };
    // What this test is about: others begin with AES-256.
    let aes_256 = CipherSuite::TLS13_AES_256_GCM_SHA384;
    assert_eq!(suites(&theirs)[0], aes_256);
    let mut only_256 = theirs.clone();
    only_256
        .cipher_suites
        .retain(|suite| suite.suite() == aes_256);
    let aes_128 = CipherSuite::TLS13_AES_128_GCM_SHA256;

    let accept = ca.accept(&["server.test"]);
    for (client, expected) in [(theirs.clone(), aes_128), (only_256, aes_256)] {
        let config = TlsConnectConfig::with_roots(ca.roots()).provider(Arc::new(client));
        let (server, client) = shake(&accept, &connect_to(config, "server.test")).await;
        assert_eq!(info(&server.unwrap()).cipher_suite(), Some(expected));
        client.unwrap();
    }
    // A server that follows the client's order.
    let config = TlsAcceptConfig::new(ca.server(&["server.test"])).provider(Arc::new(theirs));
    let accept = TlsAccept::new(config.build().unwrap());
    let (server, client) = shake(&accept, &ca.connect()).await;
    assert_eq!(info(&server.unwrap()).cipher_suite(), Some(aes_128));
    client.unwrap();
}

#[tokio::test]
async fn certificates_are_replaced_for_later_clients() {
    let ca = Ca::new();
    let accept = ca.accept(&["server.test"]);
    let connect = ca.connect();
    let (server, client) = shake(&accept, &connect).await;
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    let before = info(&client).fingerprint();

    let renewed = TlsAcceptConfig::new(ca.server(&["server.test"]));
    accept.clone().replace(renewed.build().unwrap());
    let (_, renewed) = shake(&accept, &connect).await;
    assert_ne!(info(&renewed.unwrap()).fingerprint(), before);

    client.io.write_all(b"still here").await.unwrap();
    client.io.shutdown().await.unwrap();
    assert_eq!(read_all(&mut server.io).await.0, b"still here");
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let ca = Ca::new();
    let (certificate, key) = ca.pems(&named(&["server.test"]));
    let certificate = TlsCertificate::from_pems(certificate, &key).unwrap();
    let accept = TlsAcceptConfig::new(certificate.clone());
    for shown in [
        format!("{certificate:?}"),
        format!("{accept:?}"),
        format!("{:?}", ca.accept(&["x"])),
        format!("{:?}", ca.connect()),
    ] {
        assert!(shown.len() < 300, "{shown}");
    }
}

#[tokio::test]
async fn a_reset_within_the_handshake_is_passed_on() {
    let (mut peer, io) = memory::connection(1024);
    couplet_endpoint::Io::abort(&mut peer);
    drop(peer);
    let accept = Ca::new().accept(&["server.test"]);
    let error = accept.handshake(conn(io)).await.unwrap_err();
    assert_eq!(chain(&error), "connection failed: connection reset");
}
