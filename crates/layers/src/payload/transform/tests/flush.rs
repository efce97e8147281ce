//! What a transform holds back goes out when its source stalls.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::BytesMut;
use couplet_endpoint::BoxError;
use tokio::io::AsyncWriteExt;

use super::{Script, Step, Total, reads, transformed};
use crate::{
    Transform, TransformLayer,
    testing::{Relayed, assert_reset, read_all, read_some, relay},
};

/// Holds everything back until it is asked for it, as a compressor does.
#[derive(Default)]
pub(super) struct Hold {
    held: BytesMut,
    flushes: Arc<AtomicUsize>,
}

impl Transform for Hold {
    fn transform(&mut self, input: &mut BytesMut, _: &mut BytesMut) -> Result<(), BoxError> {
        self.held.unsplit(input.split());
        Ok(())
    }

    fn flush(&mut self, output: &mut BytesMut) -> Result<(), BoxError> {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        output.unsplit(self.held.split());
        Ok(())
    }

    fn finish(&mut self, _: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        output.unsplit(self.held.split());
        Ok(())
    }
}

/// Has nothing to say when it is flushed, but counts.
struct CountFlushes(Arc<AtomicUsize>, Total);

impl Transform for CountFlushes {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        self.1.transform(input, output)
    }

    fn flush(&mut self, _: &mut BytesMut) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn finish(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        self.1.finish(input, output)
    }
}

fn bursts() -> Script {
    let bytes = |bytes: &[u8]| Step::Bytes(bytes.to_vec());
    Script::new([
        Step::Stall,
        bytes(b"one "),
        bytes(b"burst"),
        Step::Stall,
        Step::Stall,
        bytes(b"another"),
        Step::Stall,
        Step::Stall,
        bytes(b"the end"),
    ])
}

#[tokio::test]
async fn a_stalled_source_is_flushed_once_a_burst() {
    let hold = Hold::default();
    let flushes = Arc::clone(&hold.flushes);
    let (reads, end) = reads(&mut transformed(bursts(), hold), 64).await;
    assert_eq!(reads, [&b"one burst"[..], b"another", b"the end"]);
    end.unwrap();
    assert_eq!(flushes.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_flush_with_nothing_to_say_is_not_repeated() {
    for size in [1, 64] {
        let flushes = Arc::default();
        let transform = CountFlushes(Arc::clone(&flushes), Total::default());
        let (reads, end) = reads(&mut transformed(bursts(), transform), size).await;
        assert_eq!(reads.concat(), b"one burstanotherthe end[23]");
        end.unwrap();
        assert_eq!(flushes.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn bytes_held_are_delivered_before_the_error_of_the_source() {
    let script = Script::new([
        Step::Bytes(b"hello".to_vec()),
        Step::Fail(io::ErrorKind::ConnectionReset),
    ]);
    let (heard, end) = read_all(&mut transformed(script, Hold::default())).await;
    assert_eq!(heard, b"hello");
    assert_reset(&end);
}

#[tokio::test]
async fn a_flush_that_fails_is_a_failure() {
    struct Leaky;

    impl Transform for Leaky {
        fn transform(&mut self, input: &mut BytesMut, _: &mut BytesMut) -> Result<(), BoxError> {
            input.clear();
            Ok(())
        }

        fn flush(&mut self, output: &mut BytesMut) -> Result<(), BoxError> {
            output.extend_from_slice(b"some");
            Err("the rest is lost".into())
        }

        fn finish(&mut self, _: &mut BytesMut, _: &mut BytesMut) -> Result<(), BoxError> {
            unreachable!("it has failed before")
        }
    }

    let (heard, end) = read_all(&mut transformed(bursts(), Leaky)).await;
    assert_eq!(heard, b"some");
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn an_interactive_byte_is_passed_on_at_once() {
    let layer = TransformLayer::new()
        .a_to_b(Hold::default)
        .b_to_a(Hold::default);
    let Relayed {
        mut a, mut b, end, ..
    } = relay(layer, 64);
    for key in b"ls -l\n" {
        a.write_u8(*key).await.unwrap();
        assert_eq!(read_some(&mut b, 1).await, [*key]);
        b.write_all(&[*key; 3]).await.unwrap();
        assert_eq!(read_some(&mut a, 3).await, [*key; 3]);
    }
    drop((a, b));
    end.await.unwrap().unwrap();
}
