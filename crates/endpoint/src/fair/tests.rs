use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};

use super::*;
use crate::conn::PeerNetwork;

const AFTER: Duration = Duration::from_secs(3);

fn oldest(bound: usize) -> FairSlots {
    FairSlots::new(bound, GivesWay::Oldest { after: AFTER })
}

fn network(ip: &str) -> PeerNetwork {
    PeerNetwork::of(ip.parse().ok())
}

/// A reservation under way.
fn reserves(slots: &mut FairSlots) -> task::Spawn<impl Future<Output = Result<(), SlotsClosed>>> {
    task::spawn(poll_fn(|cx| slots.poll_reserve(cx)))
}

/// A slot for a peer of this address.
fn comes(slots: &FairSlots, ip: &str) -> FairSlot {
    let mut slots = slots.clone();
    assert_ready_ok!(reserves(&mut slots).poll());
    let mut slot = slots.take();
    slot.may_give_way(network(ip));
    slot
}

/// The positions of those that have to give way.
fn give_way(held: &[FairSlot]) -> Vec<usize> {
    let gives_way = |slot: &FairSlot| task::spawn(slot.gives_way()).poll().is_ready();
    let numbered = held.iter().enumerate();
    numbered
        .filter_map(|(number, slot)| gives_way(slot).then_some(number))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_oldest_of_the_largest_network_gives_way_to_one_with_fewer_at_once() {
    let slots = oldest(3);
    let mut held = vec![comes(&slots, "192.0.2.1")];
    for _ in 0..2 {
        // An IPv6 network of 64 bits is one.
        held.push(comes(&slots, &format!("2001:db8::{}", held.len())));
    }
    assert!(give_way(&held).is_empty());
    held.push(comes(&slots, "192.0.2.2"));
    assert_eq!(give_way(&held), [1]);
    // Until it has gone, no other comes.
    let mut next = slots.clone();
    assert_pending!(reserves(&mut next).poll());
    drop(held.remove(1));
    // Three of three networks: each has its share.
    assert_pending!(reserves(&mut next).poll());
    advance(100 * AFTER).await;
    assert_pending!(reserves(&mut next).poll());
    assert!(give_way(&held).is_empty());
}

#[tokio::test(start_paused = true)]
async fn to_an_unknown_newcomer_gives_way_who_has_held_long() {
    let slots = oldest(2);
    let mut held: Vec<_> = (0..3).map(|_| comes(&slots, "192.0.2.1")).collect();
    let mut unknown = slots.clone();
    let mut reserving = reserves(&mut unknown);
    assert_pending!(reserving.poll());
    advance(AFTER - Duration::from_millis(1)).await;
    assert!(!reserving.is_woken());
    assert!(give_way(&held).is_empty());
    advance(Duration::from_millis(1)).await;
    assert!(reserving.is_woken());
    assert_pending!(reserving.poll());
    assert_eq!(give_way(&held), [0]);
    drop(held.remove(0));
    assert!(reserving.is_woken());
    assert_ready_ok!(reserving.poll());
    drop(reserving);
    // Now it is known, and the other network holds two.
    let mut slot = unknown.take();
    slot.may_give_way(network("192.0.2.2"));
    assert_eq!(give_way(&held), [0]);
    drop(held.remove(0));
    assert!(give_way(&held).is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_has_settled_or_is_no_stranger_never_gives_way() {
    let slots = oldest(2);
    let mut settled = comes(&slots, "192.0.2.1");
    settled.settle();
    let mut dialled = slots.clone();
    assert_ready_ok!(reserves(&mut dialled).poll());
    let _dialled = dialled.take();
    let mut next = slots.clone();
    let mut reserving = reserves(&mut next);
    assert_pending!(reserving.poll());
    advance(100 * AFTER).await;
    assert_pending!(reserving.poll());
    assert!(slots.enter(Some(network("192.0.2.2"))).is_none());
    assert_pending!(task::spawn(settled.gives_way()).poll());
}

#[tokio::test(start_paused = true)]
async fn entering_takes_a_free_slot_or_that_of_a_larger_network() {
    let slots = oldest(2);
    let [many, few] = ["192.0.2.1", "192.0.2.2"].map(network);
    let held = [(); 2].map(|()| slots.enter(Some(many)).unwrap());
    assert!(slots.enter(Some(many)).is_none());
    assert!(slots.enter(None).is_none());
    let newcomer = slots.enter(Some(few)).unwrap();
    assert_eq!(give_way(&held), [0]);
    assert!(slots.enter(Some(few)).is_none(), "each has one");
    assert_eq!(slots.taken(), 3, "one is leaving");
    drop((held, newcomer));
    assert_eq!(slots.taken(), 0);
}

#[tokio::test(start_paused = true)]
async fn tasks_that_wait_are_served_in_order() {
    let slots = oldest(1);
    let first = comes(&slots, "192.0.2.1");
    let mut waiting = [(); 3].map(|()| slots.clone());
    let [a, b, c] = &mut waiting;
    let [mut a, mut b, mut c] = [a, b, c].map(reserves);
    for waits in [&mut a, &mut b, &mut c] {
        assert_pending!(waits.poll());
    }
    drop(first);
    assert!(a.is_woken() && !b.is_woken());
    // The one that comes later waits, though the slot is free.
    assert_pending!(b.poll());
    assert_ready_ok!(a.poll());
    assert!(
        b.is_woken() && !c.is_woken(),
        "the next looks how long it has to wait"
    );
    assert_pending!(b.poll());
    drop((a, c));
    drop(b);
    let [mut a, b, _] = waiting;
    drop(b);
    drop(a.take());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_line_after_the_wake_passes_it_on() {
    let slots = oldest(1);
    let held = comes(&slots, "192.0.2.1");
    let (mut a, mut b) = (slots.clone(), slots.clone());
    assert_pending!(reserves(&mut a).poll());
    let mut waits = reserves(&mut b);
    assert_pending!(waits.poll());
    drop(held);
    assert!(!waits.is_woken());
    drop(a);
    assert!(waits.is_woken());
    assert_ready_ok!(waits.poll());
}

#[tokio::test(start_paused = true)]
async fn when_the_slots_are_closed_all_that_wait_are_told() {
    let slots = oldest(1);
    let _held = comes(&slots, "192.0.2.1");
    let [mut a, mut b] = [slots.clone(), slots.clone()];
    let [mut a, mut b] = [&mut a, &mut b].map(reserves);
    assert_pending!(a.poll());
    assert_pending!(b.poll());
    slots.close();
    for waits in [&mut a, &mut b] {
        assert!(waits.is_woken());
        assert_ready_err!(waits.poll());
    }
    assert!(slots.enter(None).is_none());
    assert_ready!(reserves(&mut slots.clone()).poll()).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_one_network_among_others_leaves_nothing_behind() {
    let slots = oldest(8);
    let mut held: Vec<FairSlot> = Vec::new();
    for number in 0..200 {
        // Few networks, so that one always holds more than its share.
        let ip = format!("192.0.2.{}", [1, 1, 1, 2, number % 3][number % 5]);
        let mut newcomer = slots.clone();
        let mut reserving = reserves(&mut newcomer);
        while reserving.poll().is_pending() {
            advance(AFTER).await;
            let _ = reserving.poll();
            for number in give_way(&held).into_iter().rev() {
                drop(held.remove(number));
            }
        }
        drop(reserving);
        let mut slot = newcomer.take();
        slot.may_give_way(network(&ip));
        held.push(slot);
        for number in give_way(&held).into_iter().rev() {
            drop(held.remove(number));
        }
        assert!(held.len() <= 9);
    }
    drop(held);
    let state = lock(&slots.shared);
    assert_eq!((state.taken, state.leaving), (0, 0));
    assert!(state.held.is_empty() && state.share.is_none());
}
