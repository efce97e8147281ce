//! What becomes of the bytes, however they are cut.

use std::io;

use bytes::{Bytes, BytesMut};
use couplet_endpoint::{
    BoxError, Io,
    memory::{self, MemoryStream},
};
use couplet_pairing::Pair;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::codec::LinesCodec;

use super::{
    Calm, Script, Step, Total, assert_becomes, assert_fails, frame, frames_to_lines,
    lines_to_frames, reads, transformed,
};
use crate::{
    Codec, Transform, TransformLayer, Transformed, map_bytes,
    testing::{assert_reset, conn, read_all},
};

#[test]
fn a_function_maps_bytes() {
    assert_becomes(
        || map_bytes(|bytes| bytes.to_ascii_uppercase()),
        b"hello\0",
        b"HELLO\0",
    );
}

#[test]
fn a_function_may_lengthen() {
    let hex = |bytes: Bytes| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_becomes(|| map_bytes(hex), b"\x00hi\xff", b"006869ff");
}

#[test]
fn a_function_may_shorten_to_nothing_and_that_is_no_end() {
    let digits = |bytes: Bytes| -> Vec<u8> {
        let digits = bytes.iter().filter(|b| b.is_ascii_digit());
        digits.copied().collect()
    };
    assert_becomes(|| map_bytes(digits), b"abc1def23g", b"123");
    assert_becomes(|| map_bytes(digits), b"abc", b"");
}

#[test]
fn a_function_gets_no_empty_chunk() {
    let marked = |bytes: Bytes| {
        assert!(!bytes.is_empty());
        bytes
    };
    assert_becomes(|| map_bytes(marked), b"hello", b"hello");
}

#[test]
fn lines_are_normalised() {
    let lines = || Codec::new(LinesCodec::new(), LinesCodec::new());
    assert_becomes(
        lines,
        b"one\r\ntwo\n\nthr\xc3\xa9e",
        "one\ntwo\n\nthrée\n".as_bytes(),
    );
    assert_becomes(lines, b"", b"");
}

#[test]
fn lines_become_frames_and_lines_again() {
    let lines = b"one\n\nthree";
    let frames = [frame(b"one"), frame(b""), frame(b"three")].concat();
    assert_becomes(lines_to_frames, lines, &frames);
    assert_becomes(frames_to_lines, &frames, b"one\n\nthree\n");
}

#[test]
fn last_words_come_before_the_end() {
    assert_becomes(Total::default, b"hello", b"hello[5]");
    assert_becomes(Total::default, b"", b"[0]");
}

#[test]
fn bytes_before_a_failure_are_delivered() {
    assert_fails(|| Calm, b"calm, calm! calm", b"calm, calm", "too loud");

    let short = || Codec::new(LinesCodec::new_with_max_length(4), LinesCodec::new());
    assert_fails(
        short,
        b"one\ntwo\ntoo long\n",
        b"one\ntwo\n",
        "max line length exceeded",
    );

    // Its end is missing.
    let frames = [&frame(b"one")[..], &frame(b"two")[..5]].concat();
    assert_fails(
        frames_to_lines,
        &frames,
        b"one\n",
        "bytes remaining on stream",
    );
}

#[tokio::test]
async fn a_failure_stays() {
    let script = Script::new([Step::Bytes(b"calm! calm".to_vec())]);
    let mut io = transformed(script, Calm);
    for heard in [&b"calm"[..], b"", b""] {
        let (reads, end) = reads(&mut io, 64).await;
        assert_eq!(reads.concat(), heard);
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

#[tokio::test]
async fn the_error_of_a_source_is_passed_on_unchanged() {
    let mut io = transformed(
        Script::new([
            Step::Bytes(b"hello".to_vec()),
            Step::Fail(io::ErrorKind::ConnectionReset),
        ]),
        Total::default(),
    );
    let (heard, end) = read_all(&mut io).await;
    assert_eq!(heard, b"hello", "no last words");
    assert_reset(&end);
}

#[test]
fn bytes_left_over_are_there_the_next_time() {
    /// Takes two bytes a call, and turns them round.
    struct Swap;

    impl Transform for Swap {
        fn transform(
            &mut self,
            input: &mut BytesMut,
            output: &mut BytesMut,
        ) -> Result<(), BoxError> {
            if let Some([one, two]) = input.first_chunk() {
                output.extend_from_slice(&[*two, *one]);
                drop(input.split_to(2));
            }
            Ok(())
        }

        fn finish(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
            output.unsplit(input.split());
            Ok(())
        }
    }

    assert_becomes(|| Swap, b"1234567", b"2143657");
}

// ===== the other direction =====

/// Side A of a pair whose bytes from A are transformed, and its peer.
fn side_a(transform: bool) -> (Transformed<MemoryStream>, MemoryStream) {
    let (peer, a) = memory::connection(64);
    let (_, b) = memory::connection(64);
    let mut layer = TransformLayer::new();
    if transform {
        layer = layer.a_to_b(Total::default);
    }
    let pair: Pair<Transformed<_>, Transformed<_>> = layer.apply(Pair::new(conn(a), conn(b)));
    (pair.a, peer)
}

#[tokio::test]
async fn writes_go_straight_through() {
    let (mut io, mut peer) = side_a(true);
    io.write_all(b"hello").await.unwrap();
    io.shutdown().await.unwrap();
    let (heard, end) = read_all(&mut peer).await;
    assert_eq!(heard, b"hello");
    end.unwrap();

    // It can still be read from.
    peer.write_all(b"hello").await.unwrap();
    peer.shutdown().await.unwrap();
    assert_eq!(read_all(&mut io).await.0, b"hello[5]");
}

#[tokio::test]
async fn vectored_writes_stay_vectored() {
    let inner = tokio::io::empty();
    assert!(inner.is_write_vectored());
    assert!(transformed(inner, Total::default()).is_write_vectored());
}

#[tokio::test]
async fn the_methods_of_io_are_passed_on() {
    for transform in [true, false] {
        let (mut io, mut peer) = side_a(transform);
        assert!(!io.has_unsent());
        assert!(io.take_error().is_none());
        io.abort();
        drop(io);
        assert_reset(&read_all(&mut peer).await.1);

        let (mut io, mut peer) = side_a(transform);
        peer.abort();
        drop(peer);
        assert!(io.take_error().is_some());
    }
}

#[tokio::test]
async fn without_a_transform_nothing_is_changed() {
    let (mut io, mut peer) = side_a(false);
    peer.write_all(b"hello").await.unwrap();
    assert_eq!(io.read_u8().await.unwrap(), b'h');
    drop(peer);
    assert_eq!(read_all(&mut io).await.0, b"ello");
}
