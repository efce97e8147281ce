//! Through a real relay.

use std::io;

use bytes::Bytes;
use couplet_endpoint::{Io, Side, find_cause};
use couplet_pairing::CloseReason;
use tokio::io::AsyncWriteExt;
use tokio_util::codec::{LinesCodec, LinesCodecError};

use super::{Calm, Total, flush::Hold, frame, frames_to_lines, lines_to_frames};
use crate::{
    Codec, TransformLayer, map_bytes, map_items,
    testing::{Relayed, assert_reset, chain, read_all, read_some, relay},
};

fn twice() -> impl crate::Transform {
    map_bytes(|bytes: Bytes| [&bytes[..], &bytes[..]].concat())
}

#[tokio::test]
async fn each_direction_has_its_own_transform() {
    let layer = TransformLayer::new()
        .a_to_b(lines_to_frames)
        .b_to_a(frames_to_lines);
    let Relayed {
        mut a, mut b, end, ..
    } = relay(layer, 1024);
    a.write_all(b"one\ntwo\n").await.unwrap();
    b.write_all(&frame(b"eins")).await.unwrap();
    assert_eq!(read_some(&mut a, 5).await, b"eins\n");
    a.shutdown().await.unwrap();
    b.write_all(&frame(b"zwei")).await.unwrap();
    b.shutdown().await.unwrap();
    assert_eq!(read_all(&mut a).await.0, b"zwei\n");
    assert_eq!(
        read_all(&mut b).await.0,
        [frame(b"one"), frame(b"two")].concat()
    );
    end.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_direction_without_a_transform_is_left_alone() {
    for from in [Side::A, Side::B] {
        let layer = match from {
            Side::A => TransformLayer::new().a_to_b(twice),
            Side::B => TransformLayer::new().b_to_a(twice),
        };
        let relayed = relay(layer, 1024);
        let (mut this, mut other) = match from {
            Side::A => (relayed.a, relayed.b),
            Side::B => (relayed.b, relayed.a),
        };
        this.write_all(b"x").await.unwrap();
        assert_eq!(read_some(&mut other, 2).await, b"xx");
        other.write_all(b"x").await.unwrap();
        other.shutdown().await.unwrap();
        assert_eq!(read_all(&mut this).await.0, b"x");
        drop((this, other));
        let summary = relayed.end.await.unwrap().unwrap();
        let (a_to_b, b_to_a) = match from {
            Side::A => (2, 1),
            Side::B => (1, 2),
        };
        assert_eq!((summary.a_to_b, summary.b_to_a), (a_to_b, b_to_a));
    }
}

#[tokio::test]
async fn every_pair_has_a_fresh_transform() {
    let layer = TransformLayer::new().a_to_b(Total::default);
    for _ in 0..2 {
        let Relayed { mut a, mut b, .. } = relay(layer.clone(), 64);
        a.write_all(b"hello").await.unwrap();
        drop(a);
        assert_eq!(read_all(&mut b).await.0, b"hello[5]");
    }
}

#[tokio::test]
async fn last_words_come_before_the_half_close_and_the_other_direction_goes_on() {
    let layer = TransformLayer::new()
        .a_to_b(Total::default)
        .b_to_a(Total::default);
    let Relayed {
        mut a,
        mut b,
        session,
        end,
    } = relay(layer, 64);
    a.write_all(b"request").await.unwrap();
    a.shutdown().await.unwrap();
    let (heard, ended) = read_all(&mut b).await;
    assert_eq!(heard, b"request[7]");
    ended.unwrap();
    for _ in 0..3 {
        b.write_all(b"answer").await.unwrap();
        assert_eq!(read_some(&mut a, 6).await, b"answer");
    }
    b.shutdown().await.unwrap();
    assert_eq!(read_all(&mut a).await.0, b"[18]");
    let summary = end.await.unwrap().unwrap();
    assert_eq!(summary.reason, CloseReason::Finished(Side::A));
    assert_eq!((summary.a_to_b, summary.b_to_a), (10, 22));
    assert_eq!(session.meter().bytes(Side::A), 10);
}

#[tokio::test]
async fn bytes_are_counted_once_as_they_come_out() {
    let layer = TransformLayer::new()
        .a_to_b(twice)
        .b_to_a(|| map_bytes(|_| *b""));
    let Relayed {
        mut a,
        mut b,
        session,
        ..
    } = relay(layer, 64);
    a.write_all(b"hello").await.unwrap();
    b.write_all(b"hello").await.unwrap();
    assert_eq!(read_some(&mut b, 10).await, b"hellohello");
    assert_eq!(session.meter().bytes(Side::A), 10);
    assert_eq!(session.meter().bytes(Side::B), 0);
}

#[tokio::test]
async fn a_failure_ends_the_pair_with_a_reset() {
    for from in [Side::A, Side::B] {
        let layer = match from {
            Side::A => TransformLayer::new().a_to_b(|| Calm),
            Side::B => TransformLayer::new().b_to_a(|| Calm),
        };
        let relayed = relay(layer, 64);
        let (mut this, mut other) = match from {
            Side::A => (relayed.a, relayed.b),
            Side::B => (relayed.b, relayed.a),
        };
        this.write_all(b"calm, calm! calm").await.unwrap();
        let (heard, ended) = read_all(&mut other).await;
        assert_eq!(heard, b"calm, calm");
        assert_reset(&ended);
        let error = relayed.end.await.unwrap().unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Failed(from));
        assert_eq!(
            chain(&error),
            format!("session ended: {from} failed: transform failed: too loud")
        );
        assert_reset(&read_all(&mut this).await.1);
    }
}

#[tokio::test]
async fn the_error_of_a_transform_can_be_found() {
    let lines = || Codec::new(LinesCodec::new_with_max_length(4), LinesCodec::new());
    let Relayed {
        mut a, end, b: _b, ..
    } = relay(TransformLayer::new().a_to_b(lines), 64);
    a.write_all(b"too long").await.unwrap();
    let error = end.await.unwrap().unwrap_err();
    let cause = find_cause(&error);
    assert!(matches!(
        cause,
        Some(LinesCodecError::MaxLineLengthExceeded)
    ));
}

#[tokio::test]
async fn an_incomplete_item_at_the_end_is_a_failure() {
    let layer = TransformLayer::new().a_to_b(frames_to_lines);
    let Relayed {
        mut a, mut b, end, ..
    } = relay(layer, 64);
    a.write_all(&frame(b"one")).await.unwrap();
    a.write_all(&frame(b"two")[..5]).await.unwrap();
    a.shutdown().await.unwrap();
    let (heard, ended) = read_all(&mut b).await;
    assert_eq!(heard, b"one\n");
    assert_reset(&ended);
    let error = end.await.unwrap().unwrap_err();
    assert_eq!(error.summary().reason, CloseReason::Failed(Side::A));
}

#[tokio::test]
async fn bytes_held_by_a_transform_come_before_a_reset() {
    let layer = TransformLayer::new().a_to_b(Hold::default);
    let Relayed {
        mut a, mut b, end, ..
    } = relay(layer, 64);
    a.write_all(b"last words").await.unwrap();
    a.abort();
    drop(a);
    let (heard, ended) = read_all(&mut b).await;
    assert_eq!(heard, b"last words");
    assert_reset(&ended);
    let error = end.await.unwrap().unwrap_err();
    assert_eq!(error.summary().reason, CloseReason::Reset(Side::A));
    assert!(find_cause::<io::Error>(&error).is_some());
}

#[tokio::test]
async fn items_are_mapped_dropped_and_multiplied() {
    let layer = TransformLayer::new().a_to_b(|| {
        let map = |line: String| match &*line {
            "stop" => Err("stopped"),
            line => Ok(line
                .split(',')
                .filter(|word| *word != "x")
                .map(str::to_owned)
                .collect::<Vec<_>>()),
        };
        map_items(LinesCodec::new(), map, LinesCodec::new())
            .last_words(|error| format!("failed: {error}\n").into())
    });
    let Relayed {
        mut a, mut b, end, ..
    } = relay(layer, 1024);
    a.write_all(b"a,b\nx\n\nc\nstop\nlate\n").await.unwrap();
    let (heard, ended) = read_all(&mut b).await;
    assert_eq!(heard, b"a\nb\n\nc\n");
    assert_reset(&ended);
    let (heard, ended) = read_all(&mut a).await;
    assert_eq!(heard, b"failed: stopped\n", "once, before the reset");
    assert_reset(&ended);
    let error = end.await.unwrap().unwrap_err();
    assert_eq!(error.summary().reason, CloseReason::Failed(Side::A));
}

#[tokio::test]
async fn a_peer_that_reads_nothing_does_not_hold_up_the_failure() {
    let layer = TransformLayer::new().a_to_b(|| {
        let map = |_: String| Err::<Option<String>, _>("no");
        map_items(LinesCodec::new(), map, LinesCodec::new())
            .last_words(|_| vec![b'x'; 100_000].into())
    });
    let Relayed {
        mut a, b: _b, end, ..
    } = relay(layer, 64);
    a.write_all(b"line\n").await.unwrap();
    assert!(end.await.unwrap().is_err());
}
