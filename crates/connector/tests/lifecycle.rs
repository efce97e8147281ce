//! How a connector ends: by itself, when it is told to, and how not.

mod helper;

use std::{io, sync::Arc, time::Duration};

use couplet_connector::{
    BoxPair, Connector, ConnectorError,
    endpoint::{BoxIo, Conn, Side, is_caused_by, memory},
    layers::{ExpectToken, HandshakeLayer, Token},
    pairing::CloseReason,
};
use helper::*;
use tokio::{task::JoinHandle, time::advance};

// ===== by itself =====

#[tokio::test(start_paused = true)]
async fn once_makes_one_pair_in_every_mode() {
    every_mode_once!(|connector, rig| {
        let told = Told::default();
        let relay = connector.on_end(told.on_end()).start();
        let [mut a, mut b] = rig.pair().await;
        joined(&mut a, &mut b).await;
        assert!(!relay.is_done());
        // No other client gets in: the endpoints are closed while the pair goes on.
        until(|| !rig.is_listened_to()).await;
        joined(&mut a, &mut b).await;
        drop((a, b));
        soon(relay.done()).await.expect("a pair was joined");
        assert!(relay.is_done(), "{}", rig.mode);
        assert_eq!(relay.last_end(), told.reasons().pop());
        assert_eq!(relay.snapshot().total_pairs, 1);
        assert_eq!(told.reasons().len(), 1);
        no_task_left().await;
    });
}

#[tokio::test(start_paused = true)]
async fn once_drops_the_other_connections_at_the_join() {
    // Even if the pair stack has room for this one alone.
    for max_pairs in [1, 10] {
        let (connector, mut rig) = listen_listen();
        let relay = connector.max_pairs(max_pairs).once().start();
        let mut a = rig.meet(Side::A).await;
        let mut other = rig.meet(Side::A).await;
        until(|| relay.waiting(Side::A) == 2).await;
        let mut b = rig.meet(Side::B).await;
        joined(&mut a, &mut b).await;
        soon(gone(&mut other)).await;
        assert!(!rig.is_listened_to());
        joined(&mut a, &mut b).await;
        drop((a, b));
        soon(relay.done()).await.unwrap();

        let (script, mut servers) = Script::new([Step::Hang]);
        let (clients, listen) = memory::endpoint();
        let relay = Connector::listen_dial(listen, script.clone())
            .once()
            .start();
        let mut other = clients.connect().await.unwrap();
        until(|| script.at_work() == 1).await;
        let mut a = clients.connect().await.unwrap();
        let mut b = soon(accept(&mut servers)).await;
        joined(&mut a, &mut b).await;
        soon(gone(&mut other)).await;
        assert_eq!(script.at_work(), 0);
        drop((a, b));
        soon(relay.done()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_pair_ends_once_with_its_error() {
    every_mode_once!(|connector, rig| {
        let told = Told::default();
        let relay = connector
            .before_join(|_: BoxPair| async { Err::<BoxPair, _>(io::Error::other("no")) })
            .on_end(told.on_end())
            .start();
        let [mut a, mut b] = rig.pair().await;
        soon(gone(&mut a)).await;
        soon(gone(&mut b)).await;
        let error = soon(relay.done()).await.unwrap_err();
        assert!(matches!(error, ConnectorError::Pair { .. }), "{error:?}");
        assert!(is_caused_by::<io::Error>(&error), "{error:?}");
        assert_eq!(told.reasons(), []);
        assert_eq!(relay.last_end(), None);
        no_task_left().await;
    });
}

#[tokio::test(start_paused = true)]
async fn when_no_client_can_come_the_last_pair_is_the_end() {
    let (connector, mut rig) = listen_listen();
    let relay = connector.start();
    let [mut a, mut b] = rig.pair().await;
    let mut waits = rig.meet(Side::A).await;
    joined(&mut a, &mut b).await;
    rig.closes(Side::B);
    soon(gone(&mut waits)).await;
    ends_with(relay, [a, b]).await;

    let (connector, mut rig) = listen_dial();
    let relay = connector.start();
    let [a, b] = rig.pair().await;
    rig.closes(Side::A);
    ends_with(relay, [a, b]).await;

    let (connector, mut rig) = dial_listen();
    let relay = connector.start();
    let [a, b] = rig.pair().await;
    rig.closes(Side::B);
    ends_with(relay, [a, b]).await;
}

async fn ends_with(relay: couplet_connector::Handle, [mut a, mut b]: [memory::MemoryStream; 2]) {
    joined(&mut a, &mut b).await;
    settle().await;
    assert!(!relay.is_done());
    drop((a, b));
    soon(relay.done()).await.expect("it is no failure");
    no_task_left().await;
}

#[tokio::test(start_paused = true)]
async fn once_without_a_client_makes_no_pair() {
    let (connector, mut rig) = listen_listen();
    let relay = connector.once().start();
    rig.closes(Side::A);
    let error = soon(relay.done()).await.unwrap_err();
    assert!(matches!(error, ConnectorError::NoPair), "{error:?}");
    // A requested end is no failure.
    let (connector, _rig) = listen_listen();
    close(&connector.once().start()).await;
}

#[tokio::test(start_paused = true)]
async fn close_when_idle_waits_until_all_is_idle() {
    every_mode!(|connector, rig| {
        let relay = connector.close_when_idle(10 * SECOND).start();
        let begin = tokio::time::Instant::now();
        advance(9 * SECOND).await;
        let [mut a, mut b] = rig.pair().await;
        joined(&mut a, &mut b).await;
        advance(1000 * SECOND).await;
        settle().await;
        joined(&mut a, &mut b).await;
        drop((a, b));
        until(|| relay.live_pairs() == 0).await;
        if rig.mode == "dial + dial" {
            // It ends by itself.
            soon(relay.done()).await.unwrap();
            assert_eq!(begin.elapsed(), 1009 * SECOND);
        } else {
            advance(9 * SECOND).await;
            let [mut a, mut b] = rig.pair().await;
            joined(&mut a, &mut b).await;
            drop((a, b));
            until(|| relay.live_pairs() == 0).await;
            let (done, took) = timed(relay.done()).await;
            done.unwrap();
            assert_eq!(took, 10 * SECOND, "{}", rig.mode);
            assert_eq!(begin.elapsed(), 1028 * SECOND);
        }
        no_task_left().await;
    });
}

#[tokio::test(start_paused = true)]
async fn close_when_idle_counts_from_the_start() {
    for once in [false, true] {
        let (connector, mut rig) = listen_listen();
        let connector = connector.close_when_idle(10 * SECOND);
        let relay = match once {
            true => connector.once().start(),
            false => connector.start(),
        };
        let mut waits = rig.meet(Side::A).await;
        let (done, took) = timed(relay.done()).await;
        match done {
            Ok(()) => assert!(!once, "there was to be a pair"),
            Err(error) => assert!(once && matches!(error, ConnectorError::NoPair), "{error:?}"),
        }
        assert_eq!(took, 10 * SECOND);
        soon(gone(&mut waits)).await;
        no_task_left().await;
    }
}

// ===== when it is told to =====

/// Holds something until it is dropped.
fn holding<R>(
    guard: &Arc<()>,
) -> impl Fn(R) -> futures::future::BoxFuture<'static, io::Result<R>> + Clone + use<R>
where
    R: Send + 'static,
{
    let guard = Arc::clone(guard);
    move |request| {
        let held = (Arc::clone(&guard), request);
        Box::pin(async move {
            std::future::pending::<()>().await;
            Ok(held.1)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn close_ends_everything_at_once() {
    // One that is live, one before its join, one that is dialled for, one that shakes hands.
    let (script, mut servers) = Script::new([Step::Connect, Step::Connect, Step::Hang]);
    let (clients, listen) = memory::endpoint();
    let guard = Arc::new(());
    let told = Told::default();
    let second = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let hold = holding::<BoxPair>(&guard);
    let before_join = move |pair: BoxPair| {
        let is_second = second.swap(true, std::sync::atomic::Ordering::Relaxed);
        let hold = hold.clone();
        async move {
            match is_second {
                true => hold(pair).await,
                false => Ok(pair),
            }
        }
    };
    let token = Token::new("x").unwrap();
    let relay = Connector::listen_dial(listen, script.clone())
        .layer_a(HandshakeLayer::new(ExpectToken::new(token)))
        .before_join(before_join)
        .on_end(told.on_end())
        .start();
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut client = clients.connect().await.unwrap();
        say(&mut client, "x\n").await;
        peers.push(client);
        peers.push(soon(accept(&mut servers)).await);
    }
    let mut dialled_for = clients.connect().await.unwrap();
    say(&mut dialled_for, "x\n").await;
    peers.push(dialled_for);
    until(|| script.count() == 3).await;
    peers.push(clients.connect().await.unwrap());
    until(|| relay.snapshot().a.connections == 4).await;
    until(|| relay.live_pairs() == 2).await;
    assert_eq!(script.at_work(), 1);
    let (one, other) = peers.split_at_mut(1);
    joined(&mut one[0], &mut other[0]).await;

    soon(relay.close()).await;
    relay.done().await.unwrap();
    assert!(relay.is_done());
    for peer in &mut peers {
        soon(gone(peer)).await;
    }
    assert_eq!(told.reasons(), [CloseReason::Closed]);
    assert_eq!(relay.live_pairs(), 0);
    assert_eq!(relay.waiting(Side::A), 0);
    no_task_left().await;
    assert_eq!(script.at_work(), 0);
    assert_eq!(Arc::strong_count(&guard), 1, "no step is at work");
    clients.connect().await.unwrap_err();
    // As often as one likes.
    soon(relay.close()).await;
    relay.done().await.unwrap();
    soon(relay.shutdown(SECOND)).await;
    soon(relay.done()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn close_ends_a_rendezvous_and_all_waiting_clients() {
    let (connector, mut rig) = listen_listen();
    let guard = Arc::new(());
    let relay = connector
        .layer_b(HandshakeLayer::new(holding::<Conn<BoxIo>>(&guard)))
        .start();
    let mut peers = Vec::new();
    for _ in 0..20 {
        peers.push(rig.meet(Side::A).await);
        peers.push(rig.meet(Side::B).await);
    }
    until(|| relay.waiting(Side::A) == 20).await;
    until(|| relay.snapshot().b.connections == 20).await;
    soon(relay.close()).await;
    relay.done().await.unwrap();
    assert_eq!(relay.waiting(Side::A), 0);
    for peer in &mut peers {
        soon(gone(peer)).await;
    }
    no_task_left().await;
    assert_eq!(Arc::strong_count(&guard), 1);
}

#[tokio::test(start_paused = true)]
async fn close_ends_dials_in_every_mode() {
    let (a, _a) = Script::new([Step::Hang]);
    let (b, _b) = Script::new([Step::Hang]);
    let (clients, listen) = memory::endpoint();
    let (once_clients, once_listen) = memory::endpoint();
    let relays = [
        Connector::dial_listen(a.clone(), once_listen)
            .once()
            .start(),
        Connector::dial_listen(b.clone(), listen).start(),
        Connector::dial_dial(Script::new([Step::Hang]).0, b.clone()).start(),
    ];
    let mut comes = clients.connect().await.unwrap();
    let mut comes_once = once_clients.connect().await.unwrap();
    until(|| a.count() == 1 && b.count() == 1).await;
    for relay in &relays {
        soon(relay.close()).await;
        relay.done().await.unwrap();
    }
    soon(gone(&mut comes)).await;
    soon(gone(&mut comes_once)).await;
    no_task_left().await;
}

fn shutdown(relay: &couplet_connector::Handle, grace: Duration) -> JoinHandle<()> {
    let relay = relay.clone();
    tokio::spawn(async move { relay.shutdown(grace).await })
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_live_pairs_finish_and_accepts_no_client() {
    let (connector, mut rig) = listen_listen();
    let told = Told::default();
    let relay = connector.on_end(told.on_end()).start();
    let [mut a, mut b] = rig.pair().await;
    let [mut stuck_a, mut stuck_b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    joined(&mut stuck_a, &mut stuck_b).await;
    let mut waits = rig.meet(Side::A).await;
    until(|| relay.waiting(Side::A) == 1).await;

    let shutdown = shutdown(&relay, 30 * SECOND);
    soon(gone(&mut waits)).await;
    settle().await;
    assert!(!rig.is_listened_to());
    assert_eq!(relay.waiting(Side::A), 0);
    // Within the grace a pair goes on, and to its own end.
    advance(29 * SECOND).await;
    joined(&mut a, &mut b).await;
    drop((a, b));
    until(|| relay.live_pairs() == 1).await;
    assert!(!shutdown.is_finished());
    joined(&mut stuck_a, &mut stuck_b).await;

    let (done, took) = timed(shutdown).await;
    done.unwrap();
    relay.done().await.unwrap();
    assert_eq!(took, SECOND);
    soon(gone(&mut stuck_a)).await;
    soon(gone(&mut stuck_b)).await;
    let [finished, ended] = told.reasons()[..] else {
        panic!("both have ended");
    };
    assert!(matches!(finished, CloseReason::Finished(_)));
    assert_eq!(ended, CloseReason::Shutdown);
    let bytes: Vec<_> = told.ends.lock().unwrap()[1..]
        .iter()
        .map(|(session, _)| session.meter().bytes(Side::A))
        .collect();
    assert_eq!(bytes, [8]);
    assert_eq!(relay.snapshot().a_to_b, 16);
    no_task_left().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_with_the_last_pair() {
    every_mode!(|connector, rig| {
        let relay = connector.start();
        let [mut a, mut b] = rig.pair().await;
        joined(&mut a, &mut b).await;
        let shutdown = shutdown(&relay, Duration::MAX);
        settle().await;
        assert!(!rig.is_listened_to());
        joined(&mut a, &mut b).await;
        drop((a, b));
        soon(shutdown).await.unwrap();
        relay.done().await.unwrap();
        no_task_left().await;
    });
}

#[tokio::test(start_paused = true)]
async fn close_shortens_a_shutdown() {
    let (connector, mut rig) = listen_dial();
    let told = Told::default();
    let relay = connector.on_end(told.on_end()).start();
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    let shutdown = shutdown(&relay, 30 * SECOND);
    settle().await;
    soon(relay.close()).await;
    relay.done().await.unwrap();
    soon(shutdown).await.unwrap();
    relay.done().await.unwrap();
    assert_eq!(told.reasons(), [CloseReason::Closed]);
    soon(gone(&mut a)).await;
    soon(gone(&mut b)).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_shutdown_leaves_live_pairs_alone() {
    let (connector, mut rig) = listen_listen();
    let relay = connector.start();
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    let shutdown = shutdown(&relay, SECOND);
    settle().await;
    shutdown.abort();
    advance(10 * SECOND).await;
    joined(&mut a, &mut b).await;
    assert!(!rig.is_listened_to());
    drop((a, b));
    soon(relay.done()).await.unwrap();
}

/// A connection that was accepted is live, its partner dialled or not.
#[tokio::test(start_paused = true)]
async fn shutdown_lets_a_dial_find_its_partner() {
    let (script, mut servers) = Script::new([Step::Late(5 * SECOND), Step::Hang]);
    let (clients, listen) = memory::endpoint();
    let relay = Connector::listen_dial(listen, script.clone()).start();
    let mut client = clients.connect().await.unwrap();
    say(&mut client, "a request").await;
    let mut hangs = clients.connect().await.unwrap();
    until(|| script.at_work() == 2).await;
    // These are queued, and have not been accepted.
    let queued = clients.connect().await.unwrap();

    let shutdown = shutdown(&relay, 30 * SECOND);
    let mut queued_server = soon(accept(&mut servers)).await;
    let mut queued = queued;
    joined(&mut queued, &mut queued_server).await;
    let mut server = eventually(accept(&mut servers)).await;
    hears(&mut server, "a request").await;
    joined(&mut client, &mut server).await;
    assert!(clients.connect().await.is_err(), "nobody else gets in");
    drop((queued, queued_server, client, server));
    assert!(!shutdown.is_finished());
    // What has no partner by the end of the grace is reset.
    let ((), took) = timed(gone(&mut hangs)).await;
    assert_eq!(took, 25 * SECOND);
    soon(shutdown).await.unwrap();
    relay.done().await.unwrap();
    no_task_left().await;
}

/// A client in its handshake at the drain is let through it.
#[tokio::test(start_paused = true)]
async fn shutdown_lets_a_handshake_end() {
    let (connector, mut rig) = listen_dial();
    let token = Token::new("secret").unwrap();
    let relay = connector
        .layer_a(HandshakeLayer::new(ExpectToken::new(token)))
        .start();
    let mut client = rig.meet(Side::A).await;
    until(|| relay.snapshot().a.connections == 1).await;
    let shutdown = shutdown(&relay, 30 * SECOND);
    settle().await;
    say(&mut client, "secret\n").await;
    let mut server = rig.meet(Side::B).await;
    joined(&mut client, &mut server).await;
    drop((client, server));
    soon(shutdown).await.unwrap();
    no_task_left().await;
}

// ===== how not =====

#[tokio::test(start_paused = true)]
async fn a_connector_goes_on_without_its_handle() {
    every_mode!(|connector, rig| {
        drop(connector.start());
        settle().await;
        let [mut a, mut b] = rig.pair().await;
        joined(&mut a, &mut b).await;
        drop((a, b));
        rig.closes(Side::A);
        rig.closes(Side::B);
        no_task_left().await;
    });
}
