//! Frames that are written.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use couplet_endpoint::Io;
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use super::mask::{Mask, Masks, apply};

/// The most that a frame carries.
pub(super) const FRAME: usize = 64 * 1024;

const BINARY: OpCode = OpCode::Data(Data::Binary);

/// Bytes become frames. It holds the rest of one frame of bytes, and a few control frames. While a frame is spliced
/// nothing is written between its bytes.
#[derive(Debug)]
pub(super) struct Encoder {
    /// There where we are the client.
    masks: Option<Masks>,
    /// Whole frames, but for the beginning of the first, which is written.
    out: BytesMut,
    /// To be sent behind the frame that is under way.
    pub(super) pong: Option<Box<[u8]>>,
    /// Likewise.
    pub(super) ping: bool,
    /// Of the frame that is spliced.
    #[cfg(unix)]
    spliced: Spliced,
}

/// How many bytes are still to come.
#[cfg(unix)]
#[derive(Debug, Default)]
struct Spliced {
    /// Of the piece.
    piece: u32,
    /// Of the frame.
    frame: u32,
}

// ===== impl Encoder =====

impl Encoder {
    pub(super) fn new(masks: Option<Masks>) -> Self {
        Self {
            masks,
            out: BytesMut::new(),
            pong: None,
            ping: false,
            #[cfg(unix)]
            spliced: Spliced::default(),
        }
    }

    /// Whether all is written.
    pub(super) fn is_empty(&self) -> bool {
        self.out.is_empty() && !self.is_within_frame()
    }

    /// Whether bytes are masked.
    #[cfg(unix)]
    pub(super) const fn masks(&self) -> bool {
        self.masks.is_some()
    }

    /// Whether bytes of a frame are still to be spliced.
    const fn is_within_frame(&self) -> bool {
        #[cfg(unix)]
        return self.spliced.frame > 0;
        #[cfg(not(unix))]
        false
    }

    /// How many of the `left` bytes of a piece may be spliced now: those of a frame, whose head is written.
    #[cfg(unix)]
    pub(super) fn poll_splicing<I: Io>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
        left: u32,
    ) -> Poll<io::Result<u32>> {
        let went = self.spliced.piece.saturating_sub(left);
        self.spliced.frame = self.spliced.frame.saturating_sub(went);
        self.spliced.piece = left;
        if left > 0 && self.spliced.frame == 0 {
            ready!(self.poll_drain(cx, io))?;
            let frame = left.min(FRAME as u32);
            let mut head = [0; 14];
            let head = header(BINARY, None, frame as usize, &mut head)?;
            self.out.extend_from_slice(head);
            self.spliced.frame = frame;
        }
        while !self.out.is_empty() {
            let Some(socket) = io.splice_sink() else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            let n = ready!(socket.poll_write_head(cx, &self.out))?;
            self.out.advance(n);
        }
        Poll::Ready(Ok(self.spliced.frame))
    }

    /// Appends the message that ends the stream.
    pub(super) fn push_end(&mut self) -> io::Result<()> {
        self.push(BINARY, b"")
    }

    pub(super) fn push_close(&mut self, code: u16) -> io::Result<()> {
        self.push(OpCode::Control(Control::Close), &code.to_be_bytes())
    }

    /// Writes a frame of the bytes, or of the first of them, and returns how many those are. What the io
    /// does not take of the frame is held.
    pub(super) fn poll_frame<I: Io>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx, io))?;
        let bytes = &bytes[..bytes.len().min(FRAME)];
        if self.masks.is_some() || !io.is_write_vectored() {
            self.push(BINARY, bytes)?;
        } else {
            let mut head = [0; 14];
            let head = header(BINARY, None, bytes.len(), &mut head)?;
            let both = [IoSlice::new(head), IoSlice::new(bytes)];
            let n = ready!(Pin::new(&mut *io).poll_write_vectored(cx, &both))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.extend_from_slice(&head[n.min(head.len())..]);
            let carried = n.saturating_sub(head.len());
            self.out.extend_from_slice(&bytes[carried..]);
        }
        match self.poll_drain(cx, io) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(bytes.len())),
        }
    }

    /// Writes what is held.
    pub(super) fn poll_drain<I: Io>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.out.is_empty() {
                let n = ready!(Pin::new(&mut *io).poll_write(cx, &self.out))?;
                if n == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.out.advance(n);
            }
            if self.is_within_frame() {
                return Poll::Ready(Ok(()));
            }
            if let Some(pong) = self.pong.take() {
                self.push(OpCode::Control(Control::Pong), &pong)?;
            } else if std::mem::take(&mut self.ping) {
                self.push(OpCode::Control(Control::Ping), b"")?;
            } else {
                self.out = BytesMut::new();
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn push(&mut self, opcode: OpCode, bytes: &[u8]) -> io::Result<()> {
        if self.is_within_frame() {
            return Err(io::Error::other("a frame within a frame"));
        }
        let mask = self.masks.as_mut().map(Masks::next).transpose()?;
        let mut head = [0; 14];
        let head = header(opcode, mask, bytes.len(), &mut head)?;
        self.out.reserve(head.len() + bytes.len());
        self.out.extend_from_slice(head);
        let start = self.out.len();
        self.out.extend_from_slice(bytes);
        if let Some(mask) = mask {
            apply(mask, &mut self.out[start..]);
        }
        Ok(())
    }
}

fn header(
    opcode: OpCode,
    mask: Option<Mask>,
    len: usize,
    room: &mut [u8; 14],
) -> io::Result<&[u8]> {
    let header = FrameHeader {
        opcode,
        mask,
        ..FrameHeader::default()
    };
    let header_len = header.len(len as u64);
    let written = header.format(len as u64, &mut &mut room[..]);
    written.map_err(io::Error::other)?;
    Ok(&room[..header_len])
}
