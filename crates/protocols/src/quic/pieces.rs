//! What Couplets say within a stream: see the [module above](super).

use std::{
    io,
    task::{Context, Poll, ready},
};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::ReadBuf;

use super::OPEN;

/// The most bytes behind one length.
pub(super) const PIECE: usize = 32 * 1024;

const LENGTH: usize = 2;

/// Where in the pieces a reader is.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    opened: bool,
    /// The first byte of a length of which the second is still to come.
    high: Option<u8>,
    /// What is still to come of a piece.
    left: usize,
    pub(super) ended: bool,
}

/// A piece with its length before it.
pub(super) fn piece(bytes: &[u8]) -> (Bytes, usize) {
    let taken = bytes.len().min(PIECE);
    let mut piece = BytesMut::with_capacity(LENGTH + taken);
    // A piece is shorter than 64 KiB.
    piece.put_u16(taken as u16);
    piece.put_slice(&bytes[..taken]);
    (piece.freeze(), taken)
}

/// The mark of the end.
pub(super) const END: Bytes = Bytes::from_static(&[0; LENGTH]);

/// What a stream begins with.
pub(super) const BEGIN: Bytes = Bytes::from_static(&[OPEN]);

// ===== impl Pieces =====

impl Pieces {
    pub(super) const fn is_opened(&self) -> bool {
        self.opened
    }

    /// Reads on; `read` fills a part of its buffer, and returns 0 at the end of the stream. Ready with 0 once the
    /// end has come.
    ///
    /// With `only_open` it is ready with 0 once the stream is open, and takes no byte behind that.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        only_open: bool,
        mut read: impl FnMut(&mut Context<'_>, &mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.ended || (only_open && self.opened) {
                return Poll::Ready(Ok(0));
            }
            if self.left > 0 {
                let room = self.left.min(buf.remaining());
                let n = ready!(read(cx, &mut buf.initialize_unfilled()[..room]))?;
                if n == 0 {
                    return Poll::Ready(Err(cut()));
                }
                buf.advance(n);
                self.left -= n;
                return Poll::Ready(Ok(n));
            }
            let mut head = [0; LENGTH];
            let wanted = match (self.opened, self.high) {
                (true, None) => LENGTH,
                _ => 1,
            };
            let n = ready!(read(cx, &mut head[..wanted]))?;
            if n == 0 {
                return Poll::Ready(Err(cut()));
            }
            for byte in &head[..n] {
                self.take(*byte)?;
            }
        }
    }

    fn take(&mut self, byte: u8) -> io::Result<()> {
        match (self.opened, self.high.take()) {
            (false, _) if byte == OPEN => self.opened = true,
            (false, _) => {
                let text = "peer begins a stream otherwise than Couplet does";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            (true, None) => self.high = Some(byte),
            (true, Some(high)) => {
                self.left = usize::from(u16::from_be_bytes([high, byte]));
                self.ended = self.left == 0;
            }
        }
        Ok(())
    }
}

/// A stream that has ended without its end.
fn cut() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker_ref;
    use proptest::prelude::*;

    use super::*;

    /// What is read of a script that comes in parts of `part` bytes, with a buffer of `room`.
    fn read(script: &[u8], part: usize, room: usize) -> (Vec<u8>, io::Result<()>) {
        let (mut pieces, mut heard, mut at) = (Pieces::default(), Vec::new(), 0);
        let cx = &mut Context::from_waker(noop_waker_ref());
        loop {
            let mut bytes = vec![0; room];
            let mut buf = ReadBuf::new(&mut bytes);
            let polled = pieces.poll_read(cx, &mut buf, false, |_, buf| {
                let n = part.min(buf.len()).min(script.len() - at);
                buf[..n].copy_from_slice(&script[at..at + n]);
                at += n;
                Poll::Ready(Ok(n))
            });
            match polled {
                Poll::Ready(Ok(0)) => return (heard, Ok(())),
                Poll::Ready(Ok(n)) => heard.extend_from_slice(&bytes[..n]),
                Poll::Ready(Err(error)) => return (heard, Err(error)),
                Poll::Pending => unreachable!("the script is there"),
            }
        }
    }

    fn script(said: &[&[u8]]) -> Vec<u8> {
        let mut script = BEGIN.to_vec();
        for said in said {
            let mut said = *said;
            while !said.is_empty() {
                let (piece, taken) = piece(said);
                script.extend_from_slice(&piece);
                said = &said[taken..];
            }
        }
        script
    }

    proptest! {
        #[test]
        fn pieces_are_put_together_wherever_they_are_cut(
            said: Vec<Vec<u8>>, part in 1..50_usize, room in 1..50_usize, ends: bool,
        ) {
            let all: Vec<_> = said.iter().map(Vec::as_slice).collect();
            let mut script = script(&all);
            if ends {
                script.extend_from_slice(&END);
            }
            let (heard, end) = read(&script, part, room);
            prop_assert_eq!(heard, said.concat());
            let end = end.map_err(|error| error.kind());
            let expected = match ends { true => Ok(()), false => Err(io::ErrorKind::ConnectionReset) };
            prop_assert_eq!(end, expected);
        }

        #[test]
        fn any_bytes_are_pieces_or_an_error(script: Vec<u8>, part in 1..9_usize) {
            let _ = read(&script, part, 7);
        }
    }

    #[test]
    fn a_long_write_is_cut_into_pieces() {
        let long = vec![7; 3 * PIECE + 5];
        let mut script = script(&[&long]);
        script.extend_from_slice(&END);
        let (heard, end) = read(&script, 1000, 8192);
        assert!(heard == long);
        end.unwrap();
    }

    #[test]
    fn another_beginning_is_an_error() {
        let (heard, end) = read(b"GET /", 3, 10);
        assert!(heard.is_empty());
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
