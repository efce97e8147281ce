use std::{fmt::Debug, task::Poll, time::Duration};

use futures::poll;
use tokio::time::{Instant, advance};

use super::*;
use crate::{
    conn::{CloseReason, ConnEvent, Side},
    dial::stream::script::Script,
};

const EXACT: Backoff = Backoff::new().jitter(0.0);

async fn next<S, T>(conns: &mut S) -> Conn<T>
where
    S: Stream<Item = Result<Conn<T>, Infallible>> + Unpin,
{
    let Some(Ok(conn)) = conns.next().await else {
        panic!("it has no end");
    };
    conn.on(Side::A)
}

/// Nothing comes, and nothing is dialled beyond what `script` has seen.
async fn idle<S>(conns: &mut S, script: &Script)
where
    S: Stream<Item: Debug> + Unpin,
{
    let dialled = script.dialled();
    assert!(poll!(conns.next()).is_pending());
    assert_eq!(script.dialled(), dialled);
}

/// It is joined, and a byte comes from its peer.
fn shows_life(conn: &Conn<()>) {
    join(conn);
    conn.info.tell(ConnEvent::FirstByte(Side::A));
}

fn join(conn: &Conn<()>) {
    conn.info.tell(ConnEvent::Joined(conn.info.id));
}

#[tokio::test(start_paused = true)]
async fn free_slots_are_dialled_side_by_side() {
    let script = Script::new([Ok(100), Ok(30), Ok(60)]);
    let mut conns = pool(script.clone(), 3, EXACT);
    assert_eq!(script.dialled(), [], "nobody has asked for it yet");
    let begin = tokio::time::Instant::now();
    let mut waiting = Vec::new();
    for at in [30, 60, 100] {
        waiting.push(next(&mut conns).await);
        assert_eq!(begin.elapsed().as_millis(), at);
    }
    assert_eq!(script.dialled(), [0, 0, 0]);
    idle(&mut conns, &script).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_shows_life_frees_a_slot_and_wakes_the_pool() {
    let script = Script::new([]);
    let mut conns = pool(script.clone(), 1, EXACT);
    let conn = next(&mut conns).await;
    idle(&mut conns, &script).await;
    let dialling = tokio::spawn(async move { next(&mut conns).await });
    tokio::task::yield_now().await;
    advance(Duration::from_millis(5)).await;
    shows_life(&conn);
    dialling.await.unwrap();
    assert_eq!(script.dialled(), [0, 5], "without a pause");
    drop(conn);
}

#[tokio::test(start_paused = true)]
async fn the_slot_is_freed_though_the_info_was_cloned() {
    let script = Script::new([]);
    let mut conns = pool(script.clone(), 1, EXACT);
    let conn = next(&mut conns).await;
    let clone = conn.info.clone();
    assert_eq!(conns.slots.free(), 0);
    shows_life(&conn);
    assert_eq!(conns.slots.free(), 1);
    drop((conn, clone));
    assert_eq!(conns.slots.free(), 1, "it is given back once");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_drops_waiting_connections_is_not_hammered() {
    let script = Script::new([]);
    let mut conns = pool(script.clone(), 1, EXACT);
    for _ in 0..4 {
        drop(next(&mut conns).await);
    }
    assert_eq!(script.dialled(), [0, 500, 1500, 3500]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_lasted_is_dialled_again_at_once() {
    let script = Script::new([Err(0)]);
    let mut conns = pool(script.clone(), 1, EXACT);
    let conn = next(&mut conns).await;
    advance(Duration::from_secs(10)).await;
    drop(conn);
    drop(next(&mut conns).await);
    drop(next(&mut conns).await);
    let dialled = script.dialled();
    assert_eq!(
        dialled,
        [0, 500, 10_500, 11_000],
        "at once, then a first pause"
    );
}

#[tokio::test(start_paused = true)]
async fn failures_side_by_side_make_one_pause() {
    let script = Script::new([Err(0), Err(20), Err(10), Err(0), Err(0), Err(0)]);
    let mut conns = pool(script.clone(), 3, EXACT);
    let _waiting = [
        next(&mut conns).await,
        next(&mut conns).await,
        next(&mut conns).await,
    ];
    assert_eq!(script.dialled(), [0, 0, 0, 500, 500, 500, 1500, 1500, 1500]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_shows_life_begins_the_pauses_anew() {
    let script = Script::new([Err(0), Err(0)]);
    let mut conns = pool(script.clone(), 2, EXACT);
    let joined = next(&mut conns).await;
    let dropped = next(&mut conns).await;
    assert_eq!(script.dialled(), [0, 0, 500, 500]);
    drop(dropped);
    idle(&mut conns, &script).await;
    shows_life(&joined);
    drop([next(&mut conns).await, next(&mut conns).await]);
    assert_eq!(script.dialled()[4..], [500, 500], "the pause is over");
    next(&mut conns).await;
    assert_eq!(
        script.dialled()[6..],
        [1000, 1000],
        "and was a first one again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_join_alone_frees_no_slot() {
    let script = Script::new([]);
    let mut conns = pool(script.clone(), 2, EXACT);
    let joined = [next(&mut conns).await, next(&mut conns).await];
    for conn in &joined {
        join(conn);
        conn.info.tell(ConnEvent::FirstByte(Side::B));
    }
    advance(Duration::from_secs(3600)).await;
    idle(&mut conns, &script).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_without_a_byte_is_a_failure() {
    let script = Script::new([]);
    let mut conns = pool(script.clone(), 1, EXACT);
    for _ in 0..4 {
        let conn = next(&mut conns).await;
        join(&conn);
        conn.info
            .tell(ConnEvent::Ended(CloseReason::Finished(Side::A)));
    }
    assert_eq!(script.dialled(), [0, 500, 1500, 3500]);
}

#[tokio::test(start_paused = true)]
async fn a_served_session_is_no_failure_and_a_cut_one_makes_the_first_pause() {
    let script = Script::new([]);
    let mut conns = pool(script.clone(), 1, EXACT);
    let ends = [
        CloseReason::Finished(Side::B),
        CloseReason::Reset(Side::A),
        CloseReason::Reset(Side::A),
    ];
    for reason in ends {
        let conn = next(&mut conns).await;
        join(&conn);
        conn.info.tell(ConnEvent::FirstByte(Side::B));
        conn.info.tell(ConnEvent::Ended(reason));
    }
    next(&mut conns).await;
    assert_eq!(script.dialled(), [0, 0, 500, 1000]);
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_the_pool_is_back_within_five_seconds() {
    // With pauses that grow up to a minute, 40 s is in the middle of one, whatever the jitter.
    for outage in [30, 40, 120] {
        let (dials, begin) = (vec![Err(0); 8 * 200], Instant::now());
        let script = Script::new(dials);
        let mut conns = pool(script.clone(), 8, Backoff::new());
        let end = begin + Duration::from_secs(outage);
        while Instant::now() < end {
            assert!(poll!(conns.next()).is_pending());
            advance(Duration::from_millis(10)).await;
        }
        script.succeed();
        let mut waiting = Vec::new();
        for _ in 0..8 {
            waiting.push(next(&mut conns).await);
        }
        assert!(
            end.elapsed() < Duration::from_secs(5),
            "{:?}",
            end.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_lost_together_are_not_dialled_again_together() {
    let script = Script::new([]);
    let mut pools = Vec::new();
    let mut waiting = Vec::new();
    for _ in 0..30 {
        let mut conns = pool(script.clone(), 8, Backoff::new());
        for _ in 0..8 {
            waiting.push(next(&mut conns).await);
        }
        pools.push(conns);
    }
    advance(Duration::from_secs(60)).await;
    drop(waiting);
    let mut waiting = Vec::new();
    for _ in 0..110 {
        for conns in &mut pools {
            while let Poll::Ready(Some(conn)) = poll!(conns.next()) {
                waiting.push(conn);
            }
        }
        advance(Duration::from_millis(10)).await;
    }
    assert_eq!(waiting.len(), 240);
    let dialled = &script.dialled()[240..];
    for tenth in 0..10 {
        let from = 60_000 + 100 * tenth;
        let of = dialled.iter().filter(|at| (from..from + 100).contains(*at));
        assert!(of.count() < 60, "{dialled:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_what_is_ready_dialled_and_yet_to_be_dialled() {
    let watch = PoolWatch::default();
    let script = Script::new([Ok(0), Ok(1000), Err(0)]);
    let mut conns = pool(script.clone(), 3, EXACT).watch(&watch);
    let told = || {
        let told = watch.status();
        [told.wanted, told.ready, told.dialling, told.undialled()]
    };
    assert_eq!(told(), [3, 0, 0, 3]);
    let first = next(&mut conns).await;
    idle(&mut conns, &script).await;
    assert_eq!(told(), [3, 1, 1, 1]);
    let second = next(&mut conns).await;
    // The one that failed was dialled again meanwhile.
    let third = next(&mut conns).await;
    assert_eq!(told(), [3, 3, 0, 0]);
    drop(second);
    assert_eq!(told(), [3, 2, 0, 1]);
    shows_life(&first);
    assert_eq!(told(), [3, 1, 0, 2]);
    drop((first, third));
    assert_eq!(told(), [3, 0, 0, 3]);
    drop(conns);
    assert_eq!(told(), [0; 4]);
}

#[test]
#[should_panic(expected = "a pool of 0 connections")]
fn a_pool_of_zero_is_refused() {
    let _ = pool(Script::new([]), 0, EXACT);
}

#[tokio::test(start_paused = true)]
async fn connections_outlive_their_pool() {
    let script = Script::new([]);
    let mut conns = pool(script.clone(), 2, EXACT);
    let (a, b) = (next(&mut conns).await, next(&mut conns).await);
    drop(conns);
    shows_life(&a);
    drop((a, b));
}
