use couplet_endpoint::{Conn, FairSlots, Origin, Side, memory, memory::MemoryStream};
use tokio::io::AsyncWriteExt;
use tokio_test::task;

use super::*;
use crate::{policy::GIVES_WAY, unjoined::Unjoined};

async fn enter(set: &mut WaitingSet<MemoryStream, ()>, slots: &FairSlots) -> MemoryStream {
    let (io, mut peer) = memory::connection(64);
    peer.write_all(b"hi").await.unwrap();
    let conn = Conn::new(io, Origin::Accepted).on(Side::A);
    let slot = slots.enter(None).unwrap();
    let conn = Unjoined::new(conn);
    assert!(set.enter(Arrival { conn, slot }, ()).is_ok());
    peer
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_connections_that_left() {
    let slots = FairSlots::new(2, GIVES_WAY);
    let policy = Policy::default().early(1);
    let mut set = WaitingSet::new(policy, WaitingCounts::default());
    let _peers = [enter(&mut set, &slots).await, enter(&mut set, &slots).await];
    assert_eq!(set.unwatched.len(), 2);

    // The one is matched, the other expires.
    assert!(set.take_oldest().is_some_and(|oldest| oldest.is_ok()));
    assert_eq!(set.unwatched.len(), 1);
    tokio::time::advance(Duration::from_secs(300)).await;
    let changes = task::spawn(()).enter(|cx, _| set.poll_keep(cx));
    assert_eq!(changes.len(), 1);
    drop(changes);
    assert!(set.is_empty() && set.unwatched.is_empty());
    assert_eq!(set.next_due(), None);
    assert_eq!(slots.taken(), 0);
}

#[tokio::test(start_paused = true)]
async fn ended_connections_hold_no_slot_and_are_bounded_by_themselves() {
    let slots = FairSlots::new(8, GIVES_WAY);
    let policy = Policy::default().max_waiting(2);
    let mut set = WaitingSet::new(policy, WaitingCounts::default());
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(enter(&mut set, &slots).await);
    }
    assert_eq!(slots.taken(), 3);
    let mut refused = Vec::new();
    for number in 0..3 {
        peers[number as usize].shutdown().await.unwrap();
        assert!(matches!(set.look_at(number), Some(Change::Ended(n)) if n == number));
        assert!(set.look_at(number).is_none(), "it is told once");
        refused.extend(set.free_slot(number).map(|left| left.waiting.number()));
    }
    assert_eq!(refused, [0]);
    assert_eq!(slots.taken(), 0);
    assert_eq!(set.without_slot.len(), 2);
}
