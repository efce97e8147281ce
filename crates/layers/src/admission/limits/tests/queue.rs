use std::{
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{Conn, memory::MemoryStream};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok};
use tower::{Service, ServiceExt, limit::ConcurrencyLimit};
use tower_layer::Layer;

use super::{Open, come, enter, give_back, refused, why};
use crate::{
    ConnLimitLayer, LimitCounts, LiveLimitLayer, Over, OverLimit,
    admission::limits::{Limit, Queue},
    testing::{becomes_ready, read_all},
};

const SECOND: Duration = Duration::from_secs(1);

fn queue(bound: usize) -> Over {
    Over::Queue(Queue::new().bound(bound))
}

#[tokio::test(start_paused = true)]
async fn queued_clients_go_on_in_order_when_there_is_room() {
    let counts = LimitCounts::new();
    let layer = ConnLimitLayer::per_address(1).over(queue(8));
    let mut service = layer.counts(counts.clone()).layer(give_back());
    let open = enter(&mut service, [10, 0, 0, 1]).await;
    let (_first_peer, mut first) = come(&mut service, [10, 0, 0, 1]).await;
    assert_pending!(first.poll());
    let (_second_peer, mut second) = come(&mut service, [10, 0, 0, 1]).await;
    assert_pending!(second.poll());
    let _other = enter(&mut service, [10, 0, 0, 2]).await;
    assert_eq!(counts.waiting(), 2);

    drop(open);
    // No connection passes one that waits.
    let (_third_peer, mut third) = come(&mut service, [10, 0, 0, 1]).await;
    assert_pending!(third.poll());
    let first = assert_ready_ok!(first.poll());
    assert_pending!(second.poll());
    drop(first);
    let second = assert_ready_ok!(second.poll());
    drop(second);
    drop(assert_ready_ok!(third.poll()));
    assert_eq!(counts.waiting(), 0);
    assert_eq!((counts.admitted(), counts.refused()), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_queued_client_is_closed_at_its_deadline() {
    let counts = LimitCounts::new();
    let over = Over::Queue(Queue::new().timeout(3 * SECOND));
    let layer = ConnLimitLayer::overall(1).over(over).counts(counts.clone());
    let mut service = layer.layer(give_back());
    let open = enter(&mut service, [10, 0, 0, 1]).await;
    let (mut peer, mut coming) = come(&mut service, [10, 0, 0, 2]).await;
    assert_pending!(coming.poll());
    tokio::time::advance(3 * SECOND - Duration::from_millis(1)).await;
    assert_pending!(coming.poll());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(coming.is_woken());
    let error = assert_ready_err!(coming.poll());
    let why = why(Err::<(), _>(error));
    assert_eq!(why, OverLimit::Timeout(Limit::Conns(1), 3 * SECOND));
    let text = "connection still over the limit of 1 open connections after 3s";
    assert_eq!(why.to_string(), text);
    assert!(read_all(&mut peer).await.0.is_empty());
    assert_eq!((counts.waiting(), counts.refused()), (0, 1));
    drop(open);
    assert_eq!(service.limiter().clients(), 0);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_queue_a_client_is_refused() {
    let mut service = ConnLimitLayer::overall(0)
        .over(Over::Queue(Queue::new().bound(3).per_address(2)))
        .layer(give_back());
    let first = come(&mut service, [10, 0, 0, 1]).await;
    let _second = come(&mut service, [10, 0, 0, 1]).await;
    let why = refused(&mut service, [10, 0, 0, 1]).await;
    assert_eq!(why, OverLimit::QueueFull(Limit::Conns(0)));
    let text = "connection over the limit of 0 open connections, and its queue is full";
    assert_eq!(why.to_string(), text);
    let _third = come(&mut service, [10, 0, 0, 2]).await;
    // No client's share would become fairer.
    refused(&mut service, [10, 0, 0, 3]).await;
    drop(first);
    let (_peer, mut fourth) = come(&mut service, [10, 0, 0, 3]).await;
    assert_pending!(fourth.poll());
}

#[tokio::test(start_paused = true)]
async fn a_future_dropped_in_the_queue_leaves_nothing_behind() {
    let counts = LimitCounts::new();
    let layer = ConnLimitLayer::per_address(0).over(queue(1));
    let mut service = layer.counts(counts.clone()).layer(give_back());
    for polled in [false, true] {
        let (mut peer, mut coming) = come(&mut service, [10, 0, 0, 1]).await;
        if polled {
            assert_pending!(coming.poll());
        }
        assert_eq!(counts.waiting(), 1);
        drop(coming);
        assert!(read_all(&mut peer).await.0.is_empty());
        assert_eq!(counts.waiting(), 0);
        assert_eq!(service.limiter().clients(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_has_room_for_an_address_with_fewer() {
    let counts = LimitCounts::new();
    let over = Over::Queue(Queue::new().bound(3).per_address(3));
    let layer = ConnLimitLayer::overall(0).over(over).counts(counts.clone());
    let mut service = layer.layer(give_back());
    let (_first, mut first) = come(&mut service, [10, 0, 0, 1]).await;
    let _second = come(&mut service, [10, 0, 0, 1]).await;
    let _third = come(&mut service, [10, 0, 0, 1]).await;
    assert_pending!(first.poll());
    let (_other, mut other) = come(&mut service, [10, 0, 0, 2]).await;
    assert_pending!(other.poll());
    assert!(first.is_woken());
    let why = why(Err::<(), _>(assert_ready_err!(first.poll())));
    assert_eq!(why, OverLimit::QueueFull(Limit::Conns(0)));
    assert_eq!((counts.waiting(), counts.refused()), (3, 1));
    refused(&mut service, [10, 0, 0, 2]).await;
}

#[tokio::test(start_paused = true)]
async fn addresses_in_the_queue_take_turns() {
    let layer = ConnLimitLayer::overall(1).over(queue(100));
    let mut service = layer.layer(give_back());
    let mut open = enter(&mut service, [10, 0, 0, 9]).await;
    let mut waiting = Vec::new();
    for address in [1, 1, 1, 1, 2, 2, 3] {
        let (peer, mut coming) = come(&mut service, [10, 0, 0, address]).await;
        assert_pending!(coming.poll());
        waiting.push((address, peer, coming));
    }
    let mut served = Vec::new();
    while !waiting.is_empty() {
        drop(open);
        let (at, next) = waiting
            .iter_mut()
            .enumerate()
            .find_map(|(at, (_, _, coming))| match coming.poll() {
                Poll::Ready(next) => Some((at, next.unwrap())),
                Poll::Pending => None,
            })
            .expect("one is let in");
        open = next;
        served.push(waiting.remove(at).0);
    }
    assert_eq!(served, [1, 2, 3, 1, 2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_noticed_at_once_and_bytes_are_kept() {
    use couplet_endpoint::Io;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let counts = LimitCounts::new();
    let layer = ConnLimitLayer::overall(1)
        .over(queue(8))
        .counts(counts.clone());
    let mut service = layer.layer(give_back());
    let open = enter(&mut service, [10, 0, 0, 1]).await;
    for says in [&b""[..], b"hello"] {
        for resets in [true, false] {
            let (mut peer, mut coming) = come(&mut service, [10, 0, 0, 2]).await;
            assert_pending!(coming.poll());
            peer.write_all(says).await.unwrap();
            // Read ahead before the reset, which would discard the bytes.
            assert_pending!(coming.poll());
            match resets {
                true => peer.abort(),
                false => peer.shutdown().await.unwrap(),
            }
            drop(peer);
            if says.is_empty() || resets {
                assert!(coming.is_woken());
                let why = why(Err::<(), _>(assert_ready_err!(coming.poll())));
                assert_eq!(why, OverLimit::Gone(Limit::Conns(1)));
            } else {
                assert_pending!(coming.poll());
            }
        }
    }
    // A client that sent bytes and ended its stream stays, and its bytes are read.
    let (mut peer, mut coming) = come(&mut service, [10, 0, 0, 2]).await;
    peer.write_all(b"hello").await.unwrap();
    peer.shutdown().await.unwrap();
    assert_pending!(coming.poll());
    drop(open);
    let mut conn = assert_ready_ok!(coming.poll());
    let mut heard = String::new();
    conn.io.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "hello");
    assert_eq!(counts.refused(), 0);
}

#[test]
fn a_queue_without_room_is_refused() {
    for make in [|| Queue::new().bound(0), || Queue::new().per_address(0)] {
        std::panic::catch_unwind(make).expect_err("it panics");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_that_wait_for_the_inner_service_keep_their_order() {
    let inner = ConcurrencyLimit::new(give_back::<Open>(), 1);
    let mut busy = inner.clone();
    let over = Over::Queue(Queue::new().bound(1).timeout(3 * SECOND));
    let layer = ConnLimitLayer::overall(8).over(over);
    let mut service = layer.layer(inner);
    busy.ready().await.unwrap();
    let (_peer, mut coming) = come(&mut service, [10, 0, 0, 1]).await;
    assert_pending!(coming.poll());
    refused(&mut service, [10, 0, 0, 2]).await;
    drop(busy);
    assert!(coming.is_woken());
    drop(assert_ready_ok!(coming.poll()));
    assert_eq!(service.limiter().clients(), 0);
}

/// The accept loop asks for capacity as soon as it can: it must not take the place of a connection that waits.
#[tokio::test(start_paused = true)]
async fn a_queued_client_gets_the_only_slot() {
    let only = LiveLimitLayer::new(1).layer(give_back());
    let mut service = ConnLimitLayer::overall(1).over(queue(8)).layer(only);
    let open = enter(&mut service, [10, 0, 0, 1]).await;
    let (_peer, mut coming) = come(&mut service, [10, 0, 0, 2]).await;
    assert_pending!(coming.poll());
    assert!(assert_ready!(
        becomes_ready::<Conn<MemoryStream>, _>(&mut service).poll()
    ));
    drop(open);
    assert_ready_ok!(coming.poll());
}

#[tokio::test]
async fn the_error_of_an_ended_inner_service_is_passed_on() {
    let ended = ConcurrencyLimit::new(Ended, 1);
    let mut service = ConnLimitLayer::overall(1).over(queue(8)).layer(ended);
    let (_peer, coming) = come(&mut service, [10, 0, 0, 1]).await;
    assert_eq!(coming.await.unwrap_err().to_string(), "ended");
}

/// An inner service that takes no more.
#[derive(Clone)]
struct Ended;

impl Service<Conn<Open>> for Ended {
    type Response = ();
    type Error = &'static str;
    type Future = std::future::Ready<Result<(), &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Err("ended"))
    }

    fn call(&mut self, _: Conn<Open>) -> Self::Future {
        panic!("called without being ready")
    }
}
