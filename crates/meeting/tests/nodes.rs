//! Clients of different nodes meet: one thing at a time.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod helper;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use couplet_connector::endpoint::Side;
use couplet_meeting::{
    Count, MemoryEngine,
    engine::{Answer, Request},
};
use futures::FutureExt;
use helper::world::{Engine, LEASE, Link, Outcome, World, honest};
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

fn world(nodes: usize) -> (World, MemoryEngine) {
    let engine = MemoryEngine::new();
    (
        World::new(nodes, honest(engine.clone()), |_, _| Link::Up),
        engine,
    )
}

fn come(world: &World, number: u64, node: usize, side: Side) -> tokio::task::JoinHandle<Outcome> {
    let world = world.clone();
    tokio::spawn(async move { world.client(number, node, 1, side).await })
}

#[tokio::test(start_paused = true)]
async fn two_clients_of_different_nodes_meet_at_once() {
    let (world, engine) = world(2);
    let one = come(&world, 1, 0, Side::A);
    sleep(SECOND).await;
    assert_eq!(world.cluster(0).offered(), 1);
    let begun = Instant::now();
    let other = come(&world, 2, 1, Side::B);
    assert_eq!(one.await.unwrap(), Outcome::Met(2));
    assert_eq!(other.await.unwrap(), Outcome::Met(1));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let counts = [0, 1].map(|node| world.cluster(node).counts());
    assert_eq!(counts[0].get(Count::JoinedHere), 1);
    assert_eq!(counts[1].get(Count::JoinedThere), 1);
    assert!(engine.is_empty());
    assert_eq!([0, 1].map(|node| world.cluster(node).offered()), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn two_clients_of_one_node_meet_there_and_leave_no_offer() {
    let (world, engine) = world(2);
    let one = come(&world, 1, 0, Side::A);
    sleep(SECOND).await;
    assert_eq!(engine.len(), 1);
    let other = come(&world, 2, 0, Side::B);
    assert_eq!(one.await.unwrap(), Outcome::Met(2));
    assert_eq!(other.await.unwrap(), Outcome::Met(1));
    sleep(SECOND).await;
    assert!(engine.is_empty());
    assert_eq!(world.cluster(0).counts().get(Count::JoinedHere), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_left_is_not_offered_and_not_found() {
    let (world, engine) = world(2);
    let leaves = come(&world, 1, 0, Side::A);
    sleep(SECOND).await;
    leaves.abort();
    sleep(SECOND).await;
    assert!(engine.is_empty());
    let mut waits = come(&world, 2, 1, Side::B);
    assert!(timeout(LEASE, &mut waits).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn both_sessions_know_the_client_of_the_other_node() {
    let (world, _engine) = world(2);
    let _one = come(&world, 1, 0, Side::A);
    sleep(SECOND).await;
    let relays = [0, 1].map(|node| world.relay(node));
    let sessions = relays.each_ref().map(|relay| relay.session_stream());
    let _other = come(&world, 2, 1, Side::B);
    for (node, mut sessions) in sessions.into_iter().enumerate() {
        let session = futures::StreamExt::next(&mut sessions).await.unwrap();
        let there = if node == 0 { Side::B } else { Side::A };
        let info = session.info(there);
        let forwarded: &couplet_connector::layers::Forwarded = info.extensions.get().unwrap();
        assert_eq!(forwarded.node(), format!("node {}", 1 - node));
        assert!(
            session
                .info(!there)
                .extensions
                .get::<couplet_connector::layers::Forwarded>()
                .is_none()
        );
        // The first client had waited for a second.
        let waited = [SECOND, Duration::ZERO][1 - node];
        assert_eq!(session.since() - info.since, waited);
    }
}

#[tokio::test(start_paused = true)]
async fn offers_that_the_engine_lost_are_made_again_within_a_lease() {
    let (world, engine) = world(2);
    let one = come(&world, 1, 0, Side::A);
    sleep(SECOND).await;
    engine.clear();
    let other = come(&world, 2, 1, Side::B);
    sleep(SECOND).await;
    engine.clear();
    let begun = Instant::now();
    assert_eq!(one.await.unwrap(), Outcome::Met(2));
    assert_eq!(other.await.unwrap(), Outcome::Met(1));
    assert!(begun.elapsed() < LEASE / 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_offer_that_is_found_twice_is_joined_once() {
    let found = Arc::new(std::sync::Mutex::new(None));
    let honest = honest(MemoryEngine::new());
    // Says the first find to each client of side B.
    let liar: Engine = Arc::new(move |node, request| {
        let (honest, found) = (Arc::clone(&honest), Arc::clone(&found));
        async move {
            let is_b = matches!(&request, Request::Meet(offer) if offer.side == Some(Side::B));
            let answer = honest(node, request).await?;
            let mut first = found.lock().unwrap();
            if let Answer::Found(peer) = &answer {
                first.get_or_insert_with(|| peer.clone());
            }
            Ok(match (&*first, is_b && answer == Answer::Waits) {
                (Some(peer), true) => {
                    let peer = peer.clone();
                    *first = None;
                    Answer::Found(peer)
                }
                _ => answer,
            })
        }
        .boxed()
    });
    let world = World::new(3, liar, |_, _| Link::Up);
    let one = come(&world, 1, 0, Side::A);
    sleep(SECOND).await;
    let second = come(&world, 2, 1, Side::B);
    assert_eq!(one.await.unwrap(), Outcome::Met(2));
    assert_eq!(second.await.unwrap(), Outcome::Met(1));
    let mut third = come(&world, 3, 2, Side::B);
    assert!(timeout(SECOND, &mut third).await.is_err());
    assert_eq!(world.cluster(2).counts().get(Count::GoneThere), 1);
    assert_eq!(world.cluster(2).counts().get(Count::Retried), 1);
    assert_eq!(world.cluster(0).counts().get(Count::GoneHere), 1);
    // It waits on.
    let fourth = come(&world, 4, 0, Side::A);
    assert_eq!(third.await.unwrap(), Outcome::Met(4));
    assert_eq!(fourth.await.unwrap(), Outcome::Met(3));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_died_is_dialled_in_vain_once() {
    let (world, _engine) = world(2);
    let dies = come(&world, 1, 0, Side::A);
    sleep(SECOND).await;
    world.kill(0).await;
    assert_eq!(dies.await.unwrap(), Outcome::Dropped { announced: false });
    let one = come(&world, 2, 1, Side::B);
    sleep(SECOND).await;
    let unreachable = world.cluster(1).counts().get(Count::Unreachable);
    assert!(unreachable <= 1, "{unreachable}");
    world.start(0);
    let other = come(&world, 3, 0, Side::A);
    assert_eq!(one.await.unwrap(), Outcome::Met(3));
    assert_eq!(other.await.unwrap(), Outcome::Met(2));
}

#[tokio::test(start_paused = true)]
async fn nodes_that_are_cut_off_meet_when_the_link_is_healed() {
    let cut = Arc::new(AtomicBool::new(true));
    let is_cut = Arc::clone(&cut);
    let link = move |_, _| match is_cut.load(Ordering::Relaxed) {
        true => Link::Cut,
        false => Link::Up,
    };
    let honest = honest(MemoryEngine::new());
    let put_back = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&put_back);
    let engine: Engine = Arc::new(move |node, request| {
        if matches!(request, Request::PutBack(..)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        honest(node, request)
    });
    let world = World::new(2, engine, link);
    let one = come(&world, 1, 0, Side::A);
    let other = come(&world, 2, 1, Side::B);
    sleep(SECOND * 30).await;
    // Its node may be alive, so the client at the other end of the link is for the next that asks.
    assert!(put_back.load(Ordering::Relaxed) > 0);
    // While they can't meet each other, clients of one node meet.
    let third = come(&world, 3, 1, Side::A);
    assert_eq!(
        timeout(SECOND * 6, other).await.unwrap().unwrap(),
        Outcome::Met(3)
    );
    assert_eq!(third.await.unwrap(), Outcome::Met(2));
    let fourth = come(&world, 4, 1, Side::B);
    sleep(SECOND * 30).await;
    let tries = [0, 1].map(|node| world.cluster(node).counts().get(Count::Unreachable));
    assert!((5..40).contains(&(tries[0] + tries[1])), "{tries:?}");
    cut.store(false, Ordering::Relaxed);
    let healed = Instant::now();
    assert_eq!(one.await.unwrap(), Outcome::Met(4));
    assert_eq!(fourth.await.unwrap(), Outcome::Met(1));
    assert!(healed.elapsed() < LEASE, "{:?}", healed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn without_a_match_maker_clients_of_one_node_meet_and_the_others_wait_for_its_return() {
    let away = Arc::new(AtomicBool::new(true));
    let tries = Arc::new(AtomicUsize::new(0));
    let honest = honest(MemoryEngine::new());
    let (is_away, tried) = (Arc::clone(&away), Arc::clone(&tries));
    let engine: Engine = Arc::new(move |node, request| {
        let (honest, is_away) = (Arc::clone(&honest), is_away.load(Ordering::Relaxed));
        tried.fetch_add(1, Ordering::Relaxed);
        async move {
            match is_away {
                true => Err("away".into()),
                false => honest(node, request).await,
            }
        }
        .boxed()
    });
    let world = World::new(2, engine, |_, _| Link::Up);
    let there = come(&world, 1, 1, Side::A);
    let (one, other) = (come(&world, 2, 0, Side::A), come(&world, 3, 0, Side::B));
    assert_eq!(one.await.unwrap(), Outcome::Met(3));
    assert_eq!(other.await.unwrap(), Outcome::Met(2));
    let here = come(&world, 4, 0, Side::B);
    let many: Vec<_> = (0..50).map(|n| come(&world, 10 + n, 0, Side::B)).collect();
    tries.store(0, Ordering::Relaxed);
    sleep(SECOND * 10).await;
    assert!(!world.cluster(0).is_connected() && !world.cluster(1).is_connected());
    // Two nodes, one try every quarter second each: not one for each client.
    let tries = tries.load(Ordering::Relaxed);
    assert!((60..100).contains(&tries), "{tries}");
    away.store(false, Ordering::Relaxed);
    let back = Instant::now();
    let Outcome::Met(partner) = there.await.unwrap() else {
        panic!("its node is alive");
    };
    assert!(partner == 4 || partner >= 10);
    assert!(back.elapsed() < SECOND / 2, "{:?}", back.elapsed());
    assert!(world.cluster(0).is_connected());
    drop((here, many));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_at_the_cluster_port_is_refused_and_takes_nobody() {
    use couplet_connector::endpoint::{Conn, Origin, memory};
    use tokio::io::AsyncWriteExt;
    use tower::ServiceExt;
    let (world, _engine) = world(1);
    let mut waits = come(&world, 1, 0, Side::A);
    for said in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"couplet\x01", b""] {
        let (mut peer, io) = memory::connection(1024);
        peer.write_all(said).await.unwrap();
        let call = world
            .cluster(0)
            .port()
            .oneshot(Conn::new(io, Origin::Accepted));
        let error = call.await.unwrap_err();
        assert!(!error.to_string().is_empty());
    }
    // The others were silent until their time was over.
    assert_eq!(world.cluster(0).counts().get(Count::Denied), 1);
    assert!(timeout(SECOND, &mut waits).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_ends_takes_its_offers_back() {
    let (world, engine) = world(1);
    let waits = come(&world, 1, 0, Side::A);
    sleep(SECOND).await;
    assert_eq!(engine.len(), 1);
    let (relay, cluster) = (world.relay(0), world.cluster(0));
    relay.close().await;
    timeout(SECOND, cluster.ended()).await.unwrap();
    assert!(engine.is_empty());
    assert_eq!(waits.await.unwrap(), Outcome::Dropped { announced: false });
}

/// Clients of nodes 0 and 1 meet; the time it took.
async fn meet(world: &World, numbers: [u64; 2]) -> Duration {
    let one = come(world, numbers[0], 0, Side::A);
    sleep(SECOND).await;
    let begun = Instant::now();
    let other = come(world, numbers[1], 1, Side::B);
    assert_eq!(one.await.unwrap(), Outcome::Met(numbers[1]));
    assert_eq!(other.await.unwrap(), Outcome::Met(numbers[0]));
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn only_the_first_client_of_a_node_waits_until_it_is_dialled() {
    // Fast enough that the next one is made before the next client comes, a second later.
    let slow = SECOND / 2;
    let world = World::new(2, honest(MemoryEngine::new()), move |_, _| Link::Slow(slow));
    assert_eq!(meet(&world, [1, 2]).await, slow);
    for number in 2..20 {
        assert_eq!(
            meet(&world, [2 * number, 2 * number + 1]).await,
            Duration::ZERO
        );
    }
    let counts = world.cluster(1).counts();
    assert_eq!(counts.get(Count::KeptReady), 18);
    // They grow old, and are made anew while the node is asked for clients.
    sleep(SECOND * 50).await;
    assert_eq!(meet(&world, [101, 102]).await, Duration::ZERO);
    sleep(SECOND * 600).await;
    assert_eq!(meet(&world, [103, 104]).await, slow);
}

#[tokio::test(start_paused = true)]
async fn connections_that_were_kept_ready_to_a_dead_node_are_not_used() {
    let (world, _engine) = world(2);
    meet(&world, [1, 2]).await;
    sleep(SECOND).await;
    world.kill(0).await;
    world.start(0);
    meet(&world, [3, 4]).await;
    let counts = world.cluster(1).counts();
    assert_eq!(
        (counts.get(Count::Unreachable), counts.get(Count::GoneThere)),
        (0, 0)
    );
}

/// The line of a client of the key 1 of [`come`].
fn line(rest: &str) -> String {
    let key = couplet_protocols::meet::MeetingKey::of(1_u64.to_be_bytes());
    format!("couplet/1 {key}{rest}\n")
}

#[tokio::test(start_paused = true)]
async fn a_client_that_follows_is_sent_to_the_node_of_its_partner() {
    let engine = MemoryEngine::new();
    let world = World::of_public_nodes(3, honest(engine.clone()));
    let waits = come(&world, 1, 0, Side::A);
    sleep(SECOND).await;
    let answer = world.answer(1, &line(" b +goto")).await.unwrap();
    assert_eq!(answer, format!("goto {}\n", helper::world::public(0)));
    assert_eq!(world.cluster(1).counts().get(Count::Redirected), 1);
    // The partner waits on, and is neither reserved nor forgotten.
    sleep(LEASE / 2).await;
    assert_eq!((world.cluster(0).offered(), engine.len()), (1, 1));
    // A client that does not follow is forwarded, as ever.
    let other = come(&world, 2, 2, Side::B);
    assert_eq!(waits.await.unwrap(), Outcome::Met(2));
    assert_eq!(other.await.unwrap(), Outcome::Met(1));
    let counts = world.cluster(0).counts();
    assert_eq!(counts.get(Count::Unclaimed), 0);
    assert_eq!(counts.get(Count::JoinedHere), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_follows_is_forwarded_where_the_node_of_its_partner_has_no_public_address() {
    let (world, _engine) = world(2);
    let waits = come(&world, 1, 0, Side::A);
    sleep(SECOND).await;
    assert_eq!(world.answer(1, &line(" b +goto")).await.unwrap(), "ok\n");
    assert_eq!(world.cluster(1).counts().get(Count::Redirected), 0);
    drop(waits);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_sent_to_a_node_whose_client_has_left() {
    let engine = MemoryEngine::new();
    let lost = Arc::new(std::sync::Mutex::new(None));
    let truth = honest(engine);
    // Gives the first offer to each client that comes, though it is gone.
    let stale: Engine = Arc::new(move |node, request| {
        let (truth, lost) = (Arc::clone(&truth), Arc::clone(&lost));
        async move {
            if let Request::Meet(offer) = &request {
                let mut lost = lost.lock().unwrap();
                match (&*lost, offer.side) {
                    (None, Some(Side::A)) => *lost = Some(offer.peer()),
                    (Some(peer), Some(Side::B)) if peer.home != offer.home => {
                        return Ok(Answer::Found(peer.clone()));
                    }
                    _ => {}
                }
            }
            truth(node, request).await
        }
        .boxed()
    });
    let world = World::of_public_nodes(2, stale);
    let leaves = come(&world, 1, 0, Side::A);
    sleep(SECOND).await;
    leaves.abort();
    sleep(SECOND).await;
    let line = line(" b +goto");
    let asked = timeout(SECOND, world.answer(1, &line)).await;
    assert!(asked.is_err(), "{asked:?}");
    let counts = world.cluster(1).counts();
    assert!(counts.get(Count::GoneThere) > 0);
    assert_eq!(counts.get(Count::Redirected), 0);
}
