//! The handshakes of a side stack, measured. Where the peer can speak right behind its part, it does.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use couplet_connector::{
    endpoint::{BoxIo, Conn, Io, Origin, memory},
    layers::{DialledFor, ExpectToken, Handshake, HandshakeLayer, Identity, SendToken, Token},
};
use couplet_protocols::{
    AnswerChallenge, Challenge, Claims, Ed25519Key, ExpectMeeting, ExpectProxyHeader,
    ExpectSignedToken, HttpConnect, HttpConnectAccept, Keyring, Meet, MeetingKey, NoiseInitiator,
    NoisePsk, NoiseResponder, SendProxyHeader, Sniff, SocksAccept, SocksConnect, StartTls,
    StartTlsAccept, StartTlsConnect, TlsAccept, TlsAcceptConfig, TlsCertificate, TlsConnect,
    TlsConnectConfig, VsockConnect, WsAccept, WsConnect,
    meet::{Follow, Redial},
    tls::roots_from_pem,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    Cost,
    rig::{REST, side, side_with},
};

pub(crate) async fn measure(name: &str) -> Option<Cost> {
    Some(match name {
        "ExpectToken" => step(ExpectToken::new(token()), b"secret\nrest", REST).await,
        "SendToken" => step(SendToken::new(token()), b"rest", REST).await,
        "ExpectMeeting" => {
            let says = format!("couplet/1 {}\nrest", MeetingKey::of("demo"));
            step(ExpectMeeting::new(), says.as_bytes(), REST).await
        }
        "Follow" => {
            let alone = async |_: Redial| Err::<Conn<BoxIo>, _>(io::Error::other("one relay"));
            let follow = Follow::new(Meet::new(MeetingKey::of("demo")), tower::service_fn(alone));
            step(follow, b"ok\nrest", REST).await
        }
        "Meet" => step(Meet::new(MeetingKey::of("demo")), b"ok\nrest", REST).await,
        "ExpectSignedToken" => signed_token().await,
        "Sniff" => step(Sniff::new(), b"SSH-2.0-x\r\nrest", b"SSH-2.0-x\r\nrest").await,
        "ExpectProxyHeader" => {
            let expect = ExpectProxyHeader::required("127.0.0.1".parse().unwrap());
            step(expect, b"PROXY UNKNOWN\r\nrest", REST).await
        }
        "SendProxyHeader" => send_proxy_header().await,
        "Challenge" => challenge().await,
        "AnswerChallenge" => answer_challenge().await,
        "StartTlsAccept" => {
            let says = b"\x00\x00\x00\x08\x04\xd2\x16\x2frest";
            step(StartTlsAccept::new(StartTls::Postgres), says, REST).await
        }
        "StartTlsConnect" => step(StartTlsConnect::new(StartTls::Postgres), b"Srest", REST).await,
        "VsockConnect" => step(VsockConnect::new(5000), b"OK 1024\nrest", REST).await,
        "SocksAccept" => {
            let says = b"\x05\x01\x00\x05\x01\x00\x03\x01a\x00\x50rest";
            step(SocksAccept::new(), says, REST).await
        }
        "SocksConnect" => {
            let says = b"\x05\x00\x05\x00\x00\x03\x01a\x00\x50rest";
            asks(SocksConnect::new(), says).await
        }
        "HttpConnectAccept" => {
            let says = b"CONNECT a:80 HTTP/1.1\r\n\r\nrest";
            step(HttpConnectAccept::new(), says, REST).await
        }
        "HttpConnect" => asks(HttpConnect::new(), b"HTTP/1.1 200 OK\r\n\r\nrest").await,
        "TlsAccept" => {
            let (accept, connect) = tls();
            between(accept, connect).await
        }
        "TlsConnect" => {
            let (accept, connect) = tls();
            between(connect, accept).await
        }
        "NoiseInitiator" => between(NoiseInitiator::psk(psk()), NoiseResponder::psk(psk())).await,
        "NoiseResponder" => between(NoiseResponder::psk(psk()), NoiseInitiator::psk(psk())).await,
        "WsAccept" => between(ws_accept(), ws_connect()).await,
        "WsConnect" => between(ws_connect(), ws_accept()).await,
        _ => return None,
    })
}

/// What a step costs whose peer says this.
async fn step<H, I: Io>(handshake: H, says: &[u8], below: &[u8]) -> Cost
where
    H: Handshake<Conn<TcpStream>, Output = Conn<I>> + Clone,
{
    side(HandshakeLayer::new(handshake), says, below).await
}

/// What a step costs whose peer's part is another.
async fn between<H, P, I: Io, J: Io>(handshake: H, peers: P) -> Cost
where
    H: Handshake<Conn<TcpStream>, Output = Conn<I>> + Clone,
    P: Handshake<Conn<TcpStream>, Output = Conn<J>>,
{
    let talks = async |io| {
        let shaken = peers.handshake(Conn::new(io, Origin::Accepted)).await;
        let mut io = shaken.map_err(Into::into).unwrap().io;
        io.write_all(REST).await.unwrap();
        io.flush().await.unwrap();
        io
    };
    side_with(HandshakeLayer::new(handshake), talks, REST).await
}

// ===== tokens =====

fn token() -> Token {
    Token::new("secret").unwrap()
}

async fn signed_token() -> Cost {
    let keyring = Keyring::new("new", "a secret that is new!").unwrap();
    let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
    let token = keyring.sign(&Claims::new("session", in_an_hour).unwrap());
    let says = format!("{}\nrest", token.as_str());
    step(ExpectSignedToken::new(keyring), says.as_bytes(), REST).await
}

// ===== the PROXY protocol =====

/// A connection dialled for the client of the header.
async fn send_proxy_header() -> Cost {
    let send = HandshakeLayer::new(async |mut conn: Conn<TcpStream>| {
        let client = DialledFor(conn.info.clone());
        conn.info.extensions.insert(client);
        SendProxyHeader::v1().handshake(conn).await
    });
    side(send, REST, REST).await
}

// ===== proxies =====

/// A proxy is asked, and says this.
async fn asks<H, I: Io>(handshake: H, says: &[u8]) -> Cost
where
    H: Handshake<Conn<TcpStream>, Output = Conn<I>> + Clone,
{
    let asking = HandshakeLayer::new(async |mut conn: Conn<TcpStream>| {
        conn.info.target = Some(Arc::new("example.org:80".parse().unwrap()));
        handshake.handshake(conn).await
    });
    side(asking, says, REST).await
}

// ===== a challenge =====

fn who_knows_each_other() -> (Challenge, AnswerChallenge) {
    let key = Ed25519Key::generate().unwrap();
    let known = [(key.public(), Identity::new("laptop"))];
    let ask = Challenge::new(known.into_iter().collect());
    (ask, AnswerChallenge::new(key))
}

/// The line that comes, with its end.
async fn line(from: &mut impl Io) -> Vec<u8> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(from.read_u8().await.unwrap());
    }
    line
}

/// The answer to the peer is by the holder of the key.
async fn challenge() -> Cost {
    let (ask, answer) = who_knows_each_other();
    let talks = async |mut peer: TcpStream| {
        let (mut far, near) = memory::connection(1024);
        far.write_all(&line(&mut peer).await).await.unwrap();
        let answering = answer.handshake(Conn::new(near, Origin::Dialled));
        let (answered, answer) = tokio::join!(answering, line(&mut far));
        answered.unwrap();
        peer.write_all(&[&answer, REST].concat()).await.unwrap();
        peer
    };
    side_with(HandshakeLayer::new(ask), talks, REST).await
}

/// The peer gets its question, and the asking end does not wait for the answer.
async fn answer_challenge() -> Cost {
    let (ask, answer) = who_knows_each_other();
    let talks = async |mut peer: TcpStream| {
        let (mut far, near) = memory::connection(1024);
        let asking = ask.handshake(Conn::new(near, Origin::Accepted));
        let question = line(&mut far);
        tokio::pin!(asking);
        let question = tokio::select! {
            question = question => question,
            _ = &mut asking => panic!("nobody has answered"),
        };
        peer.write_all(&[&question, REST].concat()).await.unwrap();
        peer
    };
    side_with(HandshakeLayer::new(answer), talks, REST).await
}

// ===== encryption =====

fn psk() -> NoisePsk {
    NoisePsk::from_secret("0123456789abcdef").unwrap()
}

fn tls() -> (TlsAccept, TlsConnect) {
    let made = rcgen::generate_simple_self_signed(["server.test".to_owned()]).unwrap();
    let pem = made.cert.pem();
    let certificate = TlsCertificate::from_pems(&pem, made.signing_key.serialize_pem()).unwrap();
    let accept = TlsAcceptConfig::new(certificate).build().unwrap();
    let connect = TlsConnectConfig::with_roots(roots_from_pem(pem).unwrap());
    let connect = TlsConnect::new(connect.build().unwrap());
    let name = "server.test".try_into().unwrap();
    (TlsAccept::new(accept), connect.server_name(name))
}

// ===== WebSocket =====

fn ws_accept() -> WsAccept {
    WsAccept::new("/".parse().unwrap())
}

fn ws_connect() -> WsConnect {
    WsConnect::new("/".parse().unwrap())
}
