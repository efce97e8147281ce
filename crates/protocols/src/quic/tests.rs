//! Real sockets on loopback: there is no QUIC in memory.

use std::{collections::BTreeMap, io::ErrorKind, sync::Arc, time::Duration};

use couplet_endpoint::{Chain, Conn, Dial, Io, KeepAlive, Origin};
use couplet_layers::Replaceable;
use futures::StreamExt;
use quinn::{Connection, Endpoint, VarInt};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UdpSocket,
};

use super::*;
use crate::{
    testing::{assert_reset, read_all, read_some, streams},
    tls::{
        ClientCertificates, TlsAcceptConfig, TlsCertificate, TlsConnectConfig, TlsInfo,
        roots_from_pem,
    },
};

/// A CA, which signs for `localhost`.
struct Pki(CertifiedIssuer<'static, KeyPair>);

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn roots(&self) -> rustls::RootCertStore {
        roots_from_pem(self.0.pem()).unwrap()
    }

    fn certificate(&self, name: &str) -> TlsCertificate {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        TlsCertificate::from_pems(certificate.pem(), key.serialize_pem()).unwrap()
    }

    fn server(&self) -> TlsAcceptConfig {
        TlsAcceptConfig::new(self.certificate("localhost"))
    }

    fn client(&self) -> TlsConnectConfig {
        TlsConnectConfig::with_roots(self.roots())
    }
}

/// A client of quinn, without what is ours.
fn bare_client(pki: &Pki, alpn: &[u8]) -> quinn::ClientConfig {
    let mut tls = Arc::unwrap_or_clone(pki.client().build().unwrap());
    tls.alpn_protocols = vec![alpn.to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(Arc::new(tls)).unwrap();
    quinn::ClientConfig::new(Arc::new(crypto))
}

async fn bind(server: TlsAcceptConfig, options: QuicOptions) -> QuicListen {
    let server = server.build().unwrap();
    QuicListen::bind("127.0.0.1:0", server, options)
        .await
        .unwrap()
}

fn dial(listen: &QuicListen, client: TlsConnectConfig, options: QuicOptions) -> QuicDial {
    let port = listen.local_addrs().next().unwrap().port();
    let target = Dial::to(&format!("localhost:{port}")).unwrap();
    let target = target.family(couplet_endpoint::Family::Ipv4);
    QuicDial::new(target, client.build().unwrap(), options).unwrap()
}

async fn ends() -> (QuicDial, QuicListen) {
    let pki = Pki::new();
    let listen = bind(pki.server(), QuicOptions::new()).await;
    let dial = dial(&listen, pki.client(), QuicOptions::new());
    (dial, listen)
}

async fn accept(listen: &mut QuicListen) -> Conn<QuicIo> {
    let next = tokio::time::timeout(Duration::from_secs(60), listen.next());
    next.await.expect("a stream comes").unwrap().unwrap()
}

/// A stream: its dialled end, then its accepted one.
async fn stream(dial: &QuicDial, listen: &mut QuicListen) -> (QuicIo, QuicIo) {
    let (dialled, accepted) = tokio::join!(dial.connect(), accept(listen));
    (dialled.unwrap().io, accepted.io)
}

/// Opens stream after stream.
async fn opened() -> impl AsyncFnMut() -> (QuicIo, QuicIo) {
    let (dial, mut listen) = ends().await;
    async move || stream(&dial, &mut listen).await
}

streams::hold_for!(opened);

#[tokio::test]
async fn a_stream_is_there_before_its_first_byte() {
    let (dial, mut listen) = ends().await;
    let (_silent, mut accepted) = stream(&dial, &mut listen).await;
    accepted.write_all(b"server first").await.unwrap();
}

#[tokio::test]
async fn an_end_by_a_drop_that_is_said_to_be_one_is_an_end() {
    let (dial, mut listen) = ends().await;
    let (mut one, mut other) = stream(&dial, &mut listen).await;
    one.write_all(&[b'x'; 50_000]).await.unwrap();
    one.shut_by_drop();
    drop(one);
    let (heard, end) = read_all(&mut other).await;
    assert_eq!(heard.len(), 50_000);
    end.unwrap();
}

#[tokio::test]
async fn streams_share_carriers_of_so_many() {
    let pki = Pki::new();
    let few = QuicOptions::new().streams(2);
    let mut listen = bind(pki.server(), QuicOptions::new()).await;
    let dial = dial(&listen, pki.client(), few);
    let mut live = Vec::new();
    let mut ports = Vec::new();
    for _ in 0..5 {
        let (dialled, accepted) = tokio::join!(dial.connect(), accept(&mut listen));
        ports.push(carrier(&accepted));
        live.push((dialled.unwrap(), accepted));
    }
    ports.dedup();
    assert_eq!(ports.len(), 3, "two streams, two, and one");
    // One that is over leaves its place.
    live.truncate(1);
    let (mut ended, accepted) = live.pop().unwrap();
    ended.io.shutdown().await.unwrap();
    drop((ended, accepted));
    let (_one, _other) = stream(&dial, &mut listen).await;
}

/// Which carrier a stream came over: each has parameters of its own, but all have one port. What tells them apart
/// is the fingerprint that the test asks for: the streams' extensions are one `TlsInfo` a carrier.
fn carrier(conn: &Conn<QuicIo>) -> usize {
    let info: &TlsInfo = conn.info.extensions.get().unwrap();
    std::ptr::from_ref(info).addr()
}

#[tokio::test]
async fn a_listener_takes_so_many_streams_of_a_carrier_and_the_others_wait() {
    let pki = Pki::new();
    let mut listen = bind(pki.server(), QuicOptions::new().streams(1)).await;
    let dial = dial(&listen, pki.client(), QuicOptions::new());
    let (mut first, accepted) = stream(&dial, &mut listen).await;
    let mut second = Box::pin(dial.connect());
    let waits = tokio::time::timeout(Duration::from_millis(300), &mut second);
    assert!(waits.await.is_err(), "it waits");
    first.shutdown().await.unwrap();
    drop((first, accepted));
    let (second, accepted) = tokio::join!(second, accept(&mut listen));
    second.unwrap();
    drop(accepted);
}

#[tokio::test]
async fn what_is_known_of_both_ends_is_in_their_info() {
    let pki = Pki::new();
    let server = pki
        .server()
        .clients(ClientCertificates::Require(pki.roots()));
    let mut listen = bind(server, QuicOptions::new()).await;
    let client = pki.client().certificate(pki.certificate("client.test"));
    let dial = dial(&listen, client, QuicOptions::new());
    let (dialled, accepted) = tokio::join!(dial.connect(), accept(&mut listen));
    let (dialled, accepted) = (dialled.unwrap(), accepted);
    assert_eq!(accepted.info.origin, Origin::Accepted);
    assert_eq!(dialled.info.origin, Origin::Dialled);
    assert_eq!(dialled.info.peer, accepted.info.local);
    assert_eq!(accepted.info.local, listen.local_addrs().next());
    let identity: &couplet_layers::Identity = accepted.info.extensions.get().unwrap();
    assert_eq!(identity.name(), "client.test");
    for (conn, shown) in [
        (
            &dialled,
            "TLS 1.3, name localhost, ALPN couplet/1, certificate ",
        ),
        (
            &accepted,
            "TLS 1.3, name localhost, ALPN couplet/1, certificate ",
        ),
    ] {
        let info: &TlsInfo = conn.info.extensions.get().unwrap();
        assert!(info.to_string().starts_with(shown), "{info}");
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_and_a_server_that_is_not_trusted_are_refused() {
    let pki = Pki::new();
    let server = pki
        .server()
        .clients(ClientCertificates::Require(pki.roots()));
    let listen = bind(server, QuicOptions::new()).await;
    // TLS 1.3 tells a client of the refusal after the client's own handshake.
    let error = dial(&listen, pki.client(), QuicOptions::new())
        .connect()
        .await;
    let text = Chain(&error.unwrap_err()).to_string();
    assert!(
        text.contains("takes no stream: ") && text.contains("certificate"),
        "{text}"
    );
    let listen = bind(pki.server(), QuicOptions::new()).await;
    let error = dial(&listen, Pki::new().client(), QuicOptions::new())
        .connect()
        .await;
    let text = Chain(&error.unwrap_err()).to_string();
    assert!(text.contains("invalid peer certificate"), "{text}");
}

#[tokio::test]
async fn a_carrier_that_fails_resets_its_streams_and_is_dialled_again() {
    let (dial, mut listen) = ends().await;
    let (mut one, mut other) = stream(&dial, &mut listen).await;
    one.write_all(b"half").await.unwrap();
    assert_eq!(read_some(&mut other, 4).await, b"half");
    dial.close_carriers().await;
    for io in [&mut one, &mut other] {
        assert_reset(&read_all(io).await.1);
    }
    let (mut one, mut other) = stream(&dial, &mut listen).await;
    one.write_all(b"again").await.unwrap();
    assert_eq!(read_some(&mut other, 5).await, b"again");
}

#[tokio::test]
async fn a_peer_that_has_vanished_is_given_up() {
    let pki = Pki::new();
    let quick = KeepAlive::new()
        .idle(Duration::from_millis(200))
        .interval(Duration::from_millis(200))
        .count(2);
    let mut listen = bind(pki.server(), QuicOptions::new().keep_alive(quick)).await;
    let dial = dial(
        &listen,
        pki.client(),
        QuicOptions::new().keep_alive(KeepAlive::OFF),
    );
    let (die, dies) = tokio::sync::oneshot::channel::<()>();
    let (give, given) = tokio::sync::oneshot::channel();
    // The process of the client: all it has goes with its runtime.
    let process = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let _ = give.send(dial.connect().await.unwrap().io);
            let _ = dies.await;
        });
    });
    let mut other = accept(&mut listen).await.io;
    let one = given.await.unwrap();
    // Kept alive by the server's questions alone.
    let waits = tokio::time::timeout(Duration::from_secs(2), other.read_u8());
    assert!(waits.await.is_err(), "the client is there, and silent");
    die.send(()).unwrap();
    process.join().unwrap();
    let error = tokio::time::timeout(Duration::from_secs(60), other.read_u8());
    let error = error.await.expect("it is noticed").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    drop(one);
}

#[tokio::test]
async fn a_client_moves_to_another_address_and_its_streams_go_on() {
    let (dial, mut listen) = ends().await;
    let (mut one, mut other) = stream(&dial, &mut listen).await;
    for _ in 0..2 {
        one.write_all(b"before").await.unwrap();
        assert_eq!(read_some(&mut other, 6).await, b"before");
        dial.rebind();
        one.write_all(b"after").await.unwrap();
        assert_eq!(read_some(&mut other, 5).await, b"after");
        other.write_all(b"answer").await.unwrap();
        assert_eq!(read_some(&mut one, 6).await, b"answer");
    }
}

#[tokio::test]
async fn a_listener_that_is_dropped_lets_its_streams_end_and_takes_no_more() {
    let (dial, mut listen) = ends().await;
    let (mut one, mut other) = stream(&dial, &mut listen).await;
    let mut next = listen.clone();
    drop(listen);
    // A clone has taken its place.
    let (mut third, mut fourth) = stream(&dial, &mut next).await;
    third.write_all(b"here").await.unwrap();
    assert_eq!(read_some(&mut fourth, 4).await, b"here");
    drop(next);
    dial.connect().await.unwrap_err();
    one.write_all(b"still").await.unwrap();
    one.shutdown().await.unwrap();
    assert_eq!(read_all(&mut other).await.0, b"still");
    other.write_all(b"there").await.unwrap();
    other.shutdown().await.unwrap();
    let (heard, end) = read_all(&mut one).await;
    assert_eq!(heard, b"there");
    end.unwrap();
}

/// The first packets of clients that say nothing more.
async fn first_packets(pki: &Pki, clients: usize) -> Vec<Vec<u8>> {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = bare_client(pki, ALPN);
    let dial = |_| endpoint.connect_with(config.clone(), addr, "localhost");
    let _dialling: Vec<_> = (0..clients).map(dial).collect();
    let mut first = BTreeMap::new();
    while first.len() < clients {
        let mut packet = [0; 2048];
        let n = server.recv(&mut packet).await.unwrap();
        // By the ID that the client has chosen for the server (RFC 9000, section 17.2).
        let id = packet[6..][..packet[5].into()].to_vec();
        first.entry(id).or_insert_with(|| packet[..n].to_vec());
    }
    first.into_values().collect()
}

#[tokio::test]
async fn a_client_proves_its_address_while_many_handshakes_are_under_way() {
    let pki = Pki::new();
    let mut listen = bind(pki.server(), QuicOptions::new()).await;
    let addr = listen.local_addrs().next().unwrap();
    let packets = first_packets(&pki, hub::RETRY_FROM + 1).await;
    let (late, packets) = packets.split_last().unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for packet in packets {
        silent.send_to(packet, addr).await.unwrap();
    }
    let latecomer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    latecomer.send_to(late, addr).await.unwrap();
    let mut answer = [0; 2048];
    let answered = tokio::time::timeout(Duration::from_secs(60), latecomer.recv(&mut answer));
    answered.await.expect("it is answered").unwrap();
    // The form of a Retry packet (RFC 9000, section 17.2.5).
    assert_eq!(answer[0] & 0xf0, 0xf0, "{:x}", answer[0]);
    let dial = dial(&listen, pki.client(), QuicOptions::new());
    let (_one, _other) = stream(&dial, &mut listen).await;
}

#[tokio::test]
async fn a_certificate_is_replaced_for_the_carriers_that_come_then() {
    let (old, new) = (Pki::new(), Pki::new());
    let tls = Replaceable::new(old.server().build().unwrap());
    let options = QuicListen::options(tls.clone(), QuicOptions::new());
    let mut listen = options.bind("127.0.0.1:0").await.unwrap();
    let of_old = dial(&listen, old.client(), QuicOptions::new());
    let (mut one, mut other) = stream(&of_old, &mut listen).await;
    tls.replace(new.server().build().unwrap());
    let of_new = dial(&listen, new.client(), QuicOptions::new());
    stream(&of_new, &mut listen).await;
    one.write_all(b"live").await.unwrap();
    assert_eq!(read_some(&mut other, 4).await, b"live");
    let error = dial(&listen, old.client(), QuicOptions::new())
        .connect()
        .await;
    error.unwrap_err();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_waited_for_beyond_the_deadline() {
    let pki = Pki::new();
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = Dial::new(silent.local_addr().unwrap());
    let target = target.connect_timeout(Duration::from_millis(300));
    let client = pki.client().build().unwrap();
    let dial = QuicDial::new(target, client, QuicOptions::new()).unwrap();
    let error = dial.connect().await.unwrap_err();
    assert!(matches!(error, QuicDialError::Timeout { .. }), "{error}");
}

// ===== facing others: any protocol but ours =====

/// A client of another program, and the streams that come.
async fn foreign() -> (Endpoint, Connection, QuicListen) {
    let pki = Pki::new();
    let listen = bind(pki.server().alpn(["other"]), QuicOptions::new()).await;
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = listen.local_addrs().next().unwrap();
    let connecting = endpoint.connect_with(bare_client(&pki, b"other"), addr, "localhost");
    let conn = connecting.unwrap().await.unwrap();
    (endpoint, conn, listen)
}

#[tokio::test]
async fn with_another_protocol_the_bytes_of_a_stream_are_the_connections() {
    let (_endpoint, conn, mut listen) = foreign().await;
    let (mut send, mut recv) = conn.open_bi().await.unwrap();
    send.write_all(b"question").await.unwrap();
    send.finish().unwrap();
    let mut accepted = accept(&mut listen).await.io;
    let (heard, end) = read_all(&mut accepted).await;
    assert_eq!(heard, b"question");
    end.unwrap();
    accepted.write_all(&[b'x'; 50_000]).await.unwrap();
    accepted.shutdown().await.unwrap();
    drop(accepted);
    assert_eq!(recv.read_to_end(100_000).await.unwrap().len(), 50_000);
}

#[tokio::test]
async fn resets_and_stops_of_quic_are_resets_both_ways() {
    let (_endpoint, conn, mut listen) = foreign().await;
    let code = VarInt::from_u32(7);

    let (mut send, _recv) = conn.open_bi().await.unwrap();
    send.write_all(b"half").await.unwrap();
    let mut accepted = accept(&mut listen).await.io;
    assert_eq!(read_some(&mut accepted, 4).await, b"half");
    send.reset(code).unwrap();
    assert_reset(&read_all(&mut accepted).await.1);

    let (mut send, mut recv) = conn.open_bi().await.unwrap();
    send.write_all(b"stop").await.unwrap();
    let mut accepted = accept(&mut listen).await.io;
    recv.stop(code).unwrap();
    let error = loop {
        match accepted.write_all(&[0; 1000]).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let (mut send, mut recv) = conn.open_bi().await.unwrap();
    send.write_all(b"x").await.unwrap();
    let mut accepted = accept(&mut listen).await.io;
    accepted.write_all(b"half").await.unwrap();
    drop(accepted);
    let reset = loop {
        match recv.read_chunk(100, true).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("an end is made up"),
            Err(error) => break error,
        }
    };
    assert_eq!(reset, quinn::ReadError::Reset(CUT));
    assert_eq!(send.stopped().await.unwrap(), Some(CUT));

    // The client's program ends.
    let (mut send, _recv) = conn.open_bi().await.unwrap();
    send.write_all(b"half").await.unwrap();
    let mut accepted = accept(&mut listen).await.io;
    assert_eq!(read_some(&mut accepted, 4).await, b"half");
    conn.close(VarInt::from_u32(0), b"");
    assert_reset(&read_all(&mut accepted).await.1);
}

#[tokio::test]
async fn a_client_of_no_protocol_of_ours_is_refused() {
    let pki = Pki::new();
    let listen = bind(pki.server(), QuicOptions::new()).await;
    let client = pki.client().alpn(["h3"]);
    let error = dial(&listen, client, QuicOptions::new()).connect().await;
    let text = Chain(&error.unwrap_err()).to_string();
    assert!(
        text.contains("application protocol") || text.contains("protocol"),
        "{text}"
    );
}
