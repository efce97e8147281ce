//! Each fault does what it says and no more, to the millisecond, and is undone when switched off.

mod ends;
mod switch;

use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

use couplet_endpoint::{Side, memory::MemoryStream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::{Fault, FaultLayer};
use crate::testing::{Relayed, read_all, read_some, relay};

const BUFFER: usize = 64 * 1024;

const LATE: Fault = Fault::Latency {
    delay: Duration::from_millis(200),
    jitter: Duration::ZERO,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn slow(bytes_per_second: u64) -> Fault {
    let bytes_per_second = NonZeroU64::new(bytes_per_second).unwrap();
    Fault::Slow { bytes_per_second }
}

fn slice(size: usize, pause: Duration) -> Fault {
    let size = NonZeroUsize::new(size).unwrap();
    Fault::Slice { size, pause }
}

/// A pair with this fault from A to B.
fn with(fault: Fault) -> Relayed {
    relay(FaultLayer::new(fault).only(Side::A), BUFFER)
}

/// What comes, and how long after `began`, until the stream ends.
async fn pieces(peer: &mut MemoryStream, began: Instant) -> Vec<(u64, usize)> {
    let mut pieces = Vec::new();
    let mut buf = [0; 1024];
    loop {
        let n = peer.read(&mut buf).await.unwrap();
        if n == 0 {
            return pieces;
        }
        pieces.push((began.elapsed().as_millis() as u64, n));
    }
}

#[tokio::test(start_paused = true)]
async fn latency_is_exact_and_keeps_the_distance() {
    let Relayed {
        mut a, mut b, end, ..
    } = with(LATE);
    let began = Instant::now();
    let writes = tokio::spawn(async move {
        for n in 1..=5 {
            a.write_all(&vec![n; n.into()]).await.unwrap();
            tokio::time::sleep(ms(30)).await;
        }
        a.shutdown().await.unwrap();
        a
    });
    let heard = pieces(&mut b, began).await;
    assert_eq!(heard, [(200, 1), (230, 2), (260, 3), (290, 4), (320, 5)]);
    assert_eq!(began.elapsed(), ms(350), "the end is as late");

    // The other direction has none, and half-close goes on.
    let mut a = writes.await.unwrap();
    b.write_all(b"at once").await.unwrap();
    assert_eq!(read_some(&mut a, 7).await, b"at once");
    assert_eq!(began.elapsed(), ms(350));
    drop(b);
    assert!(end.await.unwrap().unwrap().reason.is_clean());
}

#[tokio::test(start_paused = true)]
async fn jitter_stays_within_its_bounds_and_repeats_itself() {
    async fn arrivals(seed: u64) -> Vec<(u64, usize)> {
        let fault = Fault::Latency {
            delay: ms(100),
            jitter: ms(50),
        };
        let Relayed { mut a, mut b, .. } = relay(FaultLayer::new(fault).seed(seed), BUFFER);
        let began = Instant::now();
        tokio::spawn(async move {
            for n in 0..50 {
                a.write_all(&[n]).await.unwrap();
                tokio::time::sleep(ms(200)).await;
            }
        });
        pieces(&mut b, began).await
    }
    let first = arrivals(1).await;
    assert_eq!(first.len(), 50);
    for (n, (at, _)) in first.iter().enumerate() {
        let late = at - 200 * n as u64;
        assert!((50..=151).contains(&late), "{late}");
    }
    assert_eq!(arrivals(1).await, first);
    assert_ne!(arrivals(2).await, first);
}

#[tokio::test(start_paused = true)]
async fn jitter_keeps_the_order() {
    let fault = Fault::Latency {
        delay: ms(100),
        jitter: ms(100),
    };
    let Relayed { mut a, mut b, .. } = with(fault);
    let sent: Vec<u8> = (0..200).collect();
    let bytes = sent.clone();
    tokio::spawn(async move {
        for byte in bytes {
            a.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(ms(1)).await;
        }
    });
    assert_eq!(read_all(&mut b).await.0, sent);
}

#[tokio::test(start_paused = true)]
async fn delayed_bytes_are_bounded() {
    let fault = Fault::Latency {
        delay: Duration::MAX,
        jitter: Duration::ZERO,
    };
    let Relayed { mut a, b: _b, .. } = with(fault);
    let mut written = 0;
    while let Ok(n) = tokio::time::timeout(ms(1000), a.write(&[0; 10_000])).await {
        written += n.unwrap();
    }
    assert_eq!(written, 1024 * 1024 + BUFFER);

    let Relayed { mut a, b: _b, .. } = with(fault);
    let mut written = 0;
    // However small the pieces.
    while tokio::time::timeout(ms(1000), a.write_all(&[0]))
        .await
        .is_ok()
    {
        written += 1;
        tokio::time::sleep(ms(1)).await;
    }
    assert!(written <= 4096 + BUFFER, "{written}");
}

#[tokio::test(start_paused = true)]
async fn slow_is_exact() {
    let Relayed { mut a, mut b, .. } = with(slow(1000));
    let began = Instant::now();
    a.write_all(&[7; 1000]).await.unwrap();
    a.shutdown().await.unwrap();
    let heard = pieces(&mut b, began).await;
    let expected: Vec<_> = (0..50).map(|n| (n * 20, 20)).collect();
    assert_eq!(heard, expected);
    assert_eq!(began.elapsed(), ms(1000));
}

#[tokio::test(start_paused = true)]
async fn slow_is_exact_whatever_the_timer_rounds() {
    // Timers have milliseconds, and a read of this buffer is due after 3.125 of them.
    const RATE: u64 = 20 * 1024 * 1024;
    let Relayed { mut a, mut b, .. } = with(slow(RATE));
    let began = Instant::now();
    tokio::spawn(async move {
        a.write_all(&vec![7; 2 * RATE as usize]).await.unwrap();
        a.shutdown().await.unwrap();
        a
    });
    let (heard, _) = read_all(&mut b).await;
    assert_eq!(heard.len() as u64, 2 * RATE);
    let took = began.elapsed();
    assert!((ms(1980)..=ms(2001)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn slow_does_not_make_up_for_silence() {
    let Relayed { mut a, mut b, .. } = with(slow(1000));
    a.write_all(&[7; 20]).await.unwrap();
    read_some(&mut b, 20).await;
    tokio::time::sleep(ms(10_000)).await;
    let began = Instant::now();
    a.write_all(&[7; 1000]).await.unwrap();
    read_some(&mut b, 1000).await;
    assert_eq!(began.elapsed(), ms(980));
}

#[tokio::test(start_paused = true)]
async fn two_layers_of_one_probability_fail_apart() {
    let layers = [FaultLayer::new(LATE), FaultLayer::new(LATE)].map(|layer| layer.probability(0.5));
    let mut met = Vec::new();
    for _ in 0..100 {
        let mut both = Vec::new();
        for layer in &layers {
            let Relayed { mut a, mut b, .. } = relay(layer.clone(), BUFFER);
            let began = Instant::now();
            a.write_all(b"x").await.unwrap();
            read_some(&mut b, 1).await;
            both.push(began.elapsed() == ms(200));
        }
        met.push((both[0], both[1]));
    }
    for combination in [(false, false), (false, true), (true, false), (true, true)] {
        let count = met.iter().filter(|met| **met == combination).count();
        assert!((10..=40).contains(&count), "{combination:?}: {count}");
    }
}

#[test]
fn a_probability_outside_0_to_1_is_refused() {
    for wrong in [-0.1, 1.1, 30.0, f64::NAN, f64::INFINITY] {
        let refused = std::panic::catch_unwind(|| FaultLayer::new(LATE).probability(wrong));
        refused.expect_err("it panics");
    }
}

#[tokio::test(start_paused = true)]
async fn slices_are_small_and_have_pauses() {
    let Relayed { mut a, mut b, .. } = with(slice(3, ms(10)));
    let began = Instant::now();
    a.write_all(b"0123456789").await.unwrap();
    a.shutdown().await.unwrap();
    assert_eq!(
        pieces(&mut b, began).await,
        [(0, 3), (10, 3), (20, 3), (30, 1)]
    );
}

#[tokio::test(start_paused = true)]
async fn slow_close_delays_the_end_alone() {
    let fault = Fault::SlowClose { delay: ms(500) };
    let Relayed { mut a, mut b, .. } = with(fault);
    let began = Instant::now();
    a.write_all(b"at once").await.unwrap();
    a.shutdown().await.unwrap();
    assert_eq!(pieces(&mut b, began).await, [(0, 7)]);
    assert_eq!(began.elapsed(), ms(500));
}

#[tokio::test(start_paused = true)]
async fn several_faults_add_up() {
    let layers = tower::ServiceBuilder::new()
        .layer(FaultLayer::new(LATE))
        .layer(FaultLayer::new(slice(4, ms(10))))
        .into_inner();
    let Relayed { mut a, mut b, .. } = relay(layers, BUFFER);
    let began = Instant::now();
    a.write_all(b"0123456789").await.unwrap();
    a.shutdown().await.unwrap();
    assert_eq!(pieces(&mut b, began).await, [(200, 4), (210, 4), (220, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_probability_is_of_pairs_and_repeats_itself() {
    async fn met(probability: f64, seed: u64) -> Vec<bool> {
        let layer = FaultLayer::new(LATE).probability(probability).seed(seed);
        let mut met = Vec::new();
        for _ in 0..100 {
            let Relayed { mut a, mut b, .. } = relay(layer.clone(), BUFFER);
            let began = Instant::now();
            a.write_all(b"x").await.unwrap();
            read_some(&mut b, 1).await;
            met.push(began.elapsed() == ms(200));
        }
        met
    }
    let count = |met: Vec<bool>| met.into_iter().filter(|met| *met).count();
    assert_eq!(count(met(0.0, 1).await), 0);
    assert_eq!(count(met(1.0, 1).await), 100);
    let some = met(0.3, 1).await;
    assert!((15..=45).contains(&count(some.clone())));
    assert_eq!(met(0.3, 1).await, some);
    assert_ne!(met(0.3, 2).await, some);
}
