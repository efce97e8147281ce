//! What a budget allows, and not a byte more.

mod helper;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use couplet_endpoint::Side;
use couplet_pairing::{Budget, CloseReason, Scope};
use couplet_relay::Relay;
use helper::{
    MIB, SIDES, assert_reset, by_hand, drive, finish, memory_pair, noise, read_all, read_now,
    shut_down, spawn, tcp_pair, until, write_now,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

/// Grants one direction what the test puts there.
#[derive(Clone)]
struct Granted(Arc<Mutex<Grant>>);

struct Grant {
    from: Side,
    scope: Scope,
    free: u32,
    /// There will be no more.
    is_last: bool,
    set_aside: u32,
    waiting: Option<Waker>,
}

impl Granted {
    fn to(from: Side, free: u32) -> Self {
        Self(Arc::new(Mutex::new(Grant {
            from,
            scope: Scope::Pair,
            free,
            is_last: false,
            set_aside: 0,
            waiting: None,
        })))
    }

    fn scope(self, scope: Scope) -> Self {
        self.look().scope = scope;
        self
    }

    fn look(&self) -> MutexGuard<'_, Grant> {
        self.0.lock().expect("no holder panics")
    }

    fn add(&self, bytes: u32) {
        let mut grant = self.look();
        grant.free += bytes;
        if let Some(waker) = grant.waiting.take() {
            waker.wake();
        }
    }
}

impl Budget for Granted {
    fn scope(&self) -> Scope {
        self.look().scope
    }

    fn poll_reserve(&mut self, cx: &mut Context<'_>, from: Side, most: u32) -> Poll<u32> {
        let mut grant = self.look();
        if from != grant.from {
            return Poll::Ready(most);
        }
        assert_eq!(grant.set_aside, 0, "what was set aside is settled first");
        let n = grant.free.min(most);
        if n == 0 && !grant.is_last {
            grant.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        grant.set_aside = n;
        grant.free -= n;
        Poll::Ready(n)
    }

    fn settle(&mut self, from: Side, taken: u32) {
        let mut grant = self.look();
        if from == grant.from {
            grant.waiting = None;
            grant.free += grant.set_aside - taken;
            grant.set_aside = 0;
        }
    }
}

#[tokio::test]
async fn no_more_bytes_pass_than_the_budget_grants() {
    for side in SIDES {
        let (mut this, mut other, mut pair) = memory_pair(side, 64);
        let granted = Granted::to(side, 5);
        pair.session.limit(granted.clone());
        let (_, mut relaying) = by_hand(Relay::new(), pair);
        write_now(&mut this, b"hello world");
        write_now(&mut other, b"not limited");
        assert!(drive(&mut relaying).is_pending());
        assert_eq!(read_now(&mut other).0, b"hello");
        assert_eq!(read_now(&mut this).0, b"not limited");
        granted.add(1);
        assert!(drive(&mut relaying).is_pending());
        assert_eq!(read_now(&mut other).0, b" ");
        shut_down(&mut this);
        granted.add(100);
        assert!(drive(&mut relaying).is_pending());
        shut_down(&mut other);
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::Finished(side));
        assert_eq!(read_now(&mut other).0, b"world");
        assert_eq!(granted.look().free, 95);
    }
}

#[tokio::test]
async fn the_least_of_several_budgets_counts() {
    let (mut this, mut other, mut pair) = memory_pair(Side::A, 64);
    let all = [7, 3, 5].map(|free| Granted::to(Side::A, free));
    let scopes = [Scope::All(1), Scope::Pair, Scope::Group(2)];
    for (granted, scope) in all.iter().zip(scopes) {
        pair.session.limit(granted.clone().scope(scope));
    }
    let (_, mut relaying) = by_hand(Relay::new(), pair);
    write_now(&mut this, b"0123456789");
    assert!(drive(&mut relaying).is_pending());
    assert_eq!(read_now(&mut other).0, b"012");
    assert_eq!(all.each_ref().map(|granted| granted.look().free), [4, 0, 2]);
    // Those of few are asked first, and hold what they granted while the next is waited for.
    all[1].add(10);
    assert!(drive(&mut relaying).is_pending());
    assert_eq!(read_now(&mut other).0, b"34");
    let seen = all.each_ref().map(|granted| granted.look().set_aside);
    assert_eq!(seen, [0, 8, 0]);
    assert_eq!(all[0].look().free, 2);
}

/// Where nothing may come any more it is still seen whether the stream ends just there.
#[tokio::test]
async fn a_sender_that_ends_at_its_budget_has_finished() {
    for side in SIDES {
        let (mut this, mut other, mut pair) = memory_pair(side, 64);
        let granted = Granted::to(side, 5);
        granted.look().is_last = true;
        pair.session.limit(granted);
        let (_, mut relaying) = by_hand(Relay::new(), pair);
        write_now(&mut this, b"hello");
        assert!(drive(&mut relaying).is_pending());
        shut_down(&mut this);
        assert!(drive(&mut relaying).is_pending());
        shut_down(&mut other);
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::Finished(side));
        let (heard, end) = read_now(&mut other);
        assert_eq!(heard, b"hello");
        assert!(end.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_sender_beyond_its_budget_is_cut_off() {
    for side in SIDES {
        let (mut this, mut other, mut pair) = memory_pair(side, 64);
        let granted = Granted::to(side, 5);
        granted.look().is_last = true;
        pair.session.limit(granted);
        let (_, mut relaying) = by_hand(Relay::new(), pair);
        write_now(&mut other, b"answer");
        assert!(drive(&mut relaying).is_pending());
        write_now(&mut this, b"hello!");
        let summary = finish(relaying).unwrap();
        assert_eq!(summary.reason, CloseReason::QuotaExceeded);
        assert_eq!(summary.a_to_b + summary.b_to_a, 11);
        for (peer, sent) in [(&mut other, &b"hello"[..]), (&mut this, b"answer")] {
            let (heard, end) = read_now(peer);
            assert_eq!(heard, sent);
            assert_reset(&end.unwrap());
        }
    }
}

/// A reset throws away what the system still holds: it waits for that.
#[tokio::test]
async fn bytes_within_the_budget_arrive_before_the_reset() {
    for side in SIDES {
        let (mut this, mut other, mut pair) = tcp_pair(side).await;
        // The system holds so much, and the peer reads none of it yet.
        let most = 256 * 1024;
        let granted = Granted::to(side, most as u32);
        granted.look().is_last = true;
        pair.session.limit(granted);
        let (session, relaying) = spawn(Relay::new(), pair);
        let sent = noise(1, 4 * MIB);
        let send = async {
            // It is cut off in the middle.
            let _ = this.write_all(&sent).await;
        };
        let receive = async {
            until(|| session.meter().bytes(side) == most as u64).await;
            read_all(&mut other).await
        };
        let ((), (heard, end)) = tokio::join!(send, receive);
        assert!(heard == sent[..most], "{} bytes", heard.len());
        assert_reset(&end);
        let summary = relaying.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::QuotaExceeded);
    }
}

#[tokio::test]
async fn a_sender_without_budget_is_held_up() {
    let (mut this, mut other, mut pair) = tcp_pair(Side::A).await;
    let granted = Granted::to(Side::A, 100_000);
    pair.session.limit(granted.clone());
    let (session, relaying) = spawn(Relay::new(), pair);
    let sent = noise(2, 64 * MIB);
    let writing = tokio::spawn({
        let sent = sent.clone();
        async move {
            this.write_all(&sent).await.unwrap();
            this
        }
    });
    let mut heard = vec![0; 100_000];
    other.read_exact(&mut heard).await.unwrap();
    assert!(heard == sent[..100_000]);
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(
        !writing.is_finished(),
        "the system holds less than was sent"
    );
    assert_eq!(session.meter().bytes(Side::A), 100_000);
    granted.add(u32::MAX);
    let mut rest = vec![0; sent.len() - heard.len()];
    other.read_exact(&mut rest).await.unwrap();
    assert!(rest == sent[100_000..]);
    drop((writing.await.unwrap(), other));
    relaying.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_waits_for_its_budget_is_not_idle() {
    let (mut this, mut other, mut pair) = memory_pair(Side::A, 64);
    let granted = Granted::to(Side::A, 0);
    pair.session.limit(granted.clone());
    let (session, mut relaying) = by_hand(Relay::new(), pair);
    shut_down(&mut other);
    write_now(&mut this, b"hello");
    assert!(drive(&mut relaying).is_pending());
    // Half-closed for an hour, where a minute would be too long.
    for _ in 0..3600 {
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(drive(&mut relaying).is_pending());
        assert_eq!(session.meter().last_progress(), Instant::now());
    }
    granted.add(10);
    assert!(drive(&mut relaying).is_pending());
    assert_eq!(read_now(&mut other).0, b"hello");
    tokio::time::advance(Duration::from_secs(61)).await;
    let summary = finish(relaying).unwrap();
    assert_eq!(summary.reason, CloseReason::HalfCloseTimeout(Side::B));
}

/// No other direction waits for one that asks no more.
#[tokio::test]
async fn an_ended_direction_waits_for_no_budget() {
    let (mut this, other, mut pair) = memory_pair(Side::A, 64);
    let granted = Granted::to(Side::A, 0);
    pair.session.limit(granted.clone());
    let (_, mut relaying) = by_hand(Relay::new(), pair);
    write_now(&mut this, b"hello");
    assert!(drive(&mut relaying).is_pending());
    assert!(granted.look().waiting.is_some());
    helper::reset(other);
    assert!(drive(&mut relaying).is_pending() || granted.look().waiting.is_none());
    assert!(granted.look().waiting.is_none());
}
