//! Faults that end a direction, and ends that meet a fault.

use couplet_endpoint::{Io, Side};
use couplet_pairing::CloseReason;
use tokio::{io::AsyncWriteExt, time::Instant};

use super::{BUFFER, LATE, ms, slice, slow, with};
use crate::{
    Fault, FaultLayer,
    testing::{Relayed, assert_reset, read_all, read_some, relay},
};

#[tokio::test(start_paused = true)]
async fn a_timeout_stops_and_then_fails() {
    let Relayed {
        mut a, mut b, end, ..
    } = with(Fault::Timeout { after: ms(3000) });
    let began = Instant::now();
    a.write_all(b"never heard").await.unwrap();
    b.write_all(b"heard").await.unwrap();
    assert_eq!(read_some(&mut a, 5).await, b"heard");
    let (heard, ended) = read_all(&mut b).await;
    assert!(heard.is_empty());
    assert_reset(&ended);
    assert_eq!(began.elapsed(), ms(3000));
    assert_reset(&read_all(&mut a).await.1);
    let failed = end.await.unwrap().unwrap_err();
    assert_eq!(failed.summary().reason, CloseReason::Failed(Side::A));
}

#[tokio::test(start_paused = true)]
async fn a_reset_comes_after_its_bytes() {
    for after in [0, 1, 7] {
        let Relayed {
            mut a, mut b, end, ..
        } = with(Fault::Reset { after });
        b.write_all(b"answer").await.unwrap();
        a.write_all(b"question").await.unwrap();
        let (heard, ended) = read_all(&mut b).await;
        assert_eq!(heard, b"question"[..after as usize]);
        assert_reset(&ended);
        assert_reset(&read_all(&mut a).await.1);
        let failed = end.await.unwrap().unwrap_err();
        assert_eq!(failed.summary().reason, CloseReason::Reset(Side::A));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_below_the_limit_is_not_reset() {
    for fault in [Fault::Reset { after: 9 }, Fault::Limit { bytes: 9 }] {
        let Relayed {
            mut a, mut b, end, ..
        } = with(fault);
        a.write_all(b"question").await.unwrap();
        a.shutdown().await.unwrap();
        let (heard, ended) = read_all(&mut b).await;
        assert_eq!(heard, b"question");
        ended.unwrap();
        drop(b);
        assert!(end.await.unwrap().unwrap().reason.is_clean());
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_ends_its_direction_alone() {
    for bytes in [0, 1, 7] {
        let Relayed {
            mut a, mut b, end, ..
        } = with(Fault::Limit { bytes });
        a.write_all(b"question").await.unwrap();
        let (heard, ended) = read_all(&mut b).await;
        assert_eq!(heard, b"question"[..bytes as usize]);
        ended.unwrap();
        b.write_all(b"answer").await.unwrap();
        b.shutdown().await.unwrap();
        let (heard, ended) = read_all(&mut a).await;
        assert_eq!(heard, b"answer");
        ended.unwrap();
        let summary = end.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::Finished(Side::A));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_out_of_a_blackhole() {
    let Relayed {
        mut a, mut b, end, ..
    } = with(Fault::Blackhole);
    // It takes more than the way holds, and the end.
    a.write_all(&vec![0; 20 * BUFFER]).await.unwrap();
    a.shutdown().await.unwrap();
    let hears = tokio::time::timeout(ms(100_000_000), read_all(&mut b));
    tokio::select! {
        _ = hears => panic!("it hears"),
        () = tokio::time::sleep(ms(50_000)) => {}
    }
    b.write_all(b"answer").await.unwrap();
    assert_eq!(read_some(&mut a, 6).await, b"answer");
    assert!(!end.is_finished());
}

/// A reset of the peer is passed on, as late as its bytes.
#[tokio::test(start_paused = true)]
async fn a_reset_of_the_peer_is_passed_on() {
    let faults = [
        (LATE, 200),
        (slow(100), 80),
        (slice(4, ms(10)), 20),
        (Fault::SlowClose { delay: ms(70) }, 70),
        (Fault::Reset { after: 100 }, 0),
        (Fault::Limit { bytes: 100 }, 0),
    ];
    for (fault, millis) in faults {
        let Relayed {
            mut a, mut b, end, ..
        } = with(fault);
        let began = Instant::now();
        a.write_all(b"question").await.unwrap();
        a.abort();
        drop(a);
        let (heard, ended) = read_all(&mut b).await;
        assert_eq!(heard, b"question", "{fault:?}");
        assert_reset(&ended);
        assert_eq!(began.elapsed(), ms(millis), "{fault:?}");
        let failed = end.await.unwrap().unwrap_err();
        assert_eq!(failed.summary().reason, CloseReason::Reset(Side::A));
    }
}

/// Both directions may have the same fault.
#[tokio::test(start_paused = true)]
async fn half_close_passes_both_ways() {
    for fault in [
        LATE,
        slow(100),
        slice(1, ms(1)),
        Fault::SlowClose { delay: ms(9) },
    ] {
        let Relayed {
            mut a, mut b, end, ..
        } = relay(FaultLayer::new(fault), BUFFER);
        a.write_all(b"question").await.unwrap();
        a.shutdown().await.unwrap();
        assert_eq!(read_all(&mut b).await.0, b"question");
        b.write_all(b"answer").await.unwrap();
        b.shutdown().await.unwrap();
        let (heard, ended) = read_all(&mut a).await;
        assert_eq!(heard, b"answer", "{fault:?}");
        ended.unwrap();
        assert!(end.await.unwrap().unwrap().reason.is_clean());
    }
}
