use std::{convert::Infallible, io, time::Duration};

use bytes::BytesMut;
use couplet_endpoint::{
    Conn, Io, find_cause,
    memory::{self, MemoryStream},
};
use couplet_layers::{Departed, Handshake, HandshakeLayer, Identity, Transformed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Service, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_layer::Layer;

use super::*;
use crate::testing::{conn, read_all, read_some};

type Encrypted = Transformed<MemoryStream>;

/// What happens to a byte of a direction, by its number.
#[derive(Clone, Copy, Debug)]
enum Meddle {
    Not,
    Change(usize),
    /// This byte and those behind it are lost, and the stream ends.
    Cut(usize),
}

fn psk() -> NoisePsk {
    NoisePsk::from_secret("0123456789abcdef").unwrap()
}

fn psk_ends() -> (NoiseInitiator, NoiseResponder) {
    (NoiseInitiator::psk(psk()), NoiseResponder::psk(psk()))
}

/// Passes the bytes of a direction on, one by one; returns what came.
async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    meddle: Meddle,
) -> Vec<u8> {
    let mut wire = Vec::new();
    while let Ok(byte) = from.read_u8().await {
        let sent = match meddle {
            Meddle::Change(at) if at == wire.len() => byte ^ 1,
            Meddle::Cut(at) if at <= wire.len() => break,
            _ => byte,
        };
        wire.push(byte);
        if to.write_u8(sent).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
    // What still comes is lost, without an error.
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    wire
}

type Shaken = Result<Conn<Encrypted>, NoiseFailed>;

/// Both ends, and the bytes between them once they have ended.
struct Between {
    initiator: Shaken,
    responder: Shaken,
    there: tokio::task::JoinHandle<Vec<u8>>,
    back: tokio::task::JoinHandle<Vec<u8>>,
}

async fn between(
    (initiator, responder): (NoiseInitiator, NoiseResponder),
    there: Meddle,
    back: Meddle,
) -> Between {
    let (ours, near) = memory::connection(1024);
    let (far, theirs) = memory::connection(1024);
    let (near_read, near_write) = tokio::io::split(near);
    let (far_read, far_write) = tokio::io::split(far);
    let there = tokio::spawn(carry(near_read, far_write, there));
    let back = tokio::spawn(carry(far_read, near_write, back));
    let (initiator, responder) = tokio::join!(
        initiator.handshake(conn(ours)),
        responder.handshake(conn(theirs))
    );
    Between {
        initiator,
        responder,
        there,
        back,
    }
}

/// Each end says something and ends; what the two heard, and how it ended for them.
async fn exchange(ends: (Conn<Encrypted>, Conn<Encrypted>)) -> [(Vec<u8>, io::Result<()>); 2] {
    let say = async |conn: Conn<Encrypted>, what: &[u8]| {
        let mut io = conn.io;
        io.write_all(what).await.unwrap();
        io.shutdown().await.unwrap();
        let heard = read_all(&mut io).await;
        (heard.0, heard.1)
    };
    let (a, b) = tokio::join!(say(ends.0, b"hello"), say(ends.1, b"hi"));
    [a, b]
}

#[tokio::test]
async fn peers_with_a_shared_secret_agree() {
    let between = between(psk_ends(), Meddle::Not, Meddle::Not).await;
    let ends = (between.initiator.unwrap(), between.responder.unwrap());
    assert!(ends.1.info.extensions.get::<Identity>().is_none());
    let [at_initiator, at_responder] = exchange(ends).await;
    assert_eq!(at_initiator.0, b"hi");
    at_initiator.1.unwrap();
    assert_eq!(at_responder.0, b"hello");
    at_responder.1.unwrap();
    // Two messages, the proof, a record, the end: none of it in the clear.
    let there = between.there.await.unwrap();
    assert_eq!(there.len(), 50 + 18 + 23 + 18);
    assert!(!there.windows(5).any(|bytes| bytes == b"hello"));
    assert_eq!(between.back.await.unwrap().len(), 50 + 20 + 18);
}

#[tokio::test]
async fn peers_with_each_others_public_keys_agree() {
    let [ours, theirs, stranger] = [(); 3].map(|()| NoiseKey::generate().unwrap());
    let file = format!(
        "{} someone else\n{} laptop",
        stranger.public(),
        ours.public()
    );
    let peers: NoisePeers = file.parse().unwrap();
    let responder = NoiseResponder::kk(theirs.clone(), peers);
    let initiator = NoiseInitiator::kk(ours.clone(), theirs.public());
    let met = between((initiator, responder), Meddle::Not, Meddle::Not).await;
    let ends = (met.initiator.unwrap(), met.responder.unwrap());
    let identity: &Identity = ends.1.info.extensions.get().unwrap();
    assert_eq!(identity.name(), "laptop");
    let [at_initiator, at_responder] = exchange(ends).await;
    assert_eq!(at_initiator.0, b"hi");
    assert_eq!(at_responder.0, b"hello");
    at_responder.1.unwrap();

    // A key that is not known, a peer that is another, and a secret in place of a key.
    let known = || NoiseResponder::kk(theirs.clone(), NoisePeers::one(ours.public()));
    for initiator in [
        NoiseInitiator::kk(stranger.clone(), theirs.public()),
        NoiseInitiator::kk(ours.clone(), stranger.public()),
        NoiseInitiator::psk(psk()),
    ] {
        let met = between((initiator, known()), Meddle::Not, Meddle::Not).await;
        assert!(matches!(met.responder, Err(NoiseFailed::NotAuthentic)));
        assert!(met.initiator.is_err());
        assert!(met.back.await.unwrap().is_empty(), "it is told nothing");
    }
}

#[tokio::test]
async fn a_peer_with_another_secret_gets_no_reply() {
    let other = NoisePsk::from_secret("0123456789abcdeF").unwrap();
    let ends = (NoiseInitiator::psk(other), NoiseResponder::psk(psk()));
    let met = between(ends, Meddle::Not, Meddle::Not).await;
    assert!(matches!(met.responder, Err(NoiseFailed::NotAuthentic)));
    assert!(met.initiator.is_err());
    assert!(met.back.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_changed_byte_or_a_cut_is_never_an_end() {
    // As in the first test: there and back.
    for (dir, len) in [(0, 109), (1, 88)] {
        // Each byte of the records, and enough of those of the handshakes, which take their time.
        for at in (0..50).step_by(6).chain(50..len) {
            for meddle in [Meddle::Change(at), Meddle::Cut(at)] {
                let (there, back) = match dir {
                    0 => (meddle, Meddle::Not),
                    _ => (Meddle::Not, meddle),
                };
                let met = between(psk_ends(), there, back).await;
                let (Ok(initiator), Ok(responder)) = (met.initiator, met.responder) else {
                    continue;
                };
                assert!(at >= 50, "{dir} {meddle:?}");
                let heard = exchange((initiator, responder)).await;
                let (heard, end) = &heard[1 - dir];
                assert!(b"hello".starts_with(heard) || b"hi".starts_with(heard));
                let error = end.as_ref().expect_err("it was meddled with");
                assert!(find_cause::<BadRecord>(error).is_some());
            }
        }
    }
}

#[tokio::test]
async fn a_replayed_handshake_is_refused() {
    let met = between(psk_ends(), Meddle::Not, Meddle::Not).await;
    for (_, end) in exchange((met.initiator.unwrap(), met.responder.unwrap())).await {
        end.unwrap();
    }
    let recorded = met.there.await.unwrap();
    let (mut peer, io) = memory::connection(1024);
    peer.write_all(&recorded).await.unwrap();
    let again = NoiseResponder::psk(psk()).handshake(conn(io)).await;
    assert!(matches!(again, Err(NoiseFailed::NotAuthentic)));
}

/// One with the secret that speaks Noise, and another protocol over it.
#[tokio::test]
async fn peers_with_different_settings_are_refused() {
    for (prologue, refused) in [
        ("", true),
        ("couplet noise 2", true),
        ("couplet noise 1", false),
    ] {
        let protocol = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s".parse().unwrap();
        let psk = psk();
        let builder = snow::Builder::new(protocol).prologue(prologue.as_bytes());
        let builder = builder.and_then(|builder| builder.psk(0, psk.bytes()));
        let mut state = builder.unwrap().build_initiator().unwrap();
        let mut message = [0; 48];
        state.write_message(&[], &mut message).unwrap();
        let (mut peer, io) = memory::connection(1024);
        peer.write_all(&[&[0, 48][..], &message].concat())
            .await
            .unwrap();
        peer.shutdown().await.unwrap();
        let error = NoiseResponder::psk(psk).handshake(conn(io)).await.err();
        let not_authentic = matches!(error, Some(NoiseFailed::NotAuthentic));
        assert_eq!(not_authentic, refused, "{prologue}");
    }
}

#[tokio::test]
async fn a_plaintext_peer_is_refused() {
    let long = vec![0; 4096];
    for said in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\0\0",
        b"\0\x31",
        b"\xff\xff",
        &long,
        &[&b"\0\x30"[..], &long].concat(),
        b"",
        b"\0\x30 too short",
    ] {
        let (mut peer, io) = memory::connection(8192);
        peer.write_all(said).await.unwrap();
        peer.shutdown().await.unwrap();
        let refused = NoiseResponder::psk(psk()).handshake(conn(io)).await;
        assert!(refused.is_err(), "{said:?}");
        assert!(read_all(&mut peer).await.0.is_empty(), "it is told nothing");

        let (mut peer, io) = memory::connection(8192);
        peer.write_all(said).await.unwrap();
        peer.shutdown().await.unwrap();
        let refused = NoiseInitiator::psk(psk()).handshake(conn(io)).await;
        assert!(refused.is_err(), "{said:?}");
    }
}

#[tokio::test]
async fn a_peer_that_echoes_is_refused() {
    let (peer, io) = memory::connection(8192);
    let (mut read, mut write) = tokio::io::split(peer);
    tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
    let refused = NoiseInitiator::psk(psk()).handshake(conn(io)).await;
    assert!(matches!(refused, Err(NoiseFailed::NotAuthentic)));
}

#[tokio::test]
async fn each_direction_ends_by_itself_and_a_flush_sends_a_record() {
    let met = between(psk_ends(), Meddle::Not, Meddle::Not).await;
    let (mut a, mut b) = (met.initiator.unwrap().io, met.responder.unwrap().io);
    a.write_all(b"k").await.unwrap();
    a.flush().await.unwrap();
    assert_eq!(read_some(&mut b, 1).await, b"k");
    a.shutdown().await.unwrap();
    assert_eq!(b.read(&mut [0; 8]).await.unwrap(), 0);
    b.write_all(b"still").await.unwrap();
    b.flush().await.unwrap();
    assert_eq!(read_some(&mut a, 5).await, b"still");
    // Dropped, it was not shut down.
    drop(b);
    let error = a.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(find_cause(&error), Some(&BadRecord::CutOff));
}

#[tokio::test]
async fn keys_are_renewed_on_a_long_stream() {
    let (ours, theirs) = memory::connection(64 * 1024);
    let initiator = NoiseInitiator::psk(psk()).rekey(3);
    let responder = NoiseResponder::psk(psk()).rekey(3);
    let (a, b) = tokio::join!(
        initiator.handshake(conn(ours)),
        responder.handshake(conn(theirs))
    );
    let (mut a, mut b) = (a.unwrap().io, b.unwrap().io);
    let sent: Vec<u8> = (0..500_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let send = async {
        a.write_all(&sent).await.unwrap();
        a.shutdown().await.unwrap();
        read_all(&mut a).await.0
    };
    let echo = async {
        let (heard, end) = read_all(&mut b).await;
        end.unwrap();
        b.write_all(&heard).await.unwrap();
        b.shutdown().await.unwrap();
    };
    let (heard, ()) = tokio::join!(send, echo);
    assert!(heard == sent);
}

#[tokio::test]
async fn keys_are_replaced_on_both_ends_or_none() {
    let (ours, theirs) = memory::connection(64 * 1024);
    let initiator = NoiseInitiator::psk(psk()).rekey(3);
    let responder = NoiseResponder::psk(psk());
    let (a, b) = tokio::join!(
        initiator.handshake(conn(ours)),
        responder.handshake(conn(theirs))
    );
    let (mut a, mut b) = (a.unwrap().io, b.unwrap().io);
    for _ in 0..4 {
        a.write_all(b"x").await.unwrap();
        a.flush().await.unwrap();
    }
    let (heard, end) = read_all(&mut b).await;
    assert_eq!(heard, b"xx", "the proof was the first of three");
    let error = end.unwrap_err();
    assert_eq!(find_cause(&error), Some(&BadRecord::NotAuthentic));
}

#[test]
fn impossible_records_are_refused() {
    use couplet_layers::Transform;

    let opened = |wire: &[u8], ended: bool| {
        let (initiator, _) = states();
        let mut opening = records::Keys::new(initiator, 100).opening();
        opening.ended = ended;
        let (mut input, mut output) = (BytesMut::from(wire), BytesMut::new());
        let error = opening.transform(&mut input, &mut output).unwrap_err();
        assert!(output.is_empty());
        *error.downcast::<BadRecord>().unwrap()
    };
    assert_eq!(opened(b"\0\x0f", false), BadRecord::Length(15));
    assert_eq!(opened(b"\x40\x11", false), BadRecord::Length(16401));
    assert_eq!(opened(b"\0", true), BadRecord::AfterEnd);
    assert_eq!(
        opened(&[&b"\0\x10"[..], &[0; 16]].concat(), false),
        BadRecord::NotAuthentic
    );
}

/// Two states that have shaken hands.
fn states() -> (snow::TransportState, snow::TransportState) {
    let build = || {
        let protocol = "Noise_NN_25519_ChaChaPoly_BLAKE2s".parse().unwrap();
        snow::Builder::new(protocol)
    };
    let mut initiator = build().build_initiator().unwrap();
    let mut responder = build().build_responder().unwrap();
    let mut message = [0; 100];
    let len = initiator.write_message(&[], &mut message).unwrap();
    responder
        .read_message(&message[..len], &mut [0; 100])
        .unwrap();
    let len = responder.write_message(&[], &mut message).unwrap();
    initiator
        .read_message(&message[..len], &mut [0; 100])
        .unwrap();
    let state = |state: snow::HandshakeState| state.into_transport_mode().unwrap();
    (state(initiator), state(responder))
}

#[tokio::test]
async fn a_stranger_is_tried_with_all_keys_while_others_have_their_turn() {
    let peers: String = (0..5)
        .map(|number| format!("{} {number}\n", NoiseKey::from_bytes([number; 32]).public()))
        .collect();
    let responder = NoiseResponder::kk(NoiseKey::generate().unwrap(), peers.parse().unwrap());
    let (mut peer, io) = memory::connection(64);
    let nonsense = [&[0, 48][..], &[9; 48]].concat();
    peer.write_all(&nonsense).await.unwrap();
    let mut shaking = task::spawn(responder.handshake(conn(io)));
    for _ in 0..5 {
        assert_pending!(shaking.poll());
    }
    let refused = assert_ready!(shaking.poll());
    assert!(matches!(refused, Err(NoiseFailed::NotAuthentic)));
}

#[test]
fn secrets_and_keys_are_read() {
    assert_eq!(
        NoisePsk::from_secret("0123456789abcde").unwrap_err(),
        ShortSecret
    );
    let key = NoiseKey::generate().unwrap();
    let text = key.to_secret_text();
    assert_eq!(text.parse::<NoiseKey>().unwrap().public(), key.public());
    assert_eq!(key.public().to_string().parse(), Ok(key.public()));
    assert!(key.public().to_string().parse::<NoiseKey>().is_err());
    assert!(format!("{key:?} {:?}", psk()).ends_with("NoiseKey(…) NoisePsk(…)"));
    // RFC 7748, 6.1: Alice's.
    let alice: NoiseKey = "noise-private:dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo"
        .parse()
        .unwrap();
    assert_eq!(
        alice.public().to_string(),
        "noise:hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"
    );
    let many: String = (0..65)
        .map(|number| format!("{} {number}\n", NoiseKey::from_bytes([number; 32]).public()))
        .collect();
    assert!(many.parse::<NoisePeers>().is_err());
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_through_its_encryption() {
    for is_reset in [true, false] {
        let no_room = ConcurrencyLimit::new(service_fn(async |_| Ok::<_, Infallible>(())), 0);
        let (dialled, accepted) = psk_ends();
        let mut side = HandshakeLayer::new(accepted).layer(no_room);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (io, _) = listener.accept().await.unwrap();
        let mut call = task::spawn(side.ready().await.unwrap().call(conn(io)));
        let shakes = dialled.handshake(conn(peer.unwrap()));
        let mut client = tokio::select! {
            _ = &mut call => panic!("there is no room"),
            shaken = shakes => shaken.unwrap(),
        };
        match is_reset {
            true => client.io.abort(),
            // Its end is encrypted, too.
            false => client.io.shutdown().await.unwrap(),
        }
        drop(client);
        let left = tokio::time::timeout(Duration::from_secs(60), call).await;
        let error = left.expect("it is noticed").unwrap_err();
        assert!(error.is::<Departed>(), "{error}");
    }
}
