//! What is encoded on the one relay and decoded on the other is what was sent.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut, Bytes, BytesMut};
use couplet_endpoint::memory::{self, MemoryStream};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio_util::codec::{BytesCodec, Decoder, Encoder};

use super::{Script, Step, reads, transformed};
use crate::{Codec, Transform, TransformLayer, map_bytes, testing::relay_between};

const END: u8 = 0xc0;
const ESCAPE: u8 = 0xdb;

/// Frames that end with a byte which can't be in them, as in RFC 1055 (SLIP).
#[derive(Clone, Debug)]
struct Stuffed;

impl Encoder<BytesMut> for Stuffed {
    type Error = io::Error;

    fn encode(&mut self, item: BytesMut, output: &mut BytesMut) -> io::Result<()> {
        for byte in item {
            if let END | ESCAPE = byte {
                output.put_slice(&[ESCAPE, byte ^ 0x20]);
            } else {
                output.put_u8(byte);
            }
        }
        output.put_u8(END);
        Ok(())
    }
}

impl Decoder for Stuffed {
    type Item = BytesMut;
    type Error = io::Error;

    fn decode(&mut self, input: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        let Some(end) = input.iter().position(|byte| *byte == END) else {
            return Ok(None);
        };
        let stuffed = input.split_to(end + 1);
        let mut item = BytesMut::with_capacity(end);
        let mut bytes = stuffed[..end].iter();
        while let Some(byte) = bytes.next() {
            item.put_u8(match byte {
                &ESCAPE => bytes.next().ok_or(io::ErrorKind::InvalidData)? ^ 0x20,
                byte => *byte,
            });
        }
        Ok(Some(item))
    }
}

fn stuff() -> impl Transform {
    Codec::new(BytesCodec::new(), Stuffed)
}

fn unstuff() -> impl Transform {
    Codec::new(Stuffed, BytesCodec::new())
}

/// Its own inverse, as long as no byte is lost, doubled or out of order.
fn xor() -> impl Transform {
    let mut key = 0_u8;
    map_bytes(move |bytes: Bytes| -> Vec<u8> {
        let keyed = bytes.iter().map(|byte| {
            key = key.wrapping_mul(5).wrapping_add(3);
            byte ^ key
        });
        keyed.collect()
    })
}

/// Is read at most this many bytes at a time.
struct Narrow<I>(I, usize);

couplet_endpoint::forward_async_write!(impl[I: tokio::io::AsyncWrite + Unpin] for Narrow<I>, 0);

impl<I: AsyncRead + Unpin> AsyncRead for Narrow<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut narrow = vec![0; self.1.min(buf.remaining())];
        let mut narrow = ReadBuf::new(&mut narrow);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut narrow))?;
        buf.put_slice(narrow.filled());
        Poll::Ready(Ok(()))
    }
}

fn round_trip(
    encode: impl Transform,
    decode: impl Transform,
    steps: Vec<Step>,
    between: usize,
    size: usize,
) -> Vec<u8> {
    let encoded = transformed(Script::new(steps), encode);
    let mut decoded = transformed(Narrow(encoded, between), decode);
    let (reads, end) = tokio_test::block_on(reads(&mut decoded, size));
    end.unwrap();
    reads.concat()
}

fn step() -> impl Strategy<Value = Step> {
    // Most bytes need to be escaped.
    let byte = prop_oneof![Just(END), Just(ESCAPE), any::<u8>()];
    prop_oneof![
        4 => prop::collection::vec(byte, 0..200).prop_map(Step::Bytes),
        1 => Just(Step::Stall),
    ]
}

proptest! {
    #[test]
    fn a_transform_and_its_inverse_change_nothing(
        steps in prop::collection::vec(step(), 0..12),
        between in 1_usize..300,
        size in 1_usize..300,
    ) {
        let sent = steps.iter().filter_map(|step| match step {
            Step::Bytes(bytes) => Some(&bytes[..]),
            _ => None,
        });
        let sent = sent.collect::<Vec<_>>().concat();
        prop_assert_eq!(&round_trip(stuff(), unstuff(), steps.clone(), between, size), &sent);
        prop_assert_eq!(&round_trip(xor(), xor(), steps, between, size), &sent);
    }
}

#[tokio::test]
async fn a_tunnel_of_two_relays() {
    let encode = TransformLayer::new().a_to_b(stuff).b_to_a(unstuff);
    let decode = TransformLayer::new().a_to_b(unstuff).b_to_a(stuff);
    for buffer in [7, 64 * 1024] {
        let (client, client_io) = memory::connection(buffer);
        let (near, far) = memory::connection(buffer);
        let (server, server_io) = memory::connection(buffer);
        let (_, near) = relay_between(encode.clone(), client_io, near);
        let (_, far) = relay_between(decode.clone(), far, server_io);

        let request: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let answer = [&request[..], &[END; 100], &[ESCAPE; 100]].concat();
        let (answered, requested) = tokio::join!(talk(client, &request), talk(server, &answer));
        assert!(answered == answer);
        assert!(requested == request);
        near.await.unwrap().unwrap();
        far.await.unwrap().unwrap();
    }
}

/// Says this, and tells what it heard meanwhile.
async fn talk(peer: MemoryStream, says: &[u8]) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(peer);
    let mut heard = Vec::new();
    let saying = async {
        write.write_all(says).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let (_, read) = tokio::join!(saying, read.read_to_end(&mut heard));
    read.unwrap();
    heard
}
