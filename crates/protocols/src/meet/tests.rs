use std::{
    future::ready,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use couplet_endpoint::{BoxIo, Conn, Replay, Side, memory, memory::MemoryStream};
use couplet_layers::{Handshake, Identity};
use couplet_pairing::{Pair, Policy, Refusal, rendezvous_keyed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::{Service, ServiceExt, service_fn};

use super::*;
use crate::{
    Claims, Keyring, SignedClaims,
    testing::{chain, conn, read_all, read_some},
};

fn keyring() -> Keyring {
    "main: 0123456789abcdef".parse().unwrap()
}

fn token(name: &str, side: Option<Side>, seconds: i64) -> String {
    let now = SystemTime::now();
    let time = Duration::from_secs(seconds.unsigned_abs());
    let expires = if seconds < 0 { now - time } else { now + time };
    let mut claims = Claims::new(name, expires).unwrap();
    if let Some(side) = side {
        claims = claims.side(side);
    }
    keyring().sign(&claims).as_str().to_owned()
}

/// What becomes of a client that says this, and the reply to a refused one.
async fn says(
    expect: &ExpectMeeting,
    text: &[u8],
    piece: usize,
) -> Result<Conn<Replay<MemoryStream>>, (MeetingRefused, String)> {
    let (mut peer, io) = memory::connection(64);
    let expecting = tokio::spawn(expect.handshake(conn(io)));
    for piece in text.chunks(piece) {
        if peer.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    // Where it went well it is the end of what follows the line.
    let _ = peer.shutdown().await;
    match expecting.await.unwrap() {
        Ok(conn) => Ok(conn),
        Err(refused) => {
            let heard = read_all(&mut peer).await.0;
            Err((refused, String::from_utf8(heard).unwrap()))
        }
    }
}

fn line(rest: &str) -> String {
    format!("couplet/1 {}{rest}\n", MeetingKey::of("demo"))
}

#[tokio::test]
async fn the_request_line_is_taken_and_the_rest_is_left() {
    let expect = ExpectMeeting::new();
    for (rest, side) in [("", None), (" a", Some(Side::A)), (" b", Some(Side::B))] {
        for end in ["", "\r"] {
            let text = line(&format!("{rest}{end}")) + "the rest";
            for piece in 1..=text.len() {
                let mut conn = says(&expect, text.as_bytes(), piece).await.unwrap();
                let meeting = *Meeting::of(&conn.info).unwrap();
                assert_eq!(meeting.key(), MeetingKey::of("demo"));
                assert_eq!((meeting.side(), conn.info.side), (side, side));
                assert_eq!(read_all(&mut conn.io).await.0, b"the rest");
            }
        }
    }
}

#[tokio::test]
async fn a_client_with_another_line_gets_that_reason() {
    let expect = ExpectMeeting::new();
    let long = "x".repeat(10_000);
    for text in ["\n", "GET / HTTP/1.1\r\n\r\n", "couplet/2 x\n", &long] {
        let (_, heard) = says(&expect, text.as_bytes(), 17).await.unwrap_err();
        assert_eq!(heard, "bad request\n", "{text:?}");
    }
    // A client that leaves in the middle of its line gets no reply.
    let text = line(" a");
    for end in 0..text.len() {
        let cut = &text.as_bytes()[..end];
        let (refused, heard) = says(&expect, cut, 1000).await.unwrap_err();
        assert!(matches!(refused, MeetingRefused::Line(_)));
        assert_eq!(heard, "");
    }
}

#[tokio::test]
async fn a_client_must_be_of_the_side_its_line_names() {
    let expect = ExpectMeeting::new();
    for (on, rest, heard) in [
        (Side::A, " b", Err("other side\n")),
        (Side::B, " a", Err("other side\n")),
        (Side::A, " a", Ok(Side::A)),
        (Side::B, "", Ok(Side::B)),
    ] {
        let (mut peer, io) = memory::connection(64);
        peer.write_all(line(rest).as_bytes()).await.unwrap();
        let expecting = tokio::spawn(expect.handshake(conn(io).on(on)));
        match heard {
            Ok(side) => {
                let conn = expecting.await.unwrap().unwrap();
                assert_eq!(Meeting::of(&conn.info).unwrap().side(), Some(side));
            }
            Err(words) => {
                assert_eq!(read_all(&mut peer).await.0, words.as_bytes());
                drop(peer);
                assert!(expecting.await.unwrap().is_err());
            }
        }
    }
}

#[tokio::test]
async fn a_token_must_be_for_this_key_and_side() {
    let expect = ExpectMeeting::new().tokens(keyring());
    let other: Keyring = "main: fedcba9876543210".parse().unwrap();
    let expires = SystemTime::now() + Duration::from_secs(60);
    let forged = other.sign(&Claims::new("demo", expires).unwrap());
    for (rest, heard) in [
        (String::new(), "token needed"),
        (" a".into(), "token needed"),
        (" a nonsense".into(), "bad token"),
        (format!(" {}", forged.as_str()), "bad token"),
        (format!(" a {}", token("demo", None, -1)), "token expired"),
        (
            format!(" {}", token("another", None, 60)),
            "token for another key",
        ),
        (
            format!(" a {}", token("demo", Some(Side::B), 60)),
            "token for the other side",
        ),
    ] {
        let refused = says(&expect, line(&rest).as_bytes(), 1000).await;
        assert_eq!(refused.unwrap_err().1, format!("{heard}\n"), "{rest}");
    }
    for (rest, side) in [
        (format!(" {}", token("demo", None, 60)), None),
        (format!(" b {}", token("demo", None, 60)), Some(Side::B)),
        (
            format!(" a {}", token("demo", Some(Side::A), 60)),
            Some(Side::A),
        ),
        // It says which side by itself.
        (
            format!(" {}", token("demo", Some(Side::A), 60)),
            Some(Side::A),
        ),
    ] {
        let conn = says(&expect, line(&rest).as_bytes(), 1000).await.unwrap();
        assert_eq!(Meeting::of(&conn.info).unwrap().side(), side, "{rest}");
        let extensions = &conn.info.extensions;
        assert_eq!(extensions.get::<Identity>().unwrap().name(), "demo");
        assert_eq!(extensions.get::<SignedClaims>().unwrap().key(), "demo");
    }
}

#[tokio::test]
async fn the_longest_request_line_is_accepted() {
    let expect = ExpectMeeting::new().tokens(keyring());
    let name = "n".repeat(256);
    let token = token(&name, Some(Side::A), 60);
    let text = format!("couplet/1 {} a {token}\r\n", MeetingKey::of(&name));
    assert!(says(&expect, text.as_bytes(), 1000).await.is_ok());
}

// ===== what the relay answers =====

#[test]
fn every_refusal_has_its_own_reply() {
    for (refusal, words) in [
        (Refusal::Expired, "expired"),
        (Refusal::UnknownKey, "unknown key"),
        (Refusal::Full, "full"),
        (Refusal::Duplicate, "duplicate"),
        (Refusal::Replaced, "replaced"),
        (Refusal::Evicted, "evicted"),
        (Refusal::Impatient, "impatient"),
        (Refusal::Redundant, "redundant"),
        (Refusal::Redirected, "redirected"),
    ] {
        assert_eq!(answer(refusal), words);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_key_gets_that_reason() {
    let (mut place, _pairs) = rendezvous_keyed(Policy::default(), by_key());
    let (io, mut peer) = memory::connection(64);
    place.ready().await.unwrap().call(conn(io)).await.unwrap();
    assert_eq!(read_all(&mut peer).await.0, b"unknown key\n");
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_partner_has_left_gets_that_reason() {
    let ((left, peer), (stays, mut hears)) = (memory::connection(64), memory::connection(64));
    drop(peer);
    let announcing = tokio::spawn(announce().handshake(Pair::new(conn(left), conn(stays))));
    assert_eq!(read_all(&mut hears).await.0, b"partner left\n");
    assert!(announcing.await.unwrap().is_err());
}

// ===== what its clients do =====

/// Asks, and is answered that.
async fn answered(
    meet: &Meet,
    text: &[u8],
) -> (Vec<u8>, Result<Conn<Replay<MemoryStream>>, NotMet>) {
    let (mut relay, io) = memory::connection(1024);
    let meeting = tokio::spawn(meet.handshake(conn(io)));
    let line = read_some(&mut relay, meet.line(false).len()).await;
    assert!(!meeting.is_finished(), "there is no partner yet");
    relay.write_all(text).await.unwrap();
    drop(relay);
    (line, meeting.await.unwrap())
}

#[tokio::test]
async fn the_handshake_ends_at_the_ok_of_the_relay() {
    let key = MeetingKey::of("demo");
    let token = token("demo", None, 60);
    let meets = [
        (Meet::new(key), line("")),
        (Meet::new(key).side(Side::B), line(" b")),
        (
            Meet::new(key).side(Side::A).token(token.parse().unwrap()),
            line(&format!(" a {token}")),
        ),
    ];
    for (meet, expected) in meets {
        let (line, met) = answered(&meet, b"ok\nthe rest").await;
        assert_eq!(line, expected.as_bytes());
        assert_eq!(read_all(&mut met.unwrap().io).await.0, b"the rest");
    }
}

#[tokio::test]
async fn any_other_reply_of_the_relay_is_shown_escaped() {
    let meet = Meet::new(MeetingKey::of("demo"));
    let error = answered(&meet, b"fu\x1b[2J\xffll\n").await.1.unwrap_err();
    assert_eq!(chain(&error), "rendezvous refuses: fu\\u{1b}[2J\u{fffd}ll");
    for cut in ["", "o", "ok"] {
        let error = answered(&meet, cut.as_bytes()).await.1.unwrap_err();
        assert!(matches!(error, NotMet::Answer(_)), "{cut:?}");
    }
    // It has not said that it goes elsewhere.
    let error = answered(&meet, b"goto elsewhere:1\n").await.1.unwrap_err();
    assert_eq!(chain(&error), "rendezvous refuses: goto elsewhere:1");
    let error = answered(&meet, &[b'x'; 300]).await.1.unwrap_err();
    assert!(matches!(error, NotMet::Answer(_)));
}

// ===== a client that is sent to another relay =====

/// Relays in memory: what each is asked, and what it answers; a relay without an answer can't be dialled.
#[derive(Clone, Default)]
struct Relays(Arc<Mutex<Vec<(String, String)>>>);

impl Relays {
    /// The connection to a relay that answers so.
    fn answers(&self, name: &str, answer: &'static str) -> Conn<BoxIo> {
        let (mut relay, io) = memory::connection(1024);
        let (asked, name) = (Arc::clone(&self.0), name.to_owned());
        tokio::spawn(async move {
            let mut line = Vec::new();
            while line.last() != Some(&b'\n') {
                line.push(relay.read_u8().await.unwrap());
            }
            let line = String::from_utf8(line).unwrap();
            asked.lock().unwrap().push((name, line));
            relay.write_all(answer.as_bytes()).await.unwrap();
            // Until the client has gone.
            let _ = relay.read_u8().await;
        });
        conn(io).boxed()
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().clone()
    }
}

/// What becomes of a client of these relays, the first of which it has dialled, and which relay was asked what.
async fn follows(
    relays: &'static [(&'static str, &'static str)],
) -> (Result<Conn<Replay<BoxIo>>, NotMet>, Vec<(String, String)>) {
    let all = Relays::default();
    let mut first = all.answers(relays[0].0, relays[0].1);
    first.info.target = Some(Arc::new(relays[0].0.parse().unwrap()));
    let id = first.info.id;
    let dialled = all.clone();
    let visits = Arc::new(Mutex::new(vec![relays[0].0.to_owned()]));
    let redial = service_fn(move |redial: Redial| {
        let to = match redial.to() {
            Some(to) => to.to_string(),
            None => redial.first().target.as_ref().unwrap().to_string(),
        };
        // Of those with the same name, the next each time.
        let mut visits = visits.lock().unwrap();
        let before = visits.iter().filter(|name| **name == to).count();
        visits.push(to.clone());
        let answer = relays.iter().filter(|(name, _)| *name == to).nth(before);
        ready(match answer {
            Some((name, answer)) => Ok(redial.replaces(dialled.answers(name, answer))),
            None => Err("no such relay"),
        })
    });
    let follow = Follow::new(Meet::new(MeetingKey::of("demo")).side(Side::B), redial);
    let met = follow.handshake(first).await;
    if let Ok(met) = &met {
        assert_eq!(met.info.id, id);
    }
    (met, all.asked())
}

fn asked(relays: &[(&str, &str)]) -> Vec<(String, String)> {
    let asked = relays.iter();
    asked
        .map(|(name, rest)| ((*name).to_owned(), line(rest)))
        .collect()
}

#[tokio::test]
async fn a_client_goes_where_the_relay_sends_it() {
    let (met, said) = follows(&[("a:1", "goto b:1\n"), ("b:1", "ok\nhello")]).await;
    assert_eq!(said, asked(&[("a:1", " b +goto"), ("b:1", " b +goto")]));
    assert_eq!(read_some(&mut met.unwrap().io, 5).await, b"hello");
}

#[tokio::test]
async fn a_client_that_can_not_go_there_comes_back_and_is_forwarded() {
    let (met, said) = follows(&[("a:1", "goto b:1\n"), ("a:1", "ok\n")]).await;
    assert_eq!(said, asked(&[("a:1", " b +goto"), ("a:1", " b")]));
    assert!(met.is_ok());
    let (met, _) = follows(&[("a:1", "goto b:1\n")]).await;
    assert_eq!(
        chain(&met.err().unwrap()),
        "rendezvous can't be dialled again: no such relay"
    );
}

#[tokio::test]
async fn a_client_that_is_sent_on_and_on_stays_where_it_came_to() {
    let (met, said) = follows(&[
        ("a:1", "goto b:1\n"),
        ("b:1", "goto a:1\n"),
        ("a:1", "goto b:1\n"),
        ("b:1", "ok\n"),
    ])
    .await;
    let expected = [
        ("a:1", " b +goto"),
        ("b:1", " b +goto"),
        ("a:1", " b +goto"),
        ("b:1", " b"),
    ];
    assert_eq!(said, asked(&expected));
    assert!(met.is_ok());
}

#[tokio::test]
async fn a_refusal_is_no_place_to_go() {
    for answer in [
        "goto nowhere\n",
        "goto b:0\n",
        "full\n",
        "goto b:1 or c:1\n",
    ] {
        let relays = Box::leak(Box::new([("a:1", answer), ("b:1", "ok\n")]));
        let (met, said) = follows(relays).await;
        assert!(matches!(met, Err(NotMet::Refused(_))), "{answer}");
        assert_eq!(said.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_relay_knows_which_client_goes_elsewhere_and_says_where() {
    let expect = ExpectMeeting::new();
    for (rest, follows) in [("", false), (" +goto", true), (" b +goto", true)] {
        let conn = says(&expect, line(rest).as_bytes(), 7).await.unwrap();
        assert_eq!(Meeting::of(&conn.info).unwrap().follows(), follows);
    }
}
