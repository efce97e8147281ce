//! What a connector tells of its sessions, and the step before the join.

mod helper;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use couplet_connector::{
    BoxPair,
    endpoint::{BoxIo, Side},
    layers::{HandshakeLayer, TransformLayer, map_bytes},
    pairing::{CloseReason, Pair, Session},
};
use futures::{FutureExt, StreamExt};
use helper::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

// ===== before the join =====

/// Asks both for a letter: `u` is for upper case, `x` for no.
async fn ask(mut pair: BoxPair) -> io::Result<Pair<impl couplet_connector::endpoint::Io, BoxIo>> {
    pair.b.write_all(b"?").await?;
    let (from_a, from_b) = (pair.a.read_u8().await?, pair.b.read_u8().await?);
    let wanted = [from_a, from_b].contains(&b'u');
    if [from_a, from_b].contains(&b'x') {
        return Err(io::Error::other("refused"));
    }
    let map = TransformLayer::new().a_to_b(move || {
        map_bytes(move |bytes| match wanted {
            true => bytes.to_ascii_uppercase(),
            false => bytes.to_vec(),
        })
    });
    let pair = map.apply(pair);
    let (session, a, b) = (pair.session, pair.a, pair.b);
    Ok(Pair {
        a,
        b: Box::new(b) as BoxIo,
        session,
    })
}

#[tokio::test(start_paused = true)]
async fn a_step_before_the_join_talks_to_both_sides_and_configures_the_pair() {
    let told = Told::default();
    let (connector, mut rig) = listen_dial();
    let relay = connector.before_join(ask).on_join(told.on_join()).start();
    let mut live = Vec::new();
    for (from_a, from_b, expected) in [("u", "-", "HEY"), ("-", "-", "Hey"), ("-", "u", "HEY")] {
        let [mut a, mut b] = rig.pair().await;
        hears(&mut b, "?").await;
        say(&mut a, from_a).await;
        settle().await;
        assert_eq!(told.joins(), live.len(), "not yet");
        say(&mut b, from_b).await;
        say(&mut a, "Hey").await;
        hears(&mut b, expected).await;
        live.push((a, b));
    }
    assert_eq!(told.joins(), 3);
    assert_eq!(relay.snapshot().a_to_b, 9, "the step's bytes do not count");
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_is_refused_is_closed_and_others_go_on() {
    let told = Told::default();
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .before_join(ask)
        .on_join(told.on_join())
        .on_end(told.on_end())
        .start();
    let mut sessions = relay.session_stream();
    let [mut a, mut b] = rig.pair_saying(["-", "-"]).await;
    hears(&mut b, "?").await;
    joined(&mut a, &mut b).await;
    let [mut refused_a, mut refused_b] = rig.pair_saying(["-", "x"]).await;
    hears(&mut refused_b, "?").await;
    soon(gone(&mut refused_a)).await;
    soon(gone(&mut refused_b)).await;
    joined(&mut a, &mut b).await;
    let [mut next_a, mut next_b] = rig.pair_saying(["-", "-"]).await;
    hears(&mut next_b, "?").await;
    joined(&mut next_a, &mut next_b).await;
    assert_eq!(told.joins(), 2);
    assert_eq!(told.reasons(), [], "it had not been joined");
    assert_eq!(relay.snapshot().total_pairs, 3);
    assert_eq!(relay.live_pairs(), 2);
    close(&relay).await;
    for expected in [true, true, false] {
        assert_eq!(soon(sessions.next()).await.is_some(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_before_the_join_is_cut_at_its_deadline() {
    every_mode!(|connector, rig| {
        let patience = 3 * SECOND;
        let relay = connector
            .layer_pair(HandshakeLayer::new(ask).timeout(Some(patience)))
            .start();
        let [mut a, mut b] = rig.pair().await;
        hears(&mut b, "?").await;
        let ((), took) = timed(gone(&mut a)).await;
        soon(gone(&mut b)).await;
        assert_eq!(took, patience, "{}", rig.mode);
        until(|| relay.live_pairs() == 0).await;
        soon(relay.close()).await;
    });
    // It has one by itself.
    let (connector, mut rig) = listen_listen();
    let _relay = connector.before_join(ask).start();
    let [mut a, mut b] = rig.pair().await;
    hears(&mut b, "?").await;
    assert_eq!(timed(gone(&mut a)).await.1, 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_step_before_the_join_ends_with_its_session() {
    let told = Told::default();
    let (connector, mut rig) = listen_listen();
    let relay = connector.before_join(ask).on_end(told.on_end()).start();
    let [mut a, mut b] = rig.pair().await;
    hears(&mut b, "?").await;
    let [session] = &relay.sessions()[..] else {
        panic!("it is live, if not yet joined");
    };
    assert!(!session.is_relaying());
    session.close(CloseReason::Closed);
    soon(gone(&mut a)).await;
    soon(gone(&mut b)).await;
    assert_eq!(session.end_reason(), Some(CloseReason::Closed));
    assert_eq!(told.reasons(), []);
    close(&relay).await;
}

// ===== hooks =====

#[tokio::test(start_paused = true)]
async fn the_hooks_run_once_at_the_begin_and_once_at_the_end_of_a_session() {
    every_mode!(|connector, rig| {
        let told = Told::default();
        let relay = connector
            .on_join(told.on_join())
            .on_end(told.on_end())
            .start();
        let [mut a, mut b] = rig.pair().await;
        until(|| told.joins() == 1).await;
        joined(&mut a, &mut b).await;
        say(&mut b, "more").await;
        hears(&mut a, "more").await;
        assert_eq!((told.joins(), told.reasons().len()), (1, 0));
        end(&mut b).await;
        soon(gone(&mut a)).await;
        drop((a, b));
        until(|| told.reasons() == [CloseReason::Finished(Side::B)]).await;
        settle().await;
        assert_eq!((told.joins(), told.reasons().len()), (1, 1), "{}", rig.mode);
        let (session, _) = told.ends.lock().unwrap()[0].clone();
        assert_eq!(told.joins.lock().unwrap()[0].id(), session.id());
        assert_eq!(session.end_reason(), Some(CloseReason::Finished(Side::B)));
        let meter = session.meter();
        assert_eq!((meter.bytes(Side::A), meter.bytes(Side::B)), (4, 8));
        soon(relay.close()).await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_session_may_be_closed_from_a_hook() {
    let told = Told::default();
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .on_join(|session: &Session| session.close(CloseReason::Closed))
        .on_end(told.on_end())
        .start();
    let [mut a, mut b] = rig.pair().await;
    soon(gone(&mut a)).await;
    soon(gone(&mut b)).await;
    until(|| told.reasons() == [CloseReason::Closed]).await;
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn the_session_stream_has_one_item_a_pair_and_ends_with_the_connector() {
    let (connector, mut rig) = listen_listen();
    let relay = connector.start();
    let mut missed = rig.pair().await;
    let [a, b] = &mut missed;
    joined(a, b).await;
    let mut sessions = relay.session_stream();
    let mut others = relay.clone().session_stream();
    let mut live = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        assert!(sessions.next().now_or_never().is_none());
        live.push(rig.pair().await);
        let session = soon(sessions.next()).await.expect("it is joined");
        assert!(session.is_relaying());
        ids.push(session.id());
    }
    let listed: Vec<_> = relay.sessions().iter().map(Session::id).collect();
    assert_eq!(listed[1..], ids, "the oldest first");
    close(&relay).await;
    // What was joined before the end is told even after it.
    for id in ids {
        assert_eq!(others.next().await.expect("not yet read").id(), id);
    }
    assert!(soon(sessions.next()).await.is_none());
    assert!(soon(others.next()).await.is_none());
    assert!(soon(relay.session_stream().next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_of_the_session_stream_misses_the_oldest() {
    let (connector, mut rig) = listen_listen();
    let relay = connector.start();
    let mut sessions = relay.session_stream();
    let mut live = Vec::new();
    for _ in 0..300 {
        live.push(rig.pair().await);
    }
    until(|| relay.live_pairs() == 300).await;
    close(&relay).await;
    let mut heard = 0;
    while soon(sessions.next()).await.is_some() {
        heard += 1;
    }
    assert_eq!(heard, 256);
}

// ===== numbers =====

#[tokio::test(start_paused = true)]
async fn the_counts_are_right_at_each_stage() {
    let hold = Arc::new(tokio::sync::Semaphore::new(0));
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .layer_b({
            let hold = Arc::clone(&hold);
            HandshakeLayer::new(move |conn| {
                let hold = Arc::clone(&hold);
                async move {
                    hold.acquire().await.expect("it is never closed").forget();
                    io::Result::Ok(conn)
                }
            })
        })
        .start();
    let numbers = || {
        let snapshot = relay.snapshot();
        assert_eq!(snapshot.a.waiting, relay.waiting(Side::A));
        assert_eq!(snapshot.b.waiting, relay.waiting(Side::B));
        assert_eq!(snapshot.live_pairs, relay.live_pairs());
        assert_eq!(relay.sessions().len(), relay.live_pairs());
        [
            snapshot.a.connections,
            snapshot.a.waiting,
            snapshot.b.connections,
            snapshot.b.waiting,
            snapshot.live_pairs as u64,
            snapshot.total_pairs,
        ]
    };
    assert_eq!(numbers(), [0; 6]);
    let a = rig.meet(Side::A).await;
    until(|| numbers() == [1, 1, 0, 0, 0, 0]).await;
    let b = rig.meet(Side::B).await;
    until(|| numbers() == [1, 1, 1, 0, 0, 0]).await;
    let other = rig.meet(Side::B).await;
    until(|| numbers() == [1, 1, 2, 0, 0, 0]).await;
    hold.add_permits(2);
    until(|| numbers() == [1, 0, 2, 1, 1, 1]).await;
    drop((a, b));
    until(|| numbers() == [1, 0, 2, 1, 0, 1]).await;
    drop(other);
    until(|| numbers() == [1, 0, 2, 0, 0, 1]).await;
    assert_eq!(relay.snapshot().b.died_waiting, 1);
    close(&relay).await;
    assert_eq!(numbers(), [1, 0, 2, 0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_session_closed_by_its_id_ends_alone() {
    every_mode!(|connector, rig| {
        let told = Told::default();
        let relay = connector.on_end(told.on_end()).start();
        let [mut a, mut b] = rig.pair().await;
        joined(&mut a, &mut b).await;
        let session = relay.sessions().remove(0);
        let mut another = None;
        if rig.mode != "dial + dial" {
            let [a, b] = another.insert(rig.pair().await);
            joined(a, b).await;
        }
        session.close(CloseReason::IdleTimeout);
        soon(gone(&mut a)).await;
        soon(gone(&mut b)).await;
        assert_eq!(soon(session.ended()).await, CloseReason::IdleTimeout);
        until(|| told.reasons() == [CloseReason::IdleTimeout]).await;
        match &mut another {
            Some([a, b]) => {
                joined(a, b).await;
                assert_eq!(relay.live_pairs(), 1, "{}", rig.mode);
                close(&relay).await;
            }
            None => soon(relay.done()).await.unwrap(),
        }
    });
}

// ===== counts and reasons =====

#[tokio::test]
async fn hooks_count_every_session_of_many_threads() {
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (joins, ends) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let counts = (Arc::clone(&joins), Arc::clone(&ends));
    let many = threads.spawn(async move {
        let (connector, mut rig) = listen_listen();
        let relay = connector
            .on_join(move |_| _ = joins.fetch_add(1, Ordering::Relaxed))
            .on_end(move |_, _, _| _ = ends.fetch_add(1, Ordering::Relaxed))
            .start();
        let mut live = Vec::new();
        for n in 0..500 {
            let mut pair = rig.pair().await;
            let [a, b] = &mut pair;
            eventually(exchange(a, b)).await;
            if n % 2 == 0 {
                live.push(pair);
            }
        }
        eventually(relay.close()).await;
        for mut pair in live {
            for peer in &mut pair {
                eventually(gone(peer)).await;
            }
        }
        (relay.live_pairs(), relay.waiting(Side::A))
    });
    let (live, waiting) = eventually(many).await.unwrap();
    assert_eq!((live, waiting), (0, 0));
    let counts = [counts.0, counts.1].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counts, [500, 500]);
    threads.shutdown_background();
}

/// The embedding program's own reason, and the error that a layer returned.
#[tokio::test(start_paused = true)]
async fn on_end_gets_the_reason_and_the_error() {
    use couplet_connector::{BoxError, layers::TransformLayer};

    struct Breaks;
    impl couplet_connector::layers::Transform for Breaks {
        fn transform(
            &mut self,
            _: &mut bytes::BytesMut,
            _: &mut bytes::BytesMut,
        ) -> Result<(), BoxError> {
            Err("item too long".into())
        }

        fn finish(
            &mut self,
            _: &mut bytes::BytesMut,
            _: &mut bytes::BytesMut,
        ) -> Result<(), BoxError> {
            Ok(())
        }
    }

    let ends = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&ends);
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .layer_pair(TransformLayer::new().a_to_b(|| Breaks))
        .on_end(move |_, reason, error| {
            let mut causes = Vec::new();
            let mut next = error;
            while let Some(error) = next {
                causes.push(error.to_string());
                next = error.source();
            }
            told.lock().expect("no panic").push((reason, causes));
        })
        .start();
    let [mut a, mut b] = rig.pair().await;
    say(&mut b, "joined").await;
    hears(&mut a, "joined").await;
    let session = relay.sessions().remove(0);
    let id = session.id().get();
    assert!(relay.session((id + 1).into()).is_none());
    let found = relay.session(id.into()).expect("it is live");
    found.close(CloseReason::Custom("account suspended"));
    soon(gone(&mut a)).await;
    until(|| relay.session(id.into()).is_none()).await;
    let reason = soon(session.ended()).await;
    assert_eq!(reason.to_string(), "account suspended");
    assert_eq!(reason.termination_state(), "UC");

    let [mut a, mut b] = rig.pair().await;
    say(&mut b, "joined").await;
    hears(&mut a, "joined").await;
    say(&mut a, "x").await;
    soon(gone(&mut b)).await;
    until(|| relay.live_pairs() == 0).await;
    let ends = ends.lock().expect("no panic").clone();
    assert_eq!(ends[0], (reason, vec![]));
    assert_eq!(ends[1].0, CloseReason::Failed(Side::A));
    assert!(ends[1].1.contains(&"item too long".to_owned()), "{ends:?}");
    close(&relay).await;
}

#[test]
fn a_zero_that_would_hang_is_refused_where_it_is_given() {
    fn refused(call: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let panic = std::panic::catch_unwind(call).expect_err("0 is refused");
        let message = panic.downcast_ref::<&str>().map(ToString::to_string);
        message.unwrap_or_else(|| panic.downcast_ref::<String>().cloned().unwrap_or_default())
    }
    let said = [
        refused(|| drop(listen_listen().0.max_pairs(0))),
        refused(|| drop(listen_listen().0.max_waiting(0))),
    ];
    for (what, said) in ["max_pairs", "max_waiting"].iter().zip(said) {
        let said = said.replace('`', "");
        assert!(said.starts_with(&format!("{what} is 0: ")), "{said}");
    }
}
