//! Wire formats of a side: compression, and messages.

use bytes::BytesMut;
use couplet_connector::layers::{
    Codec, PlainBytes, Transform,
    payload::{
        codec::WholeItems,
        compress::{Lz4, Zstd},
    },
};
use tokio_util::codec::{AnyDelimiterCodec, LengthDelimitedCodec, LinesCodec};

use crate::stranger::shown;

/// What came out, and the error if there was one.
#[derive(Debug)]
struct Made {
    bytes: Vec<u8>,
    error: Option<String>,
    /// There would have been more.
    cut: bool,
}

/// No more than this of what comes out is looked at.
const ENOUGH: usize = 1 << 20;

/// A transform says at most this much at once.
const AT_ONCE: usize = 256 * 1024;

/// Compressed bytes of a stranger, and whether what we compress comes back.
pub fn compress(data: &[u8]) {
    let [kind, piece, bytes @ ..] = data else {
        return;
    };
    let piece = usize::from(*piece);
    match kind % 4 {
        // libzstd takes an empty compressed block that comes in pieces, and refuses it in one.
        0 => {
            same_bytes_however_cut(|| Zstd::new().decompress(), piece, bytes);
        }
        1 => same_however_cut(|| Lz4::new().decompress(), piece, bytes),
        2 => {
            let zstd = Zstd::new().level(i32::from(kind / 4));
            there_and_back(zstd.compress(), zstd.decompress(), piece, bytes);
        }
        _ => there_and_back(Lz4::new().compress(), Lz4::new().decompress(), piece, bytes),
    }
}

/// Messages of a stranger: of the libraries' codecs, and as the command has them.
pub fn frames(data: &[u8]) {
    let [kind, piece, bytes @ ..] = data else {
        return;
    };
    let piece = usize::from(*piece);
    let plain = PlainBytes::new;
    match kind % 8 {
        0 => {
            let lines = || WholeItems::new(LinesCodec::new_with_max_length(64));
            same_however_cut(|| Codec::new(lines(), plain()), piece, bytes);
        }
        1 => {
            let ends =
                || AnyDelimiterCodec::new_with_max_length(b";\0".to_vec(), b";".to_vec(), 64);
            same_however_cut(
                || Codec::new(WholeItems::new(ends()), plain()),
                piece,
                bytes,
            );
        }
        2 => {
            let frames = || {
                LengthDelimitedCodec::builder()
                    .max_frame_length(64)
                    .new_codec()
            };
            same_however_cut(
                || Codec::new(WholeItems::new(frames()), plain()),
                piece,
                bytes,
            );
        }
        _ => {
            let forms = [
                "lines",
                "length:1",
                "length:2le",
                "length:8",
                "delimiter:003b",
            ];
            let pick = |n: u8| forms[usize::from(n) % forms.len()];
            let (from, to) = (pick(kind / 8), pick(kind / 64 + kind % 8));
            let make = || couplet::frames(from, to).expect("both are forms");
            same_however_cut(make, piece, bytes);
        }
    }
}

/// Fails if what becomes of the bytes depends on the pieces in which they come.
fn same_however_cut<T: Transform>(make: impl Fn() -> T, piece: usize, bytes: &[u8]) {
    let [whole, pieces] = same_bytes_however_cut(make, piece, bytes);
    if whole.cut || pieces.cut {
        return;
    }
    assert_eq!(
        whole.error.is_some(),
        pieces.error.is_some(),
        "{whole:?} {pieces:?}"
    );
    if whole.error.is_none() {
        assert_eq!(whole.bytes.len(), pieces.bytes.len());
    }
}

/// Fails if the bytes that come out depend on the pieces. How many come out before an error does.
fn same_bytes_however_cut<T: Transform>(
    make: impl Fn() -> T,
    piece: usize,
    bytes: &[u8],
) -> [Made; 2] {
    let whole = transformed(make(), bytes.len(), bytes, false);
    let pieces = transformed(make(), piece.max(1), bytes, piece % 2 == 1);
    let len = whole.bytes.len().min(pieces.bytes.len());
    assert_eq!(whole.bytes[..len], pieces.bytes[..len]);
    [whole, pieces]
}

/// Fails if the second does not give back what the first was given.
fn there_and_back(there: impl Transform, back: impl Transform, piece: usize, bytes: &[u8]) {
    let wire = transformed(there, piece.max(1), bytes, piece % 2 == 1);
    assert_eq!(wire.error, None);
    let plain = transformed(back, piece.max(1), &wire.bytes, false);
    assert_eq!(plain.error, None);
    assert!(plain.bytes == bytes);
}

/// Lets them through as a relay does: whenever there is output, it goes first.
fn transformed(mut transform: impl Transform, piece: usize, bytes: &[u8], flushes: bool) -> Made {
    let mut made = Made {
        bytes: Vec::new(),
        error: None,
        cut: false,
    };
    let mut input = BytesMut::new();
    for piece in bytes.chunks(piece.max(1)) {
        input.extend_from_slice(piece);
        if !made.take_all(|output| transform.transform(&mut input, output)) {
            return made;
        }
        if flushes && !made.take(|output| transform.flush(output)) {
            return made;
        }
    }
    made.take(|output| transform.finish(&mut input, output));
    made
}

// ===== impl Made =====

impl Made {
    /// Takes what one call makes; false where there is no more to take.
    fn take<E>(&mut self, call: impl FnOnce(&mut BytesMut) -> Result<(), E>) -> bool
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut output = BytesMut::new();
        let result = call(&mut output);
        assert!(output.len() <= AT_ONCE, "{} bytes at once", output.len());
        self.bytes.extend_from_slice(&output);
        self.cut = self.bytes.len() > ENOUGH;
        if let Err(error) = result {
            self.error = Some(shown(&*error.into()));
        }
        self.error.is_none() && !self.cut
    }

    /// Calls until there is no more output.
    fn take_all<E>(&mut self, mut call: impl FnMut(&mut BytesMut) -> Result<(), E>) -> bool
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        loop {
            let before = self.bytes.len();
            if !self.take(&mut call) {
                return false;
            }
            if self.bytes.len() == before {
                return true;
            }
        }
    }
}
