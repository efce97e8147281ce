//! How slots are shared among the networks of strangers.

use couplet_endpoint::Origin;
use tokio::time::advance;

use super::*;
use crate::handshake::{PATIENCE, SILENCE};

const BOUND: usize = 8;

type Shaking<F> = (MemoryStream, task::Spawn<F>);

/// A connection from this address, and its peer.
fn from(ip: &str) -> (MemoryStream, Conn<MemoryStream>) {
    let (peer, io) = memory::connection(64);
    let mut conn = conn(io);
    conn.info.peer = Some((ip.parse::<std::net::IpAddr>().unwrap(), 1000).into());
    (peer, conn)
}

/// A peer of this address that is in a handshake with the service.
async fn shakes<S: Service<Conn<MemoryStream>>>(service: &mut S, ip: &str) -> Shaking<S::Future>
where
    S::Error: std::fmt::Debug,
    S::Response: std::fmt::Debug,
{
    let (peer, conn) = from(ip);
    let mut shaking = task::spawn(service.ready().await.unwrap().call(conn));
    assert_pending!(shaking.poll());
    (peer, shaking)
}

/// Which of these give way; they leave.
fn give_way<F, T>(all: &mut Vec<Shaking<F>>) -> Vec<usize>
where
    F: Future<Output = Result<T, BoxError>>,
{
    let mut gone = Vec::new();
    let mut number = 0;
    all.retain_mut(|(_, shaking)| {
        let left = match shaking.is_woken().then(|| shaking.poll()) {
            Some(Poll::Ready(Err(error))) => {
                assert!(matches!(find_cause(&*error), Some(HandshakeError::GaveWay)));
                gone.push(number);
                true
            }
            _ => false,
        };
        number += 1;
        !left
    });
    gone
}

#[tokio::test(start_paused = true)]
async fn a_flood_from_one_address_keeps_no_other_out() {
    let layer = HandshakeLayer::new(Expect(b'!')).bound(BOUND);
    let mut service = layer.layer(give_back());
    let mut flood = Vec::new();
    for _ in 0..=BOUND {
        flood.push(shakes(&mut service, "192.0.2.1").await);
    }
    // One address may use all slots. Its next connection waits for a silent one to give way.
    let mut other = service.clone();
    let mut is_ready = becomes_ready::<Conn<MemoryStream>, _>(&mut other);
    assert_pending!(is_ready.poll());
    advance(SILENCE - Duration::from_millis(1)).await;
    assert_pending!(is_ready.poll());
    assert!(give_way(&mut flood).is_empty());
    advance(Duration::from_millis(1)).await;
    assert_pending!(is_ready.poll());
    assert_eq!(give_way(&mut flood), [0]);
    assert!(is_ready.is_woken());
    assert_ready_eq!(is_ready.poll(), true);
    drop(is_ready);

    // A newcomer of another address has a claim at once.
    let (mut peer, conn) = from("192.0.2.2");
    peer.write_all(b"!").await.unwrap();
    other.call(conn).await.unwrap();
    assert_eq!(give_way(&mut flood), [0]);
    assert_eq!(flood.len(), BOUND - 1);
}

#[tokio::test(start_paused = true)]
async fn the_quietest_of_the_largest_network_gives_way() {
    let layer = HandshakeLayer::new(silence::<Conn<MemoryStream>>).bound(4);
    let mut service = layer.layer(give_back());
    let mut all = Vec::new();
    // An IPv6 network of 64 bits is one, and has three of four slots.
    for ip in ["198.51.100.7", "2001:db8::1", "2001:db8::2", "2001:db8::3"] {
        all.push(shakes(&mut service, ip).await);
        advance(Duration::from_millis(1)).await;
    }
    // Its first is not the quietest.
    assert_pending!(all[1].1.poll());
    all.push(shakes(&mut service, "203.0.113.9").await);
    assert_eq!(give_way(&mut all), [2]);
    all.push(shakes(&mut service, "203.0.113.10").await);
    assert_eq!(give_way(&mut all), [2]);
    // Each network holds one slot now: no newcomer has a claim before a peer has been silent.
    all.push(shakes(&mut service, "203.0.113.11").await);
    assert!(give_way(&mut all).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_a_byte_now_and_then_gives_way_too() {
    let layer = HandshakeLayer::new(silence::<Conn<MemoryStream>>).bound(1);
    let mut service = layer.layer(give_back());
    let mut all = vec![
        shakes(&mut service, "192.0.2.1").await,
        shakes(&mut service, "192.0.2.1").await,
    ];
    let mut is_ready = becomes_ready::<Conn<MemoryStream>, _>(&mut service);
    let step = SILENCE / 2;
    for _ in 0..PATIENCE.div_duration_f32(step) as u32 {
        assert_pending!(is_ready.poll());
        assert!(give_way(&mut all).is_empty());
        for (_, shaking) in &mut all {
            assert_pending!(shaking.poll());
        }
        advance(step).await;
    }
    assert_pending!(is_ready.poll());
    assert_eq!(give_way(&mut all).len(), 1);
    assert_ready_eq!(is_ready.poll(), true);
}

#[tokio::test(start_paused = true)]
async fn only_strangers_in_a_handshake_give_way() {
    // Peers that have shaken hands, and wait for the inner service.
    let inner = ConcurrencyLimit::new(give_back(), 1);
    let mut busy = inner.clone();
    busy.ready().await.unwrap();
    let layer = HandshakeLayer::new(async |conn: Conn<MemoryStream>| Ok::<_, BoxError>(conn));
    let mut service = layer.bound(2).layer(inner);
    let mut all = Vec::new();
    for _ in 0..2 {
        all.push(shakes(&mut service, "192.0.2.1").await);
    }
    let mut is_ready = becomes_ready::<Conn<MemoryStream>, _>(&mut service);
    assert_pending!(is_ready.poll(), "the bound is exact");
    advance(60 * SECOND).await;
    assert_pending!(is_ready.poll());
    assert!(give_way(&mut all).is_empty());

    // Peers that we have dialled.
    let layer = HandshakeLayer::new(silence::<Conn<MemoryStream>>)
        .timeout(None)
        .bound(1);
    let mut service = layer.layer(give_back());
    let (_peer, mut conn) = from("192.0.2.1");
    conn.info.origin = Origin::Dialled;
    let mut dialled = task::spawn(service.ready().await.unwrap().call(conn));
    assert_pending!(dialled.poll());
    let mut is_ready = becomes_ready::<Conn<MemoryStream>, _>(&mut service);
    assert_pending!(is_ready.poll());
    advance(60 * SECOND).await;
    assert_pending!(is_ready.poll());
    assert_pending!(dialled.poll());
}

#[tokio::test(start_paused = true)]
async fn every_slot_comes_back() {
    let layer = HandshakeLayer::new(silence::<Conn<MemoryStream>>).bound(BOUND);
    let mut service = layer.layer(give_back());
    for _ in 0..3 {
        let mut all = Vec::new();
        for number in 0..3 * BOUND {
            // Each network in turn: many have to give way.
            let ip = format!("192.0.2.{}", number % 3);
            let mut is_ready = becomes_ready::<Conn<MemoryStream>, _>(&mut service);
            while is_ready.poll().is_pending() {
                advance(SILENCE).await;
                give_way(&mut all);
            }
            drop(is_ready);
            all.push(shakes(&mut service, &ip).await);
            give_way(&mut all);
            assert!(all.len() <= BOUND + 1);
        }
        drop(all);
        let reserved: Vec<_> = (0..BOUND).map(|_| service.clone()).collect();
        let mut held = Vec::new();
        for mut service in reserved {
            service.ready().await.unwrap();
            held.push(service);
        }
        assert_pending!(becomes_ready::<Conn<MemoryStream>, _>(&mut service.clone()).poll());
    }
}
