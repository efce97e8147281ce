//! Waiting connections are watched: peers that leave, that are reset, that end their streams.

mod helper;

use std::time::Duration;

use couplet_endpoint::{
    Backoff, Side,
    memory::{self, MemoryStream},
    pool,
};
use couplet_pairing::{Policy, rendezvous};
use futures::StreamExt;
use helper::{
    arrive, conn_holding, fill, hears_reset, joined, next, reset, settle, soon, tcp, until,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::advance,
};
use tokio_test::{assert_pending, task};
use tower::ServiceExt;

const SECOND: Duration = Duration::from_secs(1);

// ===== in memory =====

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_without_a_byte_is_dropped_at_once() {
    let (mut a, _b, pairs) = rendezvous::<_, MemoryStream>(Policy::default());
    let counts = pairs.counts();
    let (_, dropped) = arrive(&mut a);
    let (_, mut finished) = arrive(&mut a);
    let (_, aborted) = arrive(&mut a);
    let (_, _stays) = arrive(&mut a);
    until(|| counts.waiting(Side::A) == 4).await;
    drop(dropped);
    until(|| counts.died(Side::A) == 1).await;
    finished.shutdown().await.unwrap();
    until(|| counts.died(Side::A) == 2).await;
    hears_reset(&mut finished).await;
    reset(aborted);
    until(|| counts.died(Side::A) == 3).await;
    assert_eq!(counts.waiting(Side::A), 1);
    assert_eq!(counts.died(Side::B), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_on_arrival_is_never_joined() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let (on_a, _a_peer) = arrive(&mut a);
    let mut asking = task::spawn(pairs.next());
    assert_pending!(asking.poll());
    settle().await;
    drop(arrive(&mut b));
    let (on_b, _b_peer) = arrive(&mut b);
    let pair = soon(asking).await.unwrap().unwrap();
    assert_eq!(joined(&pair).map(|info| info.id), [on_a, on_b]);
}

#[tokio::test(start_paused = true)]
async fn a_reset_takes_early_bytes_with_it() {
    let (mut a, _b, pairs) = rendezvous::<_, MemoryStream>(Policy::default());
    let counts = pairs.counts();
    let (_, mut peer) = arrive(&mut a);
    peer.write_all(b"hello").await.unwrap();
    settle().await;
    assert_eq!(counts.waiting(Side::A), 1);
    reset(peer);
    until(|| counts.died(Side::A) == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sent_bytes_and_then_ended_stays_and_they_are_delivered() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let counts = pairs.counts();
    let (on_a, mut a_peer) = arrive(&mut a);
    a_peer.write_all(b"a request").await.unwrap();
    drop(a_peer);
    // Past many a look at it.
    for _ in 0..10 {
        advance(SECOND).await;
        settle().await;
    }
    assert_eq!(counts.waiting(Side::A), 1);
    let (on_b, _b_peer) = arrive(&mut b);
    let mut pair = next(&mut pairs).await;
    assert_eq!(joined(&pair).map(|info| info.id), [on_a, on_b]);
    let mut heard = String::new();
    pair.a.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "a request");
}

#[tokio::test(start_paused = true)]
async fn a_pooled_connection_that_sent_bytes_and_then_ended_is_gone() {
    let (dial, mut listen) = memory::endpoint();
    let mut pooled = pool(dial, 2, Backoff::new());
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let mut servers = Vec::new();
    for _ in 0..2 {
        let conn = soon(pooled.next()).await.expect("it has no end");
        fill(&mut b, conn.unwrap());
        servers.push(soon(listen.next()).await.unwrap().unwrap().io);
    }
    for server in &mut servers {
        server.write_all(b"welcome").await.unwrap();
    }
    settle().await;
    servers[0].shutdown().await.unwrap();
    until(|| pairs.counts().died(Side::B) == 1).await;

    // The bytes of a live client are delivered.
    let (_, _client) = arrive(&mut a);
    let mut pair = next(&mut pairs).await;
    let mut heard = [0; 7];
    soon(pair.b.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"welcome");
    // And after it has been joined, its end is one as any other.
    servers[1].shutdown().await.unwrap();
    assert_eq!(soon(pair.b.read(&mut heard)).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn early_bytes_beyond_the_bound_meet_back_pressure() {
    const EARLY: usize = 5000;
    const PIPE: usize = 64;
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default().early(EARLY));
    let (conn, mut peer) = conn_holding(PIPE);
    fill(&mut a, conn);
    let stream: Vec<u8> = (0..20_000_u32).map(|n| (n % 251) as u8).collect();

    let mut sent = 0;
    for _ in 0..1000 {
        if let std::task::Poll::Ready(written) = task::spawn(peer.write(&stream[sent..])).poll() {
            sent += written.unwrap();
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(sent, EARLY + PIPE, "then it is held up");

    let (_, _b_peer) = arrive(&mut b);
    let mut pair = next(&mut pairs).await;
    let mut heard = Vec::new();
    let (written, read) = tokio::join!(
        async {
            peer.write_all(&stream[sent..]).await?;
            peer.shutdown().await
        },
        pair.a.read_to_end(&mut heard)
    );
    written.unwrap();
    read.unwrap();
    assert_eq!(heard, stream);
}

#[tokio::test(start_paused = true)]
async fn without_reading_ahead_peers_are_watched_all_the_same() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default().early(0));
    let (_, leaves) = arrive(&mut a);
    let (on_a, mut a_peer) = arrive(&mut a);
    a_peer.write_all(b"hello").await.unwrap();
    settle().await;
    drop(leaves);
    until(|| pairs.counts().died(Side::A) == 1).await;
    let (on_b, _b_peer) = arrive(&mut b);
    let mut pair = next(&mut pairs).await;
    assert_eq!(joined(&pair).map(|info| info.id), [on_a, on_b]);
    let mut heard = [0; 5];
    soon(pair.a.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"hello");
}

#[tokio::test(start_paused = true)]
async fn a_reset_behind_the_bytes_read_ahead_is_noticed_within_a_second() {
    let (mut a, _b, pairs) = rendezvous::<_, MemoryStream>(Policy::default().early(4));
    let counts = pairs.counts();
    let (_, mut peer) = arrive(&mut a);
    let (_, mut stays) = arrive(&mut a);
    peer.write_all(b"1234").await.unwrap();
    stays.write_all(b"1234").await.unwrap();
    settle().await;
    for _ in 0..5 {
        advance(SECOND).await;
        settle().await;
        assert_eq!(counts.waiting(Side::A), 2);
    }
    reset(peer);
    advance(SECOND).await;
    settle().await;
    assert_eq!(counts.died(Side::A), 1);
    assert_eq!(counts.waiting(Side::A), 1);
}

#[tokio::test(start_paused = true)]
async fn dead_connections_are_seen_at_the_match_and_live_ones_keep_their_turn() {
    let policy = Policy::default().early(1).wait(Some(10 * SECOND));
    let (mut a, mut b, mut pairs) = rendezvous(policy);
    let counts = pairs.counts();
    let (first, _first_peer) = arrive(&mut a);
    settle().await;
    advance(SECOND).await;
    let (second, _second_peer) = arrive(&mut a);
    // Their resets wake no task: as much as is read ahead has come before.
    for _ in 0..2 {
        let (_, mut dead) = arrive(&mut b);
        dead.write_all(b"x").await.unwrap();
        settle().await;
        reset(dead);
    }
    settle().await;
    assert_eq!(counts.waiting(Side::B), 2);

    let mut asking = task::spawn(pairs.next());
    assert_pending!(asking.poll());
    settle().await;
    assert_pending!(asking.poll());
    assert_eq!(counts.died(Side::B), 2);
    assert_eq!(counts.waiting(Side::A), 2);

    let (on_b, _b_peer) = arrive(&mut b);
    let pair = soon(asking).await.unwrap().unwrap();
    assert_eq!(joined(&pair).map(|info| info.id), [first, on_b]);
    let (on_b, _b_peer) = arrive(&mut b);
    let pair = next(&mut pairs).await;
    assert_eq!(joined(&pair).map(|info| info.id), [second, on_b]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_found_only_dead_partners_is_watched_as_before() {
    let policy = Policy::default().early(1).wait(Some(10 * SECOND));
    for spoke in [false, true] {
        let (mut a, mut b, mut pairs) = rendezvous(policy);
        let counts = pairs.counts();
        let (_, mut leaves) = arrive(&mut a);
        let (_, mut expires) = arrive(&mut a);
        for peer in [&mut leaves, &mut expires] {
            peer.write_all(if spoke { b"x" } else { b"" })
                .await
                .unwrap();
        }
        settle().await;
        advance(4 * SECOND).await;
        let (_, mut dead) = arrive(&mut b);
        dead.write_all(b"x").await.unwrap();
        settle().await;
        reset(dead);
        assert_pending!(task::spawn(pairs.next()).poll());
        until(|| counts.died(Side::B) == 1).await;

        reset(leaves);
        advance(if spoke { SECOND } else { Duration::ZERO }).await;
        until(|| counts.died(Side::A) == 1).await;
        advance(6 * SECOND).await;
        until(|| counts.expired(Side::A) == 1).await;
        drop(expires);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rush_of_arrivals_lets_no_dead_connection_through() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let counts = pairs.counts();
    let (_, dead) = arrive(&mut b);
    let mut asking = task::spawn(pairs.next());
    assert_pending!(asking.poll());
    settle().await;
    // At once, and more than a task does before it lets others have their turn.
    drop(dead);
    let _a_peers: Vec<_> = (0..500).map(|_| arrive(&mut a)).collect();
    settle().await;
    assert_pending!(asking.poll());
    assert_eq!(counts.died(Side::B), 1);
    assert_eq!(counts.waiting(Side::A), 500);
}

// ===== on TCP =====

#[tokio::test(start_paused = true)]
async fn tcp_peers_are_watched() {
    let (spoke, mut spoke_peer) = tcp().await;
    let (silent, silent_peer) = tcp().await;
    let (aborted, aborted_peer) = tcp().await;
    let (spoke_aborted, mut spoke_aborted_peer) = tcp().await;
    let (partner, _partner_peer) = tcp().await;
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let counts = pairs.counts();

    let id = spoke.info.id;
    for conn in [silent, aborted, spoke_aborted, spoke] {
        fill(&mut a, conn);
    }
    soon(spoke_peer.write_all(b"a request")).await.unwrap();
    soon(spoke_aborted_peer.write_all(b"hello")).await.unwrap();
    drop(spoke_peer);
    settle().await;
    assert_eq!(counts.waiting(Side::A), 4);

    drop(silent_peer);
    until(|| counts.died(Side::A) == 1).await;
    reset(aborted_peer);
    until(|| counts.died(Side::A) == 2).await;
    reset(spoke_aborted_peer);
    until(|| counts.died(Side::A) == 3).await;

    fill(&mut b, partner);
    let mut pair = next(&mut pairs).await;
    assert_eq!(joined(&pair)[0].id, id);
    let mut heard = String::new();
    soon(pair.a.read_to_string(&mut heard)).await.unwrap();
    assert_eq!(heard, "a request");
}

#[tokio::test(start_paused = true)]
async fn a_tcp_reset_behind_early_bytes_is_noticed_within_a_second() {
    for early_bytes in [&b"1234"[..], b"12345678"] {
        let (conn, mut peer) = tcp().await;
        let (mut a, _b, pairs) = rendezvous::<_, TcpStream>(Policy::default().early(4));
        let counts = pairs.counts();
        fill(&mut a, conn);
        soon(peer.write_all(early_bytes)).await.unwrap();
        settle().await;
        advance(5 * SECOND).await;
        settle().await;
        assert_eq!(counts.waiting(Side::A), 1);
        reset(peer);
        settle().await;
        advance(SECOND).await;
        until(|| counts.died(Side::A) == 1).await;
        assert_eq!(counts.waiting(Side::A), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tcp_reset_behind_early_bytes_is_noticed_at_the_match() {
    // Where there is no room for more, and where the runtime has yet to hear of it.
    for early in [4, 16 * 1024] {
        let (live, _live_peer) = tcp().await;
        let (dead, mut dead_peer) = tcp().await;
        let (partner, mut partner_peer) = tcp().await;
        let (mut a, mut b, mut pairs) = rendezvous(Policy::default().early(early));
        let id = live.info.id;
        fill(&mut a, dead);
        fill(&mut a, live);
        soon(dead_peer.write_all(b"1234")).await.unwrap();
        settle().await;
        reset(dead_peer);
        fill(&mut b, partner);
        let mut pair = next(&mut pairs).await;
        assert_eq!(joined(&pair)[0].id, id, "early {early}");
        assert_eq!(pairs.counts().died(Side::A), 1);

        soon(pair.b.write_all(b"hello")).await.unwrap();
        let mut heard = [0; 5];
        soon(partner_peer.read_exact(&mut heard)).await.unwrap();
        assert_eq!(&heard, b"hello");
    }
}

#[tokio::test(start_paused = true)]
async fn early_tcp_bytes_beyond_the_bound_are_not_lost() {
    let (conn, mut peer) = tcp().await;
    let (partner, _partner_peer) = tcp().await;
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default().early(1000));
    fill(&mut a, conn);
    let stream: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
    soon(peer.write_all(&stream)).await.unwrap();
    drop(peer);
    settle().await;
    fill(&mut b, partner);
    let mut pair = next(&mut pairs).await;
    let mut heard = Vec::new();
    soon(pair.a.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, stream);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_ended_holds_no_slot_and_leaves_when_it_is_reset() {
    let (mut a, _b, pairs) = rendezvous::<_, TcpStream>(Policy::default().max_waiting(1));
    let counts = pairs.counts();
    let (conn, mut peer) = tcp().await;
    fill(&mut a, conn);
    soon(peer.write_all(b"a request")).await.unwrap();
    soon(peer.shutdown()).await.unwrap();
    // There is a slot for a live one.
    let mut free = task::spawn(a.ready());
    until(|| free.poll().is_ready()).await;
    drop(free);
    let (live, _live_peer) = tcp().await;
    fill(&mut a, live);
    until(|| counts.waiting(Side::A) == 2).await;
    assert_pending!(task::spawn(a.ready()).poll());

    reset(peer);
    settle().await;
    advance(SECOND).await;
    until(|| counts.died(Side::A) == 1).await;
    assert_eq!(counts.waiting(Side::A), 1);
}
