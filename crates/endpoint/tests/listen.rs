//! Listening, with real sockets.

use std::{
    error::Error,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use couplet_endpoint::{
    Conn, Endpoint, KeepAlive, Listen, ListenAddr, Origin, SocketOptions, is_caused_by,
};
use futures::StreamExt;
use socket2::SockRef;

/// A client of the listener, and the connection that it accepts.
async fn joined(listen: &mut Listen, to: IpAddr) -> (TcpStream, Conn<couplet_endpoint::TcpIo>) {
    let client = TcpStream::connect((to, listen.local_addr().port())).expect("it listens");
    let conn = listen.next().await.expect("it has no end");
    (client, conn.expect("nothing went wrong"))
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn a_connection_knows_both_its_ends() {
    for addr in ["0", "0.0.0.0:0", "*:0"] {
        let mut listen = Listen::bind(addr).await.unwrap();
        let (client, conn) = joined(&mut listen, LOOPBACK).await;
        assert_eq!(conn.info.peer, Some(client.local_addr().unwrap()), "{addr}");
        assert_eq!(conn.info.local, Some(client.peer_addr().unwrap()), "{addr}");
        assert_eq!(conn.info.origin, Origin::Accepted);
        assert_eq!(
            Endpoint::local_addr(&listen),
            Some(listen.local_addr().into())
        );
    }
}

#[tokio::test]
async fn every_form_of_an_address_can_be_listened_on() {
    let loopback = SocketAddr::new(LOOPBACK, 0);
    for listen in [
        Listen::bind(loopback).await,
        Listen::bind("localhost:0".to_owned()).await,
        Listen::bind(ListenAddr::loopback(0)).await,
    ] {
        let local = listen.unwrap().local_addr();
        assert!(local.ip().is_loopback());
        assert_ne!(local.port(), 0);
    }
}

#[tokio::test]
async fn localhost_is_both_families() {
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    for addr in ["0", "localhost:0", "LocalHost.:0"] {
        let mut listen = Listen::bind(addr).await.unwrap();
        let port = listen.local_addr().port();
        let mut expected = vec![SocketAddr::new(LOOPBACK, port)];
        joined(&mut listen, LOOPBACK).await;
        if has_ipv6 {
            let ipv6: IpAddr = "::1".parse().unwrap();
            expected.push(SocketAddr::new(ipv6, port));
            let (client, conn) = joined(&mut listen, ipv6).await;
            assert_eq!(conn.info.peer, Some(client.local_addr().unwrap()));
        }
        assert_eq!(listen.local_addrs().collect::<Vec<_>>(), expected);
    }
}

/// Two clients of the one family, and one of the other, that are there at the same time.
#[tokio::test]
async fn no_address_of_a_name_is_starved() {
    let mut listen = Listen::bind("localhost:0").await.unwrap();
    let addrs: Vec<_> = listen.local_addrs().collect();
    let [first, second] = addrs[..] else {
        return; // This machine has no IPv6.
    };
    let _clients = [first, first, second].map(|addr| TcpStream::connect(addr).unwrap());
    let mut came = Vec::new();
    for _ in 0..3 {
        let conn = listen.next().await.unwrap().unwrap();
        came.push(conn.info.local.unwrap());
    }
    assert_eq!(came, [first, second, first]);
}

#[tokio::test]
async fn the_wildcard_is_both_families() {
    let mut listen = Listen::bind("*:0").await.unwrap();
    assert!(listen.local_addr().ip().is_unspecified());
    joined(&mut listen, LOOPBACK).await;
    if listen.local_addr().is_ipv6() {
        joined(&mut listen, "::1".parse().unwrap()).await;
        let only = Listen::options().v6_only(true).bind("*:0").await.unwrap();
        TcpStream::connect((LOOPBACK, only.local_addr().port())).unwrap_err();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn accepted_connections_have_the_options() {
    let keep_alive = KeepAlive::new()
        .idle(Duration::from_secs(11))
        .interval(Duration::from_secs(12))
        .count(3);
    let options = SocketOptions::new()
        .keep_alive(keep_alive)
        .user_timeout(Duration::from_secs(14));
    let listen = Listen::options().socket(options);
    let mut listen = listen.bind("0").await.unwrap();
    let (_client, conn) = joined(&mut listen, LOOPBACK).await;
    let socket = SockRef::from(&conn.io);
    assert!(socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 11);
    assert_eq!(socket.tcp_keepalive_interval().unwrap().as_secs(), 12);
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    assert!(socket.tcp_nodelay().unwrap());
    let timeout = socket.tcp_user_timeout().unwrap();
    assert_eq!(timeout, Some(Duration::from_secs(14)));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first = Listen::bind("0").await.unwrap();
    let error = Listen::bind(first.local_addr()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let expected = format!(
        "cannot listen on {}, port already in use",
        first.local_addr()
    );
    assert_eq!(error.to_string(), expected);
    assert!(is_caused_by::<io::Error>(&error));
}

#[cfg(unix)]
#[tokio::test]
async fn a_port_can_be_shared() {
    let shared = Listen::options().reuse_port(true);
    let first = shared.bind("0").await.unwrap();
    shared.bind(first.local_addr()).await.unwrap();
    Listen::bind(first.local_addr()).await.unwrap_err();
}

#[tokio::test]
async fn an_address_that_cannot_be_listened_on_is_named() {
    // 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
    let error = Listen::bind("192.0.2.1:0").await.unwrap_err();
    let expected = "cannot listen on 192.0.2.1:0, not an address of this machine";
    assert_eq!(error.to_string(), expected);

    let error = Listen::bind("\u{1b}9000").await.unwrap_err();
    assert_eq!(error.to_string(), "cannot listen on `\\u{1b}9000`");
    let source = error.source().unwrap().to_string();
    assert_eq!(source, "an address has no control character: leave it out");

    let impossible = SocketOptions::new().keep_alive(KeepAlive::new().count(1000));
    let options = Listen::options().socket(impossible);
    #[cfg(target_os = "linux")]
    options.bind("0").await.unwrap_err();
}
