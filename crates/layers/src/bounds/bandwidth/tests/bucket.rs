use std::{future::poll_fn, task::Poll, time::Duration};

use couplet_pairing::Scope;
use proptest::prelude::*;
use tokio::time::Instant;
use tokio_test::{
    assert_pending,
    task::{Spawn, spawn},
};

use super::{rate, rate_and_burst};
use crate::bounds::bandwidth::{
    ByteRate,
    bucket::{Bucket, Lane},
};

fn bucket(rate: ByteRate) -> Bucket {
    Bucket::new(rate, Scope::Pair)
}

/// Waits for bytes in a task of its own.
fn reserve<'a>(bucket: &'a Bucket, lane: &'a mut Lane) -> Spawn<impl Future<Output = u32> + 'a> {
    spawn(poll_fn(|cx| bucket.poll_reserve(lane, cx, u32::MAX)))
}

/// Sets bytes aside if that needs no waiting.
fn reserve_now(bucket: &Bucket, lane: &mut Lane) -> Option<u32> {
    match reserve(bucket, lane).poll() {
        Poll::Ready(n) => Some(n),
        Poll::Pending => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_and_then_a_turn_every_20_ms() {
    let bucket = bucket(rate(1000));
    let mut lane = Lane::default();
    for _ in 0..5 {
        assert_eq!(reserve_now(&bucket, &mut lane), Some(20));
        bucket.settle(&mut lane, 20);
    }
    for _ in 0..100 {
        let before = Instant::now();
        assert_eq!(reserve(&bucket, &mut lane).await, 20);
        assert_eq!(before.elapsed(), Duration::from_millis(20));
        bucket.settle(&mut lane, 20);
    }
}

#[tokio::test(start_paused = true)]
async fn unused_bytes_are_free_again() {
    let bucket = bucket(rate(1000));
    let mut lane = Lane::default();
    for used in [1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 20] {
        assert_eq!(reserve_now(&bucket, &mut lane), Some(20));
        bucket.settle(&mut lane, used);
    }
    assert!(!bucket.is_full());
    tokio::time::advance(Duration::from_millis(39)).await;
    assert!(!bucket.is_full());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(bucket.is_full());
}

#[tokio::test(start_paused = true)]
async fn waiting_pairs_take_turns_in_order() {
    let bucket = bucket(rate_and_burst(1000, 20));
    let mut used_up = Lane::default();
    assert_eq!(reserve_now(&bucket, &mut used_up), Some(20));
    bucket.settle(&mut used_up, 20);
    let mut lanes: [Lane; 2] = Default::default();
    let [first, second] = &mut lanes;
    {
        let mut first = reserve(&bucket, first);
        let mut second = reserve(&bucket, second);
        assert_pending!(first.poll());
        assert_pending!(second.poll());
        tokio::time::advance(Duration::from_millis(20)).await;
        assert!(first.is_woken());
        assert!(!second.is_woken());
        assert_pending!(second.poll(), "however soon it asks");
        assert!(first.poll().is_ready());
        assert!(second.is_woken(), "it is the first now");
        assert_pending!(second.poll());
    }
    bucket.settle(first, 20);
    assert_eq!(reserve_now(&bucket, first), None, "it is the other's turn");
    tokio::time::advance(Duration::from_millis(20)).await;
    assert_eq!(reserve_now(&bucket, first), None);
    assert_eq!(reserve_now(&bucket, second), Some(20));
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_leaves_the_line_lets_the_next_come_forward() {
    let bucket = bucket(rate_and_burst(1000, 20));
    let mut lanes: [Lane; 3] = Default::default();
    let [used_up, first, second] = &mut lanes;
    assert_eq!(reserve_now(&bucket, used_up), Some(20));
    bucket.settle(used_up, 20);
    assert_eq!(reserve_now(&bucket, first), None);
    let mut waits = reserve(&bucket, second);
    assert_pending!(waits.poll());
    bucket.settle(first, 0);
    assert!(waits.is_woken());
    assert_pending!(waits.poll());
    tokio::time::advance(Duration::from_millis(20)).await;
    assert!(waits.is_woken());
    assert!(waits.poll().is_ready());
}

/// Bytes that are set aside for a pair that waits elsewhere do not become a second burst.
#[tokio::test(start_paused = true)]
async fn reserved_bytes_are_part_of_the_burst() {
    let bucket = bucket(rate(1000));
    let mut lanes: [Lane; 6] = Default::default();
    let [held @ .., last] = &mut lanes;
    for lane in held.iter_mut() {
        assert_eq!(reserve_now(&bucket, lane), Some(20));
    }
    let mut waits = reserve(&bucket, last);
    assert_pending!(waits.poll());
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(!waits.is_woken(), "no time will do");
    bucket.settle(&mut held[0], 20);
    assert!(waits.is_woken());
    assert_pending!(waits.poll());
    tokio::time::advance(Duration::from_millis(20)).await;
    assert!(waits.poll().is_ready());
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Reserve(usize),
    Settle(usize, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let lane = 0..4_usize;
    prop_oneof![
        (0..50_000_u64).prop_map(Step::Wait),
        lane.clone().prop_map(Step::Reserve),
        (lane, 0..200_u32).prop_map(|(lane, used)| Step::Settle(lane, used)),
    ]
}

proptest! {
    /// Whichever pair takes bytes at whatever time: in no span of time pass more than a burst and the rate.
    #[test]
    fn no_span_of_time_has_more_than_its_bytes(
        per_second in 1..20_000_u64,
        burst in 1..3000_u64,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut used = Vec::new();
        let mut now = 0;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let bucket = bucket(rate_and_burst(per_second, burst));
            let mut lanes: [Lane; 4] = Default::default();
            let mut set_aside = [None; 4];
            for step in steps {
                match step {
                    Step::Wait(micros) => {
                        now += micros;
                        tokio::time::advance(Duration::from_micros(micros)).await;
                    }
                    Step::Reserve(lane) if set_aside[lane].is_none() => {
                        set_aside[lane] = reserve_now(&bucket, &mut lanes[lane]);
                    }
                    Step::Reserve(_) => {}
                    Step::Settle(lane, most) => {
                        let n = set_aside[lane].take().unwrap_or(0).min(most);
                        bucket.settle(&mut lanes[lane], n);
                        used.push((now, u64::from(n)));
                    }
                }
            }
        });
        for (at, (from, _)) in used.iter().enumerate() {
            let mut sum = 0;
            for (until, n) in &used[at..] {
                sum += n;
                let allowed = burst + (until - from) * per_second / 1_000_000 + 1;
                prop_assert!(sum <= allowed, "{sum} bytes in {} µs", until - from);
            }
        }
    }
}
