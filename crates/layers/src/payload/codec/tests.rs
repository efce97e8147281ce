use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};
use couplet_endpoint::{
    BoxError, Conn, Io, Opaque, Side, find_cause,
    memory::{self, MemoryStream},
};
use couplet_pairing::CloseReason;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_test::{assert_pending, task};
use tokio_util::codec::{
    AnyDelimiterCodec, BytesCodec, Decoder, Encoder, LengthDelimitedCodec, LinesCodec,
    LinesCodecError,
};
use tower::{ServiceExt, layer::util::Identity, service_fn};
use tower_layer::Layer;

use super::*;
use crate::{
    Codec, Transformed,
    testing::{assert_reset, chain, conn, read_all, read_some, relay_between},
};

// ===== formats =====

/// Gives on what comes, held until it is flushed, and ends with a full stop: without one, a stream
/// is cut.
#[derive(Default)]
struct Stop {
    held: BytesMut,
}

struct UntilStop;

impl Transform for Stop {
    fn transform(&mut self, input: &mut BytesMut, _: &mut BytesMut) -> Result<(), BoxError> {
        self.held.unsplit(input.split());
        Ok(())
    }

    fn flush(&mut self, output: &mut BytesMut) -> Result<(), BoxError> {
        output.unsplit(self.held.split());
        Ok(())
    }

    fn finish(&mut self, _: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        self.flush(output)?;
        output.extend_from_slice(b".");
        Ok(())
    }
}

impl Transform for UntilStop {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        let end = input.iter().position(|byte| *byte == b'.');
        output.unsplit(input.split_to(end.unwrap_or(input.len())));
        Ok(())
    }

    fn finish(&mut self, input: &mut BytesMut, _: &mut BytesMut) -> Result<(), BoxError> {
        match &input[..] {
            b"." => Ok(()),
            _ => Err("it was cut".into()),
        }
    }
}

fn stop() -> CodecLayer {
    CodecLayer::transforms(|| UntilStop, Stop::default)
}

fn frames() -> CodecLayer {
    CodecLayer::new(LengthDelimitedCodec::new)
}

fn lines() -> CodecLayer {
    CodecLayer::text(|| LinesCodec::new_with_max_length(64))
}

/// The io that a layer makes, and the peer on the wire.
fn side(layer: &CodecLayer, buffer: usize) -> (Transformed<MemoryStream>, MemoryStream) {
    let (peer, io) = memory::connection(buffer);
    (layer.apply(conn(io)).io, peer)
}

async fn write(layer: &CodecLayer, bursts: &[&[u8]]) -> Vec<u8> {
    let (mut io, mut peer) = side(layer, 1024);
    for burst in bursts {
        io.write_all(burst).await.unwrap();
    }
    io.shutdown().await.unwrap();
    let (heard, end) = read_all(&mut peer).await;
    end.unwrap();
    heard
}

async fn read(layer: &CodecLayer, wire: &[u8]) -> (Vec<u8>, io::Result<()>) {
    let (mut io, mut peer) = side(layer, 1024);
    peer.write_all(wire).await.unwrap();
    peer.shutdown().await.unwrap();
    read_all(&mut io).await
}

#[track_caller]
fn assert_failed(end: io::Result<()>, why: &str) {
    let error = end.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(chain(&error), format!("transform failed: {why}"));
}

// ===== what is spoken =====

#[tokio::test]
async fn every_connection_has_its_own_codec() {
    let made = Arc::new(());
    let layer = {
        let made = Arc::clone(&made);
        CodecLayer::new(move || Counted(Arc::clone(&made)))
    };
    let keep = service_fn(async |conn: Conn<Transformed<MemoryStream>>| Ok::<_, BoxError>(conn));
    let unused = Arc::strong_count(&made);
    let (mut peer, io) = memory::connection(64);
    let mut one = layer.layer(keep).oneshot(conn(io)).await.unwrap();
    let (_, io) = memory::connection(64);
    let two = layer.layer(keep).oneshot(conn(io)).await.unwrap();
    assert_eq!(Arc::strong_count(&made), unused + 4, "two each way");
    one.io.write_all(b"hi").await.unwrap();
    one.io.flush().await.unwrap();
    assert_eq!(read_some(&mut peer, 2).await, b"hi");
    drop((one, two));
    assert_eq!(Arc::strong_count(&made), unused);
}

struct Counted(#[expect(dead_code, reason = "it is counted")] Arc<()>);

impl Decoder for Counted {
    type Item = BytesMut;
    type Error = io::Error;

    fn decode(&mut self, wire: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        BytesCodec::new().decode(wire)
    }
}

impl Encoder<Bytes> for Counted {
    type Error = io::Error;

    fn encode(&mut self, plain: Bytes, wire: &mut BytesMut) -> io::Result<()> {
        BytesCodec::new().encode(plain, wire)
    }
}

#[tokio::test]
async fn codecs_of_tokio_util_work_unchanged() {
    assert_eq!(
        write(&frames(), &[b"one", b"three"]).await,
        b"\0\0\0\x03one\0\0\0\x05three"
    );
    let wire = b"\0\0\0\x03one\0\0\0\0\0\0\0\x05three";
    assert_eq!(read(&frames(), wire).await.0, b"onethree");

    assert_eq!(write(&lines(), &[b"one", b"three"]).await, b"one\nthree\n");
    assert_eq!(read(&lines(), b"one\r\n\nthree").await.0, b"onethree");

    let records = CodecLayer::text(|| AnyDelimiterCodec::new(b";,".into(), b"; ".into()));
    assert_eq!(write(&records, &[b"one", b"three"]).await, b"one; three; ");
    assert_eq!(read(&records, b"one,three;\xff").await.0, b"onethree\xff");

    let bytes = CodecLayer::new(BytesCodec::new);
    assert_eq!(write(&bytes, &[b"one", b"three"]).await, b"onethree");
    assert_eq!(read(&bytes, b"onethree").await.0, b"onethree");
}

#[tokio::test]
async fn an_item_has_its_bounds() {
    let frames = CodecLayer::transforms(
        || Codec::new(LengthDelimitedCodec::new(), PlainBytes::new()),
        || {
            let mut frames = LengthDelimitedCodec::new();
            frames.set_max_frame_length(3);
            Codec::new(PlainBytes::new().max_item(3), frames)
        },
    );
    assert_eq!(
        write(&frames, &[b"onetwo!"]).await,
        b"\0\0\0\x03one\0\0\0\x03two\0\0\0\x01!"
    );
    let input = || BytesMut::from("😀😀");
    let bytes = PlainBytes::new().max_item(0).decode(&mut input());
    assert_eq!(bytes.unwrap().unwrap().len(), 1);
    let text = PlainText::new().max_item(0).decode(&mut input());
    assert_eq!(text.unwrap().unwrap(), "😀");
}

#[tokio::test]
async fn a_character_that_is_cut_waits_for_its_rest() {
    let text = "aä€😀".as_bytes();
    for cut in 0..text.len() {
        let (one, two) = text.split_at(cut);
        let (mut io, mut peer) = side(&lines(), 64);
        io.write_all(one).await.unwrap();
        io.flush().await.unwrap();
        io.write_all(two).await.unwrap();
        io.shutdown().await.unwrap();
        let heard = String::from_utf8(read_all(&mut peer).await.0).unwrap();
        assert_eq!(heard.replace('\n', "").as_bytes(), text, "{heard:?}");
    }
    let short = CodecLayer::transforms(
        || Codec::new(LinesCodec::new(), PlainBytes::new()),
        || Codec::new(PlainText::new().max_item(4), LinesCodec::new()),
    );
    assert_eq!(write(&short, &[text]).await, "aä\n€\n😀\n".as_bytes());
}

#[tokio::test]
async fn invalid_text_fails_after_the_valid_text_before() {
    for (bytes, why) in [
        (
            &b"one\xfftwo"[..],
            "invalid utf-8 sequence of 1 bytes from index 0",
        ),
        (b"one\xc3", "bytes remaining on stream"),
    ] {
        let (mut io, mut peer) = side(&lines(), 64);
        io.write_all(bytes).await.unwrap();
        assert_failed(io.shutdown().await, why);
        assert!(io.write(b"more").await.is_err(), "a failure stays");
        drop(io);
        assert_eq!(read_all(&mut peer).await.0, b"one\n");
    }
}

// ===== ends =====

#[tokio::test]
async fn a_stream_cut_within_an_item_is_no_end() {
    let (heard, end) = read(&frames(), b"\0\0\0\x03one\0\0\0\x05thr").await;
    assert_eq!(heard, b"one");
    assert_failed(end, "bytes remaining on stream");

    let (heard, end) = read(&stop(), b"hello").await;
    assert_eq!(heard, b"hello");
    assert_failed(end, "it was cut");
    let (heard, end) = read(&stop(), b"hello.").await;
    assert_eq!(heard, b"hello");
    end.unwrap();
}

#[tokio::test]
async fn bytes_that_cannot_be_decoded_fail() {
    let (heard, end) = read(&lines(), &[&b"one\n"[..], &[b'x'; 65]].concat()).await;
    assert_eq!(heard, b"one");
    let error = end.unwrap_err();
    let cause = find_cause(&error);
    assert!(matches!(
        cause,
        Some(LinesCodecError::MaxLineLengthExceeded)
    ));
}

#[tokio::test]
async fn each_direction_ends_by_itself() {
    let (mut io, mut peer) = side(&stop(), 64);
    io.write_all(b"question").await.unwrap();
    io.shutdown().await.unwrap();
    io.shutdown().await.unwrap();
    io.flush().await.unwrap();
    let refused = io.write(b"more").await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
    let (heard, end) = read_all(&mut peer).await;
    assert_eq!(heard, b"question.");
    end.unwrap();
    peer.write_all(b"answer.").await.unwrap();
    peer.shutdown().await.unwrap();
    assert_eq!(read_all(&mut io).await.0, b"answer");
}

#[tokio::test]
async fn a_dropped_or_aborted_stream_sends_no_trailer() {
    for abort in [false, true] {
        let (mut io, mut peer) = side(&stop(), 64);
        io.write_all(b"hello").await.unwrap();
        io.flush().await.unwrap();
        if abort {
            io.abort();
        }
        drop(io);
        let (heard, end) = read_all(&mut peer).await;
        assert_eq!(heard, b"hello");
        match abort {
            true => assert_reset(&end),
            false => end.unwrap(),
        }
    }
}

// ===== what is held =====

#[tokio::test]
async fn a_flush_reaches_the_wire() {
    for layer in [stop(), frames(), lines()] {
        let (peer, io) = memory::connection(64);
        let io = Opaque(tokio::io::BufWriter::new(io));
        let mut io = layer.apply(conn(io)).io;
        let mut peer = peer;
        for key in [b'l', b's'] {
            io.write_u8(key).await.unwrap();
            io.flush().await.unwrap();
            let mut heard = [0; 64];
            let n = peer.read(&mut heard).await.unwrap();
            assert!(heard[..n].contains(&key));
        }
    }
}

#[tokio::test]
async fn a_reader_that_stops_stops_the_writer() {
    let (mut io, mut peer) = side(&frames(), 1024);
    let mut taken = 0;
    let mut burst = task::spawn(async {
        loop {
            taken += io.write(&[b'x'; 100_000]).await.unwrap();
        }
    });
    assert_pending!(burst.poll());
    drop(burst);
    assert_eq!(taken, 16 * 1024);
    // What a write that is given up has taken is not lost, and what it has not is not sent.
    let write = async {
        io.write_all(b"the end").await.unwrap();
        io.shutdown().await.unwrap();
    };
    let ((), (heard, end)) = tokio::join!(write, read_all(&mut peer));
    end.unwrap();
    assert_eq!(heard.len(), taken + 4 + b"the end".len() + 4);
}

#[tokio::test]
async fn a_burst_of_slices_is_one_item() {
    let (mut io, mut peer) = side(&frames(), 1024);
    assert!(io.is_write_vectored());
    let slices = [&b"o"[..], b"", b"ne"].map(io::IoSlice::new);
    assert_eq!(io.write_vectored(&slices).await.unwrap(), 3);
    assert_eq!(io.write(b"").await.unwrap(), 0);
    let long = vec![b'x'; 10_000];
    let slices = [&long[..], &long].map(io::IoSlice::new);
    assert_eq!(io.write_vectored(&slices).await.unwrap(), 16 * 1024);
    drop((read_some(&mut peer, 7).await, io));
}

// ===== in a relay =====

#[tokio::test]
async fn a_relay_between_a_format_and_plain_bytes() {
    let (io, mut wire) = side(&stop(), 64);
    let (mut plain, plain_io) = memory::connection(64);
    let (session, end) = relay_between(Identity::new(), io, plain_io);
    for key in b"ls\n" {
        plain.write_u8(*key).await.unwrap();
        assert_eq!(read_some(&mut wire, 1).await, [*key]);
        wire.write_u8(*key).await.unwrap();
        assert_eq!(read_some(&mut plain, 1).await, [*key]);
    }
    plain.shutdown().await.unwrap();
    assert_eq!(read_all(&mut wire).await.0, b".");
    wire.write_all(b"answer.").await.unwrap();
    wire.shutdown().await.unwrap();
    let (heard, ended) = read_all(&mut plain).await;
    assert_eq!(heard, b"answer");
    ended.unwrap();
    assert_eq!(session.meter().bytes(Side::B), 3, "plain bytes are counted");
    let summary = end.await.unwrap().unwrap();
    assert_eq!(summary.reason, CloseReason::Finished(Side::B));
}

#[tokio::test]
async fn a_stream_that_is_cut_is_a_reset() {
    for wire in [&b"hello"[..], b"hello.."] {
        let (io, mut peer) = side(&stop(), 64);
        let (mut plain, plain_io) = memory::connection(64);
        let (_, end) = relay_between(Identity::new(), io, plain_io);
        peer.write_all(wire).await.unwrap();
        peer.shutdown().await.unwrap();
        let (heard, ended) = read_all(&mut plain).await;
        assert_eq!(heard, b"hello");
        assert_reset(&ended);
        let error = end.await.unwrap().unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Failed(Side::A));
    }
}

#[tokio::test]
async fn an_encode_error_is_a_failure_of_that_side() {
    let (io, mut peer) = side(&lines(), 64);
    let (mut plain, plain_io) = memory::connection(64);
    let (_, end) = relay_between(Identity::new(), io, plain_io);
    plain.write_all(b"one\xff").await.unwrap();
    let (heard, ended) = read_all(&mut peer).await;
    assert_eq!(heard, b"one\n");
    assert_reset(&ended);
    let error = end.await.unwrap().unwrap_err();
    assert_eq!(error.summary().reason, CloseReason::Failed(Side::A));
    assert_reset(&read_all(&mut plain).await.1);
}

proptest! {
    #[test]
    fn a_tunnel_of_two_codecs_passes_all_bytes(
        bursts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..8),
        flush in any::<bool>(),
        buffer in 1_usize..300,
    ) {
        let bursts = &bursts;
        for layer in [stuffed(), frames()] {
            let heard = tokio_test::block_on(async {
                let (one, two) = memory::connection(buffer);
                let mut one = layer.apply(conn(one)).io;
                let mut two = layer.apply(conn(two)).io;
                let say = async move {
                    for burst in bursts {
                        one.write_all(burst).await.unwrap();
                        if flush {
                            one.flush().await.unwrap();
                        }
                    }
                    one.shutdown().await.unwrap();
                    one
                };
                let (_open, (heard, end)) = tokio::join!(say, read_all(&mut two));
                end.unwrap();
                heard
            });
            prop_assert_eq!(heard, bursts.concat());
        }
    }
}

/// As [`stop`], for bytes of any kind: those that are a full stop are doubled by another.
fn stuffed() -> CodecLayer {
    CodecLayer::transforms(|| Unstuff, || Stuff)
}

struct Stuff;

struct Unstuff;

impl Transform for Stuff {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        for byte in input.split() {
            output.extend_from_slice(if byte == b'.' {
                b".!"
            } else {
                std::slice::from_ref(&byte)
            });
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        output.extend_from_slice(b".");
        Ok(())
    }
}

impl Transform for Unstuff {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        while let Some(first) = input.first() {
            let len = match (first, input.get(1)) {
                (b'.', None) => break,
                (b'.', Some(b'!')) => 2,
                (b'.', Some(_)) => return Err("more after the end".into()),
                _ => 1,
            };
            output.extend_from_slice(&input.split_to(len)[..1]);
        }
        Ok(())
    }

    fn finish(&mut self, input: &mut BytesMut, _: &mut BytesMut) -> Result<(), BoxError> {
        match &input[..] {
            b"." => Ok(()),
            _ => Err("it was cut".into()),
        }
    }
}
