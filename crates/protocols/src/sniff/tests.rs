use std::{convert::Infallible, task::Poll, time::Duration};

use couplet_endpoint::{
    Conn, Replay,
    memory::{self, MemoryStream},
};
use couplet_layers::{Handshake, HandshakeError, HandshakeLayer};
use proptest::{collection::vec, prelude::*};
use tokio::io::AsyncWriteExt;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::*;
use crate::testing::{conn, read_all};

type Sniffed = Conn<Replay<MemoryStream>>;

// ===== helpers =====

fn u8_prefixed(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn u16_prefixed(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn extension(kind: u16, bytes: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes(), &*u16_prefixed(bytes)].concat()
}

fn server_name(name: &[u8]) -> Vec<u8> {
    let entry = [&[0], &*u16_prefixed(name)].concat();
    extension(0, &u16_prefixed(&entry))
}

fn alpn(protocols: &[&[u8]]) -> Vec<u8> {
    let protocols: Vec<_> = protocols.iter().map(|one| u8_prefixed(one)).collect();
    extension(16, &u16_prefixed(&protocols.concat()))
}

/// A ClientHello, as a handshake message.
fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    let body = [
        &[3, 3][..],
        &[7; 32],
        &u8_prefixed(&[9; 32]),
        &u16_prefixed(&[0x13, 1, 0x13, 2]),
        &u8_prefixed(&[0]),
        &u16_prefixed(&extensions.concat()),
    ]
    .concat();
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1], &len[1..], &body].concat()
}

/// In records of this many bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |part: &[u8]| [&[22, 3, 1][..], &u16_prefixed(part)].concat();
    message.chunks(size).flat_map(record).collect()
}

fn usual_hello() -> Vec<u8> {
    hello(&[
        extension(0x0a0a, b""),
        server_name(b"www.Example.org"),
        alpn(&[b"h2", b"http/1.1"]),
    ])
}

/// What is found in these pieces, after which the stream ends, and all that can be read then.
async fn sniffed(pieces: &[&[u8]]) -> (Protocol, Vec<u8>) {
    let (mut peer, io) = memory::connection(64 * 1024);
    let mut sniffing = task::spawn(Sniff::new().handshake(conn(io)));
    let mut done = None;
    for piece in pieces {
        peer.write_all(piece).await.unwrap();
        if done.is_none()
            && let Poll::Ready(conn) = sniffing.poll()
        {
            done = Some(conn);
        }
    }
    drop(peer);
    let conn = match done {
        Some(conn) => conn,
        None => sniffing.await,
    };
    let mut conn: Sniffed = conn.unwrap();
    let protocol = conn.info.extensions.get::<Protocol>().unwrap().clone();
    let (read, end) = read_all(&mut conn.io).await;
    end.unwrap();
    (protocol, read)
}

async fn shown(sent: &[u8]) -> String {
    let (protocol, read) = sniffed(&[sent]).await;
    assert_eq!(read, sent);
    protocol.to_string()
}

// ===== what it finds =====

#[tokio::test]
async fn the_protocols_are_told_apart() {
    for (sent, protocol) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "ssh"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", "http2"),
        (
            b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
            "http:example.org",
        ),
        (b"GET / HTTP/1.0\r\n\r\n", "http"),
        (b"EHLO example.org\r\n", "unknown"),
        (b"\0\x01", "unknown"),
        (b"\x1b[2J\r\n", "unknown"),
        (b"", "silent"),
        // Cut off.
        (b"SSH", "unknown"),
        (b"PRI * HTTP/2.0\r\n", "unknown"),
        (b"GET / HTTP/1.1\r\nHost: example.org", "unknown"),
        (b"GET", "unknown"),
    ] {
        assert_eq!(shown(sent).await, protocol, "{sent:?}");
    }
    assert_eq!(
        shown(&records(&usual_hello(), 16_384)).await,
        "tls:www.example.org"
    );
    assert_eq!(shown(&records(&hello(&[]), 16_384)).await, "tls");
}

#[tokio::test]
async fn a_client_hello_names_server_and_protocols() {
    let (protocol, _) = sniffed(&[&records(&usual_hello(), 16_384)]).await;
    assert_eq!(protocol.host(), Some("www.example.org"));
    let Protocol::Tls(hello) = protocol else {
        panic!("it is TLS");
    };
    assert_eq!(hello.server_name(), Some("www.example.org"));
    let alpn: Vec<_> = hello.alpn().collect();
    assert_eq!(alpn, [&b"h2"[..], b"http/1.1"]);
}

#[tokio::test]
async fn many_protocols_take_no_more_memory_than_their_bytes() {
    let sent = records(&hello(&[alpn(&[&b"x"[..]; 8000])]), 16_384);
    let (Protocol::Tls(hello), _) = sniffed(&[&sent]).await else {
        panic!("it is TLS");
    };
    assert!(size_of_val(&*hello.alpn) <= 16_000);
    assert_eq!(hello.alpn().filter(|name| *name == b"x").count(), 8000);
}

#[tokio::test]
async fn no_byte_is_lost_wherever_the_stream_is_cut() {
    let request = b"GET /a HTTP/1.1\r\nAccept: */*\r\nhOST:\tExample.org:8080\r\n\r\nbody".to_vec();
    for (sent, protocol) in [
        (records(&usual_hello(), 16_384), "tls:www.example.org"),
        (records(&usual_hello(), 40), "tls:www.example.org"),
        (request, "http:example.org"),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04".to_vec(),
            "http2",
        ),
        (b"SSH-2.0-x\r\nmore".to_vec(), "ssh"),
        (b"QUIT\r\n".to_vec(), "unknown"),
    ] {
        for cut in 0..sent.len() {
            let (one, two) = sent.split_at(cut);
            let (found, read) = sniffed(&[one, two]).await;
            assert_eq!(found.to_string(), protocol, "cut at {cut}");
            assert_eq!(read, sent);
        }
        let bytes: Vec<_> = sent.chunks(1).collect();
        assert_eq!(sniffed(&bytes).await.0.to_string(), protocol);
    }
}

#[tokio::test]
async fn a_hello_may_be_spread_over_records() {
    let long = hello(&[extension(21, &[0; 9000]), server_name(b"example.org")]);
    for size in [1, 2, 3, 4, 5, 100, 4096, 16_384] {
        let sent = records(&long, size);
        if sent.len() <= LIMIT {
            assert_eq!(shown(&sent).await, "tls:example.org");
        }
        let sent = records(&usual_hello(), size);
        assert_eq!(shown(&sent).await, "tls:www.example.org");
    }
    // Another message may share the record.
    let sent = [usual_hello(), vec![0; 100]].concat();
    assert_eq!(shown(&records(&sent, 16_384)).await, "tls:www.example.org");
}

/// Those with post-quantum keys are some two thousand bytes.
#[tokio::test]
async fn a_hello_may_be_as_long_as_the_limit() {
    assert_eq!(LIMIT, 16 * 1024);
    const KEY_SHARE: u16 = 51;
    let around = |key: usize| {
        let key = extension(KEY_SHARE, &vec![7; key]);
        hello(&[key, server_name(b"example.org")])
    };
    let rest = records(&around(0), LIMIT).len();
    for (len, found) in [
        (2000, "tls:example.org"),
        (LIMIT, "tls:example.org"),
        (LIMIT + 1, "unknown"),
    ] {
        let sent = records(&around(len - rest), LIMIT);
        assert_eq!(sent.len(), len);
        assert_eq!(shown(&sent).await, found, "{len}");
    }
}

#[tokio::test]
async fn a_server_name_that_is_no_host_name_is_tls_without_one() {
    let long = [b'a'; 300];
    for name in [
        &b""[..],
        b"a b",
        b"\x1b[2J",
        &long,
        b"r3---sn-.example.test",
        "bücher.test".as_bytes(),
        b"www.example.test:443",
        b"\xff\xfe",
    ] {
        let sent = records(&hello(&[server_name(name), alpn(&[b"h2"])]), 16_384);
        assert_eq!(shown(&sent).await, "tls", "{name:?}");
    }
}

#[tokio::test]
async fn a_malformed_hello_is_not_tls() {
    let good = records(&usual_hello(), 16_384);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let entry = |name: &[u8]| [&[0], &*u16_prefixed(name)].concat();
    let two = u16_prefixed(&[entry(b"a.example"), entry(b"b.example")].concat());
    for sent in [
        changed(0, 23),
        changed(1, 2),
        changed(5, 2),
        changed(6, 1), // far longer than there is room for
        records(
            &hello(&[server_name(b"a.example"), server_name(b"b.example")]),
            16_384,
        ),
        records(&hello(&[extension(0, &two)]), 16_384),
        records(&hello(&[alpn(&[b"h2"]), alpn(&[b"h3"])]), 16_384),
        records(&hello(&[alpn(&[b"h2", b""])]), 16_384),
        records(&hello(&[extension(0, b"\0")]), 16_384),
        records(&hello(&[vec![0; 3]]), 16_384),
        records(&[&hello(&[])[..4], &[3, 3]].concat(), 16_384),
        [&good[..3], &[0, 0], &good[5..]].concat(), // an empty record
        [&records(&usual_hello(), 20)[..25], &[23, 3, 1, 0, 1, 0]].concat(),
    ] {
        assert_eq!(shown(&sent).await, "unknown", "{sent:?}");
    }
    let long = hello(&[extension(21, &[0; 16_300]), server_name(b"example.org")]);
    assert_eq!(shown(&records(&long, 16_384)).await, "unknown");
}

#[tokio::test]
async fn the_host_header_is_found_wherever_it_stands() {
    for (sent, protocol) in [
        (
            &b"CONNECT example.org:443 HTTP/1.1\r\n"[..],
            "http:example.org",
        ),
        (
            b"GET http://user@a.example:80/?b=://c HTTP/1.1\r\nHost: b\r\n\r\n",
            "http:a.example",
        ),
        (
            b"GET /http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "http:a.example",
        ),
        (
            b"M-SEARCH * HTTP/1.1\nHost:A.example.\n\n",
            "http:a.example",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n",
            "http:2001:db8::1",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n",
            "http:2001:db8::1",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n",
            "http:192.0.2.1",
        ),
        (b"GET / HTTP/1.1\r\nX-Host: a\r\nHost : a\r\n\r\n", "http"),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "http"),
        (b"GET / HTTP/1.1\r\nHost: \x1b[2J\r\n\r\n", "http"),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "http"),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "unknown"),
        (b"GET / HTTP/3\r\nHost: a\r\n\r\n", "unknown"),
        (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", "unknown"),
        (b" / HTTP/1.1\r\nHost: a\r\n\r\n", "unknown"),
        (b"NOOP\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "unknown"),
    ] {
        assert_eq!(shown(sent).await, protocol, "{}", sent.escape_ascii());
    }
}

#[tokio::test]
async fn a_request_that_is_too_long_is_unknown() {
    let field = [b'x'; 20_000];
    let sent = [b"GET / HTTP/1.1\r\nX: ", &field[..], b"\r\nHost: a\r\n\r\n"].concat();
    assert_eq!(shown(&sent).await, "unknown");
    assert_eq!(shown(&[b'A'; 20_000]).await, "unknown");
    assert_eq!(shown(&[b"GET /", &field[..]].concat()).await, "unknown");
}

// ===== when =====

#[tokio::test(start_paused = true)]
async fn a_silent_client_goes_on_after_the_wait() {
    for (sent, protocol) in [
        (&b""[..], Protocol::Silent),
        (b"\x16", Protocol::Unknown),
        (b"SSH", Protocol::Unknown),
        (b"GET /some", Protocol::Unknown),
    ] {
        let (mut peer, io) = memory::connection(64);
        peer.write_all(sent).await.unwrap();
        let sniff = Sniff::new().wait(Duration::from_secs(2));
        let mut sniffing = task::spawn(sniff.handshake(conn(io)));
        assert_pending!(sniffing.poll());
        tokio::time::advance(Duration::from_millis(1999)).await;
        assert_pending!(sniffing.poll());
        tokio::time::advance(Duration::from_millis(2)).await;
        let mut conn = assert_ready!(sniffing.poll()).unwrap();
        assert_eq!(conn.info.extensions.get(), Some(&protocol));
        peer.write_all(b"later").await.unwrap();
        drop(peer);
        assert_eq!(read_all(&mut conn.io).await.0, [sent, b"later"].concat());
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_may_be_waited_for_without_end() {
    let (_peer, io) = memory::connection(64);
    let sniff = Sniff::new().wait(Duration::MAX);
    let mut sniffing = task::spawn(sniff.handshake(conn(io)));
    assert_pending!(sniffing.poll());
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_pending!(sniffing.poll());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_began_has_until_the_handshake_deadline() {
    let hello = records(&usual_hello(), 16_384);
    for begun in [&hello[..60], b"GET / HTTP/1.1\r\n"] {
        let (mut peer, io) = memory::connection(64);
        peer.write_all(begun).await.unwrap();
        let pass = service_fn(async |conn: Sniffed| Ok::<_, Infallible>(conn));
        let service = HandshakeLayer::new(Sniff::new()).layer(pass);
        let error = service.oneshot(conn(io)).await.unwrap_err();
        let error: Box<HandshakeError> = error.downcast().unwrap();
        assert!(matches!(*error, HandshakeError::Timeout(_)));
    }
}

#[tokio::test]
async fn a_known_protocol_ends_the_wait() {
    for sent in [&b"SSH-"[..], b"\0", b"EHLO x\r\n", b"no"] {
        let (mut peer, io) = memory::connection(64);
        peer.write_all(sent).await.unwrap();
        let mut sniffing = task::spawn(Sniff::new().handshake(conn(io)));
        assert_ready!(sniffing.poll()).unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_fails_is_refused() {
    let (mut peer, io) = memory::connection(64);
    peer.abort();
    drop(peer);
    let failed = Sniff::new().handshake(conn(io)).await.unwrap_err();
    assert_eq!(failed.to_string(), "reading the first bytes failed");
}

// ===== whatever comes =====

/// Whatever it is given, it leaves as it is, and finds the same wherever it is cut.
fn survives(sent: &[u8], cut: usize) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        let (one, two) = sent.split_at(cut.min(sent.len()));
        let (whole, read) = sniffed(&[sent]).await;
        prop_assert_eq!(read, sent);
        let (cut, read) = sniffed(&[one, two]).await;
        prop_assert_eq!(read, sent);
        let shown = whole.to_string();
        prop_assert_eq!(whole, cut);
        prop_assert!(!shown.contains(char::is_control));
        Ok(())
    })?;
    let at_once = match look(sent) {
        Look::Is(protocol) => Some(protocol),
        _ => None,
    };
    prop_assert_eq!(byte_by_byte(sent), at_once);
    Ok(())
}

/// What is known of bytes that come one by one and are looked at when a look asked for it: before
/// the client ends, resets, or is not waited for any longer.
fn byte_by_byte(sent: &[u8]) -> Option<Protocol> {
    let mut next = Until::Len(1);
    for len in 1..=sent.len() {
        let due = match next {
            Until::Len(due) => len >= due,
            Until::LineFeed => sent[len - 1] == b'\n',
        };
        if !due {
            continue;
        }
        match look(&sent[..len]) {
            Look::Is(protocol) => return Some(protocol),
            Look::Perhaps(until) | Look::Begun(until) => next = until,
        }
    }
    None
}

#[test]
fn the_second_byte_tells_tls_from_other_bytes() {
    survives(b"\x16\0\0\x16", 1).unwrap();
}

#[test]
fn a_method_is_too_long_wherever_it_is_cut() {
    for len in 30..36 {
        let sent = [&vec![b'F'; len], &b" / HTTP/1.1\r\n"[..]].concat();
        survives(&sent, len).unwrap();
    }
}

#[test]
fn a_hello_that_ends_before_its_record_is_found_wherever_it_is_cut() {
    let mut sent = records(&usual_hello(), 16_384);
    sent[4] += 1; // The record's length.
    for cut in 0..sent.len() {
        survives(&sent, cut).unwrap();
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_sniffer_panic(sent in vec(any::<u8>(), 0..300), cut in 0..300_usize) {
        let starts = [
            &b""[..],
            b"\x16\x03\x01\0\x40\x01\0\0\x3c\x03\x03",
            b"\x16\x03\x01\0\x01\x01\x16\x03\x01\0\x40\0\0\x3c\x03\x03",
            b"GET / HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\nHost:",
            b"CONNECT ",
        ];
        for start in starts {
            survives(&[start, &sent].concat(), cut)?;
        }
    }

    #[test]
    fn a_hello_with_one_byte_changed_makes_no_panic(at: usize, byte: u8, cut in 0..150_usize, size in 20..200_usize) {
        let mut sent = records(&usual_hello(), size);
        let at = at % sent.len();
        sent[at] = byte;
        survives(&sent, cut)?;
    }

    #[test]
    fn a_request_with_one_byte_changed_makes_no_panic(at: usize, byte: u8, cut in 0..80_usize) {
        let mut sent = b"GET http://[::1]:80/ HTTP/1.1\r\nHost: example.org:80\r\nA: b\r\n\r\n".to_vec();
        let at = at % sent.len();
        sent[at] = byte;
        survives(&sent, cut)?;
    }
}
