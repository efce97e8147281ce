//! A rendezvous by key, from the sockets' side.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod helper;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use couplet_connector::{
    Connector, Handle,
    endpoint::{BoxError, BoxIo, Conn, Io, Replay, Side, memory, memory::MemoryStream},
    layers::{AnnounceJoin, ConnLimitLayer, HandshakeLayer, take_line},
    pairing::{Keyed, Refusal, WhenFull},
};
use helper::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::util::MapRequestLayer;

/// What the first line says: `key`, or `key side`.
#[derive(Clone, PartialEq, Eq)]
struct Wish {
    key: String,
    side: Option<String>,
}

async fn first_line<I: Io>(conn: Conn<I>) -> Result<Conn<Replay<I>>, BoxError> {
    let mut conn = conn.map_io(Replay::new);
    let line = String::from_utf8(take_line(&mut conn.io, 64).await?.into())?;
    let mut words = line.split(' ').map(str::to_owned);
    let key = words.next().unwrap_or_default();
    let side = words.next();
    conn.info.extensions.insert(Wish { key, side });
    Ok(conn)
}

fn keyed() -> Keyed<String, String> {
    Keyed::new(|info| {
        let Wish { key, .. } = info.extensions.get()?;
        (!key.is_empty()).then(|| key.clone())
    })
    .side(|info| info.extensions.get::<Wish>()?.side.clone())
    .refusal_reply(SECOND, |_, refusal| Some(format!("{refusal}\n").into()))
}

async fn come(dial: &memory::Dial, line: &str) -> MemoryStream {
    let mut peer = dial.connect().await.unwrap();
    peer.write_all(line.as_bytes()).await.unwrap();
    settle().await;
    peer
}

async fn waiting(relay: &Handle, number: u64) {
    until(|| relay.waiting(Side::A) == number).await;
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_endpoint_find_their_partners_by_key() {
    let (dial, listen) = memory::endpoint();
    let relay = Connector::keyed(listen, keyed())
        .layer_a(HandshakeLayer::new(first_line))
        .before_join(AnnounceJoin::new("ok\n"))
        .start();
    let mut peers = Vec::new();
    for n in 0..40 {
        peers.push(come(&dial, &format!("{n} one\n")).await);
    }
    waiting(&relay, 40).await;
    open(&mut peers[7]).await;
    for (n, peer) in peers.iter_mut().enumerate().rev() {
        let mut partner = come(&dial, &format!("{n} other\n")).await;
        hears(&mut partner, "ok\n").await;
        hears(peer, "ok\n").await;
        joined(peer, &mut partner).await;
    }
    assert_eq!(relay.live_pairs(), 40);
    assert_eq!(relay.snapshot().a.connections, 80);
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn early_bytes_are_delivered_behind_the_reply() {
    let (dial, listen) = memory::endpoint();
    let relay = Connector::keyed(listen, keyed())
        .layer_a(HandshakeLayer::new(first_line))
        .before_join(AnnounceJoin::new("ok\n"))
        .start();
    let mut a = come(&dial, "key\nfrom a").await;
    let mut b = come(&dial, "key\nfrom b").await;
    hears(&mut a, "ok\nfrom b").await;
    hears(&mut b, "ok\nfrom a").await;
    end(&mut a).await;
    assert_eq!(soon(hear_all(&mut b)).await, "");
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_gets_the_reason_and_is_counted() {
    let (dial, listen) = memory::endpoint();
    let relay = Connector::keyed(listen, keyed().when_full(WhenFull::Refuse))
        .layer_a(HandshakeLayer::new(first_line))
        .max_waiting(1)
        .wait_timeout(Some(10 * SECOND))
        .start();
    let mut no_key = come(&dial, "\n").await;
    assert_eq!(
        soon(hear_all(&mut no_key)).await,
        "no key, or an unknown one\n"
    );
    drop(no_key);
    let mut waits = come(&dial, "one\n").await;
    let mut too_many = come(&dial, "another\n").await;
    assert_eq!(
        soon(hear_all(&mut too_many)).await,
        "too many connections wait\n"
    );
    drop(too_many);
    assert_eq!(relay.snapshot().a.refused, 2);
    let counts = relay.stats().waiting().unwrap();
    assert_eq!(counts.refused(Side::A, Refusal::UnknownKey), 1);
    assert_eq!(counts.refused(Side::A, Refusal::Full), 1);

    let words = eventually(hear_all(&mut waits)).await;
    assert_eq!(words, "no partner came in time\n");
    assert_eq!(relay.snapshot().a.expired, 1);
    assert_eq!(relay.waiting(Side::A), 0);
    drop(waits);
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn two_endpoints_may_be_two_sides() {
    let ((dial_a, a), (dial_b, b)) = (memory::endpoint(), memory::endpoint());
    let keyed = keyed().side(|info| info.side).per_key(2, WhenFull::Refuse);
    let relay = Connector::listen_listen(a, b)
        .max_waiting(10)
        .layer_a(HandshakeLayer::new(first_line))
        .by_key(keyed)
        .layer_b(HandshakeLayer::new(first_line))
        .start();
    let mut b = come(&dial_b, "key\n").await;
    let mut other_b = come(&dial_b, "key\n").await;
    until(|| relay.waiting(Side::B) == 2).await;
    let mut stranger = come(&dial_a, "another key\n").await;
    waiting(&relay, 1).await;
    // The one heard of last is joined first.
    let mut a = come(&dial_a, "key\n").await;
    joined(&mut a, &mut other_b).await;
    let [session] = &relay.sessions()[..] else {
        panic!("there is one");
    };
    for side in SIDES {
        assert_eq!(session.info(side).side, Some(side));
    }
    let mut other_a = come(&dial_a, "key\n").await;
    joined(&mut other_a, &mut b).await;
    open(&mut stranger).await;
    close(&relay).await;
    gone(&mut stranger).await;
}

#[tokio::test(start_paused = true)]
async fn beyond_max_pairs_clients_wait_with_their_partners() {
    let (dial, listen) = memory::endpoint();
    let relay = Connector::keyed(listen, keyed())
        .layer_a(HandshakeLayer::new(first_line))
        .max_pairs(1)
        .start();
    let (mut a, mut b) = (come(&dial, "1\n").await, come(&dial, "1\n").await);
    joined(&mut a, &mut b).await;
    let (mut c, mut d) = (come(&dial, "2\n").await, come(&dial, "2\n").await);
    waiting(&relay, 2).await;
    open(&mut c).await;
    drop((a, b));
    joined(&mut c, &mut d).await;
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn once_makes_one_pair() {
    let (dial, listen) = memory::endpoint();
    let relay = Connector::keyed(listen, keyed())
        .layer_a(HandshakeLayer::new(first_line))
        .once()
        .start();
    let mut alone = come(&dial, "alone\n").await;
    let (mut a, mut b) = (come(&dial, "1\n").await, come(&dial, "1\n").await);
    joined(&mut a, &mut b).await;
    eventually(gone(&mut alone)).await;
    drop((a, b));
    eventually(relay.shutdown(Duration::ZERO)).await;
    relay.done().await.unwrap();
}

// ===== a crowd =====

const CROWD: usize = 500;

#[tokio::test(start_paused = true)]
async fn wrong_keys_silence_and_dripping_delay_no_pair() {
    let (dial, listen) = memory::endpoint();
    let relay = Connector::keyed(listen, keyed())
        .layer_a(HandshakeLayer::new(first_line))
        .before_join(AnnounceJoin::new("ok\n"))
        .start();
    let [mut wrong, mut silent, mut dripping] = [const { Vec::new() }; 3];
    for number in 0..CROWD {
        match number % 3 {
            0 => wrong.push(come(&dial, &format!("wrong{number}\n")).await),
            1 => silent.push(come(&dial, "").await),
            _ => dripping.push(come(&dial, "g").await),
        }
    }
    let wrong_keys = wrong.len() as u64;
    waiting(&relay, wrong_keys).await;

    let mut good = come(&dial, "good a\n").await;
    for peer in &mut dripping {
        say(peer, "o").await;
    }
    let mut partner = come(&dial, "good b\n").await;
    for peer in [&mut good, &mut partner] {
        hears(peer, "ok\n").await;
    }
    joined(&mut good, &mut partner).await;

    // All of the crowd are still there.
    for peer in &mut dripping {
        say(peer, "o").await;
    }
    assert_eq!(relay.waiting(Side::A), wrong_keys);
    for peer in wrong.iter_mut().chain(&mut silent).chain(&mut dripping) {
        open(peer).await;
    }
    // And a client that sends a byte at a time is slow, and no more.
    let [slow, other, ..] = &mut dripping[..] else {
        panic!("there are many");
    };
    say(slow, "d c\n").await;
    say(other, "d d\n").await;
    for peer in [&mut *slow, &mut *other] {
        hears(peer, "ok\n").await;
    }
    joined(slow, other).await;
    drop((wrong, silent, dripping, good, partner));
    close(&relay).await;
}

/// A crowd of one address, each with a key of its own, and then a good one of another
/// address and its partner; how many of the crowd wait in eight places, and what the one hears.
async fn crowd_of_one_address(limit: usize) -> (u64, String) {
    let (dial, listen) = memory::endpoint();
    let came = Arc::<AtomicUsize>::default();
    let addressed = MapRequestLayer::new(move |mut conn: Conn<BoxIo>| {
        let number = came.fetch_add(1, Ordering::Relaxed);
        let network = if number < CROWD { 10 } else { 192 };
        conn.info.peer = Some(([network, 0, 0, 1], 4711).into());
        conn
    });
    let relay = Connector::keyed(listen, keyed())
        .layer_a(addressed)
        .layer_a(ConnLimitLayer::per_address(limit))
        .layer_a(HandshakeLayer::new(first_line))
        .before_join(AnnounceJoin::new("ok\n"))
        .max_waiting(8)
        .start();
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let mut peer = dial.connect().await.unwrap();
        // Those beyond the limit may be gone already.
        let _ = peer.write_all(format!("wrong{number}\n").as_bytes()).await;
        settle().await;
        crowd.push(peer);
    }
    let crowd_waits = relay.waiting(Side::A);
    let mut good = come(&dial, "good a\n").await;
    let partner = come(&dial, "good b\n").await;
    drop(partner);
    let mut heard = String::new();
    // One that is not told is reset.
    let _ = soon(good.read_to_string(&mut heard)).await;
    // At most one of the crowd has given way.
    assert!((crowd_waits - 1..=crowd_waits).contains(&relay.waiting(Side::A)));
    drop((crowd, good));
    close(&relay).await;
    (crowd_waits, heard)
}

#[tokio::test(start_paused = true)]
async fn one_address_never_takes_the_slots_of_another() {
    assert_eq!(crowd_of_one_address(4).await, (4, "ok\n".into()));
    assert_eq!(crowd_of_one_address(CROWD).await, (8, "ok\n".into()));
}
