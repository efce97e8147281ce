use std::{fmt::Debug, time::Duration};

use futures::poll;
use tokio::time::advance;

use super::*;
use crate::{
    conn::{ConnEvent, Info},
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
    conn
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

fn join(info: &Info) {
    info.tell(ConnEvent::Joined(info.id));
}

#[tokio::test(start_paused = true)]
async fn free_places_are_dialled_side_by_side() {
    let script = Script::new([Ok(100), Ok(30), Ok(60)]);
    let mut conns = keep(script.clone(), 3, EXACT);
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
async fn a_join_frees_a_place_and_wakes_the_pool() {
    let script = Script::new([]);
    let mut conns = keep(script.clone(), 1, EXACT);
    let conn = next(&mut conns).await;
    idle(&mut conns, &script).await;
    let pool = tokio::spawn(async move { next(&mut conns).await });
    tokio::task::yield_now().await;
    advance(Duration::from_millis(5)).await;
    join(&conn.info);
    pool.await.unwrap();
    assert_eq!(script.dialled(), [0, 5], "without a pause");
    drop(conn);
}

#[tokio::test(start_paused = true)]
async fn a_join_frees_the_place_whatever_was_cloned() {
    let script = Script::new([]);
    let mut conns = keep(script.clone(), 1, EXACT);
    let conn = next(&mut conns).await;
    let clone = conn.info.clone();
    assert_eq!(conns.places.free(), 0);
    join(&conn.info);
    assert_eq!(conns.places.free(), 1);
    drop((conn, clone));
    assert_eq!(conns.places.free(), 1, "it is given back once");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_drops_who_waits_is_not_hammered() {
    let script = Script::new([]);
    let mut conns = keep(script.clone(), 1, EXACT);
    for _ in 0..4 {
        drop(next(&mut conns).await);
    }
    assert_eq!(script.dialled(), [0, 500, 1500, 3500]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_lasted_is_dialled_again_at_once() {
    let script = Script::new([Err(0)]);
    let mut conns = keep(script.clone(), 1, EXACT);
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
    let mut conns = keep(script.clone(), 3, EXACT);
    let _waiting = [
        next(&mut conns).await,
        next(&mut conns).await,
        next(&mut conns).await,
    ];
    assert_eq!(script.dialled(), [0, 0, 0, 500, 500, 500, 1500, 1500, 1500]);
}

#[tokio::test(start_paused = true)]
async fn a_join_begins_the_pauses_anew() {
    let script = Script::new([Err(0), Err(0)]);
    let mut conns = keep(script.clone(), 2, EXACT);
    let joined = next(&mut conns).await;
    let dropped = next(&mut conns).await;
    assert_eq!(script.dialled(), [0, 0, 500, 500]);
    drop(dropped);
    idle(&mut conns, &script).await;
    join(&joined.info);
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
async fn without_places_nothing_is_dialled() {
    let script = Script::new([]);
    idle(&mut keep(script.clone(), 0, EXACT), &script).await;
}

#[tokio::test(start_paused = true)]
async fn connections_outlive_their_pool() {
    let script = Script::new([]);
    let mut conns = keep(script.clone(), 2, EXACT);
    let (a, b) = (next(&mut conns).await, next(&mut conns).await);
    drop(conns);
    join(&a.info);
    drop((a, b));
}
