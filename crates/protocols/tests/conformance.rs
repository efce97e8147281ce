//! The handshakes of this crate conform, and so do the streams of `mux`.

use std::io;

use couplet_conformance::side;
use couplet_endpoint::{BoxIo, Conn};
use couplet_layers::HandshakeLayer;
use couplet_protocols::*;

/// The stream of a carrier, at either end.
#[cfg(feature = "mux")]
#[test]
fn mux() {
    use std::{
        convert::Infallible,
        future::ready,
        pin::Pin,
        sync::{Arc, Mutex},
        task::{Context, Poll},
    };

    use couplet_endpoint::{BoxError, Endpoint};
    use couplet_protocols::mux::{MuxDial, MuxIo, MuxListen, plain};
    use futures::{FutureExt, Stream, StreamExt, TryFutureExt, future::BoxFuture};
    use tower::{ServiceExt, service_fn};

    /// The only carrier.
    struct One(Option<Conn<BoxIo>>);

    impl Stream for One {
        type Item = Result<Conn<BoxIo>, Infallible>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.take().map(Ok))
        }
    }

    impl Endpoint for One {
        type Io = BoxIo;
        type Error = Infallible;
    }

    fn opens(conn: Conn<BoxIo>) -> BoxFuture<'static, Result<Conn<MuxIo>, BoxError>> {
        let info = conn.info.clone();
        let carrier = Arc::new(Mutex::new(Some(conn)));
        let dial = service_fn(move |()| {
            let carrier = carrier.lock().unwrap().take();
            ready(carrier.ok_or("the carrier is gone"))
        });
        let opening = MuxDial::new(dial, plain::<BoxIo>).oneshot(());
        let with_info = |stream: Conn<MuxIo>| Conn {
            io: stream.io,
            info,
        };
        opening.map_ok(with_info).err_into().boxed()
    }

    fn takes(conn: Conn<BoxIo>) -> BoxFuture<'static, Result<Conn<MuxIo>, BoxError>> {
        let info = conn.info.clone();
        let mut streams = MuxListen::new(One(Some(conn)), plain::<BoxIo>);
        async move {
            let Ok(stream) = streams.next().await.ok_or("the carrier has no stream")?;
            let io = stream.io;
            Ok(Conn { io, info })
        }
        .boxed()
    }

    let (opens, takes) = (HandshakeLayer::new(opens), HandshakeLayer::new(takes));
    let both = side(takes.clone()).peer(opens.clone());
    both.has_end().check().unwrap();
    side(opens).peer(takes).has_end().check().unwrap();
}

/// The relay, and its clients; the reply at the join is a pair's.
#[cfg(feature = "meet")]
#[test]
fn meet() {
    use couplet_protocols::meet::{Follow, Redial};
    use tokio::io::AsyncWriteExt;

    let comes = async |mut conn: Conn<BoxIo>| {
        let line = format!("couplet/1 {}\n", MeetingKey::of("demo"));
        conn.io.write_all(line.as_bytes()).await?;
        Ok::<_, io::Error>(conn)
    };
    let relay = HandshakeLayer::new(ExpectMeeting::new());
    side(relay)
        .peer(HandshakeLayer::new(comes))
        .check()
        .unwrap();

    let answers = async |mut conn: Conn<BoxIo>| {
        conn.io.write_all(b"ok\n").await?;
        Ok::<_, io::Error>(conn)
    };
    let relay = tower::ServiceBuilder::new()
        .layer(HandshakeLayer::new(ExpectMeeting::new()))
        .map_request(|conn: Conn<couplet_endpoint::Replay<BoxIo>>| conn.boxed())
        .layer(HandshakeLayer::new(answers));
    let meet = Meet::new(MeetingKey::of("demo"));
    let meets = HandshakeLayer::new(meet.clone());
    side(meets).peer(relay.clone()).check().unwrap();

    let alone = async |_: Redial| Err::<Conn<BoxIo>, _>(io::Error::other("there is one relay"));
    let follows = HandshakeLayer::new(Follow::new(meet, tower::service_fn(alone)));
    side(follows).peer(relay).check().unwrap();
}

/// A proxy and its client; the proxy's answer is the pairing's.
#[cfg(any(feature = "connect", feature = "socks"))]
macro_rules! proxy {
    ($accept:expr, $connect:expr, $asks:expr, $hears:expr, $answer:expr) => {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let asks = async |mut conn: Conn<BoxIo>| {
            conn.io.write_all($asks).await?;
            conn.io.read_exact(&mut [0; $hears]).await?;
            Ok::<_, io::Error>(conn)
        };
        let proxy = HandshakeLayer::new($accept);
        side(proxy).peer(HandshakeLayer::new(asks)).check().unwrap();

        let answers = async |mut conn: Conn<BoxIo>| {
            conn.io.write_all($answer).await?;
            Ok::<_, io::Error>(conn)
        };
        let proxy = tower::ServiceBuilder::new()
            .layer(HandshakeLayer::new($accept))
            .map_request(|conn: Conn<couplet_endpoint::Replay<BoxIo>>| conn.boxed())
            .layer(HandshakeLayer::new(answers));
        let client = async |mut conn: Conn<BoxIo>| {
            conn.info.target = Some(std::sync::Arc::new("example.org:80".parse().unwrap()));
            couplet_layers::Handshake::handshake(&$connect, conn).await
        };
        side(HandshakeLayer::new(client))
            .peer(proxy)
            .check()
            .unwrap();
    };
}

#[cfg(feature = "socks")]
#[test]
fn socks() {
    let asks = b"\x05\x01\x00\x05\x01\x00\x03\x01a\x00\x50";
    let answer = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    proxy!(SocksAccept::new(), SocksConnect::new(), asks, 2, answer);
}

#[cfg(feature = "connect")]
#[test]
fn connect() {
    let asks = b"CONNECT a:80 HTTP/1.1\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\n\r\n";
    proxy!(
        HttpConnectAccept::new(),
        HttpConnect::new(),
        asks,
        0,
        answer
    );
}

#[test]
fn starttls() {
    for protocol in [StartTls::Postgres, StartTls::Smtp] {
        let accept = HandshakeLayer::new(StartTlsAccept::new(protocol));
        let connect = HandshakeLayer::new(StartTlsConnect::new(protocol));
        side(accept.clone()).peer(connect.clone()).check().unwrap();
        side(connect).peer(accept).check().unwrap();
    }
}

#[test]
fn vsock_connect() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let hypervisor = async |mut conn: Conn<BoxIo>| {
        conn.io
            .read_exact(&mut [0; b"CONNECT 5000\n".len()])
            .await?;
        conn.io.write_all(b"OK 1024\n").await?;
        Ok::<_, io::Error>(conn)
    };
    let asks = HandshakeLayer::new(VsockConnect::new(5000));
    side(asks)
        .peer(HandshakeLayer::new(hypervisor))
        .check()
        .unwrap();
}

#[cfg(feature = "signed-token")]
#[test]
fn signed_token() {
    let keyring: Keyring = "2026-11: D6mHlkGrPqsdqS9FZUwMYpWKbSm3I3xL".parse().unwrap();
    let expires = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    let token = keyring.sign(&Claims::new("demo", expires).unwrap());
    let expect = HandshakeLayer::new(ExpectSignedToken::new(keyring));
    let send = HandshakeLayer::new(couplet_layers::SendToken::new(token.into()));
    side(expect).peer(send).check().unwrap();
}

#[cfg(feature = "challenge")]
#[test]
fn challenge() {
    let key = Ed25519Key::generate().unwrap();
    let authorized: AuthorizedKeys = format!("{} laptop", key.public()).parse().unwrap();
    let ask = HandshakeLayer::new(Challenge::new(authorized));
    let answer = HandshakeLayer::new(AnswerChallenge::new(key));
    side(ask.clone()).peer(answer.clone()).check().unwrap();
    side(answer).peer(ask).check().unwrap();
}

#[cfg(feature = "noise")]
#[test]
fn noise() {
    let psk = NoisePsk::from_secret("r7NKnQYSgPPQXIQ0M2nmTEGJrISz5ZHTyvMN6sCrZBQ").unwrap();
    let dialled = HandshakeLayer::new(NoiseInitiator::psk(psk.clone()));
    let listening = HandshakeLayer::new(NoiseResponder::psk(psk));
    let initiator = side(dialled.clone()).peer(listening.clone());
    initiator.has_end().check().unwrap();
    let responder = side(listening).peer(dialled);
    responder.has_end().check().unwrap();
}

#[cfg(feature = "tls")]
#[test]
fn tls() {
    use couplet_protocols::tls::{
        TlsAccept, TlsAcceptConfig, TlsCertificate, TlsConnect, TlsConnectConfig,
    };

    let signed = rcgen::generate_simple_self_signed(["server.test".into()]).unwrap();
    let key = signed.signing_key.serialize_pem();
    let certificate = TlsCertificate::from_pems(signed.cert.pem(), key).unwrap();
    let accept = TlsAccept::new(TlsAcceptConfig::new(certificate).build().unwrap());
    let pin = couplet_protocols::tls::KeyPin::of(signed.cert.der()).unwrap();
    let connect = TlsConnect::new(TlsConnectConfig::with_pins([pin]).build().unwrap());
    let connect = connect.server_name("server.test".try_into().unwrap());
    let (accept, connect) = (HandshakeLayer::new(accept), HandshakeLayer::new(connect));
    let server = side(accept.clone()).peer(connect.clone());
    server.has_end().check().unwrap();
    side(connect).peer(accept).has_end().check().unwrap();
}

#[cfg(feature = "ws")]
#[test]
fn ws() {
    let accept = HandshakeLayer::new(WsAccept::new("/relay".parse().unwrap()));
    let connect = HandshakeLayer::new(WsConnect::new("/relay".parse().unwrap()));
    let server = side(accept.clone()).peer(connect.clone());
    server.has_end().check().unwrap();
    side(connect).peer(accept).has_end().check().unwrap();
}

#[cfg(feature = "proxy-protocol")]
#[test]
fn proxy_protocol() {
    for send in [SendProxyHeader::v1(), SendProxyHeader::v2()] {
        let expect = ExpectProxyHeader::required("127.0.0.0/8".parse().unwrap());
        let expect = HandshakeLayer::new(expect);
        // As if it had been dialled for another.
        let dialled = |mut conn: Conn<BoxIo>| {
            let other = couplet_layers::DialledFor(conn.info.clone());
            conn.info.extensions.insert(other);
            conn
        };
        let send = tower::ServiceBuilder::new()
            .map_request(dialled)
            .layer(HandshakeLayer::new(send));
        side(expect.clone()).peer(send.clone()).check().unwrap();
        side(send).peer(expect).check().unwrap();
    }
}

#[cfg(feature = "proxy-protocol")]
#[test]
fn proxy_protocol_before_the_join() {
    let expect = ExpectProxyHeader::required("127.0.0.0/8".parse().unwrap());
    let send: couplet_protocols::proxy_protocol::SendProxyHeaderBeforeJoin =
        SendProxyHeader::v2().before_join(couplet_endpoint::Side::B);
    let send = couplet_conformance::pair(HandshakeLayer::new(send));
    let expect = HandshakeLayer::new(expect);
    send.peer_b(expect).check().unwrap();
}

#[test]
fn sniff() {
    side(HandshakeLayer::new(Sniff::new())).check().unwrap();
}
