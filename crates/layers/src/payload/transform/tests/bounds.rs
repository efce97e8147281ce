//! How much is held, and how little may come of how much.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use bytes::{Buf, BytesMut};
use couplet_endpoint::{BoxError, Side, memory};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::unconstrained,
};
use tokio_test::task;
use tokio_util::codec::{Encoder, LinesCodec};

use super::{Script, Step, frame, frames_to_lines, reads, transformed};
use crate::{
    Codec, Transform, TransformLayer,
    testing::{Relayed, chain, read_all, relay},
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Makes 64 KiB of every unit that comes in, as many bytes at a time, with the input taken at
/// once or at last.
struct Expand {
    takes: Takes,
    left: usize,
    made: Arc<AtomicUsize>,
}

#[derive(Clone, Copy)]
enum Takes {
    AtOnce,
    AtLast,
}

impl Expand {
    fn new(takes: Takes) -> (Self, Arc<AtomicUsize>) {
        let made = Arc::default();
        let this = Self {
            takes,
            left: 0,
            made: Arc::clone(&made),
        };
        (this, made)
    }
}

impl Transform for Expand {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        assert!(output.is_empty(), "called again before the output has gone");
        if self.left == 0
            && let Some(units) = input.first()
        {
            self.left = usize::from(*units);
            if let Takes::AtOnce = self.takes {
                input.advance(1);
            }
        }
        if self.left > 0 {
            self.left -= 1;
            self.made.fetch_add(64 * KIB, Ordering::Relaxed);
            output.resize(64 * KIB, b'x');
            if let (0, Takes::AtLast) = (self.left, self.takes) {
                input.advance(1);
            }
        }
        Ok(())
    }

    fn finish(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        assert!(
            input.is_empty() && self.left == 0,
            "it was called until all was made"
        );
        output.extend_from_slice(b".");
        Ok(())
    }
}

#[tokio::test]
async fn a_transform_that_expands_runs_as_its_output_drains() {
    for takes in [Takes::AtOnce, Takes::AtLast] {
        for stall in [false, true] {
            let (expand, made) = Expand::new(takes);
            let mut script = vec![Step::Bytes(vec![20, 1, 7])];
            if stall {
                script.push(Step::Stall);
            }
            let mut io = transformed(Script::new(script), expand);
            let mut read = 0;
            let mut buffer = [0; 1000];
            loop {
                let n = io.read(&mut buffer).await.unwrap();
                if n == 0 {
                    break;
                }
                read += n;
                assert!(made.load(Ordering::Relaxed) <= read + 64 * KIB);
            }
            assert_eq!(read, 28 * 64 * KIB + 1);
        }
    }
}

#[tokio::test]
async fn a_reader_that_stops_stops_the_transform() {
    let (expand, made) = Expand::new(Takes::AtOnce);
    let expand = std::sync::Mutex::new(Some(expand));
    let make = move || expand.lock().unwrap().take().expect("there is one pair");
    let layer = TransformLayer::new().a_to_b(make);
    let Relayed {
        mut a,
        mut b,
        session,
        end,
    } = relay(layer, KIB);
    a.write_all(&[200]).await.unwrap();
    a.shutdown().await.unwrap();
    let mut byte = [0];
    b.read_exact(&mut byte).await.unwrap();
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    // In the transform, in the relay, in the connection.
    assert!(made.load(Ordering::Relaxed) <= 2 * 64 * KIB + KIB);
    assert!(session.meter().bytes(Side::A) <= 2 * KIB as u64);

    let (heard, _) = read_all(&mut b).await;
    assert_eq!(heard.len(), 200 * 64 * KIB);
    drop((a, b));
    end.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_codec_stops_when_it_has_made_enough() {
    // Each byte is a line of 1000.
    struct Long;

    impl Encoder<String> for Long {
        type Error = std::io::Error;

        fn encode(&mut self, _: String, output: &mut BytesMut) -> std::io::Result<()> {
            assert!(output.len() < 64 * KIB, "it has made enough");
            output.resize(output.len() + 1000, b'x');
            Ok(())
        }
    }

    for rest in ["", "last"] {
        let lines = [&vec![b'\n'; 10_000][..], rest.as_bytes()].concat();
        let script = Script::new([Step::Bytes(lines)]);
        let codec = Codec::new(LinesCodec::new(), Long);
        let (reads, end) = reads(&mut transformed(script, codec), 8 * KIB).await;
        end.unwrap();
        let items = 10_000 + usize::from(!rest.is_empty());
        assert_eq!(reads.concat().len(), items * 1000);
    }
}

#[tokio::test]
async fn a_decoder_that_finds_nothing_in_8_mib_has_failed() {
    let endless = Step::Bytes(vec![b'x'; 16 * MIB]);
    let first = Step::Bytes(b"one\n".to_vec());
    let lines = Codec::new(LinesCodec::new(), LinesCodec::new());
    let mut io = transformed(Script::new([first, endless]), lines);
    let (heard, end) = read_all(&mut io).await;
    assert_eq!(heard, b"one\n");
    let error = end.unwrap_err();
    assert_eq!(chain(&error), "transform failed: no item ends within 8 MiB");
}

#[tokio::test]
async fn a_decoder_may_need_8_mib() {
    // The default of tokio's codec.
    let item = vec![b'x'; 8 * MIB];
    let steps = [Step::Bytes(frame(&item)), Step::Bytes(frame(b"next"))];
    let mut io = transformed(Script::new(steps), frames_to_lines());
    let (heard, end) = read_all(&mut io).await;
    end.unwrap();
    assert!(heard == [&item[..], b"\nnext\n"].concat());
}

#[tokio::test]
async fn a_transform_that_waits_for_bytes_does_not_spin() {
    let (mut peer, io) = memory::connection(64);
    let mut io = transformed(io, frames_to_lines());
    peer.write_all(&frame(b"hello")[..7]).await.unwrap();
    let mut byte = [0];
    let mut reading = tokio_test::task::spawn(io.read(&mut byte));
    assert!(reading.poll().is_pending());
    assert!(!reading.is_woken());
}

/// Takes all, and makes nothing of it until the end.
struct Swallow;

impl Transform for Swallow {
    fn transform(&mut self, input: &mut BytesMut, _: &mut BytesMut) -> Result<(), BoxError> {
        input.clear();
        Ok(())
    }

    fn flush(&mut self, _: &mut BytesMut) -> Result<(), BoxError> {
        panic!("its source has not stalled");
    }

    fn finish(&mut self, _: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        output.extend_from_slice(b".");
        Ok(())
    }
}

#[tokio::test]
async fn a_transform_that_drops_everything_yields_to_other_tasks() {
    let script = Script::new((0..100).map(|_| Step::Bytes(vec![0; 16 * KIB])));
    let mut io = transformed(script, Swallow);
    let mut reading = task::spawn(unconstrained(async move { io.read_u8().await }));
    let mut turns = 0;
    let byte = loop {
        match reading.poll() {
            Poll::Ready(byte) => break byte,
            Poll::Pending => assert!(reading.is_woken()),
        }
        turns += 1;
    };
    assert_eq!((byte.unwrap(), turns), (b'.', 12));
}
