//! Bounds, and that stuck connections delay no other.

mod helper;

use std::io;

use couplet_connector::{
    Connector,
    endpoint::{BoxIo, Conn, Origin, Side, memory},
    layers::HandshakeLayer,
};
use futures::FutureExt;
use helper::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::advance,
};

/// Runs the block for both modes in which one side is dialled for the other, by a script.
macro_rules! both_ways {
    ($steps:expr, |$connector:ident, $side:ident, $clients:ident, $script:ident, $servers:ident|
     $block:block) => {{
        let ($script, mut $servers) = Script::new($steps);
        let ($clients, listen) = memory::endpoint();
        let $connector = Connector::listen_dial(listen, $script.clone());
        let $side = Side::A;
        $block
        let ($script, mut $servers) = Script::new($steps);
        let ($clients, listen) = memory::endpoint();
        let $connector = Connector::dial_listen($script.clone(), listen);
        let $side = Side::B;
        $block
    }};
}

/// Each client has to send a byte.
async fn greeting(mut conn: Conn<BoxIo>) -> io::Result<Conn<BoxIo>> {
    if conn.info.origin == Origin::Accepted {
        conn.io.read_u8().await?;
    }
    Ok(conn)
}

/// How many have been accepted, on both sides.
fn accepted(relay: &couplet_connector::Handle, side: Side) -> u64 {
    let snapshot = relay.snapshot();
    match side {
        Side::A => snapshot.a.connections,
        Side::B => snapshot.b.connections,
    }
}

// ===== max_pairs =====

#[tokio::test(start_paused = true)]
async fn beyond_max_pairs_both_sides_wait() {
    let (connector, mut rig) = listen_listen();
    let relay = connector.max_pairs(2).start();
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    let [mut other_a, mut other_b] = rig.pair().await;
    joined(&mut other_a, &mut other_b).await;
    let [mut next_a, mut next_b] = rig.pair().await;
    say(&mut next_a, "early").await;
    open(&mut next_b).await;
    assert_eq!((relay.waiting(Side::A), relay.waiting(Side::B)), (1, 1));
    assert_eq!(relay.live_pairs(), 2);

    drop((a, b));
    hears(&mut next_b, "early").await;
    joined(&mut next_a, &mut next_b).await;
    joined(&mut other_a, &mut other_b).await;
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn max_pairs_may_be_the_largest_number() {
    async fn joins(relay: couplet_connector::Handle, mut rig: Rig) {
        let [mut a, mut b] = rig.pair().await;
        joined(&mut a, &mut b).await;
        close(&relay).await;
    }
    let (connector, rig) = listen_listen();
    joins(connector.max_pairs(usize::MAX).start(), rig).await;
    let (connector, rig) = listen_dial();
    joins(connector.max_pairs(usize::MAX).start(), rig).await;
    let (connector, rig) = dial_listen();
    joins(connector.max_pairs(usize::MAX).start(), rig).await;
}

#[tokio::test(start_paused = true)]
async fn beyond_max_pairs_no_client_is_accepted_and_no_server_dialled() {
    both_ways!([], |connector, side, clients, script, servers| {
        let relay = connector.max_pairs(2).start();
        let mut live = Vec::new();
        for _ in 0..2 {
            let mut client = clients.connect().await.unwrap();
            let mut server = soon(accept(&mut servers)).await;
            joined(&mut client, &mut server).await;
            live.push((client, server));
        }
        let mut next = clients.connect().await.unwrap();
        say(&mut next, "early").await;
        settle().await;
        assert_eq!(accepted(&relay, side), 2);
        assert_eq!(script.count(), 2);

        live.remove(0);
        let mut server = soon(accept(&mut servers)).await;
        hears(&mut server, "early").await;
        joined(&mut next, &mut server).await;
        assert_eq!(script.count(), 3);
        close(&relay).await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_dial_counts_as_a_pair_until_it_fails() {
    both_ways!([Step::Hang], |connector, side, clients, script, servers| {
        let relay = connector
            .max_pairs(1)
            .layer_a(tower::timeout::TimeoutLayer::new(10 * SECOND))
            .layer_b(tower::timeout::TimeoutLayer::new(10 * SECOND))
            .start();
        let mut first = clients.connect().await.unwrap();
        let mut next = clients.connect().await.unwrap();
        settle().await;
        assert_eq!((script.count(), accepted(&relay, side)), (1, 1));
        let ((), took) = timed(gone(&mut first)).await;
        assert_eq!(took, 10 * SECOND);
        let mut server = soon(accept(&mut servers)).await;
        joined(&mut next, &mut server).await;
        close(&relay).await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_takes_no_pair() {
    both_ways!([], |connector, side, clients, script, servers| {
        let relay = connector
            .layer_a(HandshakeLayer::new(greeting))
            .layer_b(HandshakeLayer::new(greeting))
            .max_pairs(2)
            .start();
        let mut silent = Vec::new();
        for _ in 0..500 {
            silent.push(soon(clients.connect()).await.unwrap());
        }
        let mut live = Vec::new();
        for _ in 0..2 {
            let mut client = soon(clients.connect()).await.unwrap();
            say(&mut client, "!").await;
            let mut server = soon(accept(&mut servers)).await;
            joined(&mut client, &mut server).await;
            live.push((client, server));
        }
        // There is no more room, whatever they say now.
        for client in &mut silent[..10] {
            say(client, "!").await;
        }
        settle().await;
        assert_eq!((script.count(), relay.live_pairs()), (2, 2));
        live.remove(0);
        let mut server = soon(accept(&mut servers)).await;
        joined(&mut silent[0], &mut server).await;
        settle().await;
        assert_eq!((script.count(), relay.live_pairs()), (3, 2));
        assert_eq!(accepted(&relay, side), 502);
        close(&relay).await;
    });
}

// ===== the policy =====

#[tokio::test(start_paused = true)]
async fn beyond_max_waiting_no_client_is_accepted() {
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .max_waiting(2)
        .wait_timeout(Some(30 * SECOND))
        .start();
    let mut first = rig.meet(Side::A).await;
    until(|| relay.waiting(Side::A) == 1).await;
    advance(20 * SECOND).await;
    let mut second = rig.meet(Side::A).await;
    let mut third = rig.meet(Side::A).await;
    settle().await;
    assert_eq!(accepted(&relay, Side::A), 2);

    let ((), took) = timed(gone(&mut first)).await;
    assert_eq!(took, 10 * SECOND);
    assert_eq!(relay.snapshot().a.expired, 1);
    until(|| relay.waiting(Side::A) == 2).await;
    let mut b = rig.meet(Side::B).await;
    joined(&mut second, &mut b).await;
    let mut b = rig.meet(Side::B).await;
    joined(&mut third, &mut b).await;
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn as_many_dials_run_at_a_time_as_there_are_slots() {
    let hang = [Step::Connect, Step::Hang, Step::Hang];
    both_ways!(hang, |connector, side, clients, script, servers| {
        let relay = connector.max_waiting(2).start();
        // A pair has left its place.
        let mut client = clients.connect().await.unwrap();
        let mut server = soon(accept(&mut servers)).await;
        joined(&mut client, &mut server).await;
        let _dialled_for = [(); 3].map(|()| clients.connect().now_or_never());
        until(|| relay.waiting(side) == 2).await;
        settle().await;
        assert_eq!((script.count(), script.at_work()), (3, 2));
        assert_eq!(accepted(&relay, side), 3);
        close(&relay).await;
    });
}

// ===== no other pair is delayed =====

#[tokio::test(start_paused = true)]
async fn sixty_four_stuck_pairs_delay_no_other() {
    every_mode!(|connector, rig| {
        if rig.mode != "dial + dial" {
            let relay = connector.start();
            let mut stuck = Vec::new();
            for _ in 0..64 {
                let mut pair = rig.pair().await;
                let [a, b] = &mut pair;
                joined(a, b).await;
                // Until all that is between them is full, both ways.
                for peer in &mut pair {
                    loop {
                        settle().await;
                        let Some(written) = peer.write(&[0; 65536]).now_or_never() else {
                            break;
                        };
                        written.unwrap();
                    }
                }
                stuck.push(pair);
            }
            let begin = tokio::time::Instant::now();
            for _ in 0..64 {
                let [mut a, mut b] = rig.pair().await;
                joined(&mut a, &mut b).await;
            }
            assert!(begin.elapsed().is_zero());
            until(|| relay.live_pairs() == 64).await;
            close(&relay).await;
        }
    });
}

#[tokio::test(start_paused = true)]
async fn five_hundred_silent_clients_delay_no_other() {
    every_mode!(|connector, rig| {
        if rig.mode != "dial + dial" {
            let relay = connector
                // Fewer places than there are silent ones: they take none.
                .max_waiting(2)
                .layer_a(HandshakeLayer::new(greeting))
                .layer_b(HandshakeLayer::new(greeting))
                .start();
            let comes = rig.order[0];
            let mut silent = Vec::new();
            for _ in 0..500 {
                silent.push(rig.meet(comes).await);
            }
            until(|| accepted(&relay, comes) == 500).await;
            let mut first = rig.meet(comes).await;
            say(&mut first, "!").await;
            let mut partner = rig.meet(!comes).await;
            if !rig.is_dialled(!comes) {
                say(&mut partner, "!").await;
            }
            joined(&mut first, &mut partner).await;
            // And they are cut in the end.
            let ((), took) = timed(gone(&mut silent[499])).await;
            assert_eq!(took, 10 * SECOND, "{}", rig.mode);
            joined(&mut first, &mut partner).await;
            close(&relay).await;
        }
    });
}

#[tokio::test(start_paused = true)]
async fn twenty_dials_that_never_end_delay_no_other() {
    let hang = [Step::Hang; 20];
    both_ways!(hang, |connector, side, clients, script, servers| {
        let relay = connector.start();
        let mut dialled_for = Vec::new();
        for _ in 0..20 {
            dialled_for.push(clients.connect().await.unwrap());
        }
        until(|| script.at_work() == 20).await;
        assert_eq!(relay.waiting(side), 20);
        let mut client = clients.connect().await.unwrap();
        let mut server = soon(accept(&mut servers)).await;
        joined(&mut client, &mut server).await;
        open(&mut dialled_for[19]).await;
        close(&relay).await;
        assert_eq!(script.at_work(), 0);
    });
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_dialled_in_vain_delays_no_client() {
    use couplet_connector::endpoint::{Backoff, pool};

    let (script, mut workers) = Script::new([Step::Hang, Step::Fail, Step::Connect]);
    let (clients, listen) = memory::endpoint();
    let pooled = pool(script.clone(), 2, Backoff::new().jitter(0.0));
    let relay = Connector::listen_listen(pooled, listen).start();
    let mut client = clients.connect().await.unwrap();
    let mut worker = eventually(accept(&mut workers)).await;
    joined(&mut worker, &mut client).await;
    assert_eq!(script.dialled()[..3], [0, 0, 500]);
    assert_eq!(script.at_work(), 1);
    close(&relay).await;
    assert_eq!(script.at_work(), 0);
}

// ===== clients that leave =====

/// A client that goes while its partner is dialled holds no place, and its dial is given up.
#[tokio::test(start_paused = true)]
async fn a_client_that_left_costs_no_dial() {
    both_ways!(
        [Step::Hang, Step::Hang, Step::Hang],
        |connector, side, clients, script, servers| {
            let relay = connector.max_waiting(3).start();
            let mut resets = clients.connect().await.unwrap();
            say(&mut resets, "a request").await;
            let closes = clients.connect().await.unwrap();
            let mut ends = clients.connect().await.unwrap();
            until(|| script.at_work() == 3).await;
            let mut next = clients.connect().await.unwrap();
            couplet_connector::endpoint::Io::abort(&mut resets);
            drop((resets, closes));
            // This one wants its request delivered.
            say(&mut ends, "to be delivered").await;
            end(&mut ends).await;

            let mut server = eventually(accept(&mut servers)).await;
            joined(&mut next, &mut server).await;
            until(|| script.at_work() == 1).await;
            let snapshot = relay.snapshot();
            let counts = if side == Side::A {
                snapshot.a
            } else {
                snapshot.b
            };
            assert_eq!((counts.died_waiting, counts.waiting), (2, 1));
            open(&mut ends).await;
            close(&relay).await;
        }
    );
}

#[tokio::test(start_paused = true)]
async fn bytes_sent_before_the_join_are_kept() {
    both_ways!(
        [Step::Late(5 * SECOND)],
        |connector, side, clients, script, servers| {
            let relay = connector.start();
            let mut client = clients.connect().await.unwrap();
            say(&mut client, "a request").await;
            end(&mut client).await;
            let mut server = eventually(accept(&mut servers)).await;
            assert_eq!(soon(hear_all(&mut server)).await, "a request");
            say(&mut server, "an answer").await;
            end(&mut server).await;
            assert_eq!(soon(hear_all(&mut client)).await, "an answer");
            assert_eq!(script.count(), 1);
            assert_eq!(relay.waiting(side), 0);
            close(&relay).await;
        }
    );
}
