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

/// Bytes become frames. It holds the rest of one frame of bytes, and a few control frames.
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
}

// ===== impl Encoder =====

impl Encoder {
    pub(super) fn new(masks: Option<Masks>) -> Self {
        Self {
            masks,
            out: BytesMut::new(),
            pong: None,
            ping: false,
        }
    }

    /// Whether all is written.
    pub(super) fn is_empty(&self) -> bool {
        self.out.is_empty()
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
