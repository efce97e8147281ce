mod bounds;
mod bytes;
mod flush;
mod relay;
mod tunnel;

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use ::bytes::{Bytes, BytesMut};
use couplet_endpoint::BoxError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_util::codec::{AnyDelimiterCodec, Encoder, LengthDelimitedCodec};

use super::{Codec, Transform, Transformed};

// ===== the source =====

/// A source that does as the steps say, and then ends.
#[derive(Clone, Debug, Default)]
struct Script(VecDeque<Step>);

#[derive(Clone, Debug)]
enum Step {
    /// These bytes can be read, or as many of them as fit.
    Bytes(Vec<u8>),
    /// There is nothing to read, once.
    Stall,
    /// Reading fails.
    Fail(io::ErrorKind),
}

impl Script {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let empty = |step: &Step| matches!(step, Step::Bytes(bytes) if bytes.is_empty());
        Self(steps.into_iter().filter(|step| !empty(step)).collect())
    }

    /// The bytes cut in two at every offset, and into single ones; with and without a stall
    /// where they are cut.
    fn every_cut(bytes: &[u8]) -> Vec<Self> {
        let piece = |bytes: &[u8]| Step::Bytes(bytes.to_vec());
        let mut scripts = Vec::new();
        for cut in 0..=bytes.len() {
            let (one, two) = bytes.split_at(cut);
            scripts.push(Self::new([piece(one), piece(two)]));
            scripts.push(Self::new([piece(one), Step::Stall, piece(two)]));
        }
        let singles = bytes.chunks(1);
        scripts.push(Self::new(singles.clone().map(piece)));
        scripts.push(Self::new(
            singles.flat_map(|single| [piece(single), Step::Stall]),
        ));
        scripts
    }
}

/// What is written to it is gone.
impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.0.pop_front() {
            None => Poll::Ready(Ok(())),
            Some(Step::Bytes(mut bytes)) => {
                let rest = bytes.split_off(bytes.len().min(buf.remaining()));
                buf.put_slice(&bytes);
                if !rest.is_empty() {
                    self.0.push_front(Step::Bytes(rest));
                }
                Poll::Ready(Ok(()))
            }
            Some(Step::Stall) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Fail(kind)) => Poll::Ready(Err(kind.into())),
        }
    }
}

// ===== transforms =====

/// Gives on what came, and at the end says how much that was.
#[derive(Default)]
struct Total(u64);

impl Transform for Total {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        self.0 += input.len() as u64;
        output.unsplit(input.split());
        Ok(())
    }

    fn finish(&mut self, _: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        output.extend_from_slice(format!("[{}]", self.0).as_bytes());
        Ok(())
    }
}

/// Gives on what comes before an exclamation mark, which it can't stand.
struct Calm;

impl Transform for Calm {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        match input.iter().position(|byte| *byte == b'!') {
            Some(at) => {
                output.unsplit(input.split_to(at));
                Err("too loud".into())
            }
            None => {
                output.unsplit(input.split());
                Ok(())
            }
        }
    }

    fn finish(&mut self, _: &mut BytesMut, _: &mut BytesMut) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Writes items as lines.
#[derive(Clone, Debug)]
struct ToLines;

impl Encoder<BytesMut> for ToLines {
    type Error = io::Error;

    fn encode(&mut self, item: BytesMut, output: &mut BytesMut) -> io::Result<()> {
        output.extend_from_slice(&item);
        output.extend_from_slice(b"\n");
        Ok(())
    }
}

fn lines_to_frames() -> impl Transform {
    let lines = AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), Vec::new(), 64);
    Codec::new(lines, LengthDelimitedCodec::new())
}

fn frames_to_lines() -> impl Transform {
    Codec::new(LengthDelimitedCodec::new(), ToLines)
}

fn frame(item: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    let item = Bytes::copy_from_slice(item);
    LengthDelimitedCodec::new()
        .encode(item, &mut frame)
        .expect("it is short");
    frame.to_vec()
}

// ===== reading =====

fn transformed<I>(io: I, transform: impl Transform) -> Transformed<I> {
    Transformed::new(io).reading(transform)
}

/// Reads with a buffer of that size to the end, each read apart.
async fn reads(io: &mut (impl AsyncRead + Unpin), size: usize) -> (Vec<Vec<u8>>, io::Result<()>) {
    let mut reads = Vec::new();
    loop {
        let mut buffer = vec![0; size];
        match io.read(&mut buffer).await {
            Ok(0) => return (reads, Ok(())),
            Ok(n) => reads.push(buffer[..n].to_vec()),
            Err(error) => return (reads, Err(error)),
        }
    }
}

/// However the input is cut and read, this is what comes of it.
#[track_caller]
fn assert_becomes<T: Transform>(make: impl Fn() -> T, input: &[u8], expected: &[u8]) {
    for_every_cut(make, input, expected, |end| end.unwrap());
}

/// However the input is cut and read, this is what comes of it, and then this failure.
#[track_caller]
fn assert_fails<T: Transform>(make: impl Fn() -> T, input: &[u8], expected: &[u8], why: &str) {
    for_every_cut(make, input, expected, |end| {
        let error = end.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let why = format!("transform failed: {why}");
        assert_eq!(crate::testing::chain(&error), why);
    });
}

#[track_caller]
fn for_every_cut<T: Transform>(
    make: impl Fn() -> T,
    input: &[u8],
    expected: &[u8],
    check: impl Fn(io::Result<()>),
) {
    for script in Script::every_cut(input) {
        for size in [1, 3, 4096] {
            let mut io = transformed(script.clone(), make());
            let (reads, end) = tokio_test::block_on(reads(&mut io, size));
            let heard = reads.concat();
            assert_eq!(
                heard.escape_ascii().to_string(),
                expected.escape_ascii().to_string(),
                "{script:?} read by {size}"
            );
            check(end);
        }
    }
}
