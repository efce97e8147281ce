//! No address takes all slots of a pairing: those of two sides that wait, and those of dials.

mod helper;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use couplet_endpoint::{Conn, Origin, Side, memory::MemoryStream};
use couplet_pairing::{PairError, Policy, Refusal, WaitSlot, rendezvous};
use helper::{
    conn,
    dials::{Came, Set},
    fill, hears_reset, joined, next, settle, until,
};
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::ServiceExt;

const SECOND: Duration = Duration::from_secs(1);

/// The time after which a connection gives way to a new one.
const AFTER: Duration = Duration::from_secs(3);

fn address(ip: &str) -> Option<SocketAddr> {
    let ip: IpAddr = ip.parse().expect("an address");
    Some((ip, 1000).into())
}

fn from(ip: &str) -> (Conn<MemoryStream>, MemoryStream) {
    let (mut conn, peer) = conn();
    conn.info.peer = address(ip);
    (conn, peer)
}

fn arrive_from(slot: &mut WaitSlot<MemoryStream>, ip: &str) -> MemoryStream {
    let (conn, peer) = from(ip);
    fill(slot, conn);
    peer
}

// ===== waiting for a partner =====

#[tokio::test(start_paused = true)]
async fn one_address_that_waits_in_all_slots_keeps_no_other_out() {
    let (mut a, mut b, mut pairs) = rendezvous::<_, MemoryStream>(Policy::default().max_waiting(4));
    let counts = pairs.counts();
    let mut many = Vec::new();
    for _ in 0..5 {
        many.push(arrive_from(&mut a, "192.0.2.1"));
        settle().await;
    }
    until(|| counts.waiting(Side::A) == 5).await;
    // The next, of which nothing is known, waits for one that has waited long.
    let mut free = task::spawn(a.ready());
    assert_pending!(free.poll());
    advance(AFTER - SECOND).await;
    settle().await;
    assert_eq!(counts.refused(Side::A, Refusal::Evicted), 0);
    advance(SECOND).await;
    assert_pending!(free.poll());
    until(|| counts.refused(Side::A, Refusal::Evicted) == 1).await;
    assert_ready_ok!(free.poll());
    drop(free);
    hears_reset(&mut many.remove(0)).await;

    // It is known now, and has a claim at once.
    let (few, _few_peer) = from("192.0.2.2");
    let id = few.info.id;
    fill(&mut a, few);
    until(|| counts.refused(Side::A, Refusal::Evicted) == 2).await;
    hears_reset(&mut many.remove(0)).await;
    assert_eq!(counts.waiting(Side::A), 4);
    // The order is kept.
    let mut partners = Vec::new();
    for number in 0..4 {
        partners.push(arrive_from(&mut b, "192.0.2.9"));
        let pair = next(&mut pairs).await;
        assert_eq!(joined(&pair)[0].id == id, number == 3);
    }
}

#[tokio::test(start_paused = true)]
async fn where_each_address_has_its_share_nobody_gives_way() {
    let (mut a, _b, pairs) = rendezvous::<_, MemoryStream>(Policy::default().max_waiting(2));
    let counts = pairs.counts();
    let _peers = ["192.0.2.1", "2001:db8::1"].map(|ip| arrive_from(&mut a, ip));
    until(|| counts.waiting(Side::A) == 2).await;
    let mut free = task::spawn(a.ready());
    assert_pending!(free.poll());
    advance(60 * SECOND).await;
    settle().await;
    assert_pending!(free.poll());
    assert_eq!(counts.waiting(Side::A), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dialled_connection_never_gives_way() {
    let (mut a, _b, pairs) = rendezvous::<_, MemoryStream>(Policy::default().max_waiting(2));
    let counts = pairs.counts();
    let mut peers = Vec::new();
    for _ in 0..2 {
        let (mut dialled, peer) = from("192.0.2.1");
        dialled.info.origin = Origin::Dialled;
        fill(&mut a, dialled);
        peers.push(peer);
    }
    until(|| counts.waiting(Side::A) == 2).await;
    let mut free = task::spawn(a.ready());
    assert_pending!(free.poll());
    advance(60 * SECOND).await;
    settle().await;
    assert_pending!(free.poll());
    assert_eq!(counts.waiting(Side::A), 2);
}

// ===== dials =====

fn come_from(set: &mut Set, ip: &str) -> Came {
    set.come_with(|info| info.peer = address(ip))
}

#[tokio::test(start_paused = true)]
async fn one_address_whose_dials_take_all_slots_keeps_no_other_out() {
    let mut set = Set::new(Side::A, Policy::default().max_waiting(2));
    let mut many: Vec<_> = (0..3).map(|_| come_from(&mut set, "192.0.2.1")).collect();
    let mut free = task::spawn(set.service.ready());
    assert_pending!(free.poll());
    advance(AFTER).await;
    assert!(free.is_woken());
    assert_pending!(free.poll());
    let gives_way = |mut came: Came| async move {
        assert!(came.joining.is_woken());
        let error = assert_ready_err!(came.joining.poll());
        assert!(matches!(error, PairError::GaveWay), "{error}");
        hears_reset(&mut came.peer).await;
        assert!(came.dialling.answer.is_closed(), "the dial is given up");
    };
    gives_way(many.remove(0)).await;
    assert!(free.is_woken());
    assert_ready_ok!(free.poll());
    drop(free);

    let few = come_from(&mut set, "192.0.2.2");
    gives_way(many.remove(0)).await;
    let _partner = few.dialling.connects();
    let (pair, _) = tokio::join!(next(&mut set.pairs), few.joining);
    assert_eq!(joined(&pair)[0].id, few.id);
    assert_pending!(many[0].joining.poll());
}

#[tokio::test(start_paused = true)]
async fn who_has_a_partner_and_waits_for_the_pair_stack_gives_way_to_nobody() {
    let mut set = Set::new(Side::A, Policy::default().max_waiting(2));
    let mut partners = Vec::new();
    let mut reached: Vec<_> = (0..2)
        .map(|_| {
            let mut came = come_from(&mut set, "192.0.2.1");
            partners.push(came.dialling.connects());
            assert_pending!(came.joining.poll());
            (came.joining, came.peer)
        })
        .collect();
    let mut free = task::spawn(set.service.ready());
    assert_pending!(free.poll());
    advance(60 * SECOND).await;
    assert_pending!(free.poll());
    for (joining, _) in &mut reached {
        assert_pending!(joining.poll());
    }
}
