//! Frames that are read: what they carry is moved together in the reader's own buffer.

use std::io::Cursor;

use thiserror::Error;
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{CloseCode, Control, Data, OpCode},
};

use super::mask::{Mask, apply};

/// The longest header of a frame.
const HEADER: usize = 14;

/// The most that a control frame carries (RFC 6455, section 5.5).
const CONTROL: usize = 125;

/// The peer does not keep to RFC 6455.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadFrame {
    /// A header that is no header: a reserved opcode.
    #[error("frame of an unknown kind")]
    Unknown,
    /// A bit is set that only an extension gives a meaning.
    #[error("frame of an extension that was not agreed on")]
    Reserved,
    /// A length is not in its shortest form, or 2^63 and more.
    #[error("length of a frame is not in its shortest form")]
    Length,
    /// A client's frame is not masked, or a server's is.
    #[error("frame of a client without a mask, or of a server with one")]
    Mask,
    /// A control frame is longer than 125 bytes, or in fragments.
    #[error("control frame is longer than {CONTROL} bytes, or in fragments")]
    Control,
    /// A fragment without a beginning, or a message within another.
    #[error("fragment without a message, or a message within another")]
    Fragment,
    /// A Close frame with half a code, or one that must not be sent.
    #[error("Close frame with a code that must not be sent")]
    Code,
    /// Bytes follow the message that ends the stream.
    #[error("bytes behind the message that ends the stream")]
    AfterEnd,
}

/// Frames become bytes.
#[derive(Debug)]
pub(super) struct Decoder {
    /// Whether the peer masks: it is the client.
    masks: bool,
    /// Whether an empty binary message is the end of the stream.
    has_end: bool,
    state: State,
    /// The beginning of a header.
    head: [u8; HEADER],
    head_len: usize,
    /// The message of which fragments are still to come.
    message: Option<Message>,
    control: [u8; CONTROL],
    /// The stream has ended by its message.
    pub(super) ended: bool,
    /// What the last ping asks to have sent back.
    pub(super) pong: Option<Box<[u8]>>,
    /// The peer's Close has come.
    pub(super) close: Option<Close>,
}

/// The peer has closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: Option<u16>,
    pub(super) reason: String,
}

#[derive(Debug)]
enum State {
    Header,
    Data(Rest),
    Control(Control, Rest, usize),
    /// Behind a Close nothing is looked at.
    Closed,
}

/// What is still to come of a frame.
#[derive(Debug)]
struct Rest {
    left: u64,
    mask: Option<Mask>,
}

#[derive(Debug)]
struct Message {
    is_binary: bool,
    is_empty: bool,
    is_last: bool,
}

// ===== impl Decoder =====

impl Decoder {
    pub(super) const fn new(masks: bool, has_end: bool) -> Self {
        Self {
            masks,
            has_end,
            state: State::Header,
            head: [0; HEADER],
            head_len: 0,
            message: None,
            control: [0; CONTROL],
            ended: false,
            pong: None,
            close: None,
        }
    }

    /// Takes what was read; what it carries is then at its beginning, this many bytes. Those count also
    /// where a bad frame is behind them.
    pub(super) fn decode(&mut self, bytes: &mut [u8]) -> (usize, Result<(), BadFrame>) {
        let (mut from, mut to) = (0, 0);
        while from < bytes.len() {
            match &mut self.state {
                State::Closed => break,
                State::Header => match self.take_header(&bytes[from..]) {
                    Ok(n) => from += n,
                    Err(bad) => return (to, Err(bad)),
                },
                State::Data(rest) => {
                    let n = rest.take(&mut bytes[from..]);
                    bytes.copy_within(from..from + n, to);
                    (from, to) = (from + n, to + n);
                    if rest.left == 0 {
                        self.end_data();
                    }
                }
                State::Control(kind, rest, len) => {
                    let n = rest.take(&mut bytes[from..]);
                    self.control[*len..][..n].copy_from_slice(&bytes[from..][..n]);
                    *len += n;
                    from += n;
                    if rest.left == 0 {
                        let (kind, len) = (*kind, *len);
                        if let Err(bad) = self.end_control(kind, len) {
                            return (to, Err(bad));
                        }
                    }
                }
            }
        }
        (to, Ok(()))
    }

    /// Returns how many of the bytes belong to the header.
    fn take_header(&mut self, bytes: &[u8]) -> Result<usize, BadFrame> {
        let before = self.head_len;
        let n = bytes.len().min(HEADER - before);
        self.head[before..][..n].copy_from_slice(&bytes[..n]);
        let mut cursor = Cursor::new(&self.head[..before + n]);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| BadFrame::Unknown)?;
        let Some((header, len)) = parsed else {
            self.head_len += n;
            return Ok(n);
        };
        let header_len = header.len(len);
        if cursor.position() != header_len as u64 || len >= 1 << 63 {
            return Err(BadFrame::Length);
        }
        self.head_len = 0;
        self.begin(&header, len)?;
        Ok(header_len - before)
    }

    fn begin(&mut self, header: &FrameHeader, left: u64) -> Result<(), BadFrame> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(BadFrame::Reserved);
        }
        if header.mask.is_some() != self.masks {
            return Err(BadFrame::Mask);
        }
        let rest = Rest {
            left,
            mask: header.mask,
        };
        match header.opcode {
            OpCode::Control(kind) => {
                if !header.is_final || left > CONTROL as u64 {
                    return Err(BadFrame::Control);
                }
                self.state = State::Control(kind, rest, 0);
                if left == 0 {
                    self.end_control(kind, 0)?;
                }
            }
            OpCode::Data(kind) => {
                if self.ended {
                    return Err(BadFrame::AfterEnd);
                }
                let before = self.message.take();
                let mut message = match (kind, before) {
                    (Data::Continue, Some(message)) => message,
                    (Data::Text | Data::Binary, None) => Message {
                        is_binary: kind == Data::Binary,
                        is_empty: true,
                        is_last: false,
                    },
                    _ => return Err(BadFrame::Fragment),
                };
                message.is_empty &= left == 0;
                message.is_last = header.is_final;
                self.message = Some(message);
                self.state = State::Data(rest);
                if left == 0 {
                    self.end_data();
                }
            }
        }
        Ok(())
    }

    fn end_data(&mut self) {
        self.state = State::Header;
        if let Some(message) = self.message.take_if(|message| message.is_last) {
            self.ended = self.has_end && message.is_binary && message.is_empty;
        }
    }

    fn end_control(&mut self, kind: Control, len: usize) -> Result<(), BadFrame> {
        self.state = State::Header;
        let carried = &self.control[..len];
        match kind {
            // Of several pings the last may be answered alone (RFC 6455, section 5.5.3).
            Control::Ping => self.pong = Some(carried.into()),
            Control::Close => {
                self.close = Some(close(carried)?);
                self.state = State::Closed;
            }
            _ => {}
        }
        Ok(())
    }
}

fn close(carried: &[u8]) -> Result<Close, BadFrame> {
    let Some((code, reason)) = carried.split_first_chunk() else {
        let close = Close {
            code: None,
            reason: String::new(),
        };
        return carried.is_empty().then_some(close).ok_or(BadFrame::Code);
    };
    let code = u16::from_be_bytes(*code);
    if !CloseCode::from(code).is_allowed() {
        return Err(BadFrame::Code);
    }
    let reason = String::from_utf8_lossy(reason).escape_debug().to_string();
    Ok(Close {
        code: Some(code),
        reason,
    })
}

// ===== impl Close =====

impl Close {
    /// The peer has said all it had to say: 1000, or no code.
    pub(super) fn is_end(&self) -> bool {
        matches!(self.code, None | Some(1000))
    }
}

// ===== impl Rest =====

impl Rest {
    /// Unmasks what belongs to the frame, and returns how many bytes that are.
    fn take(&mut self, bytes: &mut [u8]) -> usize {
        let n = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.left -= n as u64;
        if let Some(mask) = &mut self.mask {
            apply(*mask, &mut bytes[..n]);
            mask.rotate_left(n % 4);
        }
        n
    }
}
