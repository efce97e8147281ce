use std::io;

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

/// A codec that fails where its stream ends within an item.
///
/// Codecs treat the rest of a stream differently: a codec of lines or delimiters makes one more item of
/// it, and a `LengthDelimitedCodec` accepts an end right behind a length. With this wrapper both are an
/// error, so that half an item, or a stream that was cut, never looks whole.
///
/// For decoders that consume padding, such as blanks between items, together with an item.
///
/// ```
/// use couplet_layers::{CodecLayer, payload::codec::WholeItems};
/// use tokio_util::codec::LengthDelimitedCodec;
///
/// let frames = CodecLayer::new(|| WholeItems::new(LengthDelimitedCodec::new()));
/// ```
#[derive(Clone, Debug, Default)]
pub struct WholeItems<C> {
    codec: C,
    within: bool,
}

// ===== impl WholeItems =====

impl<C> WholeItems<C> {
    /// Wraps a codec.
    pub const fn new(codec: C) -> Self {
        Self {
            codec,
            within: false,
        }
    }
}

impl<C: Decoder> Decoder for WholeItems<C> {
    type Item = C::Item;
    type Error = C::Error;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<C::Item>, C::Error> {
        // The decoder may have consumed the beginning of an item, and left nothing.
        let more = !input.is_empty();
        let item = self.codec.decode(input)?;
        self.within = item.is_none() && (self.within || more);
        Ok(item)
    }

    fn decode_eof(&mut self, input: &mut BytesMut) -> Result<Option<C::Item>, C::Error> {
        match self.decode(input)? {
            None if self.within => {
                let why = "the stream ended within an item";
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, why).into())
            }
            item => Ok(item),
        }
    }
}

impl<T, C: Encoder<T>> Encoder<T> for WholeItems<C> {
    type Error = C::Error;

    fn encode(&mut self, item: T, output: &mut BytesMut) -> Result<(), C::Error> {
        self.codec.encode(item, output)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use tokio_util::codec::{AnyDelimiterCodec, LengthDelimitedCodec, LinesCodec};

    use super::*;

    /// Cut between items the stream has ended, cut anywhere else it has failed.
    fn ends_at<C>(make: impl Fn() -> C, wire: &[u8], ends: &[usize])
    where
        C: Decoder<Item: AsRef<[u8]>, Error: Debug>,
    {
        for cut in 0..=wire.len() {
            let mut codec = WholeItems::new(make());
            let mut input = BytesMut::new();
            // A byte at a time, and with nothing new.
            for byte in &wire[..cut] {
                input.extend_from_slice(&[*byte]);
                while codec.decode(&mut input).unwrap().is_some() {}
            }
            let end = codec.decode_eof(&mut input);
            assert_eq!(end.is_ok(), ends.contains(&cut), "{cut}");
            if let Ok(item) = end {
                assert!(item.is_none(), "{cut}");
            }
        }
    }

    #[test]
    fn a_stream_does_not_end_within_an_item() {
        let frames = b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c";
        ends_at(LengthDelimitedCodec::new, frames, &[0, 6, 10, 15]);
        ends_at(LinesCodec::new, b"ab\n\nc\n", &[0, 3, 4, 6]);
        let semicolons = || AnyDelimiterCodec::new(b";".to_vec(), b";".to_vec());
        ends_at(semicolons, b"ab;c;", &[0, 3, 5]);
    }

    #[test]
    fn bytes_left_at_the_end_are_decoded_first() {
        let mut codec = WholeItems::new(LinesCodec::new());
        let mut input = BytesMut::from("a\nb\nc");
        assert_eq!(codec.decode_eof(&mut input).unwrap().unwrap(), "a");
        assert_eq!(codec.decode_eof(&mut input).unwrap().unwrap(), "b");
        codec.decode_eof(&mut input).unwrap_err();
    }
}
