//! Joined by a key: which are joined, and which are refused.

mod helper;

use couplet_endpoint::{ConnId, Side, memory::MemoryStream};
use couplet_pairing::{CloseReason, Policy, Refusal, Third, WaitSlot, WhenFull};
use futures::StreamExt;
use helper::{by_key::*, conn, fill, joined, next, reset, settle, soon, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::advance,
};
use tokio_test::{assert_pending, task};

// ===== which are joined =====

#[tokio::test(start_paused = true)]
async fn connections_with_the_same_key_are_joined() {
    let mut ends = keyed(Policy::default(), by_key());
    let arrivals = [1, 2, 3, 3, 1, 2].map(|key| arrive(&mut ends.0, key));
    let ids = arrivals.each_ref().map(|(id, _)| *id);
    for expected in [[2, 3], [0, 4], [1, 5]] {
        assert_eq!(next_ids(&mut ends).await, expected.map(|n| ids[n]));
    }
    assert_pending!(task::spawn(ends.1.next()).poll());
    assert_eq!(ends.1.counts().waiting(Side::A), 0);
}

#[tokio::test(start_paused = true)]
async fn two_connections_of_the_same_side_are_never_joined() {
    let policy = Policy::default();
    let mut ends = keyed(policy, by_key_and_name().per_key(2, WhenFull::Refuse));
    let (first, _first_peer) = arrive_as(&mut ends.0, 1, "ann");
    let (second, _second_peer) = arrive_as(&mut ends.0, 1, "ann");
    assert_pending!(task::spawn(ends.1.next()).poll());
    settle().await;
    assert_pending!(task::spawn(ends.1.next()).poll());
    // The one heard of last comes first: it is the least likely to have vanished.
    let (bob, _third_peer) = arrive_as(&mut ends.0, 1, "bob");
    assert_eq!(next_ids(&mut ends).await, [second, bob]);
    // One without a side is joined with any.
    let (any, _fourth_peer) = arrive_as(&mut ends.0, 1, None);
    assert_eq!(next_ids(&mut ends).await, [first, any]);
}

#[tokio::test(start_paused = true)]
async fn the_connection_of_side_a_or_else_the_older_is_a() {
    let sided = by_key().side(|info| info.side);
    for (older, newer, in_order) in [
        (Some(Side::B), Some(Side::A), false),
        (Some(Side::A), Some(Side::B), true),
        (None, Some(Side::A), false),
        (Some(Side::B), None, false),
        (None, None, true),
    ] {
        let (mut place, mut pairs) = keyed(Policy::default(), sided.clone());
        let mut ids = [older, newer].map(|side| {
            let (mut conn, peer) = conn();
            conn.info.side = side;
            conn.info.extensions.insert(Key(1));
            let id = conn.info.id;
            fill(&mut place, conn);
            (id, peer)
        });
        if !in_order {
            ids.reverse();
        }
        let pair = next(&mut pairs).await;
        assert_eq!(
            joined(&pair).map(|info| info.id),
            ids.each_ref().map(|(id, _)| *id)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_partner_dies_before_the_join_gets_another() {
    let policy = Policy::default().early(1);
    let mut ends = keyed(policy, by_key_and_name().per_key(2, WhenFull::Refuse));
    let counts = ends.1.counts();
    let (_, leaves) = arrive_as(&mut ends.0, 1, "ann");
    let (bob, _bob_peer) = arrive_as(&mut ends.0, 1, "bob");
    settle().await;
    // It is noticed while no pair is asked for.
    drop(leaves);
    until(|| counts.died(Side::A) == 1).await;
    assert_eq!(counts.waiting(Side::A), 1);
    let (_, mut leaves) = arrive_as(&mut ends.0, 1, "ann");
    leaves.write_all(b"x").await.expect("it is heard");
    let (other, _other_peer) = arrive_as(&mut ends.0, 1, "ann");
    settle().await;
    // And at the join, where nothing else tells it.
    reset(leaves);
    settle().await;
    assert_eq!(counts.died(Side::A), 1);
    assert_eq!(next_ids(&mut ends).await, [bob, other]);
    assert_eq!(counts.died(Side::A), 2);
    assert_eq!(counts.waiting(Side::A), 0);
}

#[tokio::test(start_paused = true)]
async fn early_bytes_are_kept_or_refused() {
    for silent in [false, true] {
        let rule = if silent { by_key().silent() } else { by_key() };
        let mut ends = keyed(Policy::default(), rule);
        let (_, mut speaks) = arrive(&mut ends.0, 1);
        settle().await;
        speaks.write_all(b"hello").await.expect("it is heard");
        if silent {
            assert_eq!(
                reply_to(&mut speaks).await,
                "sent a byte before it was joined"
            );
            assert_eq!(refused(&ends.1.counts(), Refusal::Impatient), 1);
        }
        let (_, _peer) = arrive(&mut ends.0, 1);
        if silent {
            // Even where a partner is there already.
            let (mut conn, mut speaks) = conn();
            conn.info.extensions.insert(Key(1));
            speaks.write_all(b"hello").await.expect("it is heard");
            fill(&mut ends.0, conn);
            assert_eq!(
                reply_to(&mut speaks).await,
                "sent a byte before it was joined"
            );
            assert_pending!(task::spawn(ends.1.next()).poll());
        } else {
            let mut heard = [0; 5];
            let mut pair = next(&mut ends.1).await;
            soon(pair.a.read_exact(&mut heard))
                .await
                .expect("it is heard");
            assert_eq!(&heard, b"hello");
        }
    }
}

// ===== which are refused =====

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_key_is_refused() {
    let (mut place, pairs) = keyed(Policy::default(), by_key());
    let (conn, mut peer) = conn();
    fill(&mut place, conn);
    assert_eq!(reply_to(&mut peer).await, "no key, or an unknown one");
    assert_eq!(refused(&pairs.counts(), Refusal::UnknownKey), 1);
    assert_eq!(pairs.counts().waiting(Side::A), 0);
}

#[tokio::test(start_paused = true)]
async fn beyond_max_waiting_only_partners_are_accepted() {
    let mut ends = keyed(Policy::default().max_waiting(2), by_key());
    let counts = ends.1.counts();
    let (first, _first_peer) = arrive(&mut ends.0, 1);
    let (_, mut second) = arrive(&mut ends.0, 2);
    let (_, mut third) = arrive(&mut ends.0, 3);
    assert_eq!(reply_to(&mut third).await, "too many connections wait");
    drop(third);
    assert_eq!(counts.waiting(Side::A), 2);
    let (partner, _second_peer) = arrive(&mut ends.0, 1);
    settle().await;
    assert_eq!(counts.waiting(Side::A), 3);
    // Now one is alone, so there is room for one.
    let (_, mut fourth) = arrive(&mut ends.0, 4);
    settle().await;
    assert_waits(&mut fourth);
    assert_waits(&mut second);
    assert_eq!(next_ids(&mut ends).await, [first, partner]);
    assert_eq!(refused(&counts, Refusal::Full), 1);
}

#[tokio::test(start_paused = true)]
async fn beyond_max_waiting_the_oldest_may_give_way() {
    let rule = by_key().when_full(WhenFull::Evict);
    let (mut place, pairs) = keyed(Policy::default().max_waiting(2), rule);
    let mut peers = [1, 2, 3].map(|key| arrive(&mut place, key).1);
    assert_eq!(
        reply_to(&mut peers[0]).await,
        "gave way to a newer connection"
    );
    assert_waits(&mut peers[1]);
    assert_waits(&mut peers[2]);
    assert_eq!(refused(&pairs.counts(), Refusal::Evicted), 1);
}

#[tokio::test(start_paused = true)]
async fn the_waiting_connections_of_a_key_are_bounded() {
    for (when_full, refusal) in [
        (WhenFull::Refuse, Refusal::Duplicate),
        (WhenFull::Evict, Refusal::Replaced),
    ] {
        let rule = by_key_and_name().per_key(2, when_full);
        let (mut place, pairs) = keyed(Policy::default(), rule);
        let mut peers = [(); 3].map(|()| arrive_as(&mut place, 1, "ann").1);
        let (_, mut other_key) = arrive_as(&mut place, 2, "ann");
        let (goes, stays) = match when_full {
            WhenFull::Evict => (0, [1, 2]),
            _ => (2, [0, 1]),
        };
        assert_eq!(reply_to(&mut peers[goes]).await, refusal.to_string());
        for n in stays {
            assert_waits(&mut peers[n]);
        }
        assert_waits(&mut other_key);
        assert_eq!(refused(&pairs.counts(), refusal), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn dead_connections_take_no_slot() {
    let (mut place, pairs) = keyed(Policy::default().early(1), by_key_and_name());
    let (_, mut dead) = arrive_as(&mut place, 1, "ann");
    dead.write_all(b"x").await.expect("it is heard");
    settle().await;
    reset(dead);
    let (_, mut again) = arrive_as(&mut place, 1, "ann");
    settle().await;
    assert_waits(&mut again);
    assert_eq!(pairs.counts().died(Side::A), 1);
    assert_eq!(pairs.counts().refused_total(Side::A), 0);
}

#[tokio::test(start_paused = true)]
async fn a_third_connection_is_refused_while_two_are_joined() {
    let mut ends = keyed(Policy::default(), by_key().third(Third::Refuse));
    let (_, _first_peer) = arrive(&mut ends.0, 1);
    let (_, _second_peer) = arrive(&mut ends.0, 1);
    // Before the join.
    let (_, mut third) = arrive(&mut ends.0, 1);
    assert_eq!(
        reply_to(&mut third).await,
        "too many connections with the same key"
    );
    // And as long as it lasts.
    let pair = next(&mut ends.1).await;
    let (_, mut third) = arrive(&mut ends.0, 1);
    assert_eq!(
        reply_to(&mut third).await,
        "too many connections with the same key"
    );
    let (_, mut another_key) = arrive(&mut ends.0, 2);
    pair.session.end(CloseReason::Closed);
    settle().await;
    let (_, mut later) = arrive(&mut ends.0, 1);
    settle().await;
    assert_waits(&mut later);
    assert_waits(&mut another_key);
}

#[tokio::test(start_paused = true)]
async fn connections_left_over_at_the_join_are_closed() {
    let rule = by_key_and_name()
        .per_key(3, WhenFull::Refuse)
        .third(Third::LetGo);
    let mut ends = keyed(Policy::default(), rule);
    let mut spare = [(); 3].map(|()| arrive_as(&mut ends.0, 1, "ann"));
    let (_, mut other_key) = arrive_as(&mut ends.0, 2, "ann");
    let (bob, _bob_peer) = arrive_as(&mut ends.0, 1, "bob");
    assert_eq!(next_ids(&mut ends).await, [spare[2].0, bob]);
    for (_, peer) in &mut spare[..2] {
        assert_eq!(reply_to(peer).await, "others with the same key were joined");
    }
    assert_eq!(refused(&ends.1.counts(), Refusal::Redundant), 2);
    assert_waits(&mut other_key);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_partner_in_time_is_refused() {
    let (mut place, pairs) = keyed(Policy::default().wait(Some(10 * SECOND)), by_key());
    let (_, mut first) = arrive(&mut place, 1);
    settle().await;
    advance(4 * SECOND).await;
    let (_, mut second) = arrive(&mut place, 2);
    settle().await;
    advance(6 * SECOND).await;
    assert_eq!(reply_to(&mut first).await, "no partner came in time");
    assert_waits(&mut second);
    let counts = pairs.counts();
    assert_eq!(counts.expired(Side::A), 1);
    assert_eq!(counts.waited(Side::A, Refusal::Expired), 10 * SECOND);
    // No connection is there for it any more.
    let (_, mut late) = arrive(&mut place, 1);
    settle().await;
    assert_waits(&mut late);
}

/// A connection from that address, with that key.
fn arrive_from(slot: &mut WaitSlot<MemoryStream>, ip: [u8; 4], key: u32) -> (ConnId, MemoryStream) {
    let (mut conn, peer) = conn();
    conn.info.peer = Some((ip, 1).into());
    conn.info.extensions.insert(Key(key));
    conn.info.extensions.insert(Who("ann"));
    let id = conn.info.id;
    fill(slot, conn);
    (id, peer)
}

const MANY: [u8; 4] = [192, 0, 2, 1];
const FEW: [u8; 4] = [192, 0, 2, 2];

#[tokio::test(start_paused = true)]
async fn one_address_does_not_take_the_slots_of_others() {
    let (mut slot, pairs) = keyed(Policy::default().max_waiting(4), by_key());
    let mut many: Vec<_> = (0..5)
        .map(|key| arrive_from(&mut slot, MANY, key))
        .collect();
    assert_eq!(reply_to(&mut many[4].1).await, "too many connections wait");
    let mut few: Vec<_> = (5..8).map(|key| arrive_from(&mut slot, FEW, key)).collect();
    settle().await;
    for (_, peer) in &mut many[..2] {
        assert_eq!(reply_to(peer).await, "gave way to a newer connection");
    }
    for (_, peer) in many[2..4].iter_mut().chain(&mut few[..2]) {
        assert_waits(peer);
    }
    // Now both have as many.
    assert_eq!(reply_to(&mut few[2].1).await, "too many connections wait");
    assert_eq!(refused(&pairs.counts(), Refusal::Evicted), 2);
}

#[tokio::test(start_paused = true)]
async fn one_address_does_not_take_the_slots_of_a_key() {
    let rule = by_key_and_name().per_key(3, WhenFull::Refuse);
    let (mut slot, _pairs) = keyed(Policy::default(), rule);
    let mut many = [(); 3].map(|()| arrive_from(&mut slot, MANY, 1).1);
    let mut few = arrive_from(&mut slot, FEW, 1).1;
    settle().await;
    assert_waits(&mut few);
    let told = reply_to(&mut many[0]).await;
    assert_eq!(told, "replaced by a newer connection with the same key");
    let mut more = arrive_from(&mut slot, FEW, 1).1;
    let told = reply_to(&mut more).await;
    assert_eq!(told, "too many connections with the same key");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_ended_its_stream_gives_way_and_is_joined_last() {
    let rule = by_key_and_name().per_key(2, WhenFull::Refuse);
    let mut ends = keyed(Policy::default(), rule);
    let (_, open) = arrive_as(&mut ends.0, 1, "ann");
    let (_, mut ended) = arrive_as(&mut ends.0, 1, "ann");
    ended.write_all(b"hello").await.expect("it is read");
    ended.shutdown().await.expect("it is open");
    settle().await;
    let (newest, newest_peer) = arrive_as(&mut ends.0, 1, "ann");
    let told = reply_to(&mut ended).await;
    assert_eq!(told, "replaced by a newer connection with the same key");
    drop((open, newest_peer));
    settle().await;
    assert_eq!(ends.1.counts().died(Side::A), 2);
    let _ = newest;

    let (ended, mut ended_peer) = arrive_as(&mut ends.0, 1, "ann");
    ended_peer.write_all(b"hello").await.expect("it is read");
    ended_peer.shutdown().await.expect("it is open");
    settle().await;
    let (older, _older_peer) = arrive_as(&mut ends.0, 1, "ann");
    for partner in [older, ended] {
        let (bob, _bob_peer) = arrive_as(&mut ends.0, 1, "bob");
        let mut joined = next_ids(&mut ends).await;
        joined.sort();
        assert_eq!(joined, [partner, bob]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_spoke_to_the_relay_may_receive_only() {
    for has_spoken in [false, true] {
        let mut ends = keyed(Policy::default(), by_key());
        let (mut one, mut receives) = conn();
        one.info.extensions.insert(Key(1));
        one.info.has_spoken = has_spoken;
        fill(&mut ends.0, one);
        receives.shutdown().await.expect("it is open");
        settle().await;
        assert_eq!(ends.1.counts().waiting(Side::A), u64::from(has_spoken));
        if has_spoken {
            let (_, _partner) = arrive(&mut ends.0, 1);
            let mut pair = next(&mut ends.1).await;
            pair.a.write_all(b"!").await.expect("it is open");
            assert_eq!(soon(receives.read_u8()).await.expect("no reset"), b'!');
        }
    }
}
