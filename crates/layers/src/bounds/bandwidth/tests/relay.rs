use std::{future::poll_fn, net::Ipv4Addr, sync::Arc, time::Duration};

use couplet_endpoint::{
    PeerNetwork, Side,
    memory::{self, MemoryStream},
};
use couplet_pairing::{CloseReason, Pair, Session};
use couplet_relay::Relay;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};
use tower::{ServiceBuilder, ServiceExt};
use tower_layer::Layer;

use super::{MIB, rate, rate_and_burst};
use crate::{
    BandwidthLayer, IdleTimeoutLayer,
    bounds::bandwidth::{addresses::Addresses, bucket::Lane},
    testing::{Relayed, conn, read_all, read_some, relay, relay_between},
};

const BUFFER: usize = 64 * 1024;

/// Sends for ever.
fn flood(mut peer: MemoryStream) {
    tokio::spawn(async move { while peer.write_all(&[b'x'; 16 * 1024]).await.is_ok() {} });
}

/// Reads for this long, and tells how much came.
async fn read_for(peer: &mut MemoryStream, time: Duration) -> u64 {
    let mut buf = vec![0; BUFFER];
    let mut heard = 0;
    let until = Instant::now() + time;
    while let Ok(read) = tokio::time::timeout_at(until, peer.read(&mut buf)).await {
        heard += read.unwrap() as u64;
    }
    heard
}

/// Reads for ever.
fn drain(mut peer: MemoryStream) {
    tokio::spawn(async move { read_for(&mut peer, Duration::from_secs(100_000)).await });
}

/// A pair whose client comes from there, relayed below the layer.
fn relay_from(layer: &BandwidthLayer, client: &str) -> (MemoryStream, MemoryStream, Session) {
    let (a, a_io) = memory::connection(BUFFER);
    let (b, b_io) = memory::connection(BUFFER);
    let mut client_conn = conn(a_io);
    client_conn.info.peer = Some(client.parse().unwrap());
    let pair = Pair::new(client_conn, conn(b_io));
    let session = pair.session.handle();
    tokio::spawn(layer.layer(Relay::new()).oneshot(pair));
    (a, b, session)
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_is_always_ready_gets_the_rate_exactly() {
    for (per_second, seconds) in [(1, 600), (7, 100), (1000, 30), (77_777, 10), (20 * MIB, 5)] {
        let Relayed { a, mut b, .. } = relay(BandwidthLayer::per_pair(rate(per_second)), BUFFER);
        flood(a);
        let heard = read_for(&mut b, Duration::from_secs(seconds)).await;
        // A burst at the start; the last turn may not have come yet.
        let most = per_second * seconds + (per_second / 10).max(1);
        let least = most - (per_second / 50).max(1);
        assert!(
            (least..=most).contains(&heard),
            "{heard} bytes at {per_second} in {seconds} s"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_burst_passes_at_once() {
    let layer = BandwidthLayer::per_pair(rate_and_burst(MIB, 5000));
    let Relayed {
        a, b: _b, session, ..
    } = relay(layer.clone(), 16 * BUFFER);
    flood(a);
    tokio::time::sleep(Duration::from_micros(1)).await;
    assert_eq!(session.meter().bytes(Side::A), 5000);

    // A sender that was silent for long has no more.
    let Relayed {
        a, b: _b, session, ..
    } = relay(layer, 16 * BUFFER);
    tokio::time::sleep(Duration::from_secs(1000)).await;
    flood(a);
    tokio::time::sleep(Duration::from_micros(1)).await;
    assert_eq!(session.meter().bytes(Side::A), 5000);
}

#[tokio::test(start_paused = true)]
async fn both_directions_share_a_rate_unless_the_rate_is_for_one() {
    let layer = BandwidthLayer::per_pair(rate(50_000));
    for (layer, expected) in [
        (layer.clone(), [Some(250_000), Some(250_000)]),
        (layer.clone().only(Side::A), [Some(500_000), None]),
        (layer.only(Side::B), [None, Some(500_000)]),
    ] {
        let (a, a_io) = memory::connection(4096);
        let (b, b_io) = memory::connection(4096);
        let (session, _end) = relay_between(layer, a_io, b_io);
        for peer in [a, b] {
            let (mut hears, mut says) = tokio::io::split(peer);
            tokio::spawn(async move { while says.write_all(&[0; 1000]).await.is_ok() {} });
            tokio::spawn(async move {
                while hears.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {
                    // So that time goes on where there is no bound.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        for (from, expected) in [Side::A, Side::B].into_iter().zip(expected) {
            let moved = session.meter().bytes(from);
            match expected {
                Some(expected) => assert!(moved.abs_diff(expected) <= 5000, "{moved}"),
                None => assert!(moved > 10_000_000, "{moved}"),
            }
        }
        session.close(CloseReason::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn pairs_that_share_a_rate_get_equal_parts() {
    let layer = BandwidthLayer::shared(rate(400_000));
    let sessions = [(); 4].map(|()| {
        let (a, b, session) = relay_from(&layer, "192.0.2.1:1");
        flood(a);
        drain(b);
        session
    });
    let (mut quiet, mut quiet_b, _) = relay_from(&layer, "192.0.2.1:2");
    // The pair that came first had the burst.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = sessions.each_ref().map(|s| s.meter().bytes(Side::A));
    for second in 1..=10 {
        // One that has little to say waits for a turn of each of the others, and not for more.
        let said = Instant::now();
        quiet.write_all(b"a word").await.unwrap();
        assert_eq!(read_some(&mut quiet_b, 6).await, b"a word");
        let waited = said.elapsed();
        assert!(waited <= Duration::from_millis(4 * 20), "{waited:?}");

        tokio::time::sleep_until(said + Duration::from_secs(1)).await;
        for (session, before) in sessions.iter().zip(before) {
            let moved = session.meter().bytes(Side::A) - before;
            assert!(
                moved.abs_diff(100_000 * second) <= 8000,
                "{moved} in {second} s"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_lowest_of_several_rates_counts_and_the_rest_is_left_to_others() {
    let shared = BandwidthLayer::shared(rate(10_000_000));
    let both = ServiceBuilder::new()
        .layer(shared.clone())
        .layer(BandwidthLayer::per_pair(rate(1_000_000)))
        .into_inner();
    let Relayed {
        a,
        b,
        session: slow,
        ..
    } = relay(both, BUFFER);
    flood(a);
    drain(b);
    let fast = [(); 5].map(|()| {
        let Relayed { a, b, session, .. } = relay(shared.clone(), BUFFER);
        flood(a);
        drain(b);
        session
    });
    tokio::time::sleep(Duration::from_secs(10)).await;
    let slow = slow.meter().bytes(Side::A);
    assert!((9_980_000..=10_100_000).contains(&slow), "{slow}");
    let fast = fast.map(|session| session.meter().bytes(Side::A));
    let sum = slow + fast.iter().sum::<u64>();
    assert!(
        (100_800_000..=101_000_000).contains(&sum),
        "{sum}: none is lost"
    );
}

#[tokio::test(start_paused = true)]
async fn an_address_is_bounded_however_many_pairs_it_has() {
    let layer = BandwidthLayer::per_address(Side::A, rate(100_000));
    let clients = [
        ("[2001:db8::1]:1", 505_000),
        ("[2001:db8::2]:2", 505_000),
        ("[2001:db8:0:1::1]:3", 1_010_000),
        ("192.0.2.1:4", 505_000),
        ("[::ffff:192.0.2.1]:5", 505_000),
    ];
    let sessions = clients.map(|(client, _)| {
        let (a, b, session) = relay_from(&layer, client);
        flood(a);
        drain(b);
        session
    });
    tokio::time::sleep(Duration::from_secs(10)).await;
    for ((client, expected), session) in clients.into_iter().zip(sessions) {
        let moved = session.meter().bytes(Side::A);
        assert!(moved.abs_diff(expected) <= 8000, "{client}: {moved}");
    }
}

/// A client that comes again gets no new burst; one that stays away is forgotten.
#[tokio::test(start_paused = true)]
async fn an_address_is_remembered_until_it_is_as_good_as_new() {
    let addresses = Addresses::new(rate(1000));
    let peer = |n| PeerNetwork::of(Some(Ipv4Addr::from_bits(n).into()));
    let bucket = addresses.bucket(peer(0));
    let mut lane = Lane::default();
    let n = poll_fn(|cx| bucket.poll_reserve(&mut lane, cx, u32::MAX)).await;
    bucket.settle(&mut lane, n);
    let used = Arc::downgrade(&bucket);
    drop(bucket);
    for n in 1..1000 {
        addresses.bucket(peer(n));
    }
    assert!(used.upgrade().is_some());
    tokio::time::advance(Duration::from_millis(20)).await;
    for n in 1000..2000 {
        addresses.bucket(peer(n));
    }
    assert!(used.upgrade().is_none());
    assert!(addresses.len() <= 64);
}

#[tokio::test(start_paused = true)]
async fn a_pair_held_up_by_its_rate_is_not_idle() {
    // A turn takes a tenth of a second, and twenty pairs take turns.
    let layer = ServiceBuilder::new()
        .layer(IdleTimeoutLayer::new(Duration::from_secs(1)))
        .layer(BandwidthLayer::shared(rate_and_burst(10, 1)))
        .into_inner();
    let ends = [(); 20].map(|()| {
        let Relayed { a, b, end, .. } = relay(layer.clone(), 64);
        flood(a);
        drain(b);
        end
    });
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(ends.iter().all(|end| !end.is_finished()));

    // A pair with nothing to send is, once it has had its turn.
    let Relayed {
        a: _a, b: _b, end, ..
    } = relay(layer, 64);
    let summary = end.await.unwrap().unwrap();
    assert_eq!(summary.reason, CloseReason::IdleTimeout);
}

/// A pair that is dropped while it waits leaves the line.
#[tokio::test(start_paused = true)]
async fn a_peer_that_left_holds_up_no_other_pair() {
    let layer = BandwidthLayer::shared(rate(1000));
    let mut pairs = [(); 5].map(|()| {
        let Relayed { a, b, end, .. } = relay(layer.clone(), BUFFER);
        flood(a);
        (b, end)
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let [gone @ .., (peer, _)] = &mut pairs;
    for (_, end) in gone {
        end.abort();
    }
    let moved = read_for(peer, Duration::from_secs(10)).await;
    assert!(moved >= 10_000, "{moved}");
}

#[tokio::test(start_paused = true)]
async fn a_fast_sender_is_held_up() {
    let layer = BandwidthLayer::per_pair(rate(1000));
    let Relayed {
        mut a,
        b: _b,
        session,
        ..
    } = relay(layer, 4096);
    let mut written = 0;
    let until = Instant::now() + Duration::from_secs(3);
    while let Ok(wrote) = tokio::time::timeout_at(until, a.write(&[0; 100])).await {
        written += wrote.unwrap() as u64;
    }
    let delivered = session.meter().bytes(Side::A);
    assert!((3080..=3100).contains(&delivered), "{delivered}");
    assert!(
        written <= delivered + 4096,
        "{written}: none is taken early"
    );
}

#[tokio::test(start_paused = true)]
async fn the_end_comes_after_the_bytes() {
    let layer = BandwidthLayer::per_pair(rate(1000));
    let Relayed {
        mut a, mut b, end, ..
    } = relay(layer, BUFFER);
    a.write_all(&[7; 2000]).await.unwrap();
    a.shutdown().await.unwrap();
    let (heard, ended) = read_all(&mut b).await;
    assert_eq!(heard, [7; 2000]);
    ended.unwrap();
    drop(b);
    let summary = end.await.unwrap().unwrap();
    assert_eq!(summary.reason, CloseReason::Finished(Side::A));
    assert!(summary.duration >= Duration::from_millis(1900));
}
