use std::io;

use bytes::{Bytes, BytesMut};
use bytesize::ByteSize;
use couplet_connector::layers::PlainBytes;
use tokio_util::codec::{AnyDelimiterCodec, Decoder, Encoder, LengthDelimitedCodec};

use super::{Form, Order};

/// A form at work, in one direction of one pair.
#[derive(Debug)]
pub(super) struct Framing {
    codec: Of,
    longest: usize,
}

#[derive(Debug)]
enum Of {
    Length(LengthDelimitedCodec),
    Ends(AnyDelimiterCodec, Vec<u8>),
    Plain(PlainBytes),
}

// ===== impl Framing =====

impl Framing {
    pub(super) fn new(form: &Form, longest: usize) -> Self {
        let codec = match form {
            Form::Length(bytes, order) => {
                let mut codec = LengthDelimitedCodec::builder();
                codec.length_field_length(*bytes).max_frame_length(longest);
                match order {
                    Order::HighFirst => codec.big_endian(),
                    Order::LowFirst => codec.little_endian(),
                };
                Of::Length(codec.new_codec())
            }
            Form::Ends(ends) => {
                // It writes text alone.
                let reads =
                    AnyDelimiterCodec::new_with_max_length(ends.clone(), Vec::new(), longest);
                Of::Ends(reads, ends.clone())
            }
            Form::Plain => Of::Plain(PlainBytes::new()),
        };
        Self { codec, longest }
    }

    /// Where it finds no messages, it makes pieces of at most this many bytes.
    pub(super) fn pieces(mut self, most: usize) -> Self {
        if let Of::Plain(plain) = &mut self.codec {
            *plain = PlainBytes::new().max_item(most.min(MAX_PIECE));
        }
        self
    }

    fn too_long(&self) -> io::Error {
        let longest = ByteSize(self.longest as u64);
        invalid(format!("a message is longer than {longest}"))
    }
}

/// What a burst is cut into at most.
const MAX_PIECE: usize = 16 * 1024;

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl Decoder for Framing {
    type Item = Bytes;
    type Error = io::Error;

    fn decode(&mut self, input: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let decoded = match &mut self.codec {
            Of::Length(codec) => codec
                .decode(input)
                .ok()
                .map(|item| item.map(BytesMut::freeze)),
            Of::Ends(codec, _) => codec.decode(input).ok(),
            Of::Plain(codec) => return codec.decode(input),
        };
        // That is all that can be wrong with one.
        decoded.ok_or_else(|| self.too_long())
    }
}

impl Encoder<Bytes> for Framing {
    type Error = io::Error;

    fn encode(&mut self, message: Bytes, output: &mut BytesMut) -> io::Result<()> {
        if message.len() > self.longest {
            return Err(self.too_long());
        }
        match &mut self.codec {
            Of::Length(codec) => codec.encode(message, output),
            Of::Ends(_, ends) => {
                // It would be two.
                if message.iter().any(|byte| ends.contains(byte)) {
                    return Err(invalid(
                        "within a message is what ends one on the other side",
                    ));
                }
                output.extend_from_slice(&message);
                output.extend_from_slice(&ends[..1]);
                Ok(())
            }
            Of::Plain(codec) => codec.encode(message, output),
        }
    }
}

#[cfg(test)]
mod tests {
    use couplet_connector::layers::{Codec, Transform, payload::codec::WholeItems};

    use super::*;

    const LINES: &[u8] = b"\n";

    fn ends(ends: &[u8]) -> Form {
        Form::Ends(ends.to_vec())
    }

    /// What becomes of it between the two, a byte at a time, and at its end.
    fn relayed(from: &Form, to: &Form, longest: usize, wire: &[u8]) -> Result<Vec<u8>, String> {
        let from = WholeItems::new(Framing::new(from, longest).pieces(longest));
        let mut codec = Codec::new(from, Framing::new(to, longest));
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        for byte in wire {
            input.extend_from_slice(&[*byte]);
            codec
                .transform(&mut input, &mut output)
                .map_err(|error| error.to_string())?;
        }
        let end = codec.finish(&mut input, &mut output);
        end.map_err(|error| error.to_string())?;
        Ok(output.to_vec())
    }

    #[test]
    fn a_message_in_one_frame_format_is_a_message_in_the_other() {
        let high = |bytes| Form::Length(bytes, Order::HighFirst);
        let low = |bytes| Form::Length(bytes, Order::LowFirst);
        for (from, to, wire, expected) in [
            (
                ends(LINES),
                ends(LINES),
                &b"ab\r\n\n\xff\n"[..],
                &b"ab\r\n\n\xff\n"[..],
            ),
            (ends(LINES), high(2), b"ab\n\nc\n", b"\0\x02ab\0\0\0\x01c"),
            (high(2), ends(LINES), b"\0\x02ab\0\0\0\x01c", b"ab\n\nc\n"),
            (high(4), low(4), b"\0\0\0\x01x", b"\x01\0\0\0x"),
            (low(3), high(1), b"\x01\0\0x", b"\x01x"),
            (high(8), Form::Plain, b"\0\0\0\0\0\0\0\x03abc", b"abc"),
            (Form::Plain, high(1), b"abc", b"\x01a\x01b\x01c"),
            (ends(b";\0"), ends(b";\0"), b"a\0b;", b"a;b;"),
            (ends(b"\0"), ends(LINES), b"a\0b\0", b"a\nb\n"),
        ] {
            let relayed = relayed(&from, &to, 100, wire);
            assert_eq!(relayed.as_deref(), Ok(expected), "{from} {to}");
        }
    }

    #[test]
    fn a_message_the_other_format_cannot_carry_is_an_error() {
        let length = Form::Length(2, Order::HighFirst);
        for (from, to, wire, why) in [
            (&ends(LINES), &length, &b"abcd\n"[..], "longer than 3 B"),
            (&ends(LINES), &ends(LINES), b"abcd", "longer than 3 B"),
            (&length, &ends(LINES), b"\0\x04", "longer than 3 B"),
            (&length, &ends(LINES), b"\0\x03a\nb", "what ends one"),
            (&length, &ends(LINES), b"\0\x02", "ended within"),
            (&length, &ends(LINES), b"\0", "ended within"),
            (&ends(LINES), &length, b"ab", "ended within"),
        ] {
            let error = relayed(from, to, 3, wire).unwrap_err();
            assert!(error.contains(why), "{wire:?}: {error}");
        }
    }
}
