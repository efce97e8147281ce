use std::io;

use couplet_endpoint::{Conn, Info, Origin, Replay, memory, memory::MemoryStream};
use couplet_layers::{Handshake, Identity};
use couplet_pairing::{PairError, Policy, dial_for_a};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;
use tower::{Service, ServiceExt, service_fn};

use super::*;
use crate::{
    proxy::{DialFailure, Login, ProxyError, RequestedTarget, Users},
    testing::{chain, conn, read_all, read_some},
};

// ===== the client of a proxy =====

fn dialled(io: MemoryStream, target: &str) -> Conn<MemoryStream> {
    let mut conn = Conn::new(io, Origin::Dialled);
    conn.info.target = Some(std::sync::Arc::new(target.parse().unwrap()));
    conn
}

/// What comes of a proxy that says this, in pieces cut at `cut`, and then ends its stream; and what the
/// proxy has heard.
async fn asks(
    connect: SocksConnect,
    target: &str,
    said: &[u8],
    cut: usize,
) -> (Result<Vec<u8>, ProxyError>, Vec<u8>) {
    let (mut proxy, io) = memory::connection(1024);
    let asking = tokio::spawn(connect.handshake(dialled(io, target)));
    for piece in [&said[..cut], &said[cut..]] {
        // A client that has given up takes no more.
        let _ = proxy.write_all(piece).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    let _ = proxy.shutdown().await;
    let outcome = match asking.await.unwrap() {
        Ok(mut conn) => Ok(read_all(&mut conn.io).await.0),
        Err(error) => Err(error),
    };
    (outcome, read_all(&mut proxy).await.0)
}

const GREETING: &[u8] = &[5, 1, 0];
const NAME: &[u8] = b"\x05\x01\x00\x03\x0bexample.org\x00\x50";

fn login() -> SocksConnect {
    SocksConnect::new().login(Login::new("me", "secret").unwrap())
}

#[tokio::test]
async fn a_reply_may_be_cut_anywhere_and_bytes_behind_it_are_kept() {
    let ipv6 = [&[5, 0, 5, 0, 0, 4][..], &[7; 16], &[1, 2]].concat();
    for reply in [
        &b"\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"[..],
        b"\x05\x00\x05\x00\x00\x03\x05proxy\x01\x02",
        b"\x05\x00\x05\x00\xff\x03\x00\x01\x02",
        &ipv6,
    ] {
        let said = [reply, b"220 welcome\r\n"].concat();
        for cut in 0..=said.len() {
            let (outcome, heard) = asks(SocksConnect::new(), "example.org:80", &said, cut).await;
            assert_eq!(outcome.unwrap(), b"220 welcome\r\n", "{cut}");
            assert_eq!(heard, [GREETING, NAME].concat());
        }
        for end in 0..reply.len() {
            let (outcome, _) = asks(SocksConnect::new(), "example.org:80", &reply[..end], 0).await;
            assert!(
                matches!(outcome, Err(ProxyError::Ended)),
                "{end}: {outcome:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_user_and_a_password_are_sent_where_the_proxy_wants_them() {
    let dialogue = b"\x01\x02me\x06secret";
    let reply = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let said = [&[5, 2, 1, 0][..], &reply].concat();
    for cut in 0..=said.len() {
        let (outcome, heard) = asks(login(), "example.org:80", &said, cut).await;
        outcome.unwrap();
        assert_eq!(heard, [&[5, 2, 0, 2], &dialogue[..], NAME].concat());
    }
    let said = [&[5, 0][..], &reply].concat();
    let (outcome, heard) = asks(login(), "example.org:80", &said, 0).await;
    outcome.unwrap();
    assert_eq!(
        heard,
        [&[5, 2, 0, 2], NAME].concat(),
        "the password is not sent"
    );
}

#[tokio::test]
async fn addresses_are_sent_as_addresses() {
    let said = [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let ipv6 = [&[5, 1, 0, 4, 0x20, 1, 0xd, 0xb8], &[0; 11][..], &[5, 0, 22]].concat();
    for (target, request) in [
        ("192.0.2.7:443", &[5, 1, 0, 1, 192, 0, 2, 7, 1, 0xbb][..]),
        (
            "[::ffff:192.0.2.7]:443",
            &[5, 1, 0, 1, 192, 0, 2, 7, 1, 0xbb],
        ),
        ("[2001:db8::5]:22", &ipv6),
    ] {
        let (outcome, heard) = asks(SocksConnect::new(), target, &said, 0).await;
        outcome.unwrap();
        assert_eq!(heard, [GREETING, request].concat(), "{target}");
    }
    let (outcome, heard) = asks(SocksConnect::new(), "[fe80::1%3]:22", &said, 0).await;
    assert!(matches!(outcome, Err(ProxyError::Scoped(_))));
    assert_eq!(heard, b"", "nothing is asked");
}

#[tokio::test]
async fn each_answer_of_a_proxy_has_a_text() {
    for (code, failure, text) in [
        (1, DialFailure::Other, "general failure"),
        (2, DialFailure::Denied, "not allowed by its rules"),
        (3, DialFailure::Unreachable, "network unreachable"),
        (
            4,
            DialFailure::NotFound,
            "host unreachable, or name not found",
        ),
        (5, DialFailure::Refused, "connection refused by the target"),
        (6, DialFailure::TimedOut, "TTL expired"),
        (7, DialFailure::Other, "command not supported"),
        (8, DialFailure::Other, "type of address not supported"),
        (0x5b, DialFailure::Other, "unknown reply (SOCKS5 reply 5b)"),
    ] {
        // Some proxies leave the address out.
        for rest in [&b""[..], &[0, 1, 0, 0, 0, 0, 0, 0]] {
            let said = [&[5, 0, 5, code][..], rest].concat();
            let (outcome, _) = asks(SocksConnect::new(), "example.org:80", &said, 0).await;
            let error = outcome.unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
            assert_eq!(error.failure(), failure);
            assert_eq!(DialFailure::of(&error), failure);
        }
    }
    for (connect, said, text) in [
        (
            SocksConnect::new(),
            &b"HTTP/1.1 400"[..],
            "version 48 of the method, not 05: no SOCKS5",
        ),
        (
            SocksConnect::new(),
            &[5, 0xff],
            "proxy asks for a user and a password",
        ),
        (
            SocksConnect::new(),
            &[5, 2],
            "proxy asks for a user and a password",
        ),
        (login(), &[5, 0xff], "neither no authentication nor"),
        (login(), &[5, 1], "method 01, which was not offered"),
        (login(), &[5, 2, 1, 1], "refuses the user or the password"),
        (login(), &[5, 2, 5, 0], "version 05 of the login"),
        (
            SocksConnect::new(),
            &[5, 0, 4, 0, 0, 1],
            "version 04 of the reply",
        ),
        (
            SocksConnect::new(),
            &[5, 0, 5, 0, 0, 9, 0, 0],
            "type 09 of the bound address",
        ),
        (SocksConnect::new(), &[5, 0], "ssh -D does so"),
    ] {
        let (outcome, _) = asks(connect, "example.org:80", said, 0).await;
        let shown = chain(&outcome.unwrap_err());
        assert!(shown.contains(text), "{shown}");
    }
}

// ===== the proxy =====

/// What comes of a client that says this, in pieces cut at `cut`, and then ends its stream; and what the
/// client has heard.
async fn said(
    accept: &SocksAccept,
    said: &[u8],
    cut: usize,
) -> (Result<Conn<Replay<MemoryStream>>, SocksRefused>, Vec<u8>) {
    let (mut client, io) = memory::connection(1024);
    let accepting = tokio::spawn(accept.handshake(conn(io)));
    for piece in [&said[..cut], &said[cut..]] {
        client.write_all(piece).await.unwrap();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    client.shutdown().await.unwrap();
    let accepted = accepting.await.unwrap();
    let heard = match &accepted {
        Ok(_) => read_some(&mut client, if accept_asks(accept) { 4 } else { 2 }).await,
        Err(_) => read_all(&mut client).await.0,
    };
    (accepted, heard)
}

fn accept_asks(accept: &SocksAccept) -> bool {
    format!("{accept:?}").contains("Some")
}

fn users() -> SocksAccept {
    let users: Users = "me:secret\nyou:other\n".parse().unwrap();
    SocksAccept::new().users(users)
}

#[tokio::test]
async fn a_request_may_be_cut_anywhere_and_bytes_behind_it_are_kept() {
    let ipv6 = [&[5, 1, 0, 4, 0x20, 1, 0xd, 0xb8], &[0; 11][..], &[5, 0, 22]].concat();
    for (accept, start, method) in [
        (SocksAccept::new(), &[5, 1, 0][..], &[5, 0][..]),
        (SocksAccept::new(), &[5, 3, 2, 1, 0], &[5, 0]),
        (
            users(),
            b"\x05\x02\x00\x02\x01\x02me\x06secret",
            &[5, 2, 1, 0],
        ),
    ] {
        for (request, target) in [
            (NAME, "example.org:80"),
            (&[5, 1, 0, 1, 192, 0, 2, 7, 1, 0xbb], "192.0.2.7:443"),
            (b"\x05\x01\x00\x03\x09192.0.2.7\x01\xbb", "192.0.2.7:443"),
            (
                b"\x05\x01\x00\x03\x0d[2001:db8::5]\x00\x16",
                "[2001:db8::5]:22",
            ),
            (
                b"\x05\x01\x00\x03\x0b2001:db8::5\x00\x16",
                "[2001:db8::5]:22",
            ),
            (&ipv6, "[2001:db8::5]:22"),
        ] {
            let all = [start, request, b"early"].concat();
            for cut in 0..=all.len() {
                let (accepted, heard) = said(&accept, &all, cut).await;
                let mut conn = accepted.unwrap();
                assert_eq!(heard, method);
                let requested = RequestedTarget::of(&conn.info).unwrap();
                assert_eq!(requested.to_string(), target);
                let identity = conn.info.extensions.get::<Identity>().map(Identity::name);
                assert_eq!(identity, accept_asks(&accept).then_some("me"));
                assert_eq!(read_all(&mut conn.io).await.0, b"early");
            }
            let all = [start, request].concat();
            for end in 0..all.len() {
                let (accepted, _) = said(&accept, &all[..end], 0).await;
                assert!(
                    matches!(accepted.unwrap_err(), SocksRefused::Ended),
                    "{end}"
                );
            }
        }
    }
}

#[tokio::test]
async fn each_refusal_is_told_in_the_clients_protocol() {
    let refuses = |code| vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0];
    let after = |start: &[u8], rest: Vec<u8>| [start, &rest].concat();
    let long = [&[5, 1, 0, 5, 1, 0, 3, 255][..], &[b'a'; 255], &[0, 80]].concat();
    for (accept, said_, heard, text) in [
        (
            users(),
            &[5, 1, 0][..],
            vec![5, 0xff],
            "method of authentication",
        ),
        (users(), &[5, 0], vec![5, 0xff], "method of authentication"),
        (
            SocksAccept::new(),
            &[5, 1, 2],
            vec![5, 0xff],
            "method of authentication",
        ),
        (
            users(),
            b"\x05\x01\x02\x01\x02me\x05wrong",
            vec![5, 2, 1, 1],
            "unknown user",
        ),
        (
            users(),
            b"\x05\x01\x02\x01\x00\x00",
            vec![5, 2, 1, 1],
            "unknown user",
        ),
        (
            users(),
            b"\x05\x01\x02\x01\x02me\x05other",
            vec![5, 2, 1, 1],
            "unknown user",
        ),
        (
            users(),
            b"\x05\x01\x02\x05\x01\x00",
            vec![5, 2],
            "first byte is 05",
        ),
        (
            users(),
            b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00",
            vec![0, 0x5b, 0, 0, 0, 0, 0, 0],
            "SOCKS4",
        ),
        (
            SocksAccept::new(),
            b"GET / HTTP/1.1\r\n\r\n",
            vec![],
            "first byte is 47",
        ),
        (
            SocksAccept::new(),
            &[5, 1, 0, 4, 1, 0, 1],
            vec![5, 0],
            "first byte is 04",
        ),
        (
            SocksAccept::new(),
            &[5, 1, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0],
            after(&[5, 0], refuses(7)),
            "command 02",
        ),
        (
            SocksAccept::new(),
            &[5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0],
            after(&[5, 0], refuses(7)),
            "command 03",
        ),
        (
            SocksAccept::new(),
            &[5, 1, 0, 5, 1, 0, 9, 0, 0],
            after(&[5, 0], refuses(8)),
            "type 09",
        ),
        (
            SocksAccept::new(),
            b"\x05\x01\x00\x05\x01\x00\x03\x03a\x1bb\x00\x50",
            after(&[5, 0], refuses(4)),
            "a\\x1bb",
        ),
        (
            SocksAccept::new(),
            &long,
            after(&[5, 0], refuses(4)),
            "invalid host",
        ),
        (
            SocksAccept::new(),
            b"\x05\x01\x00\x05\x01\x00\x03\x01a\x00\x00",
            after(&[5, 0], refuses(1)),
            "port",
        ),
    ] {
        let (accepted, told) = said(&accept, said_, 0).await;
        let error = accepted.unwrap_err();
        assert_eq!(told, heard, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

// ===== the answer =====

/// A client that has asked and sent early bytes, and what comes of it when its dial ends so: what the
/// client has heard before anything else.
async fn answered(dialled: io::Result<()>) -> (Vec<u8>, Result<(), PairError>) {
    let (dials, mut dial) = tokio::sync::mpsc::channel(1);
    let dialling = service_fn(move |info: Info| {
        let (dials, (end, ends)) = (dials.clone(), tokio::sync::oneshot::channel());
        async move {
            dials.send((info, end)).await.unwrap();
            ends.await.unwrap()
        }
    });
    let (mut slot, mut pairs) = dial_for_a(Policy::default(), dialling);
    let (mut client, io) = memory::connection(1024);
    let all = [GREETING, NAME, b"early"].concat();
    client.write_all(&all).await.unwrap();
    let conn = SocksAccept::new().handshake(conn(io)).await.unwrap();
    assert_eq!(read_some(&mut client, 2).await, [5, 0]);

    let joining = tokio::spawn(slot.ready().await.unwrap().call(conn));
    let (info, end): (Info, tokio::sync::oneshot::Sender<io::Result<_>>) =
        dial.recv().await.unwrap();
    let target = RequestedTarget::of(&info).unwrap();
    assert_eq!(target.to_string(), "example.org:80");
    let (server, server_io) = memory::connection(64);
    let fails = dialled.is_err();
    let partner = dialled.map(|()| Conn::new(server_io, Origin::Dialled));
    assert!(end.send(partner).is_ok());
    let heard = read_some(&mut client, 10).await;
    if fails {
        assert_eq!(read_all(&mut client).await.0, b"", "and the stream ends");
    } else {
        let mut pair = pairs.next().await.unwrap().unwrap();
        assert_eq!(read_some(&mut pair.a, 5).await, b"early");
    }
    drop((client, server));
    (heard, joining.await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_client_is_answered_once_the_dial_stands_or_has_failed() {
    let (heard, joined) = answered(Ok(())).await;
    joined.unwrap();
    assert_eq!(heard, [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for (kind, code) in [
        (io::ErrorKind::ConnectionRefused, 5),
        (io::ErrorKind::HostUnreachable, 3),
        (io::ErrorKind::NetworkUnreachable, 3),
        (io::ErrorKind::PermissionDenied, 2),
        (io::ErrorKind::TimedOut, 6),
        (io::ErrorKind::Other, 1),
    ] {
        let (heard, joined) = answered(Err(kind.into())).await;
        assert!(matches!(joined, Err(PairError::Asked { .. })));
        assert_eq!(heard, [5, code, 0, 1, 0, 0, 0, 0, 0, 0], "{kind:?}");
    }
}
