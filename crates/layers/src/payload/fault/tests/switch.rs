//! Off and on while a pair is live.

use std::time::Duration;

use couplet_endpoint::Side;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::{BUFFER, LATE, ms, slice, slow};
use crate::{
    Fault, FaultLayer,
    testing::{Relayed, assert_reset, read_all, read_some, relay},
};

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[tokio::test(start_paused = true)]
async fn a_fault_switched_off_does_nothing() {
    for fault in [
        LATE,
        slow(1),
        slice(1, CENTURY),
        Fault::SlowClose { delay: CENTURY },
        Fault::Timeout { after: ms(1) },
        Fault::Reset { after: 1 },
        Fault::Limit { bytes: 1 },
        Fault::Blackhole,
    ] {
        let layer = FaultLayer::new(fault);
        layer.switch().off();
        let Relayed {
            mut a, mut b, end, ..
        } = relay(layer, BUFFER);
        let began = Instant::now();
        a.write_all(b"question").await.unwrap();
        a.shutdown().await.unwrap();
        assert_eq!(read_all(&mut b).await.0, b"question");
        drop(b);
        assert!(end.await.unwrap().unwrap().reason.is_clean(), "{fault:?}");
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_held_back_come_at_once_when_switched_off() {
    for fault in [
        Fault::Latency {
            delay: CENTURY,
            jitter: Duration::ZERO,
        },
        slice(3, CENTURY),
        Fault::Timeout { after: CENTURY },
        Fault::SlowClose { delay: CENTURY },
    ] {
        let layer = FaultLayer::new(fault);
        let switch = layer.switch();
        let Relayed { mut a, mut b, .. } = relay(layer, BUFFER);
        let began = Instant::now();
        a.write_all(b"question").await.unwrap();
        a.shutdown().await.unwrap();
        let reading = tokio::spawn(async move { read_all(&mut b).await });
        tokio::time::sleep(ms(1)).await;
        assert!(!reading.is_finished(), "{fault:?}");
        switch.off();
        let (heard, ended) = reading.await.unwrap();
        assert_eq!(heard, b"question", "{fault:?}");
        ended.unwrap();
        assert_eq!(began.elapsed(), ms(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_switched_on_meets_live_pairs() {
    let layer = FaultLayer::new(LATE);
    let switch = layer.switch();
    switch.off();
    let Relayed { mut a, mut b, .. } = relay(layer, BUFFER);
    for round in 0..3_u32 {
        for (is_on, millis) in [(false, 0), (true, 200)] {
            match is_on {
                true => switch.on(),
                false => switch.off(),
            }
            assert_eq!(switch.is_on(), is_on);
            let said = Instant::now();
            a.write_all(&round.to_be_bytes()).await.unwrap();
            assert_eq!(read_some(&mut b, 4).await, round.to_be_bytes());
            assert_eq!(said.elapsed(), ms(millis));
        }
    }
}

/// A pair that is idle hears of it, too: the time runs from the switch.
#[tokio::test(start_paused = true)]
async fn a_timeout_runs_from_the_switch() {
    let layer = FaultLayer::new(Fault::Timeout { after: ms(500) });
    let switch = layer.switch();
    switch.off();
    let Relayed { a: _a, mut b, .. } = relay(layer, BUFFER);
    let began = Instant::now();
    tokio::spawn(async move {
        for _ in 0..3 {
            tokio::time::sleep(ms(1000)).await;
            switch.on();
            tokio::time::sleep(ms(499)).await;
            switch.off();
        }
        tokio::time::sleep(ms(1)).await;
        switch.on();
    });
    assert_reset(&read_all(&mut b).await.1);
    assert_eq!(began.elapsed(), ms(3 * 1499 + 1 + 500));
}

/// What is lost does not come again: a gap is not hidden.
#[tokio::test(start_paused = true)]
async fn a_blackhole_that_took_something_leaves_a_reset() {
    for says in [&b""[..], b"lost"] {
        let layer = FaultLayer::new(Fault::Blackhole).only(Side::A);
        let switch = layer.switch();
        let Relayed { mut a, mut b, .. } = relay(layer, BUFFER);
        a.write_all(says).await.unwrap();
        tokio::time::sleep(ms(1)).await;
        switch.off();
        a.write_all(b"more").await.unwrap();
        if says.is_empty() {
            assert_eq!(read_some(&mut b, 4).await, b"more");
        } else {
            let (heard, ended) = read_all(&mut b).await;
            assert!(heard.is_empty());
            assert_reset(&ended);
        }
    }
}

/// A pair that has ended is forgotten by the switch.
#[tokio::test(start_paused = true)]
async fn the_switch_forgets_pairs_that_have_ended() {
    let layer = FaultLayer::new(LATE);
    let switch = layer.switch();
    let Relayed {
        mut a, mut b, end, ..
    } = relay(layer, BUFFER);
    a.write_all(b"x").await.unwrap();
    b.read_exact(&mut [0]).await.unwrap();
    assert_eq!(switch.waiting(), 2);
    drop((a, b));
    end.await.unwrap().unwrap();
    assert_eq!(switch.waiting(), 0);
}
