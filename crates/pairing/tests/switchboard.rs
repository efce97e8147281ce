//! Partners that come from elsewhere.

mod helper;

use couplet_endpoint::{ConnId, Replay, Side, memory::MemoryStream};
use couplet_pairing::{
    Notice, Notices, Policy, Refusal, Switchboard, Third, WhenFull, rendezvous_keyed_with,
    switchboard,
};
use futures::{FutureExt, StreamExt};
use helper::{by_key::*, conn, hears_reset, next, reset, settle, soon, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_test::{assert_pending, task};

type Name = &'static str;

struct Rig {
    ends: Ends,
    switchboard: Switchboard<MemoryStream>,
    notices: Notices<u32, Name>,
}

impl Rig {
    fn new(policy: Policy, keyed: couplet_pairing::Keyed<u32, Name>) -> Self {
        let (switchboard, notices, attachment) = switchboard();
        let ends = rendezvous_keyed_with(policy, keyed, attachment);
        Self {
            ends,
            switchboard,
            notices,
        }
    }

    fn arrive(&mut self, key: u32, name: Name) -> (ConnId, MemoryStream) {
        arrive_as(&mut self.ends.0, key, name)
    }

    async fn notice(&mut self) -> Notice<u32, Name> {
        soon(self.notices.recv()).await.expect("it goes on")
    }

    async fn hears_nothing(&mut self) {
        settle().await;
        assert!(self.notices.recv().now_or_never().is_none());
    }
}

fn rig() -> Rig {
    Rig::new(
        Policy::default(),
        by_key_and_name().per_key(2, WhenFull::Refuse),
    )
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_waits_alone_is_joined_with_a_partner_from_elsewhere() {
    let mut rig = rig();
    let (here, mut here_peer) = rig.arrive(1, "ann");
    let mut notice = rig.notice().await;
    assert_eq!(
        (notice.key, notice.side, notice.returned),
        (1, Some("ann"), 0)
    );
    assert!(!notice.has_left());
    let reserved = soon(rig.switchboard.take(notice.place)).await.unwrap();
    assert_eq!(reserved.info().id, here);
    assert!(notice.has_left());
    // No other caller gets it, and it is joined with no partner here.
    assert!(soon(rig.switchboard.take(notice.place)).await.is_none());
    let (_, _other_peer) = rig.arrive(1, "bob");
    rig.notice().await;
    assert_pending!(task::spawn(rig.ends.1.next()).poll());

    let (partner, mut partner_peer) = conn();
    let there = partner.info.id;
    here_peer.write_all(b"early").await.unwrap();
    reserved.join(partner);
    let mut pair = next(&mut rig.ends.1).await;
    assert_eq!(pair.session.info(Side::A).id, here);
    assert_eq!(pair.session.info(Side::B).id, there);
    let mut early = [0; 5];
    pair.a.read_exact(&mut early).await.unwrap();
    assert_eq!(&early, b"early");
    partner_peer.write_all(b"hi").await.unwrap();
    pair.b.read_exact(&mut early[..2]).await.unwrap();
    assert_eq!(rig.ends.1.counts().waiting(Side::A), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_a_partner_here_is_not_offered_elsewhere() {
    let mut rig = rig();
    let (one, _one_peer) = rig.arrive(1, "ann");
    let mut notice = rig.notice().await;
    let (other, _other_peer) = rig.arrive(1, "bob");
    soon(notice.left()).await;
    rig.hears_nothing().await;
    assert!(soon(rig.switchboard.take(notice.place)).await.is_none());
    assert_eq!(next_ids(&mut rig.ends).await, [one, other]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_lost_its_partner_here_is_offered_elsewhere() {
    let mut rig = rig();
    let (_, leaves) = rig.arrive(1, "ann");
    rig.notice().await;
    let (bob, _bob_peer) = rig.arrive(1, "bob");
    rig.hears_nothing().await;
    drop(leaves);
    let notice = rig.notice().await;
    assert_eq!(notice.side, Some("bob"));
    let reserved = soon(rig.switchboard.take(notice.place)).await.unwrap();
    assert_eq!(reserved.info().id, bob);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_given_back_waits_on_and_is_joined_here() {
    let mut rig = rig();
    let (here, _peer) = rig.arrive(1, "ann");
    let mut place = rig.notice().await.place;
    for times in 1..4 {
        drop(soon(rig.switchboard.take(place)).await.unwrap());
        let notice = rig.notice().await;
        assert_eq!(notice.returned, times);
        place = notice.place;
    }
    // One that is taken when its partner comes is joined when it is back.
    let reserved = soon(rig.switchboard.take(place)).await.unwrap();
    let (bob, _bob_peer) = rig.arrive(1, "bob");
    assert_eq!(rig.notice().await.returned, 0);
    assert_eq!(reserved.returned(), 3);
    drop(reserved);
    assert_eq!(next_ids(&mut rig.ends).await, [here, bob]);
    rig.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_take_that_is_given_up_gives_the_connection_back() {
    let mut rig = rig();
    let (_, _peer) = rig.arrive(1, "ann");
    let place = rig.notice().await.place;
    let mut taking = task::spawn(rig.switchboard.take(place));
    assert_pending!(taking.poll());
    drop(taking);
    let notice = rig.notice().await;
    assert!(soon(rig.switchboard.take(notice.place)).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_dead_client_is_not_given_to_a_partner_from_elsewhere() {
    let mut rig = rig();
    let (_, mut peer) = rig.arrive(1, "ann");
    let mut notice = rig.notice().await;
    // Behind unread bytes, so that only a look tells.
    peer.write_all(b"x").await.unwrap();
    settle().await;
    reset(peer);
    assert!(soon(rig.switchboard.take(notice.place)).await.is_none());
    soon(notice.left()).await;
    let counts = rig.ends.1.counts();
    assert_eq!((counts.died(Side::A), counts.waiting(Side::A)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_partner_from_elsewhere_is_reset_when_the_client_died_before_the_join() {
    let mut rig = rig();
    let (_, peer) = rig.arrive(1, "ann");
    let notice = rig.notice().await;
    let reserved = soon(rig.switchboard.take(notice.place)).await.unwrap();
    let (partner, mut partner_peer) = conn();
    reserved.join(partner);
    settle().await;
    reset(peer);
    assert_pending!(task::spawn(rig.ends.1.next()).poll());
    hears_reset(&mut partner_peer).await;
    assert_eq!(rig.ends.1.counts().died(Side::A), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_died_while_it_was_taken_does_not_come_back() {
    let mut rig = rig();
    let (_, peer) = rig.arrive(1, "ann");
    let notice = rig.notice().await;
    let reserved = soon(rig.switchboard.take(notice.place)).await.unwrap();
    reset(peer);
    drop(reserved);
    rig.hears_nothing().await;
    assert_eq!(rig.ends.1.counts().died(Side::A), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_refused_or_expired_while_it_waits_alone_is_no_longer_offered() {
    let policy = Policy::default().wait(Some(SECOND));
    let mut rig = Rig::new(policy, by_key_and_name());
    let (_, _peer) = rig.arrive(1, "ann");
    let mut notice = rig.notice().await;
    tokio::time::advance(SECOND).await;
    soon(notice.left()).await;
    assert_eq!(refused(&rig.ends.1.counts(), Refusal::Expired), 1);
    assert!(soon(rig.switchboard.take(notice.place)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn others_with_the_key_are_let_go_when_one_joins_a_partner_from_elsewhere() {
    let rule = by_key_and_name().per_key(2, WhenFull::Refuse);
    let mut rig = Rig::new(Policy::default(), rule.third(Third::LetGo));
    let (_, _first_peer) = rig.arrive(1, "ann");
    let (_, mut second_peer) = rig.arrive(1, "ann");
    let place = rig.notice().await.place;
    let reserved = soon(rig.switchboard.take(place)).await.unwrap();
    let (partner, _partner_peer) = conn();
    reserved.join(partner);
    let _pair = next(&mut rig.ends.1).await;
    assert!(!reply_to(&mut second_peer).await.is_empty());
    assert_eq!(refused(&rig.ends.1.counts(), Refusal::Redundant), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rendezvous_that_ended_resets_partners_and_tells_the_reader() {
    let mut rig = rig();
    let (_, _peer) = rig.arrive(1, "ann");
    let notice = rig.notice().await;
    let reserved = soon(rig.switchboard.take(notice.place)).await.unwrap();
    drop(rig.ends);
    soon(rig.switchboard.ended()).await;
    let (partner, mut partner_peer) = conn();
    reserved.join(partner);
    hears_reset(&mut partner_peer).await;
    assert!(soon(rig.switchboard.take(notice.place)).await.is_none());
    assert!(soon(rig.notices.recv()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_rendezvous_without_clients_to_come_ends_when_none_is_taken() {
    let mut rig = rig();
    let (here, _peer) = rig.arrive(1, "ann");
    let notice = rig.notice().await;
    let reserved = soon(rig.switchboard.take(notice.place)).await.unwrap();
    let (slot, mut pairs) = rig.ends;
    drop(slot);
    assert_pending!(task::spawn(pairs.next()).poll());
    settle().await;
    let (partner, _partner_peer) = conn();
    reserved.join(partner);
    let pair: couplet_pairing::Pair<Replay<MemoryStream>, _> = next(&mut pairs).await;
    assert_eq!(pair.session.info(Side::A).id, here);
    assert!(soon(pairs.next()).await.is_none());
    until(|| rig.notices.try_recv().is_err()).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_refused_for_elsewhere_gets_a_reply_of_its_own() {
    struct Because(&'static str);
    let keyed =
        by_key_and_name().refusal_reply(std::time::Duration::from_secs(1), |info, refusal| {
            let because: &Because = info.extensions.get()?;
            Some(format!("{refusal}: {}", because.0).into())
        });
    let mut rig = Rig::new(Policy::default(), keyed);
    let (_, mut peer) = rig.arrive(1, "ann");
    let place = rig.notice().await.place;
    let reserved = soon(rig.switchboard.take(place)).await.unwrap();
    reserved.refuse(Refusal::Redirected, Because("over there"));
    let mut heard = String::new();
    peer.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, format!("{}: over there", Refusal::Redirected));
    assert_eq!(rig.ends.1.counts().refused(Side::A, Refusal::Redirected), 1);
    assert!(soon(rig.switchboard.take(place)).await.is_none());
    rig.hears_nothing().await;
}
