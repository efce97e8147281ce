//! What is read of a header.

use super::*;

#[tokio::test]
async fn the_addresses_become_those_of_the_client() {
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

#[tokio::test]
async fn bytes_after_the_header_are_kept_wherever_the_stream_is_cut() {
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
async fn a_connection_that_ends_within_its_header_is_refused() {
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
async fn tlvs_are_found_by_type() {
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
