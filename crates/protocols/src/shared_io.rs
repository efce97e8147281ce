//! Parts that the ios of several protocols share.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

/// Bytes that were read before a reader asked for them. Empty, it holds no memory.
#[derive(Default)]
pub(crate) struct Ahead(BytesMut);

/// Returns the error, and leaves one of the same kind: an io fails once with all that is known, and then
/// again and again by the kind.
#[cfg(any(feature = "tls", feature = "ws"))]
pub(crate) fn tell(error: &mut io::Error) -> io::Error {
    let again = error.kind().into();
    std::mem::replace(error, again)
}

/// The same of an end of stream, which may be clean.
#[cfg(feature = "tls")]
pub(crate) fn tell_end(end: &mut io::Result<()>) -> io::Result<()> {
    match end {
        Ok(()) => Ok(()),
        Err(error) => Err(tell(error)),
    }
}

/// The first slice with bytes in it, for an io that writes one slice at a time.
pub(crate) fn first<'a>(slices: &'a [io::IoSlice<'_>]) -> &'a [u8] {
    let first = slices.iter().find(|slice| !slice.is_empty());
    first.map_or(&[], |slice| slice)
}

// ===== impl Ahead =====

impl Ahead {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Gives the reader as many bytes as fit. `false` if there is none.
    pub(crate) fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let n = self.0.len().min(buf.remaining());
        buf.put_slice(&self.0[..n]);
        self.0.advance(n);
        if self.0.is_empty() {
            self.0 = BytesMut::new();
        }
        true
    }
}
