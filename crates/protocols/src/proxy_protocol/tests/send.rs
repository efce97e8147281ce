//! Headers that are sent.

use super::*;

#[tokio::test]
async fn the_server_gets_the_address_of_the_client() {
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
async fn the_tlvs_of_the_client_are_passed_on() {
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
async fn the_tlvs_are_bounded() {
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
async fn a_connection_dialled_for_no_client_is_refused() {
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
async fn before_the_join_either_side_gets_the_address_of_the_other() {
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

#[tokio::test]
async fn a_client_of_a_unix_socket_is_sent_as_one() {
    let client = crate::testing::of_user(7, 8);
    let mut names = [0; 216];
    names[108..121].copy_from_slice(b"/run/app.sock");
    let header = v2(0x21, 0x31, &[&names]);
    assert_eq!(sent(SendProxyHeader::v2(), &client).await, header);
    let v1 = sent(SendProxyHeader::v1(), &client).await;
    assert_eq!(v1, b"PROXY UNKNOWN\r\n");
    let with = SendProxyHeader::v2_with(|_| vec![Tlv::authority("example.org")]);
    let header = v2(0x21, 0x31, &[&names, b"\x02\0\x0bexample.org"]);
    assert_eq!(sent(with, &client).await, header);

    let conn = expect(required(), &[&header]).await.unwrap();
    let proxied: &Proxied = conn.info.extensions.get().unwrap();
    let socket = proxied.unix_socket().unwrap();
    assert_eq!(socket.to_string(), "unix:/run/app.sock");
    assert_eq!(proxied.unix_client(), None);
    assert_eq!(proxied.authority(), Some("example.org"));
    assert!(!proxied.is_addressed());
    assert_eq!(conn.info.peer, Some(addr("10.0.0.1:40000")));

    // Behind a proxy the client is the one in the header, whatever socket the proxy has come to.
    let mut proxied = client;
    proxied.peer = Some(addr("192.0.2.1:51234"));
    proxied.local = Some(addr("198.51.100.7:443"));
    assert_eq!(sent(SendProxyHeader::v1(), &proxied).await, V1);
    let header = v2(0x21, 0x11, &[TCP4]);
    assert_eq!(sent(SendProxyHeader::v2(), &proxied).await, header);
}

#[tokio::test]
async fn additions_of_a_unix_client_that_are_too_long_are_an_error() {
    let (_peer, io) = memory::connection(64);
    let send = SendProxyHeader::v2_with(|_| vec![Tlv::new(0xe0, vec![0; 65_400])]);
    let conn = dialled_for(io, &crate::testing::of_user(7, 8));
    let error = send.handshake(conn).await.unwrap_err();
    assert!(matches!(error, SendProxyHeaderError::TooLong));
}
