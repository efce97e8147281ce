//! Streams of bytes that are known in advance and repeat nowhere near.

use std::{
    io::{self, Read, Write},
    sync::LazyLock,
};

/// A prime, so that what is moved by a buffer's size does not look the same.
const PERIOD: usize = 1_048_573;

const PIECE: usize = 64 * 1024;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    // A piece more than the period, so that every piece is a slice.
    let mut bytes: Vec<_> = (0..PERIOD).map(|_| next()).collect();
    bytes.extend_from_within(..PIECE);
    bytes
});

/// The first `length` bytes of stream `number`.
pub fn bytes(number: usize, length: usize) -> Vec<u8> {
    pieces(number, length).flatten().copied().collect()
}

/// Writes the first `length` bytes of stream `number`.
pub fn write(mut to: impl Write, number: usize, length: usize) -> io::Result<()> {
    pieces(number, length).try_for_each(|piece| to.write_all(piece))
}

/// As [`write()`], which must succeed.
#[track_caller]
pub fn send(to: impl Write, number: usize, length: usize) {
    write(to, number, length).unwrap();
}

/// Reads `length` bytes, which must be the first of stream `number`.
#[track_caller]
pub fn expect(mut from: impl Read, number: usize, length: usize) {
    let mut read = vec![0; PIECE];
    for (i, piece) in pieces(number, length).enumerate() {
        let read = &mut read[..piece.len()];
        if let Err(error) = from.read_exact(read) {
            panic!(
                "within bytes {} to {} of {length}: {error}",
                i * PIECE,
                i * PIECE + piece.len()
            );
        }
        if let Some(at) = (0..piece.len()).find(|at| read[*at] != piece[*at]) {
            panic!("byte {} of {length} is another", i * PIECE + at);
        }
    }
}

/// Reads to the end of the stream: `length` bytes, which must be the first of stream `number`.
#[track_caller]
pub fn expect_all(mut from: impl Read, number: usize, length: usize) {
    expect(&mut from, number, length);
    assert_eq!(
        from.read(&mut [0; 64]).unwrap(),
        0,
        "more than {length} bytes"
    );
}

fn pieces(number: usize, length: usize) -> impl Iterator<Item = &'static [u8]> {
    (0..length).step_by(PIECE).map(move |at| {
        let start = (number * 100_003 + at) % PERIOD;
        &BYTES[start..start + PIECE.min(length - at)]
    })
}
