//! The four modes: what holds in each of them, and what is its own.

mod helper;

use std::{io, time::Duration};

use bytes::BytesMut;
use couplet_connector::{
    Connector, ConnectorError,
    endpoint::{
        Backoff, BoxError, BoxIo, Conn, Info, Io, Origin, Side, is_caused_by, memory, pool,
    },
    layers::{HandshakeLayer, Transform, TransformLayer, map_bytes},
    pairing::CloseReason,
    relay::Relay,
};
use futures::StreamExt;
use helper::*;
use tower::service_fn;

const EXACT: Backoff = Backoff::new().jitter(0.0);

// ===== all of them =====

#[tokio::test(start_paused = true)]
async fn bytes_go_both_ways_and_each_end_goes_on_alone() {
    every_mode!(|connector, rig| {
        let relay = connector.start();
        let mut sessions = relay.session_stream();
        let [mut a, mut b] = rig.pair().await;
        let session = soon(sessions.next()).await.expect("it is joined");

        say(&mut a, "a question").await;
        end(&mut a).await;
        assert_eq!(soon(hear_all(&mut b)).await, "a question", "{}", rig.mode);
        say(&mut b, "an answer, after that").await;
        open_but_for(&mut a, "an answer, after that").await;
        end(&mut b).await;
        assert_eq!(soon(hear_all(&mut a)).await, "");
        // Both have ended, so neither close comes later.
        assert_eq!(soon(session.ended()).await, CloseReason::Finished(Side::A));

        for side in SIDES {
            let info = session.info(side);
            assert_eq!(info.side, Some(side), "{}", rig.mode);
            assert_eq!(info.origin == Origin::Dialled, rig.is_dialled(side));
        }
        assert_eq!(session.meter().bytes(Side::A), 10);
        assert_eq!(session.meter().bytes(Side::B), 21);
        until(|| relay.live_pairs() == 0).await;
        let snapshot = relay.snapshot();
        assert_eq!((snapshot.a_to_b, snapshot.b_to_a), (10, 21));
        assert_eq!((snapshot.a.connections, snapshot.b.connections), (1, 1));
        close(&relay).await;
    });
}

/// Hears this, and not yet an end.
async fn open_but_for(peer: &mut memory::MemoryStream, expected: &str) {
    hears(peer, expected).await;
    open(peer).await;
}

#[tokio::test(start_paused = true)]
async fn many_pairs_side_by_side_are_never_crossed() {
    async fn carries(relay: couplet_connector::Handle, mut rig: Rig) {
        let mut all = Vec::new();
        for _ in 0..40 {
            all.push(rig.meet(rig.order[0]).await);
        }
        let mut partners = Vec::new();
        for _ in 0..40 {
            partners.push(rig.meet(rig.order[1]).await);
        }
        for (n, peer) in all.iter_mut().enumerate() {
            say(peer, [n as u8]).await;
        }
        let mut order = Vec::new();
        for partner in &mut partners {
            let mut n = [0];
            soon(tokio::io::AsyncReadExt::read_exact(partner, &mut n))
                .await
                .unwrap();
            say(partner, n).await;
            order.push(usize::from(n[0]));
        }
        for (n, peer) in all.iter_mut().enumerate() {
            hears(peer, [n as u8]).await;
        }
        order.sort_unstable();
        assert!(order.into_iter().eq(0..40), "{}", rig.mode);
        assert_eq!(relay.live_pairs(), 40);
        close(&relay).await;
    }
    let (connector, rig) = listen_listen();
    carries(connector.start(), rig).await;
    let (connector, rig) = listen_dial();
    carries(connector.start(), rig).await;
    let (connector, rig) = dial_listen();
    carries(connector.start(), rig).await;
}

/// Leaves out the vowels, and tells at the end how many there were.
#[derive(Default)]
struct NoVowels(usize);

impl Transform for NoVowels {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        for byte in input.split() {
            match byte {
                b'a' | b'e' | b'i' | b'o' | b'u' => self.0 += 1,
                _ => output.extend([byte]),
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        output.extend(format!("({} vowels)", self.0).into_bytes());
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn each_direction_has_its_transform() {
    every_mode!(|connector, rig| {
        let transforms = TransformLayer::new()
            .a_to_b(|| map_bytes(|bytes| bytes.repeat(3)))
            .b_to_a(NoVowels::default);
        let relay = connector.layer_pair(transforms).start();
        let mut sessions = relay.session_stream();
        let [mut a, mut b] = rig.pair().await;
        let session = soon(sessions.next()).await.expect("it is joined");
        say(&mut a, "hum").await;
        hears(&mut b, "humhumhum").await;
        say(&mut b, "an answer").await;
        hears(&mut a, "n nswr").await;
        end(&mut b).await;
        assert_eq!(soon(hear_all(&mut a)).await, "(3 vowels)", "{}", rig.mode);
        end(&mut a).await;
        assert_eq!(soon(hear_all(&mut b)).await, "");
        assert_eq!(soon(session.ended()).await, CloseReason::Finished(Side::B));
        assert_eq!(session.meter().bytes(Side::A), 9);
        assert_eq!(session.meter().bytes(Side::B), 16);
        close(&relay).await;
    });
}

// ===== server to server =====

#[tokio::test(start_paused = true)]
async fn the_oldest_are_joined_first_and_their_early_bytes_are_kept() {
    let (connector, mut rig) = listen_listen();
    let relay = connector.start();
    let mut waiting = Vec::new();
    for n in 0..5 {
        let mut a = rig.meet(Side::A).await;
        say(&mut a, format!("early {n}")).await;
        waiting.push(a);
        settle().await;
    }
    assert_eq!(relay.waiting(Side::A), 5);
    for (n, a) in waiting.iter_mut().enumerate() {
        let mut b = rig.meet(Side::B).await;
        hears(&mut b, format!("early {n}")).await;
        joined(a, &mut b).await;
    }
    assert_eq!(relay.snapshot().a_to_b, 5 * 7 + 5 * 4);
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_left_is_never_joined() {
    let (connector, mut rig) = listen_listen();
    let relay = connector.start();
    drop(rig.meet(Side::A).await);
    let mut reset = rig.meet(Side::A).await;
    say(&mut reset, "and then a reset").await;
    reset.abort();
    drop(reset);
    // This one wants its bytes delivered.
    let mut ended = rig.meet(Side::A).await;
    say(&mut ended, "to be delivered").await;
    end(&mut ended).await;
    until(|| relay.snapshot().a.died_waiting == 2).await;
    assert_eq!(relay.waiting(Side::A), 1);

    let mut b = rig.meet(Side::B).await;
    assert_eq!(soon(hear_all(&mut b)).await, "to be delivered");
    say(&mut b, "an answer").await;
    hears(&mut ended, "an answer").await;
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_of_dialled_connections_is_a_side() {
    let (script, mut workers) = Script::new([]);
    let (clients, listen) = memory::endpoint();
    let relay = Connector::listen_listen(pool(script.clone(), 2, EXACT), listen).start();
    let error = relay.local_addr(Side::A).unwrap_err();
    assert_eq!(error.to_string(), "side A listens on no address");
    until(|| relay.waiting(Side::A) == 2).await;
    settle().await;
    assert_eq!(script.count(), 2);

    let mut live = Vec::new();
    for joined_before in 0..3 {
        // The oldest that waits is joined, and another is dialled in its place.
        let mut client = clients.connect().await.unwrap();
        let mut worker = soon(accept(&mut workers)).await;
        joined(&mut worker, &mut client).await;
        until(|| script.count() == joined_before + 3).await;
        until(|| relay.waiting(Side::A) == 2).await;
        live.push((worker, client));
    }
    // One that dies while it waits is replaced, after a pause.
    drop(soon(accept(&mut workers)).await);
    until(|| relay.snapshot().a.died_waiting == 1).await;
    settle().await;
    assert_eq!(script.count(), 5);
    eventually(async {
        while script.count() < 6 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!(relay.live_pairs(), 3);
    close(&relay).await;
    for (mut worker, mut client) in live {
        soon(gone(&mut worker)).await;
        soon(gone(&mut client)).await;
    }
}

// ===== server to socket =====

#[tokio::test(start_paused = true)]
async fn dial_by_chooses_the_target_by_the_client() {
    let (clients, listen) = memory::endpoint();
    let (target, mut peers) = memory::endpoint();
    let dial = service_fn(move |partner_of: Info| {
        let target = target.clone();
        async move {
            assert_eq!(partner_of.side, Some(Side::A));
            let name = partner_of.extensions.get::<&str>().copied();
            let mut io = target.connect().await?;
            say(&mut io, name.unwrap_or("nobody")).await;
            Ok::<_, io::Error>(Conn::new(io, Origin::Dialled))
        }
    });
    let named = HandshakeLayer::new(|mut conn: Conn<BoxIo>| async move {
        conn.info.extensions.insert("alice");
        Ok::<_, io::Error>(conn)
    });
    let relay = Connector::listen_dial(listen, dial).layer_a(named).start();
    let mut client = clients.connect().await.unwrap();
    let mut server = soon(accept(&mut peers)).await;
    hears(&mut server, "alice").await;
    joined(&mut client, &mut server).await;
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_dial_closes_only_the_one_it_was_for() {
    let (script, mut servers) = Script::new([Step::Fail, Step::Connect, Step::Fail]);
    let (clients, listen) = memory::endpoint();
    let relay = Connector::listen_dial(listen, script.clone()).start();
    let mut refused = clients.connect().await.unwrap();
    soon(gone(&mut refused)).await;
    let mut client = clients.connect().await.unwrap();
    let mut server = soon(accept(&mut servers)).await;
    let mut refused = clients.connect().await.unwrap();
    soon(gone(&mut refused)).await;
    joined(&mut client, &mut server).await;
    let snapshot = relay.snapshot();
    assert_eq!((snapshot.a.connections, snapshot.a.refused), (3, 2));
    assert_eq!(snapshot.total_pairs, 1);
    close(&relay).await;
}

// ===== socket to server =====

#[tokio::test(start_paused = true)]
async fn for_every_client_of_b_a_server_is_dialled_for_that_client_alone() {
    let (script, mut servers) = Script::new([Step::Fail, Step::Connect, Step::Fail]);
    let (clients, listen) = memory::endpoint();
    let relay = Connector::dial_listen(script.clone(), listen).start();
    settle().await;
    assert_eq!(script.count(), 0, "nobody has come yet");
    let mut refused = clients.connect().await.unwrap();
    soon(gone(&mut refused)).await;
    let mut client = clients.connect().await.unwrap();
    let mut server = soon(accept(&mut servers)).await;
    let mut refused = clients.connect().await.unwrap();
    soon(gone(&mut refused)).await;
    joined(&mut server, &mut client).await;
    assert_eq!(script.count(), 3);
    assert_eq!(relay.snapshot().b.refused, 2);
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn once_dials_side_a_at_once() {
    let (connector, mut rig) = dial_listen();
    let relay = connector.once().start();
    let mut a = rig.meet(Side::A).await;
    say(&mut a, "before anybody has come").await;
    settle().await;
    assert_eq!(relay.waiting(Side::A), 1);
    let mut b = rig.meet(Side::B).await;
    hears(&mut b, "before anybody has come").await;
    joined(&mut a, &mut b).await;
    assert!(rig.nobody_dialled().await);
    drop((a, b));
    soon(relay.done()).await.unwrap();
    no_task_left().await;
}

#[tokio::test(start_paused = true)]
async fn once_ends_with_a_failed_dial() {
    let (script, _servers) = Script::new([Step::Fail]);
    let (clients, listen) = memory::endpoint();
    let relay = Connector::dial_listen(script, listen).once().start();
    assert_side_failed(&soon(relay.done()).await.unwrap_err(), Side::A);
    no_task_left().await;
    let error = clients.connect().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn once_ends_when_the_dialled_server_leaves() {
    let (connector, mut rig) = dial_listen();
    let relay = connector.once().start();
    let a = rig.meet(Side::A).await;
    settle().await;
    drop(a);
    let error = soon(relay.done()).await.unwrap_err();
    assert!(matches!(error, ConnectorError::NoPair), "{error:?}");
}

fn assert_side_failed(error: &ConnectorError, expected: Side) {
    assert!(
        matches!(error, ConnectorError::Side { side, .. } if *side == expected),
        "{error:?}"
    );
    assert!(is_caused_by::<io::Error>(error), "{error:?}");
    assert_eq!(error.to_string(), format!("side {expected} failed"));
}

// ===== socket to socket =====

#[tokio::test(start_paused = true)]
async fn dial_dial_makes_one_pair() {
    let (connector, mut rig) = dial_dial();
    let relay = connector.start();
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    assert!(rig.nobody_dialled().await);
    assert!(!relay.is_done());
    drop((a, b));
    soon(relay.done()).await.unwrap();
    assert!(relay.is_done());
    assert!(rig.nobody_dialled().await);
    no_task_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_dial_ends_dial_dial() {
    let (fails, _a) = Script::new([Step::Fail]);
    let (b, _peers) = Script::new([]);
    let relay = Connector::dial_dial(fails, b.clone()).start();
    assert_side_failed(&soon(relay.done()).await.unwrap_err(), Side::A);
    assert_eq!(b.count(), 0);

    let (a, mut peers) = Script::new([]);
    let (fails, _b) = Script::new([Step::Fail]);
    let relay = Connector::dial_dial(a, fails).start();
    let error = soon(relay.done()).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Pair { .. }), "{error:?}");
    assert!(is_caused_by::<io::Error>(&error), "{error:?}");
    soon(gone(&mut accept(&mut peers).await)).await;
    no_task_left().await;
}

#[tokio::test(start_paused = true)]
async fn dial_dial_reconnects_after_growing_pauses() {
    // The pair of the first two ends at once, then B can't be dialled, then A can't.
    let (a, mut a_peers) = Script::new([Step::Connect, Step::Connect, Step::Fail]);
    let (b, mut b_peers) = Script::new([Step::Connect, Step::Fail]);
    let relay = Connector::dial_dial(a.clone(), b.clone())
        .reconnect(EXACT)
        .start();
    let (mut one, mut other) = (
        soon(accept(&mut a_peers)).await,
        soon(accept(&mut b_peers)).await,
    );
    joined(&mut one, &mut other).await;
    settle().await;
    assert_eq!(a.count(), 1, "one pair at a time");
    drop((one, other));
    drop(eventually(accept(&mut a_peers)).await);
    let (mut one, mut other) = (
        eventually(accept(&mut a_peers)).await,
        eventually(accept(&mut b_peers)).await,
    );
    joined(&mut one, &mut other).await;
    assert_eq!(a.dialled(), [0, 500, 1500, 3500]);
    assert_eq!(b.dialled(), [0, 500, 3500]);

    // One that has lasted is dialled again at once.
    tokio::time::advance(11 * SECOND).await;
    drop((one, other));
    soon(accept(&mut a_peers)).await;
    assert_eq!(a.dialled()[4..], [14_500]);
    close(&relay).await;
    assert_eq!(relay.snapshot().total_pairs, 3);
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_ended_well_makes_no_pause_grow() {
    let (a, mut a_peers) = Script::new([]);
    let (b, mut b_peers) = Script::new([]);
    let relay = Connector::dial_dial(a.clone(), b).reconnect(EXACT).start();
    for says in [true, true, true, false, false, true] {
        let mut one = eventually(accept(&mut a_peers)).await;
        let mut other = soon(accept(&mut b_peers)).await;
        if says {
            joined(&mut one, &mut other).await;
        }
        end(&mut one).await;
        assert_eq!(soon(hear_all(&mut other)).await, "");
        end(&mut other).await;
        assert_eq!(soon(hear_all(&mut one)).await, "");
    }
    eventually(accept(&mut a_peers)).await;
    let pauses: Vec<_> = a.dialled().windows(2).map(|two| two[1] - two[0]).collect();
    // Without a byte it might be one that always closes at once.
    assert_eq!(pauses, [500, 500, 500, 1000, 2000, 500]);
    close(&relay).await;
}

// ===== half-closed =====

#[tokio::test(start_paused = true)]
async fn the_settings_reach_the_relay() {
    every_mode!(|connector, rig| {
        let timeout = Duration::from_secs(7);
        let told = Told::default();
        let relay = connector
            .with_relay(Relay::new().half_close_timeout(Some(timeout)))
            .on_end(told.on_end())
            .start();
        let [mut a, mut b] = rig.pair().await;
        joined(&mut a, &mut b).await;
        end(&mut b).await;
        soon(gone(&mut a)).await;
        let ((), took) = timed(gone(&mut b)).await;
        assert_eq!(took, timeout, "{}", rig.mode);
        until(|| told.reasons() == [CloseReason::HalfCloseTimeout(Side::B)]).await;
        close(&relay).await;
    });
}
