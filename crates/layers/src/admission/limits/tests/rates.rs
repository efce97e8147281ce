use std::{num::NonZeroU32, time::Duration};

use proptest::prelude::*;
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready_ok};
use tower_layer::Layer;

use super::{come, enter, give_back, refused};
use crate::{
    ConnRateLayer, LimitCounts, Over, OverLimit, Rate,
    admission::limits::{Limit, Queue, rate::CLIENTS},
};

const SECOND: Duration = Duration::from_secs(1);

fn rate(count: u32, time: Duration) -> Rate {
    Rate::new(NonZeroU32::new(count).unwrap(), time)
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_and_then_one_client_per_fraction_of_the_time() {
    let counts = LimitCounts::new();
    let layer = ConnRateLayer::overall(rate(4, SECOND)).counts(counts.clone());
    let mut service = layer.layer(give_back());
    for host in 0..4 {
        enter(&mut service, [10, 0, 0, host]).await;
    }
    let why = refused(&mut service, [10, 0, 0, 4]).await;
    assert_eq!(why, OverLimit::Refused(Limit::Rate(rate(4, SECOND))));
    assert_eq!(
        why.to_string(),
        "connection over the limit of new connections, 4 in 1s"
    );
    advance(Duration::from_millis(249)).await;
    refused(&mut service, [10, 0, 0, 4]).await;
    advance(Duration::from_millis(1)).await;
    enter(&mut service, [10, 0, 0, 4]).await;
    refused(&mut service, [10, 0, 0, 5]).await;
    advance(SECOND).await;
    for host in 0..4 {
        enter(&mut service, [10, 0, 0, host]).await;
    }
    refused(&mut service, [10, 0, 0, 4]).await;
    assert_eq!((counts.admitted(), counts.refused()), (9, 4));
}

#[tokio::test(start_paused = true)]
async fn services_of_a_shared_layer_count_together() {
    let layer = ConnRateLayer::overall(rate(1, SECOND)).shared();
    let mut one = layer.layer(give_back());
    let mut other = layer.clone().layer(give_back());
    enter(&mut one, [10, 0, 0, 1]).await;
    refused(&mut other, [10, 0, 0, 1]).await;
    advance(SECOND).await;
    enter(&mut other, [10, 0, 0, 1]).await;
    refused(&mut one, [10, 0, 0, 1]).await;
}

#[tokio::test(start_paused = true)]
async fn every_address_has_its_own_rate() {
    let mut service = ConnRateLayer::per_address(rate(1, 60 * SECOND)).layer(give_back());
    enter(&mut service, [10, 0, 0, 1]).await;
    let why = refused(&mut service, [10, 0, 0, 1]).await;
    let text = "connection over the limit of new connections of one address, 1 in 1m";
    assert_eq!(why.to_string(), text);
    enter(&mut service, [10, 0, 0, 2]).await;
    advance(60 * SECOND).await;
    enter(&mut service, [10, 0, 0, 1]).await;
}

#[tokio::test(start_paused = true)]
async fn queued_clients_go_on_at_the_rate_in_order() {
    let layer = ConnRateLayer::per_address(rate(2, SECOND)).over(Over::Queue(Queue::new()));
    let mut service = layer.layer(give_back());
    enter(&mut service, [10, 0, 0, 1]).await;
    enter(&mut service, [10, 0, 0, 1]).await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let (peer, mut coming) = come(&mut service, [10, 0, 0, 1]).await;
        assert_pending!(coming.poll());
        waiting.push((peer, coming));
    }
    for _ in 0..4 {
        advance(SECOND / 2).await;
        // No connection passes one that waits.
        let (_peer, mut late) = come(&mut service, [10, 0, 0, 1]).await;
        assert_pending!(late.poll());
        let (_, mut first) = waiting.remove(0);
        assert_ready_ok!(first.poll());
        for (_, other) in &mut waiting {
            assert_pending!(other.poll());
        }
    }
    assert_eq!(service.limiter().waited_for(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_queued_client_is_closed_at_its_deadline() {
    let over = Over::Queue(Queue::new().timeout(2 * SECOND));
    let layer = ConnRateLayer::overall(rate(1, SECOND)).over(over);
    let mut service = layer.layer(give_back());
    enter(&mut service, [10, 0, 0, 1]).await;
    let (mut waiting, mut peers) = (Vec::new(), Vec::new());
    for host in 0..5 {
        let (peer, mut coming) = come(&mut service, [10, 0, 0, host]).await;
        assert_pending!(coming.poll());
        peers.push(peer);
        waiting.push(tokio::spawn(coming));
    }
    let start = Instant::now();
    let mut admitted = 0;
    for coming in waiting {
        match coming.await.unwrap() {
            Ok(_) => admitted += 1,
            Err(error) => assert!(matches!(
                *error.downcast().unwrap(),
                OverLimit::Timeout(Limit::Rate(_), time) if time == 2 * SECOND
            )),
        }
    }
    // The third may come just as the time is over.
    assert!((1..=2).contains(&admitted), "{admitted}");
    assert_eq!(start.elapsed(), 2 * SECOND);
    assert_eq!(service.limiter().waited_for(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_address_is_forgotten_when_its_rate_has_recovered() {
    let mut service = ConnRateLayer::per_address(rate(2, SECOND)).layer(give_back());
    for host in 0..100 {
        enter(&mut service, [10, 0, 0, host]).await;
    }
    assert_eq!(service.limiter().remembered(), 100);
    advance(61 * SECOND).await;
    enter(&mut service, [10, 0, 0, 200]).await;
    assert_eq!(service.limiter().remembered(), 1);
}

#[tokio::test(start_paused = true)]
async fn addresses_beyond_the_table_share_one_rate() {
    let mut service = ConnRateLayer::per_address(rate(2, 3600 * SECOND)).layer(give_back());
    for number in 0..u32::try_from(CLIENTS).unwrap() {
        enter(&mut service, (0x0a00_0000 + number).to_be_bytes()).await;
    }
    // A known client still has its own bucket.
    enter(&mut service, [10, 0, 0, 1]).await;
    refused(&mut service, [10, 0, 0, 1]).await;
    enter(&mut service, [192, 0, 2, 1]).await;
    enter(&mut service, [192, 0, 2, 2]).await;
    refused(&mut service, [192, 0, 2, 3]).await;
    assert_eq!(service.limiter().remembered(), CLIENTS + 1);
    // Until there is room again.
    advance(2 * 3600 * SECOND).await;
    enter(&mut service, [192, 0, 2, 3]).await;
    assert_eq!(service.limiter().remembered(), 1);
}

#[tokio::test(start_paused = true)]
async fn extreme_rates_hold() {
    for rate in [
        rate(u32::MAX, Duration::ZERO),
        rate(u32::MAX, Duration::MAX),
        rate(1, Duration::MAX),
        rate(u32::MAX, Duration::from_nanos(1)),
    ] {
        let mut service = ConnRateLayer::per_address(rate).layer(give_back());
        enter(&mut service, [10, 0, 0, 1]).await;
        advance(Duration::from_secs(400 * 24 * 3600)).await;
        enter(&mut service, [10, 0, 0, 1]).await;
    }
}

proptest! {
    /// In any time, no more connections are let in than at once and one for each fraction that has
    /// passed; and no fewer of those that come.
    #[test]
    fn the_rate_is_kept_over_time(
        count in 1..6_u32,
        pauses in proptest::collection::vec(0..700_u64, 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut service = ConnRateLayer::overall(rate(count, SECOND)).layer(give_back());
            let fraction = SECOND / count;
            let mut admitted: Vec<Instant> = Vec::new();
            for pause in pauses {
                advance(Duration::from_millis(pause)).await;
                let (_, coming) = come(&mut service, [10, 0, 0, 1]).await;
                let now = Instant::now();
                // With this one, does any time that ends now hold too many?
                let too_many = admitted.iter().rev().zip(2_u32..).any(|(first, with_it)| {
                    with_it > count && now - *first < fraction * (with_it - count)
                });
                prop_assert_eq!(coming.await.is_err(), too_many);
                if !too_many {
                    admitted.push(now);
                }
            }
            Ok(())
        })?;
    }
}
