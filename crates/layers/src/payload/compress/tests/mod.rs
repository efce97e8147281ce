#![cfg(any(feature = "zstd", feature = "lz4"))]

use std::io;

use bytes::BytesMut;
use couplet_endpoint::{Side, find_cause, memory};
use couplet_pairing::CloseReason;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::layer::util::Identity;

use super::CompressError;
use crate::{
    CodecLayer, Transform,
    testing::{assert_reset, conn, read_all, read_some, relay_between},
};

const KIB: usize = 1024;

/// Makes a compressor and a decompressor.
type Make = fn() -> (Box<dyn Transform>, Box<dyn Transform>);

fn formats() -> Vec<(&'static str, CodecLayer, Make)> {
    vec![
        #[cfg(feature = "zstd")]
        ("zstd", super::Zstd::new().layer(), || {
            let zstd = super::Zstd::new();
            (Box::new(zstd.compress()), Box::new(zstd.decompress()))
        }),
        #[cfg(feature = "lz4")]
        ("lz4", super::Lz4::new().layer(), || {
            let lz4 = super::Lz4::new();
            (Box::new(lz4.compress()), Box::new(lz4.decompress()))
        }),
    ]
}

fn compressed(make: Make, plain: &[u8]) -> Vec<u8> {
    let (mut compress, _) = make();
    let (mut input, mut wire) = (BytesMut::from(plain), BytesMut::new());
    compress.transform(&mut input, &mut wire).unwrap();
    compress.finish(&mut input, &mut wire).unwrap();
    wire.to_vec()
}

/// What comes out when this is all that comes in.
async fn decompressed(layer: &CodecLayer, wire: &[u8]) -> (Vec<u8>, Result<(), CompressError>) {
    let (mut peer, io) = memory::connection(wire.len().max(1));
    let mut io = layer.apply(conn(io)).io;
    peer.write_all(wire).await.unwrap();
    drop(peer);
    let (plain, end) = read_all(&mut io).await;
    let why = |error: io::Error| *find_cause::<CompressError>(&error).unwrap();
    (plain, end.map_err(why))
}

fn noise(len: usize) -> Vec<u8> {
    let mut random = 7_u64;
    std::iter::repeat_with(|| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as u8
    })
    .take(len)
    .collect()
}

#[tokio::test]
async fn text_shrinks_and_noise_keeps_its_size() {
    for (name, layer, make) in formats() {
        let text = b"the same again, ".repeat(32 * KIB);
        let wire = compressed(make, &text);
        assert!(wire.len() < text.len() / 100, "{name}: {}", wire.len());
        assert_eq!(decompressed(&layer, &wire).await, (text, Ok(())));

        let noise = noise(1024 * KIB);
        let wire = compressed(make, &noise);
        assert!(wire.len() < noise.len() + KIB, "{name}: {}", wire.len());
        assert_eq!(decompressed(&layer, &wire).await, (noise, Ok(())));
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_has_no_end() {
    for (name, layer, make) in formats() {
        for plain in [&b""[..], b"hello", &noise(200)] {
            let wire = compressed(make, plain);
            for cut in 0..wire.len() {
                let (heard, end) = decompressed(&layer, &wire[..cut]).await;
                assert_eq!(end, Err(CompressError::Cut), "{name} cut at {cut}");
                assert!(plain.starts_with(&heard));
            }
            assert_eq!(decompressed(&layer, &wire).await, (plain.to_vec(), Ok(())));
            // Behind a frame comes another, or nothing.
            let longer = [&wire[..], b"xxxxx"].concat();
            let (heard, end) = decompressed(&layer, &longer).await;
            assert_eq!(heard, plain);
            assert!(
                matches!(end, Err(CompressError::Header(_))),
                "{name}: {end:?}"
            );
            let begun = [&wire[..], &wire[..4]].concat();
            let expected = (plain.to_vec(), Err(CompressError::Cut));
            assert_eq!(decompressed(&layer, &begun).await, expected, "{name}");
        }
    }
}

/// By its checksum; our LZ4 has none.
#[cfg(feature = "zstd")]
#[tokio::test]
async fn zstd_detects_a_changed_bit() {
    let (_, layer, make) = formats().remove(0);
    let plain = noise(200);
    let wire = compressed(make, &plain);
    for at in 0..wire.len() * 8 {
        let mut changed = wire.clone();
        changed[at / 8] ^= 1 << (at % 8);
        let (heard, end) = decompressed(&layer, &changed).await;
        // Some of the header say nothing of what is in it.
        assert!(end.is_err() || heard == plain, "bit {at}");
    }
}

#[tokio::test]
async fn bytes_that_are_not_compressed_fail() {
    for (_, layer, _) in formats() {
        let (heard, end) = decompressed(&layer, b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(heard.is_empty());
        assert!(matches!(
            end,
            Err(CompressError::Header(_) | CompressError::Broken(_))
        ));
    }
}

#[tokio::test]
async fn a_decompression_bomb_is_bounded_by_back_pressure() {
    for (name, _, make) in formats() {
        let wire = compressed(make, &vec![0; 16 * 1024 * KIB]);
        assert!(wire.len() <= 80 * KIB, "{name}: {}", wire.len());
        let (_, mut decompress) = make();
        let (mut input, mut output) = (BytesMut::from(&wire[..]), BytesMut::new());
        let mut total = 0;
        while total < 16 * 1024 * KIB {
            decompress.transform(&mut input, &mut output).unwrap();
            assert!(!output.is_empty(), "{name}: it goes on");
            assert!(output.capacity() <= 160 * KIB, "{name}");
            total += output.len();
            output.clear();
        }
        decompress.transform(&mut input, &mut output).unwrap();
        decompress.finish(&mut input, &mut output).unwrap();
    }
}

#[tokio::test]
async fn frames_in_a_row_are_one_stream() {
    for (name, layer, make) in formats() {
        let skipped = [0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        let (one, two) = (
            compressed(make, b"one, "),
            compressed(make, &noise(300 * KIB)),
        );
        let wire = [&skipped[..], &one, &compressed(make, b""), &two, &skipped].concat();
        let expected = [b"one, ", &noise(300 * KIB)[..]].concat();
        assert_eq!(
            decompressed(&layer, &wire).await,
            (expected, Ok(())),
            "{name}"
        );
    }
}

#[cfg(feature = "zstd")]
#[tokio::test]
async fn a_window_that_is_too_large_is_refused_with_the_limit_and_the_remedy() {
    let wire = compressed(
        || {
            let wide = super::Zstd::new().window_log(17);
            (Box::new(wide.compress()), Box::new(wide.decompress()))
        },
        &noise(300 * KIB),
    );
    let narrow = super::Zstd::new().max_window(64 * KIB);
    let (heard, end) = decompressed(&narrow.layer(), &wire).await;
    assert!(heard.is_empty());
    let error = end.unwrap_err();
    assert_eq!(error, CompressError::Window { allowed: 64 * KIB });
    let said = error.to_string();
    assert!(
        said.contains("65536") && said.contains("compress.window"),
        "{said}"
    );
    decompressed(&super::Zstd::new().layer(), &wire)
        .await
        .1
        .unwrap();
}

#[cfg(feature = "lz4")]
#[tokio::test]
async fn blocks_that_are_too_large_are_refused_with_the_limit_and_the_remedy() {
    let wire = compressed(formats().last().unwrap().2, b"hello");
    let narrow = super::Lz4::new().max_window(64 * KIB - 1);
    let (_, end) = decompressed(&narrow.layer(), &wire).await;
    assert_eq!(
        end,
        Err(CompressError::Window {
            allowed: 64 * KIB - 1
        })
    );
}

#[cfg(feature = "lz4")]
#[tokio::test]
async fn a_block_that_is_too_long_is_refused() {
    let layer = super::Lz4::new().layer();
    let header = compressed(formats().last().unwrap().2, b"")[..7].to_vec();
    for length in [64 * KIB as u32 + 1, u32::MAX] {
        let wire = [&header[..], &length.to_le_bytes()].concat();
        let (_, end) = decompressed(&layer, &wire).await;
        assert!(matches!(end, Err(CompressError::Broken(_))));
    }
    // A block that makes more than 64 KiB of itself.
    let bomb = [&[0x1f, 0][..], &[1, 0], &[0xff; 300], &[0, 0x50], b"enddd"].concat();
    let length = (bomb.len() as u32).to_le_bytes();
    let wire = [&header[..], &length, &bomb].concat();
    let (heard, end) = decompressed(&layer, &wire).await;
    assert!(heard.is_empty());
    assert!(matches!(end, Err(CompressError::Broken(_))));
}

#[tokio::test]
async fn a_tunnel_of_two_relays() {
    for (_, layer, _) in formats() {
        let (mut client, client_io) = memory::connection(64 * KIB);
        let (near, far) = memory::connection(64 * KIB);
        let (mut server, server_io) = memory::connection(64 * KIB);
        let near = layer.apply(conn(near)).io;
        let far = layer.apply(conn(far)).io;
        let (_, near) = relay_between(Identity::new(), client_io, near);
        let (_, far) = relay_between(Identity::new(), far, server_io);
        for key in b"ls -l\n" {
            client.write_u8(*key).await.unwrap();
            assert_eq!(read_some(&mut server, 1).await, [*key]);
            server.write_u8(*key).await.unwrap();
            assert_eq!(read_some(&mut client, 1).await, [*key]);
        }
        client.shutdown().await.unwrap();
        let (heard, end) = read_all(&mut server).await;
        assert!(heard.is_empty());
        end.unwrap();
        let answer = noise(1024 * KIB);
        let says = async {
            server.write_all(&answer).await.unwrap();
            server.shutdown().await.unwrap();
        };
        let ((), (heard, end)) = tokio::join!(says, read_all(&mut client));
        end.unwrap();
        assert!(heard == answer);
        assert!(near.await.unwrap().unwrap().reason.is_clean());
        assert!(far.await.unwrap().unwrap().reason.is_clean());
    }
}

#[tokio::test]
async fn a_tunnel_that_breaks_makes_up_no_end() {
    for (_, layer, _) in formats() {
        let (mut client, client_io) = memory::connection(64 * KIB);
        let (near, mut wire) = memory::connection(64 * KIB);
        let near = layer.apply(conn(near)).io;
        let (_, end) = relay_between(Identity::new(), client_io, near);
        client.write_all(b"question").await.unwrap();
        assert!(wire.read(&mut [0; 100]).await.unwrap() > 0);
        wire.shutdown().await.unwrap();
        let (heard, ended) = read_all(&mut client).await;
        assert!(heard.is_empty());
        assert_reset(&ended);
        let error = end.await.unwrap().unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Failed(Side::B));
    }
}

#[cfg(feature = "lz4")]
#[test]
fn a_short_block_takes_little_memory() {
    // A frame's beginning, and a block of which nothing comes.
    let wire = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 1, 0, 0, 0, 0];
    let (mut input, mut plain) = (BytesMut::from(&wire[..]), BytesMut::new());
    let mut decompress = super::Lz4::new().decompress();
    decompress.transform(&mut input, &mut plain).unwrap();
    assert!(input.is_empty() && plain.is_empty());
    assert!(plain.capacity() < KIB, "{}", plain.capacity());
}

/// As dense as can be: one byte, again and again.
#[tokio::test]
async fn the_densest_block_fits_its_buffer() {
    for (_, layer, make) in formats() {
        for len in [1, 18, 19, 254, 255, 256, 4 * KIB, 64 * KIB, 1024 * KIB] {
            let plain = vec![b'x'; len];
            let wire = compressed(make, &plain);
            assert_eq!(decompressed(&layer, &wire).await, (plain, Ok(())));
        }
    }
}

proptest! {
    #[test]
    fn bytes_survive_compression_and_decompression(
        bursts in prop::collection::vec(prop::collection::vec(0..4_u8, 0..8000), 0..6),
        cut in 1..5000_usize,
    ) {
        for (_, _, make) in formats() {
            let (mut compress, mut decompress) = make();
            let (mut input, mut wire) = (BytesMut::new(), BytesMut::new());
            for burst in &bursts {
                input.extend_from_slice(burst);
                compress.transform(&mut input, &mut wire).unwrap();
                compress.flush(&mut wire).unwrap();
            }
            compress.finish(&mut input, &mut wire).unwrap();
            let (mut input, mut plain, mut heard) = (BytesMut::new(), BytesMut::new(), Vec::new());
            for piece in wire.chunks(cut) {
                input.extend_from_slice(piece);
                loop {
                    decompress.transform(&mut input, &mut plain).unwrap();
                    if plain.is_empty() {
                        break;
                    }
                    heard.extend_from_slice(&plain.split());
                }
            }
            decompress.finish(&mut input, &mut plain).unwrap();
            prop_assert_eq!(&heard, &bursts.concat());
        }
    }

    #[test]
    fn nothing_from_the_network_panics(
        mut wire in prop::collection::vec(any::<u8>(), 0..300),
        header in any::<bool>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        for (_, _, make) in formats() {
            if header {
                // A right stream with a few bytes changed.
                wire = compressed(make, &wire.repeat(3));
                for (at, byte) in &flips {
                    let at = at.index(wire.len());
                    wire[at] ^= byte;
                }
            }
            let (_, mut decompress) = make();
            let (mut input, mut output) = (BytesMut::from(&wire[..]), BytesMut::new());
            while decompress.transform(&mut input, &mut output).is_ok() && !output.is_empty() {
                output.clear();
            }
            let _ = decompress.finish(&mut input, &mut output);
        }
    }
}
