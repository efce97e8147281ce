use std::io;

use bytes::Bytes;
use couplet_endpoint::{Io, Replay};
use thiserror::Error;

/// A connection did not send the line that a handshake asked for.
#[derive(Debug, Error)]
pub enum LineError {
    /// The line is too long.
    #[error("first line is longer than {0} bytes")]
    TooLong(usize),
    /// The connection ended before a line was complete.
    #[error("connection ended before the end of the first line")]
    Ended,
    /// The connection failed.
    #[error("reading the first line failed")]
    Io(#[from] io::Error),
}

/// Takes the next line from a connection, for a handshake that asks for one.
///
/// Returns the line without its line feed, or carriage return and line feed; the bytes behind it are
/// left for the next reader. Reads at most `limit` bytes, the line feed among them. Has no deadline of
/// its own: a [`HandshakeLayer`](super::HandshakeLayer) has.
///
/// Cancel-safe: the bytes that were read stay in the [`Replay`].
///
/// # Errors
///
/// If there is no line feed within `limit` bytes or before the end of the stream, or reading fails.
pub async fn take_line<I: Io>(io: &mut Replay<I>, limit: usize) -> Result<Bytes, LineError> {
    let mut searched = 0;
    loop {
        let unsearched = &io.ahead()[searched..];
        let found = unsearched.iter().position(|byte| *byte == b'\n');
        if let Some(end) = found.map(|at| searched + at).filter(|end| *end < limit) {
            let line = &io.ahead()[..end];
            let line = Bytes::copy_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
            io.consume(end + 1);
            return Ok(line);
        }
        searched = io.ahead().len();
        if searched >= limit {
            return Err(LineError::TooLong(limit));
        }
        if io.read_ahead(limit).await? == 0 {
            return Err(LineError::Ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::memory;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::testing::read_all;

    async fn sent(bytes: &[u8]) -> Replay<memory::MemoryStream> {
        let (mut peer, io) = memory::connection(64);
        peer.write_all(bytes).await.unwrap();
        Replay::new(io)
    }

    #[tokio::test]
    async fn lines_are_read_one_by_one_and_the_rest_is_left() {
        let mut io = sent(b"one\r\n\ntwo\nrest").await;
        for line in [&b"one"[..], b"", b"two"] {
            assert_eq!(take_line(&mut io, 64).await.unwrap(), line);
        }
        assert_eq!(read_all(&mut io).await.0, b"rest");
    }

    #[tokio::test]
    async fn no_more_is_read_than_the_limit() {
        let mut io = sent(b"abc\n").await;
        assert_eq!(take_line(&mut io, 4).await.unwrap(), &b"abc"[..]);
        let mut io = sent(b"abcd\n").await;
        let error = take_line(&mut io, 4).await.unwrap_err();
        assert!(matches!(error, LineError::TooLong(4)));
        assert_eq!(io.ahead(), b"abcd");
        // Nor is a line taken that was read ahead and is longer.
        assert_eq!(io.read_ahead(64).await.unwrap(), 1);
        assert!(take_line(&mut io, 4).await.is_err());
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_an_error() {
        let mut io = sent(b"abc").await;
        assert!(matches!(
            take_line(&mut io, 64).await.unwrap_err(),
            LineError::Ended
        ));
    }
}
