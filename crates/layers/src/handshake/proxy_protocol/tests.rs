use std::{convert::Infallible, net::SocketAddr, task::Poll, time::Duration};

use couplet_endpoint::{
    BoxError, Conn, Info, Origin, Replay, Side, find_cause,
    memory::{self, MemoryStream},
};
use couplet_pairing::Pair;
use proptest::{collection::vec, prelude::*};
use tokio::io::AsyncWriteExt;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::*;
use crate::{
    DialledFor, Handshake, HandshakeError, HandshakeLayer,
    testing::{chain, conn, read_all},
};

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 51234 443\r\n";
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

type Shaken = Result<Conn<Replay<MemoryStream>>, ProxyHeaderRefused>;

// ===== helpers =====

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn required() -> ExpectProxyHeader {
    ExpectProxyHeader::required("10.0.0.0/8".parse().unwrap())
}

fn accepted() -> ExpectProxyHeader {
    ExpectProxyHeader::accepted("10.0.0.0/8".parse().unwrap())
}

/// A connection from there.
fn from<I>(io: I, peer: &str) -> Conn<I> {
    let mut conn = conn(io);
    conn.info.peer = Some(addr(peer));
    conn.info.local = Some(addr("10.0.0.2:9000"));
    conn
}

/// A version 2 header with these additions, as they are.
fn v2(command: u8, family: u8, rest: &[&[u8]]) -> Vec<u8> {
    let rest = rest.concat();
    let len = u16::try_from(rest.len()).unwrap();
    [V2_START, &[command, family], &len.to_be_bytes(), &rest].concat()
}

const TCP4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 7, 0xc8, 0x22, 0x01, 0xbb];

/// What comes of a connection from a trusted proxy that sends these pieces and ends.
async fn expect(expect: ExpectProxyHeader, pieces: &[&[u8]]) -> Shaken {
    let (mut peer, io) = memory::connection(32 * 1024);
    let mut shaking = task::spawn(expect.handshake(from(io, "10.0.0.1:40000")));
    let mut shaken = None;
    for piece in pieces {
        // Who was refused hears no more.
        if !matches!(shaken, Some(Err(_))) {
            peer.write_all(piece).await.unwrap();
        }
        if shaken.is_none()
            && let Poll::Ready(done) = shaking.poll()
        {
            shaken = Some(done);
        }
    }
    drop(peer);
    match shaken {
        Some(shaken) => shaken,
        None => shaking.await,
    }
}

async fn rest(conn: Conn<Replay<MemoryStream>>) -> Vec<u8> {
    let mut conn = conn;
    let (rest, end) = read_all(&mut conn.io).await;
    end.unwrap();
    rest
}

async fn refused(header: &[u8]) -> ProxyHeaderRefused {
    let refused = expect(required(), &[header]).await.unwrap_err();
    // What has begun as a header is none of the stream's bytes, even where none is required.
    let also = expect(accepted(), &[header]).await.unwrap_err();
    assert_eq!(refused.to_string(), also.to_string());
    refused
}

// ===== in =====

#[tokio::test]
async fn the_addresses_are_the_clients() {
    let tcp6 = [&[0x20; 32][..], &[0, 80, 1, 187]].concat();
    for (header, peer, local) in [
        (V1.to_vec(), "192.0.2.1:51234", "198.51.100.7:443"),
        (
            b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n".to_vec(),
            "[2001:db8::1]:1",
            "[2001:db8::2]:65535",
        ),
        (
            v2(0x21, 0x11, &[TCP4]),
            "192.0.2.1:51234",
            "198.51.100.7:443",
        ),
        (
            v2(0x21, 0x21, &[&tcp6]),
            "[2020:2020:2020:2020:2020:2020:2020:2020]:80",
            "[2020:2020:2020:2020:2020:2020:2020:2020]:443",
        ),
    ] {
        for handshake in [required(), accepted()] {
            let conn = expect(handshake, &[&header, b"hello"]).await.unwrap();
            assert_eq!(conn.info.peer, Some(addr(peer)));
            assert_eq!(conn.info.local, Some(addr(local)));
            let proxied = conn.info.extensions.get::<Proxied>().unwrap();
            assert!(proxied.is_addressed());
            assert_eq!(proxied.transport_peer(), Some(addr("10.0.0.1:40000")));
            assert_eq!(proxied.transport_local(), Some(addr("10.0.0.2:9000")));
            assert_eq!(rest(conn).await, b"hello");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_speaks_for_itself_keeps_its_addresses() {
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 whatever\x1b\r\n".to_vec(),
        v2(0x20, 0x00, &[]),
        v2(0x20, 0x11, &[TCP4]),
        v2(0x20, 0xff, &[b"no meaning"]),
        v2(0x21, 0x00, &[]),
        v2(0x21, 0x00, &[TCP4]), // AF_UNSPEC: a filled block is no addition
        v2(0x21, 0x01, &[&[b'x'; 216]]),
        v2(0x21, 0x12, &[TCP4]),         // UDP
        v2(0x21, 0x31, &[&[b'/'; 216]]), // a Unix socket
    ] {
        let conn = expect(required(), &[&header, b"hello"]).await.unwrap();
        assert_eq!(conn.info.peer, Some(addr("10.0.0.1:40000")));
        assert_eq!(conn.info.local, Some(addr("10.0.0.2:9000")));
        let proxied = conn.info.extensions.get::<Proxied>().unwrap();
        assert!(!proxied.is_addressed());
        assert_eq!(proxied.tlvs().count(), 0);
        assert_eq!(rest(conn).await, b"hello");
    }
}

/// As nginx with its realip module writes a client whose family is not that of its own listener.
#[tokio::test]
async fn the_destination_may_be_of_the_other_family() {
    for (line, peer, local) in [
        (
            "TCP6 2001:db8::9 192.0.2.1 5555 22",
            "[2001:db8::9]:5555",
            "192.0.2.1:22",
        ),
        (
            "TCP4 192.0.2.9 2001:db8::1 5555 22",
            "192.0.2.9:5555",
            "[2001:db8::1]:22",
        ),
        (
            "TCP4 192.0.2.9 ::ffff:192.0.2.1 5555 22",
            "192.0.2.9:5555",
            "[::ffff:192.0.2.1]:22",
        ),
    ] {
        let conn = expect(required(), &[format!("PROXY {line}\r\n").as_bytes()])
            .await
            .unwrap();
        assert_eq!(conn.info.peer, Some(addr(peer)));
        assert_eq!(conn.info.local, Some(addr(local)));
    }
}

// ===== health checks =====

#[tokio::test]
async fn a_health_check_that_closes_goes_no_further() {
    for is_reset in [false, true] {
        for handshake in [required(), accepted()] {
            let (mut peer, io) = memory::connection(256);
            let shaking = tokio::spawn(handshake.handshake(from(io, "10.0.0.1:40000")));
            peer.write_all(&v2(0x20, 0, &[])).await.unwrap();
            tokio::task::yield_now().await; // The header is read before the reset.
            if is_reset {
                couplet_endpoint::Io::abort(&mut peer);
            }
            drop(peer);
            let ended = shaking.await.unwrap().unwrap_err();
            assert!(
                matches!(ended, ProxyHeaderRefused::HealthCheck(_)),
                "{ended}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_health_check_that_talks_or_listens_reaches_the_server() {
    for says in [&b""[..], b"EHLO\r\n"] {
        let (mut peer, io) = memory::connection(256);
        peer.write_all(&v2(0x20, 0, &[])).await.unwrap();
        let mut shaking = task::spawn(required().handshake(from(io, "10.0.0.1:40000")));
        assert_pending!(shaking.poll());
        peer.write_all(says).await.unwrap();
        if says.is_empty() {
            tokio::time::advance(Duration::from_millis(1001)).await;
        }
        let conn = assert_ready!(shaking.poll()).unwrap();
        drop(peer);
        assert_eq!(rest(conn).await, says);
    }
}

#[tokio::test]
async fn what_follows_is_kept_wherever_it_is_cut() {
    let tlvs: &[&[u8]] = &[TCP4, b"\x02\0\x0bexample.org"];
    for header in [V1.to_vec(), v2(0x21, 0x11, tlvs)] {
        let sent = [&header, &b"rest\r\n\0PROXY "[..]].concat();
        for cut in 0..=sent.len() {
            let (one, two) = sent.split_at(cut);
            for handshake in [required(), accepted()] {
                let conn = expect(handshake, &[one, two]).await.unwrap();
                assert_eq!(
                    conn.info.peer,
                    Some(addr("192.0.2.1:51234")),
                    "cut at {cut}"
                );
                assert_eq!(rest(conn).await, b"rest\r\n\0PROXY ", "cut at {cut}");
            }
        }
    }
}

#[tokio::test]
async fn one_that_ends_within_its_header_is_refused() {
    for header in [V1.to_vec(), v2(0x21, 0x11, &[TCP4])] {
        for cut in 0..header.len() {
            let ended = expect(required(), &[&header[..cut]]).await.unwrap_err();
            assert!(matches!(ended, ProxyHeaderRefused::Ended), "cut at {cut}");
        }
    }
}

#[tokio::test]
async fn an_error_names_the_field_and_what_is_wrong() {
    let long = [b"PROXY TCP4 ".as_slice(), &[b'x'; 80], b"\r\n"].concat();
    for (header, expected) in [
        (&b"PROXY \r\n"[..], "protocol: \"\", not `TCP4`"),
        (
            b"PROXY tcp4 192.0.2.1 198.51.100.7 1 2\r\n",
            "protocol: \"tcp4\", not",
        ),
        (b"PROXY UNKNOWN\t\r\n", "protocol: \"UNKNOWN\\t\", not"),
        (
            b"PROXY UDP4 192.0.2.1 198.51.100.7 51234 443\r\n",
            "protocol: \"UDP4\"",
        ),
        (b"PROXY TCP4\r\n", "source address: missing"),
        (b"PROXY TCP4 192.0.2.1\r\n", "destination address: missing"),
        (
            b"PROXY TCP4 192.0.2.1 198.51.100.7 51234\r\n",
            "destination port: missing",
        ),
        (
            b"PROXY TCP4 192.0.2.1 198.51.100.7 51234 443\n",
            "end of line: a line feed without",
        ),
        (
            b"PROXY TCP4 192.0.2.1 198.51.100.7 51234 443 \r\n",
            "end of line: more words",
        ),
        (
            b"PROXY TCP4 192.0.2.1 198.51.100.7 51234 65536\r\n",
            "destination port: \"65536\" is not a number",
        ),
        (
            b"PROXY TCP4 192.0.2.1 198.51.100.7 +1 443\r\n",
            "source port: \"+1\" is not a number",
        ),
        (
            b"PROXY TCP4 192.0.2.256 198.51.100.7 51234 443\r\n",
            "source address: \"192.0.2.256\" is not an IP",
        ),
        (
            b"PROXY TCP4 192.0.2.1 198.51.100 51234 443\r\n",
            "destination address: \"198.51.100\"",
        ),
        (
            b"PROXY TCP4 2001:db8::1 2001:db8::2 51234 443\r\n",
            "source address: 2001:db8::1 is not of TCP4",
        ),
        (
            b"PROXY TCP6 192.0.2.1 2001:db8::2 51234 443\r\n",
            "source address: 192.0.2.1 is not of TCP6",
        ),
        (
            b"PROXY TCP4  192.0.2.1 198.51.100.7 51234 443\r\n",
            "source address: \"\" is not an IP",
        ),
        (
            b"PROXY TCP4 192.0.2.1 198.51.100.7 51234 443\r\r\n",
            "destination port: \"443\\r\"",
        ),
        (
            b"PROXY TCP4 \x1b[2J 198.51.100.7 51234 443\r\n",
            "source address: \"\\x1b[2J\"",
        ),
        (&long, "xxx…\" is not an IP"),
        (&v2(0x22, 0x11, &[TCP4]), "command: 2, neither"),
        (&v2(0x31, 0x11, &[TCP4]), "version: 3, not 2"),
        (&v2(0x21, 0x13, &[TCP4]), "transport protocol: 3, neither"),
        (&v2(0x21, 0x10, &[TCP4]), "transport protocol: 0, neither"),
        (&v2(0x21, 0x41, &[TCP4]), "address family: 4, not"),
        (
            &v2(0x21, 0x11, &[&TCP4[1..]]),
            "addresses: 11 bytes, and two IPv4 addresses take 12",
        ),
        (
            &v2(0x21, 0x21, &[TCP4]),
            "addresses: 12 bytes, and two IPv6 addresses take 36",
        ),
        (
            &v2(0x21, 0x31, &[TCP4]),
            "addresses: 12 bytes, and two Unix addresses take 216",
        ),
        (
            &v2(0x21, 0x11, &[TCP4, b"\x02"]),
            "addition (TLV): longer than the header, at byte 28",
        ),
        (
            &v2(0x21, 0x11, &[TCP4, b"\x04\0\0\x02\0\x05four"]),
            "addition (TLV): longer than the header, at byte 31",
        ),
        (
            &v2(0x21, 0x11, &[TCP4, b"\x03\0\x01x"]),
            "checksum (CRC32C): 1 bytes, not 4",
        ),
    ] {
        let why = refused(header).await;
        let told = chain(&why);
        assert!(told.starts_with("invalid PROXY header: "), "{told}");
        assert!(told.contains(expected), "{told}");
        assert!(
            told.len() < 150 && !told.contains(char::is_control),
            "{told}"
        );
    }
    let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 5000]].concat();
    assert!(matches!(refused(&long).await, ProxyHeaderRefused::TooLong));
    let long = v2(0x21, 0x11, &[TCP4, &[0; 5000]]);
    assert!(matches!(refused(&long).await, ProxyHeaderRefused::TooLong));
}

#[tokio::test]
async fn the_checksum_has_to_be_right() {
    let before: &[u8] = b"\x05\0\x04id-1";
    let behind: &[u8] = b"\x04\0\x02\0\0";
    let with = |sum: u32| {
        let sum = [&b"\x03\0\x04"[..], &sum.to_be_bytes()].concat();
        v2(0x21, 0x11, &[TCP4, before, &sum, behind])
    };
    let sum = super::crc32c::crc32c(&with(0));
    expect(required(), &[&with(sum)]).await.unwrap();
    let wrong = refused(&with(sum ^ 1)).await;
    assert!(matches!(wrong, ProxyHeaderRefused::Checksum));
}

#[tokio::test]
async fn additions_are_there_by_type() {
    let version = b"\x21\0\x07TLSv1.3";
    let name = b"\x22\0\x05alice";
    let tls = |client: u8, verify: u8| {
        let value = [&[client, 0, 0, 0, verify][..], version, name].concat();
        [&[0x20, 0, u8::try_from(value.len()).unwrap()], &value[..]].concat()
    };
    let header = |tls: &[u8]| {
        v2(
            0x21,
            0x11,
            &[
                TCP4,
                b"\x01\0\x02h2",
                b"\x02\0\x0bexample.org",
                b"\x05\0\x04\0\xff\x1b1",
                tls,
                b"\xe0\0\x03own",
            ],
        )
    };
    let conn = expect(required(), &[&header(&tls(7, 0))]).await.unwrap();
    let proxied = conn.info.extensions.get::<Proxied>().unwrap();
    assert_eq!(proxied.authority(), Some("example.org"));
    assert_eq!(proxied.alpn(), Some(&b"h2"[..]));
    assert_eq!(proxied.unique_id(), Some(&b"\0\xff\x1b1"[..]));
    assert_eq!(proxied.tls_version(), Some("TLSv1.3"));
    assert_eq!(proxied.common_name(), Some("alice"));
    let kinds: Vec<_> = proxied.tlvs().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [1, 2, 5, 0x20, 0xe0]);
    assert_eq!(proxied.tlvs().last(), Some((0xe0, &b"own"[..])));

    // No certificate, or one that was not verified.
    for (client, verify) in [(1, 0), (7, 1)] {
        let header = header(&tls(client, verify));
        let conn = expect(required(), &[&header]).await.unwrap();
        let proxied = conn.info.extensions.get::<Proxied>().unwrap();
        assert_eq!(proxied.common_name(), None);
        assert_eq!(proxied.tls_version(), Some("TLSv1.3"));
    }
}

// ===== whom to believe =====

#[tokio::test]
async fn a_header_from_elsewhere_is_never_believed() {
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
async fn a_trusted_ipv4_proxy_may_come_to_a_listener_for_both() {
    let (mut theirs, io) = memory::connection(256);
    theirs.write_all(V1).await.unwrap();
    let conn = required().handshake(from(io, "[::ffff:10.1.2.3]:5"));
    assert_eq!(conn.await.unwrap().info.peer, Some(addr("192.0.2.1:51234")));
}

#[tokio::test]
async fn who_need_not_send_one_goes_on_without() {
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
async fn who_waits_for_our_side_to_speak_goes_on() {
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
async fn or_is_waited_for_without_end() {
    let (_theirs, io) = memory::connection(256);
    let accepted = accepted().wait(Duration::MAX);
    let mut shaking = task::spawn(accepted.handshake(from(io, "10.0.0.1:40000")));
    assert_pending!(shaking.poll());
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_pending!(shaking.poll());
}

#[tokio::test(start_paused = true)]
async fn who_has_begun_one_has_to_finish_in_time() {
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

// ===== out =====

/// A connection that was dialled for a client of these addresses.
fn dialled_for<I>(io: I, client: &Info) -> Conn<I> {
    let mut conn = Conn::new(io, Origin::Dialled);
    conn.info.extensions.insert(DialledFor(client.clone()));
    conn
}

fn client(peer: &str, local: &str) -> Info {
    let mut info = Info::new(Origin::Accepted);
    info.peer = Some(addr(peer));
    info.local = Some(addr(local));
    info
}

async fn sent(send: SendProxyHeader, client: &Info) -> Vec<u8> {
    let (mut peer, io) = memory::connection(32 * 1024);
    let mut conn = send.handshake(dialled_for(io, client)).await.unwrap();
    conn.io.write_all(b"rest").await.unwrap();
    drop(conn);
    let (heard, _) = read_all(&mut peer).await;
    heard.strip_suffix(b"rest").unwrap().to_vec()
}

#[tokio::test]
async fn the_server_is_told_who_the_client_is() {
    let four = client("192.0.2.1:51234", "198.51.100.7:443");
    assert_eq!(sent(SendProxyHeader::v1(), &four).await, V1);
    let header = v2(0x21, 0x11, &[TCP4]);
    assert_eq!(sent(SendProxyHeader::v2(), &four).await, header);

    let both = client("[::ffff:192.0.2.1]:51234", "[::ffff:198.51.100.7]:443");
    assert_eq!(sent(SendProxyHeader::v1(), &both).await, V1);
    assert_eq!(sent(SendProxyHeader::v2(), &both).await, header);

    let six = client("[2001:db8::1]:1", "[2001:db8::2]:2");
    let line = b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n";
    assert_eq!(sent(SendProxyHeader::v1(), &six).await, line);

    let mixed = client("192.0.2.1:1", "[2001:db8::2]:2");
    let line = b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n";
    assert_eq!(sent(SendProxyHeader::v1(), &mixed).await, line);
    assert_eq!(
        sent(SendProxyHeader::v2(), &mixed).await[12..14],
        [0x21, 0x21]
    );

    let none = Info::new(Origin::Accepted);
    let line = b"PROXY UNKNOWN\r\n";
    assert_eq!(sent(SendProxyHeader::v1(), &none).await, line);
    assert_eq!(sent(SendProxyHeader::v2(), &none).await, v2(0x20, 0, &[]));
    let with = SendProxyHeader::v2_with(|_| vec![Tlv::authority("example.org")]);
    assert_eq!(sent(with, &none).await, v2(0x20, 0, &[]));
}

#[tokio::test]
async fn what_is_known_of_the_client_is_passed_on() {
    let tlvs: &[&[u8]] = &[
        TCP4,
        b"\x02\0\x0bexample.org",
        b"\x01\0\x02h2",
        b"\x05\0\x02id",
    ];
    let header = v2(0x21, 0x11, tlvs);
    let conn = expect(required(), &[&header]).await.unwrap();
    let with = SendProxyHeader::v2_adding(Addition::ALL);
    // A name of the client's choosing can make a header longer than a server reads.
    assert_eq!(
        sent(SendProxyHeader::v2(), &conn.info).await,
        v2(0x21, 0x11, &[TCP4])
    );
    let alpn = SendProxyHeader::v2_adding([Addition::Alpn]);
    assert_eq!(
        sent(alpn, &conn.info).await,
        v2(0x21, 0x11, &[TCP4, tlvs[2]])
    );
    assert_eq!(sent(with.clone(), &conn.info).await, header);

    let mut sniffed = client("192.0.2.1:51234", "198.51.100.7:443");
    assert_eq!(sent(with.clone(), &sniffed).await, v2(0x21, 0x11, &[TCP4]));
    sniffed.extensions.insert(crate::Protocol::Http1 {
        host: Some("example.org".into()),
    });
    assert_eq!(sent(with, &sniffed).await, v2(0x21, 0x11, &tlvs[..2]));
}

#[tokio::test]
async fn additions_have_a_bound() {
    let four = client("192.0.2.1:51234", "198.51.100.7:443");
    let of = |len: usize| SendProxyHeader::v2_with(move |_| vec![Tlv::new(0xe0, vec![0; len])]);
    for len in [65_497, 65_535, 100_000] {
        let (_peer, io) = memory::connection(128 * 1024);
        let refused = of(len).handshake(dialled_for(io, &four)).await.unwrap_err();
        assert!(matches!(refused, SendProxyHeaderError::TooLong));
    }
    let (mut peer, io) = memory::connection(128 * 1024);
    of(65_496).handshake(dialled_for(io, &four)).await.unwrap();
    assert_eq!(read_all(&mut peer).await.0.len(), 16 + 12 + 3 + 65_496);
}

#[tokio::test]
async fn one_that_was_dialled_for_nobody_is_refused() {
    let (mut peer, io) = memory::connection(64);
    let conn = Conn::new(io, Origin::Dialled);
    let pass = service_fn(async |_: Conn<MemoryStream>| Ok::<_, Infallible>(()));
    let service = HandshakeLayer::new(SendProxyHeader::v2()).layer(pass);
    let error: BoxError = service.oneshot(conn).await.unwrap_err();
    assert!(find_cause::<SendProxyHeaderError>(&*error).is_some());
    assert!(
        chain(&*error).contains("DialledForLayer"),
        "{}",
        chain(&*error)
    );
    assert!(read_all(&mut peer).await.0.is_empty());
}

#[tokio::test]
async fn before_the_join_either_is_told_of_the_other() {
    for to in [Side::A, Side::B] {
        let (a, a_io) = memory::connection(256);
        let (b, b_io) = memory::connection(256);
        let mut pair = Pair::new(conn(a_io), conn(b_io));
        let told = client("192.0.2.1:51234", "198.51.100.7:443");
        let mut conns = [conn(pair.a), conn(pair.b)];
        conns[usize::from(to == Side::A)].info = told;
        let [one, two] = conns;
        pair = Pair::new(one, two);
        let step = SendProxyHeader::v1().before_join(to);
        drop(step.handshake(pair).await.unwrap());
        let (mut told, mut other) = match to {
            Side::A => (a, b),
            Side::B => (b, a),
        };
        assert_eq!(read_all(&mut told).await.0, V1);
        assert!(read_all(&mut other).await.0.is_empty());
    }
}

// ===== whatever comes =====

/// Reads whatever it is given; what it does not take for a header it leaves as it is.
fn survives(sent: &[u8], cut: usize) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        let (one, two) = sent.split_at(cut.min(sent.len()));
        if let Ok(conn) = expect(accepted(), &[one, two]).await {
            let proxied = conn.info.extensions.get::<Proxied>().cloned();
            if let Some(proxied) = &proxied {
                let _ = format!("{proxied:?}{:?}", proxied.common_name());
                prop_assert!(proxied.tlvs().count() < 1400);
            }
            let rest = rest(conn).await;
            prop_assert!(sent.ends_with(&rest));
            prop_assert_eq!(rest.len() < sent.len(), proxied.is_some());
        }
        Ok(())
    })
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(sent in vec(any::<u8>(), 0..300), cut in 0..300_usize) {
        for start in [&b""[..], b"PROXY ", b"PROXY TCP4 ", V2_START, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x40"] {
            survives(&[start, &sent].concat(), cut)?;
        }
    }

    #[test]
    fn a_header_with_one_byte_changed(at in 0..80_usize, byte: u8, cut in 0..80_usize) {
        let tlvs: &[&[u8]] = &[TCP4, b"\x02\0\x0bexample.org", b"\x20\0\x0a\x07\0\0\0\0\x22\0\x02cn"];
        for mut header in [V1.to_vec(), v2(0x21, 0x11, tlvs)] {
            let at = at % header.len();
            header[at] = byte;
            header.extend(b"rest");
            survives(&header, cut)?;
        }
    }

    #[test]
    fn what_is_sent_is_understood(
        peer: SocketAddr,
        local: SocketAddr,
        tlvs in vec((0x30..=0xff_u8, vec(any::<u8>(), 0..100)), 0..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(async {
            let client = client(&peer.to_string(), &local.to_string());
            let added: Vec<_> = tlvs.iter().map(|(kind, value)| Tlv::new(*kind, value.clone())).collect();
            let with = SendProxyHeader::v2_with(move |_| added.clone());
            for send in [SendProxyHeader::v1(), with] {
                let header = sent(send, &client).await;
                let conn = expect(required(), &[&header, b"rest"]).await.unwrap();
                let canonical = |addr: SocketAddr| (addr.ip().to_canonical(), addr.port());
                prop_assert_eq!(conn.info.peer.map(canonical), Some(canonical(peer)));
                prop_assert_eq!(conn.info.local.map(canonical), Some(canonical(local)));
                let proxied = conn.info.extensions.get::<Proxied>().unwrap();
                let got: Vec<_> = proxied.tlvs().map(|(kind, value)| (kind, value.to_vec())).collect();
                prop_assert!(got.is_empty() || got == tlvs);
                prop_assert_eq!(rest(conn).await, b"rest");
            }
            Ok(())
        })?;
    }
}
