use std::{convert::Infallible, future::pending, net::IpAddr, time::Duration};

use couplet_endpoint::{
    Conn, Side,
    memory::{self, MemoryStream},
};
use couplet_pairing::{CloseReason, Pair, Policy, rendezvous};
use futures::future::BoxFuture;
use tokio::io::AsyncWriteExt;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Service, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_layer::Layer;

use super::{SideStatsLayer, Stats, StatsLayer};
use crate::testing::{Relayed, becomes_ready, conn, read_some, relay};

fn from(ip: &str) -> Conn<()> {
    let mut conn = conn(());
    conn.info.peer = Some((ip.parse::<IpAddr>().unwrap(), 4711).into());
    conn
}

fn pair() -> Pair<(), ()> {
    Pair::new(conn(()), conn(()))
}

/// Refuses every connection without an address.
fn no_strangers() -> impl Service<Conn<()>, Response = (), Error = &'static str> + Clone {
    service_fn(async |conn: Conn<()>| conn.info.peer.map(drop).ok_or("a stranger"))
}

// ===== a side =====

#[tokio::test]
async fn connections_and_refusals_are_counted() {
    let stats = Stats::new();
    let mut service = SideStatsLayer::new(stats.clone(), Side::B).layer(no_strangers());
    for _ in 0..3 {
        service
            .ready()
            .await
            .unwrap()
            .call(from("10.0.0.1"))
            .await
            .unwrap();
    }
    for _ in 0..2 {
        let refused = service.ready().await.unwrap().call(conn(())).await;
        assert_eq!(refused, Err("a stranger"));
    }
    let snapshot = stats.snapshot();
    assert_eq!((snapshot.b.connections, snapshot.b.refused), (5, 2));
    assert_eq!((snapshot.a.connections, snapshot.a.refused), (0, 0));
    assert_eq!((snapshot.a.addresses, snapshot.b.addresses), (0, 1));
}

#[tokio::test]
async fn a_connection_counts_as_soon_as_it_comes() {
    let stats = Stats::new();
    let mut service =
        SideStatsLayer::new(stats.clone(), Side::A).layer(service_fn(|_: Conn<()>| {
            pending::<Result<(), Infallible>>()
        }));
    let serving = service.call(from("10.0.0.1"));
    assert_eq!(stats.snapshot().a.connections, 1);
    drop(serving);
    assert_eq!(stats.snapshot().a.refused, 0, "nobody refused it");
}

#[tokio::test]
async fn addresses_are_counted_apart() {
    let stats = Stats::new();
    let mut service = SideStatsLayer::new(stats.clone(), Side::A).layer(no_strangers());
    for ip in [
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "10.0.0.2",
        "::1",
        "::ffff:10.0.0.1",
    ] {
        service.call(from(ip)).await.unwrap();
    }
    let mut addresses = stats.addresses(Side::A);
    addresses.sort_unstable();
    let expected = [("10.0.0.1", 3), ("10.0.0.2", 1), ("::1", 1)];
    assert_eq!(
        addresses,
        expected.map(|(ip, count)| (ip.parse().unwrap(), count))
    );
    assert_eq!(stats.addresses(Side::B), []);
    assert_eq!(stats.snapshot().a.addresses, 3);
}

#[tokio::test]
async fn addresses_are_bounded_and_the_first_are_kept() {
    let stats = Stats::new();
    let mut service = SideStatsLayer::new(stats.clone(), Side::A).layer(no_strangers());
    for n in 0..1030_u16 {
        let [high, low] = n.to_be_bytes();
        service
            .call(from(&format!("10.0.{high}.{low}")))
            .await
            .unwrap();
    }
    service.call(from("10.0.0.0")).await.unwrap();
    let addresses = stats.addresses(Side::A);
    assert_eq!(addresses.len(), 1024);
    assert!(addresses.contains(&([10, 0, 0, 0].into(), 2)));
    assert!(
        !addresses
            .iter()
            .any(|(ip, _)| *ip == IpAddr::from([10, 0, 4, 0]))
    );
    let snapshot = stats.snapshot();
    assert_eq!((snapshot.a.connections, snapshot.a.addresses), (1031, 1024));
}

#[tokio::test]
async fn a_full_stack_stays_full() {
    let stats = Stats::new();
    let full = ConcurrencyLimit::new(no_strangers(), 0);
    let mut side = SideStatsLayer::new(stats.clone(), Side::A).layer(full);
    assert_pending!(becomes_ready::<Conn<()>, _>(&mut side).poll());

    let never = service_fn(|_: Pair<(), ()>| pending::<Result<(), Infallible>>());
    let mut pairs = StatsLayer::new(stats).layer(ConcurrencyLimit::new(never, 0));
    assert_pending!(becomes_ready::<Pair<(), ()>, _>(&mut pairs).poll());
}

// ===== pairs =====

#[tokio::test]
async fn the_bytes_of_live_and_ended_sessions_are_summed() {
    let stats = Stats::new();
    for round in 1..=2 {
        let Relayed {
            mut a, mut b, end, ..
        } = relay(StatsLayer::new(stats.clone()), 64);
        a.write_all(b"hello").await.unwrap();
        read_some(&mut b, 5).await;
        b.write_all(b"hi!").await.unwrap();
        read_some(&mut a, 3).await;
        let live = stats.snapshot();
        assert_eq!((live.live_pairs, live.total_pairs), (1, round));
        assert_eq!((live.a_to_b, live.b_to_a), (5 * round, 3 * round));

        drop((a, b));
        end.await.unwrap().unwrap();
        let ended = stats.snapshot();
        assert_eq!((ended.live_pairs, ended.total_pairs), (0, round));
        assert_eq!((ended.a_to_b, ended.b_to_a), (5 * round, 3 * round));
    }
}

#[tokio::test]
async fn a_dropped_session_has_ended() {
    let stats = Stats::new();
    let Relayed {
        mut a,
        mut b,
        end,
        session,
    } = relay(StatsLayer::new(stats.clone()), 64);
    a.write_all(b"hello").await.unwrap();
    read_some(&mut b, 5).await;
    assert_eq!(stats.live_pairs(), 1);
    end.abort();
    assert!(end.await.unwrap_err().is_cancelled());
    assert_eq!(session.end_reason(), Some(CloseReason::Dropped));
    let snapshot = stats.snapshot();
    assert_eq!((snapshot.live_pairs, snapshot.total_pairs), (0, 1));
    assert_eq!(snapshot.a_to_b, 5);
}

#[tokio::test]
async fn pairs_that_are_not_joined_after_all_are_counted() {
    let stats = Stats::new();
    let refuses = service_fn(async |_: Pair<(), ()>| Err::<(), _>("no"));
    let mut service = StatsLayer::new(stats.clone()).layer(refuses);
    let refusing = service.call(pair());
    assert_eq!(stats.snapshot().refused_pairs, 0);
    assert_eq!(refusing.await, Err("no"));
    assert_eq!(stats.snapshot().refused_pairs, 1);
    // One that is relayed is joined, however it ends.
    let Relayed { a, b, end, .. } = relay(StatsLayer::new(stats.clone()), 64);
    drop((a, b));
    let _ = end.await.unwrap();
    let snapshot = stats.snapshot();
    assert_eq!((snapshot.refused_pairs, snapshot.total_pairs), (1, 2));
}

#[tokio::test]
async fn a_session_that_panics_has_ended() {
    let stats = Stats::new();
    let panics = service_fn(
        |_: Pair<(), ()>| -> BoxFuture<'static, Result<(), Infallible>> { panic!("in the call") },
    );
    let mut service = StatsLayer::new(stats.clone()).layer(panics);
    tokio::spawn(async move { service.call(pair()).await })
        .await
        .unwrap_err();
    let snapshot = stats.snapshot();
    assert_eq!((snapshot.live_pairs, snapshot.total_pairs), (0, 1));
}

#[tokio::test]
async fn a_session_counts_until_its_relay_is_gone() {
    /// Looks at the number of live pairs as it is dropped.
    struct Watcher(Stats);

    impl Drop for Watcher {
        fn drop(&mut self) {
            assert_eq!(self.0.live_pairs(), 1);
        }
    }

    let stats = Stats::new();
    let watcher = stats.clone();
    let inner = service_fn(move |_: Pair<(), ()>| {
        let watcher = Watcher(watcher.clone());
        async move {
            let _watcher = watcher;
            pending::<Result<(), Infallible>>().await
        }
    });
    let mut service = StatsLayer::new(stats.clone()).layer(inner);
    let mut serving = task::spawn(service.call(pair()));
    assert_pending!(serving.poll());
    drop(serving);
    assert_eq!(stats.live_pairs(), 0);
}

#[tokio::test]
async fn live_sessions_are_listed_oldest_first() {
    let stats = Stats::new();
    let mut service = StatsLayer::new(stats.clone()).layer(service_fn(|_: Pair<(), ()>| {
        pending::<Result<(), Infallible>>()
    }));
    let pairs: Vec<_> = std::iter::repeat_with(pair).take(20).collect();
    let mut expected: Vec<_> = pairs.iter().map(|pair| pair.session.id()).collect();
    let mut serving: Vec<_> = pairs
        .into_iter()
        .rev()
        .map(|pair| service.call(pair))
        .collect();
    let ids = || -> Vec<_> {
        stats
            .sessions()
            .iter()
            .map(|session| session.id())
            .collect()
    };
    assert_eq!(ids(), expected);
    drop(serving.remove(7));
    expected.remove(12);
    assert_eq!(ids(), expected);
    assert_eq!(stats.live_pairs(), 19);
}

#[tokio::test]
async fn a_live_session_can_be_closed() {
    let stats = Stats::new();
    let Relayed {
        a: _a, b: _b, end, ..
    } = relay(StatsLayer::new(stats.clone()), 64);
    tokio::task::yield_now().await; // It is served.
    let [session] = stats.sessions().try_into().unwrap();
    session.close(CloseReason::Closed);
    assert_eq!(end.await.unwrap().unwrap().reason, CloseReason::Closed);
    assert_eq!(stats.live_pairs(), 0);
}

// ===== waiting connections =====

#[tokio::test(start_paused = true)]
async fn waiting_connections_are_seen_once_watched() {
    let policy = Policy::default().wait(Some(Duration::from_secs(1)));
    let (mut a, _b, pairs) = rendezvous::<MemoryStream, MemoryStream>(policy);
    let stats = Stats::new();
    let waiting = || {
        let side = stats.snapshot().a;
        (side.waiting, side.died_waiting, side.expired)
    };
    // The pairing's task has its turns, and no time passes.
    let comes_to_be = async |expected| {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(waiting(), expected);
    };
    let (dies, dies_io) = memory::connection(64);
    let (_waits, waits_io) = memory::connection(64);
    for io in [dies_io, waits_io] {
        a.ready().await.unwrap().call(conn(io)).await.unwrap();
    }
    assert_eq!(waiting(), (0, 0, 0), "not watched yet");

    stats.watch(pairs.counts());
    comes_to_be((2, 0, 0)).await;
    drop(dies);
    comes_to_be((1, 1, 0)).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    comes_to_be((0, 1, 1)).await;

    let (_, _, others) = rendezvous::<MemoryStream, MemoryStream>(policy);
    stats.watch(others.counts());
    assert_eq!(waiting(), (0, 1, 1), "the first call counts");
    assert_eq!(stats.snapshot().b.waiting, 0);
}

// ===== how it is shown =====

#[tokio::test]
async fn a_snapshot_is_three_lines() {
    let stats = Stats::new();
    let mut a = SideStatsLayer::new(stats.clone(), Side::A).layer(no_strangers());
    let mut b = SideStatsLayer::new(stats.clone(), Side::B).layer(no_strangers());
    a.call(from("10.0.0.1")).await.unwrap();
    a.call(from("10.0.0.2")).await.unwrap();
    b.call(conn(())).await.unwrap_err();
    let mut pairs = StatsLayer::new(stats.clone()).layer(service_fn(async |pair: Pair<(), ()>| {
        pair.session.meter().add(Side::A, 12);
        pair.session.meter().add(Side::B, 345);
        Ok::<_, Infallible>(())
    }));
    let live = pairs.call(pair());
    let mut ended = task::spawn(pairs.call(pair()));
    assert!(assert_ready!(ended.poll()).is_ok());
    drop(ended);
    assert_eq!(
        stats.snapshot().to_string(),
        "pairs: 1 live, 2 in all, 1 refused; 12 bytes A to B, 345 bytes B to A\n\
         A: 2 connections from 2 addresses; 0 waiting, 0 refused, 0 died waiting, 0 expired\n\
         B: 1 connections from 0 addresses; 0 waiting, 1 refused, 0 died waiting, 0 expired"
    );
    drop(live);
}

#[cfg(feature = "json")]
#[test]
fn a_snapshot_is_json() {
    let json = serde_json::to_value(Stats::new().snapshot()).unwrap();
    assert_eq!(json["live_pairs"], 0);
    assert_eq!(json["a"]["died_waiting"], 0);
    assert_eq!(json.as_object().unwrap().len(), 7);
}
