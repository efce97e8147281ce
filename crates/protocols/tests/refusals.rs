//! What a handshake refuses for is a label of the metrics.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(all(
    feature = "challenge",
    feature = "meet",
    feature = "noise",
    feature = "proxy-protocol",
    feature = "signed-token",
    feature = "tls",
    feature = "ws"
))]

use std::convert::Infallible;

use couplet_endpoint::{Conn, Io, Origin, memory};
use couplet_layers::{Handshake, HandshakeLayer, RefusalCause, Replaceable};
use couplet_protocols::{
    AnswerChallenge, Challenge, Ed25519Key, ExpectMeeting, ExpectProxyHeader, ExpectSignedToken,
    HttpConnectAccept, Keyring, Meet, MeetingKey, NoiseInitiator, NoisePsk, NoiseResponder,
    SocksAccept, TlsAccept, TlsAcceptConfig, TlsCertificate, TlsConnect, TlsConnectConfig,
    WsAccept, WsConnect, meet::Follow, tls::KeyPin,
};
use tokio::io::AsyncWriteExt;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

/// No protocol begins so.
const NONSENSE: &[u8] = &[b'?'; 8000];

/// The cause that a refusal of nonsense counts under.
async fn cause<H, I: Io>(handshake: H) -> RefusalCause
where
    H: Handshake<Conn<memory::MemoryStream>, Output = Conn<I>> + Clone,
{
    let (mut peer, io) = memory::connection(16 * 1024);
    peer.write_all(NONSENSE).await.unwrap();
    peer.write_all(b"\r\n\r\n").await.unwrap();
    let place = service_fn(async |_: Conn<I>| Ok::<_, Infallible>(()));
    let side = HandshakeLayer::new(handshake).timeout(None).layer(place);
    let mut conn = Conn::new(io, Origin::Accepted);
    conn.info.peer = Some(([10, 0, 0, 1], 4711).into());
    RefusalCause::of(&*side.oneshot(conn).await.unwrap_err())
}

#[tokio::test(start_paused = true)]
async fn each_protocol_has_its_cause() {
    use RefusalCause as Cause;

    let header = ExpectProxyHeader::required("10.0.0.0/8".parse().unwrap());
    assert_eq!(cause(header.clone()).await, Cause::ProxyHeader);
    assert_eq!(cause(Replaceable::new(header)).await, Cause::ProxyHeader);

    let made = rcgen::generate_simple_self_signed(["server.test".to_owned()]).unwrap();
    let key = made.signing_key.serialize_pem();
    let certificate = TlsCertificate::from_pems(made.cert.pem(), key).unwrap();
    let accept = TlsAccept::new(TlsAcceptConfig::new(certificate).build().unwrap());
    assert_eq!(cause(accept).await, Cause::Tls);
    let pin = KeyPin::of(made.cert.der()).unwrap();
    let connect = TlsConnect::new(TlsConnectConfig::with_pins([pin]).build().unwrap());
    let connect = connect.server_name("server.test".try_into().unwrap());
    assert_eq!(cause(connect).await, Cause::Tls);

    let psk = || NoisePsk::from_secret("0123456789abcdef").unwrap();
    assert_eq!(cause(NoiseInitiator::psk(psk())).await, Cause::Noise);
    assert_eq!(cause(NoiseResponder::psk(psk())).await, Cause::Noise);

    assert_eq!(
        cause(WsAccept::new("/".parse().unwrap())).await,
        Cause::WebSocket
    );
    assert_eq!(
        cause(WsConnect::new("/".parse().unwrap())).await,
        Cause::WebSocket
    );

    let keyring = Keyring::new("new", "a secret that is new!").unwrap();
    assert_eq!(cause(ExpectSignedToken::new(keyring)).await, Cause::Token);

    let key = Ed25519Key::generate().unwrap();
    let known = [(key.public(), couplet_layers::Identity::new("laptop"))];
    let ask = Challenge::new(known.into_iter().collect());
    assert_eq!(cause(ask).await, Cause::Challenge);
    assert_eq!(cause(AnswerChallenge::new(key)).await, Cause::Challenge);

    let meet = Meet::new(MeetingKey::of("demo"));
    let alone = service_fn(async |_| Err::<Conn<_>, _>("there is one relay"));
    assert_eq!(cause(ExpectMeeting::new()).await, Cause::Meeting);
    assert_eq!(cause(meet.clone()).await, Cause::Meeting);
    assert_eq!(cause(Follow::new(meet, alone)).await, Cause::Meeting);

    // Those without a label of their own.
    assert_eq!(cause(SocksAccept::new()).await, Cause::Handshake);
    assert_eq!(cause(HttpConnectAccept::new()).await, Cause::Handshake);
}
