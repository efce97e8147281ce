//! Five hundred clients of one address don't delay one of another.

use couplet_endpoint::{BoxError, Conn, memory::MemoryStream};
use tower::{Service, ServiceBuilder};
use tower_layer::Layer;

use super::{come, enter, give_back};
use crate::{ConnLimitLayer, LimitCounts, Over, admission::limits::Queue};

const CROWD: usize = 500;
const LIMIT: usize = 4;

/// The crowd comes and stays; how many of it are let in, and how many wait. All the while, others
/// are let in at once.
async fn flood<S>(mut service: S) -> [usize; 2]
where
    S: Service<Conn<MemoryStream>, Error = BoxError, Future: Send + 'static>,
{
    let mut crowd = Vec::new();
    let mut peers = Vec::new();
    let [mut inside, mut waiting] = [0, 0];
    for number in 0..CROWD {
        let (peer, mut coming) = come(&mut service, [10, 0, 0, 1]).await;
        peers.push(peer);
        match coming.poll() {
            std::task::Poll::Ready(Ok(conn)) => {
                inside += 1;
                crowd.push(Ok(conn));
            }
            std::task::Poll::Ready(Err(_)) => {}
            std::task::Poll::Pending => {
                waiting += 1;
                crowd.push(Err(coming));
            }
        }
        let [.., high, low] = number.to_be_bytes();
        enter(&mut service, [192, 0, high, low]).await;
    }
    for coming in crowd.iter_mut().filter_map(|came| came.as_mut().err()) {
        assert!(coming.poll().is_pending());
    }
    [inside, waiting]
}

fn overs() -> [(Over, usize); 2] {
    let queue = Queue::new();
    [(Over::Refuse, 0), (Over::Queue(queue), 32)]
}

#[tokio::test(start_paused = true)]
async fn a_flood_meets_a_limit_on_open_connections() {
    for (over, wait) in overs() {
        let counts = LimitCounts::new();
        let layer = ConnLimitLayer::per_address(LIMIT).over(over);
        let service = layer.counts(counts.clone()).layer(give_back());
        assert_eq!(flood(service).await, [LIMIT, wait]);
        assert_eq!(counts.refused(), (CROWD - LIMIT - wait) as u64);
    }
}

/// There are places for the crowd's share and one more. Waiting connections of the crowd wait for a
/// place of their own share.
#[tokio::test(start_paused = true)]
async fn a_flood_meets_a_side_with_few_slots() {
    for (over, wait) in overs() {
        let service = ServiceBuilder::new()
            .layer(ConnLimitLayer::per_address(LIMIT).over(over))
            .layer(ConnLimitLayer::overall(LIMIT + 1).over(over))
            .service(give_back());
        assert_eq!(flood(service).await, [LIMIT, wait]);
    }
}

#[cfg(feature = "rate-limit")]
#[tokio::test(start_paused = true)]
async fn a_flood_meets_a_limit_on_the_rate() {
    use std::{num::NonZeroU32, time::Duration};

    use crate::{ConnRateLayer, Rate};

    let rate = |count| Rate::new(NonZeroU32::new(count).unwrap(), Duration::from_secs(1));
    for (over, wait) in overs() {
        let service = ServiceBuilder::new()
            .layer(ConnRateLayer::per_address(rate(4)).over(over))
            .layer(ConnRateLayer::overall(rate(4 + 500)).over(over))
            .service(give_back());
        assert_eq!(flood(service).await, [4, wait]);
    }
}
