//! Both sides come by themselves.

mod helper;

use std::{io, time::Duration};

use couplet_endpoint::{
    Backoff, Conn, ConnId, Origin, Side, keep,
    memory::{self, MemoryStream},
};
use couplet_pairing::{Place, Policy, rendezvous};
use futures::StreamExt;
use helper::{conn, conn_holding, fill, hears_reset, joined, next, reset, settle, soon, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::advance,
};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{Service, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);

/// A connection comes: its number, and its peer.
fn arrive(place: &mut Place<MemoryStream>) -> (ConnId, MemoryStream) {
    let (conn, peer) = conn();
    let id = conn.info.id;
    fill(place, conn);
    (id, peer)
}

/// Both ends of a connection through the system: what was accepted, and its peer.
async fn tcp() -> (Conn<TcpStream>, TcpStream) {
    let both = async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let peer = TcpStream::connect(listener.local_addr()?);
        tokio::try_join!(listener.accept(), peer)
    };
    let ((io, _), peer) = both.await.expect("the loopback works");
    (Conn::new(io, Origin::Accepted), peer)
}

// ===== the order =====

#[tokio::test(start_paused = true)]
async fn the_oldest_is_joined_with_the_oldest() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let mut peers = Vec::new();
    let (mut on_a, mut on_b) = (Vec::new(), Vec::new());
    for turn in 0..6 {
        // B is behind at first, and ahead in the end.
        for (place, ids, count) in [(&mut a, &mut on_a, 1), (&mut b, &mut on_b, turn / 2)] {
            for _ in 0..count {
                let (id, peer) = arrive(place);
                ids.push(id);
                peers.push(peer);
            }
        }
        settle().await;
    }
    for (a, b) in on_a.into_iter().zip(on_b) {
        assert_eq!(joined(&next(&mut pairs).await).map(|info| info.id), [a, b]);
    }
    assert_eq!(pairs.counts().waiting(Side::A), 0);
    assert_pending!(task::spawn(pairs.next()).poll());
}

#[tokio::test(start_paused = true)]
async fn the_bytes_are_those_of_the_two() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let (_, mut a_peer) = arrive(&mut a);
    let (_, mut b_peer) = arrive(&mut b);
    let mut pair = next(&mut pairs).await;
    for (io, peer) in [(&mut pair.a, &mut a_peer), (&mut pair.b, &mut b_peer)] {
        io.write_all(b"to the peer").await.unwrap();
        peer.write_all(b"from the peer").await.unwrap();
        peer.shutdown().await.unwrap();
        let mut heard = String::new();
        io.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "from the peer");
        let mut heard = [0; 11];
        peer.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"to the peer");
    }
}

#[tokio::test(start_paused = true)]
async fn pairs_are_made_only_when_asked_for() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default().places(3));
    let counts = pairs.counts();
    let mut a_peers = [(); 3].map(|()| Some(arrive(&mut a).1));
    let b_peers = [(); 3].map(|()| arrive(&mut b));
    settle().await;
    assert_eq!(counts.waiting(Side::A), 3);
    assert_eq!(counts.waiting(Side::B), 3);

    // And while nobody asks they are watched.
    let mut next_place = task::spawn(a.ready());
    assert_pending!(next_place.poll());
    a_peers[0] = None;
    until(|| counts.died(Side::A) == 1).await;
    assert!(next_place.is_woken());
    assert_ready_ok!(next_place.poll());
    drop(next_place);

    // One pair a question.
    let _pair = next(&mut pairs).await;
    settle().await;
    assert_eq!(counts.waiting(Side::A), 1);
    assert_eq!(counts.waiting(Side::B), 2);
    drop((a_peers, b_peers));
}

#[tokio::test(start_paused = true)]
async fn the_session_knows_both() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let (on_a, _a_peer) = arrive(&mut a);
        let (on_b, _b_peer) = arrive(&mut b);
        let pair = next(&mut pairs).await;
        for (side, id) in [(Side::A, on_a), (Side::B, on_b)] {
            assert_eq!(pair.session.info(side).side, Some(side));
            assert_eq!(pair.session.info(side).id, id);
        }
        sessions.push(pair.session.id());
    }
    assert!(sessions[0] < sessions[1]);
}

// ===== the places =====

#[tokio::test(start_paused = true)]
async fn places_bound_each_side_by_itself() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default().places(2));
    let _a_peers = [arrive(&mut a), arrive(&mut a)];
    settle().await;
    let mut next_a = task::spawn(a.ready());
    assert_pending!(next_a.poll());
    // The other side's are free, and a match frees one of each.
    let _b_peers = [arrive(&mut b), arrive(&mut b)];
    settle().await;
    assert_pending!(task::spawn(b.ready()).poll());
    assert_pending!(next_a.poll());
    let _pair = next(&mut pairs).await;
    assert!(next_a.is_woken());
    assert_ready_ok!(next_a.poll());
    assert_ready_ok!(task::spawn(b.ready()).poll());
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_again_when_its_connection_dies_or_expires() {
    let (mut a, _b, _pairs) =
        rendezvous::<_, MemoryStream>(Policy::default().places(1).wait(Some(SECOND)));
    let (_, dies) = arrive(&mut a);
    settle().await;
    let mut free = task::spawn(a.ready());
    assert_pending!(free.poll());
    drop(dies);
    settle().await;
    assert!(free.is_woken());
    assert_ready_ok!(free.poll());
    drop(free);

    let (_, _expires) = arrive(&mut a);
    settle().await;
    let mut free = task::spawn(a.ready());
    assert_pending!(free.poll());
    advance(SECOND).await;
    settle().await;
    assert!(free.is_woken());
    assert_ready_ok!(free.poll());
}

#[tokio::test(start_paused = true)]
async fn a_reserved_place_is_given_back_on_drop_and_never_cloned() {
    let (mut a, _b, _pairs) = rendezvous::<MemoryStream, MemoryStream>(Policy::default().places(1));
    assert_ready_ok!(task::spawn(a.ready()).poll());
    assert_ready_ok!(task::spawn(a.ready()).poll(), "it is reserved once");
    let mut clone = a.clone();
    let mut free = task::spawn(clone.ready());
    assert_pending!(free.poll());
    drop(a);
    assert!(free.is_woken());
    assert_ready_ok!(free.poll());
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "poll_ready comes before call")]
async fn a_clone_has_no_place() {
    let (mut a, _b, _pairs) = rendezvous::<_, MemoryStream>(Policy::default());
    assert_ready_ok!(task::spawn(a.ready()).poll());
    let (conn, _peer) = conn();
    drop(a.clone().call(conn));
}

#[tokio::test(start_paused = true)]
async fn there_is_no_bound_too_large() {
    let (mut a, mut b, mut pairs) = rendezvous(
        Policy::default()
            .places(usize::MAX)
            .wait(Some(Duration::MAX)),
    );
    let (_, _a_peer) = arrive(&mut a);
    advance(400 * 24 * 3600 * SECOND).await;
    let (_, _b_peer) = arrive(&mut b);
    next(&mut pairs).await;
}

// ===== those who go away =====

#[tokio::test(start_paused = true)]
async fn who_leaves_without_a_word_is_let_go_at_once() {
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
async fn who_is_gone_on_arrival_is_joined_with_nobody() {
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
async fn who_spoke_and_then_ended_stays_and_is_heard() {
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
async fn one_of_a_pool_that_spoke_and_then_ended_is_gone() {
    let (dial, mut listen) = memory::endpoint();
    let mut pool = keep(dial, 2, Backoff::new());
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let mut servers = Vec::new();
    for _ in 0..2 {
        let conn = soon(pool.next()).await.expect("it has no end");
        fill(&mut b, conn.unwrap());
        servers.push(soon(listen.next()).await.unwrap().unwrap().io);
    }
    for server in &mut servers {
        server.write_all(b"welcome").await.unwrap();
    }
    settle().await;
    servers[0].shutdown().await.unwrap();
    until(|| pairs.counts().died(Side::B) == 1).await;

    // Who is there still is heard.
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
async fn more_early_bytes_than_are_read_ahead_wait_with_their_sender() {
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
async fn who_may_send_nothing_early_is_watched_all_the_same() {
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
async fn a_reset_behind_all_that_is_read_ahead_is_noticed_within_a_second() {
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
async fn the_dead_are_seen_at_the_match_and_the_living_keep_their_turn() {
    let policy = Policy::default().early(1).wait(Some(10 * SECOND));
    let (mut a, mut b, mut pairs) = rendezvous(policy);
    let counts = pairs.counts();
    let (first, _first_peer) = arrive(&mut a);
    settle().await;
    advance(SECOND).await;
    let (second, _second_peer) = arrive(&mut a);
    // Their resets wake nobody: as much as is read ahead has come before.
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
async fn who_found_only_the_dead_is_watched_as_before() {
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
async fn a_rush_of_arrivals_lets_no_dead_one_through() {
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

// ===== those who go away, on TCP =====

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
    for last_words in [&b"1234"[..], b"12345678"] {
        let (conn, mut peer) = tcp().await;
        let (mut a, _b, pairs) = rendezvous::<_, TcpStream>(Policy::default().early(4));
        let counts = pairs.counts();
        fill(&mut a, conn);
        soon(peer.write_all(last_words)).await.unwrap();
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

// ===== the deadline =====

#[tokio::test(start_paused = true)]
async fn each_waits_exactly_as_long_as_it_may() {
    const TICK: Duration = Duration::from_millis(1);
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default().wait(Some(10 * SECOND)));
    let counts = pairs.counts();

    // One is matched before, and lives on.
    let (_, mut matched_peer) = arrive(&mut a);
    let (_, _b_peer) = arrive(&mut b);
    let mut pair = next(&mut pairs).await;

    let (_, mut first) = arrive(&mut a);
    settle().await;
    advance(4 * SECOND).await;
    let (_, mut second) = arrive(&mut a);
    settle().await;
    let expired = || counts.expired(Side::A);
    for (since, expected, peer) in [(4 * SECOND, 1, &mut first), (6 * SECOND, 2, &mut second)] {
        let left = if expected == 1 {
            10 * SECOND - since
        } else {
            4 * SECOND
        };
        advance(left - TICK).await;
        settle().await;
        assert_eq!(expired(), expected - 1);
        advance(TICK).await;
        settle().await;
        assert_eq!(expired(), expected);
        hears_reset(peer).await;
    }
    assert_eq!(counts.waiting(Side::A), 0);
    assert_eq!(counts.died(Side::A), 0);

    matched_peer.write_all(b"!").await.unwrap();
    assert_eq!(soon(pair.a.read_u8()).await.unwrap(), b'!');
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_one_waits_for_ever() {
    let (mut a, _b, pairs) = rendezvous::<_, MemoryStream>(Policy::default().wait(None));
    let (_, _peer) = arrive(&mut a);
    settle().await;
    advance(400 * 24 * 3600 * SECOND).await;
    settle().await;
    assert_eq!(pairs.counts().waiting(Side::A), 1);
}

// ===== the end =====

#[tokio::test(start_paused = true)]
async fn without_its_pairs_the_pairing_ends() {
    let (mut a, mut b, pairs) = rendezvous(Policy::default().places(1));
    let counts = pairs.counts();
    let (_, mut a_peer) = arrive(&mut a);
    let mut reserved = b.clone();
    assert_ready_ok!(task::spawn(reserved.ready()).poll());
    settle().await;
    let mut pending = task::spawn(a.ready());
    assert_pending!(pending.poll());
    let mut pending_b = task::spawn(b.ready());
    assert_pending!(pending_b.poll());

    drop(pairs);
    hears_reset(&mut a_peer).await;
    assert_eq!(counts.waiting(Side::A), 0);
    assert!(pending.is_woken());
    assert_ready_err!(pending.poll());
    // Even where the place itself is not free.
    assert!(pending_b.is_woken());
    assert_ready_err!(pending_b.poll());
    assert_ready_err!(
        task::spawn(reserved.ready()).poll(),
        "even if it is reserved"
    );
    let (conn, mut peer) = conn();
    assert_ready_err!(task::spawn(reserved.call(conn)).poll());
    hears_reset(&mut peer).await;
}

#[tokio::test(start_paused = true)]
async fn the_pairing_ends_even_while_a_pair_is_asked_for() {
    let (mut a, _b, mut pairs) = rendezvous::<_, MemoryStream>(Policy::default());
    let (_, mut a_peer) = arrive(&mut a);
    settle().await;
    assert_pending!(task::spawn(pairs.next()).poll());
    settle().await;
    drop(pairs);
    hears_reset(&mut a_peer).await;
    assert_ready_err!(task::spawn(a.ready()).poll());
}

#[tokio::test(start_paused = true)]
async fn the_pairs_end_when_a_side_can_bring_no_more() {
    let (a, mut b, mut pairs) = rendezvous::<MemoryStream, _>(Policy::default());
    let (_, mut b_peer) = arrive(&mut b);
    settle().await;
    let clone = a.clone();
    drop(a);
    let mut asking = task::spawn(pairs.next());
    settle().await;
    assert_pending!(asking.poll(), "a clone may bring one");
    drop(clone);
    assert!(soon(asking).await.is_none());
    hears_reset(&mut b_peer).await;
    assert_ready_err!(task::spawn(b.ready()).poll());
    assert!(assert_ready!(task::spawn(pairs.next()).poll()).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_pairs_do_not_end_while_one_of_that_side_waits() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let (on_a, _a_peer) = arrive(&mut a);
    drop(a);
    settle().await;
    let mut asking = task::spawn(pairs.next());
    assert_pending!(asking.poll());
    settle().await;
    assert_pending!(asking.poll());
    let (on_b, _b_peer) = arrive(&mut b);
    let pair = soon(asking).await.unwrap().unwrap();
    assert_eq!(joined(&pair).map(|info| info.id), [on_a, on_b]);
    assert!(soon(pairs.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_pairs_end_when_the_last_of_a_side_dies_or_expires() {
    let (mut a, _b, mut pairs) = rendezvous::<_, MemoryStream>(Policy::default());
    let (_, peer) = arrive(&mut a);
    drop(a);
    settle().await;
    drop(peer);
    assert!(soon(pairs.next()).await.is_none());

    let (mut a, _b, mut pairs) =
        rendezvous::<_, MemoryStream>(Policy::default().wait(Some(SECOND)));
    let (_, _peer) = arrive(&mut a);
    drop(a);
    settle().await;
    advance(SECOND).await;
    assert!(soon(pairs.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_joined_pair_outlives_the_pairing() {
    let (mut a, mut b, mut pairs) = rendezvous(Policy::default());
    let (_, mut a_peer) = arrive(&mut a);
    let (_, b_peer) = arrive(&mut b);
    let mut pair = next(&mut pairs).await;
    drop((a, b, pairs));
    settle().await;
    a_peer.write_all(b"!").await.unwrap();
    assert_eq!(soon(pair.a.read_u8()).await.unwrap(), b'!');
    reset(b_peer);
    let error = soon(pair.b.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}
