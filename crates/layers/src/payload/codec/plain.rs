use std::io;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// The default length of the longest item.
const MAX_ITEM: usize = 16 * 1024;

/// The codec of plain bytes: the other half of a [`Codec`](crate::Codec) between a wire format and plain
/// bytes.
///
/// Decodes the bytes at hand as one item, of at most 16 KiB by default; encodes an item as its bytes.
///
/// ```
/// use couplet_layers::{Codec, CodecLayer, PlainBytes};
/// use tokio_util::codec::LengthDelimitedCodec;
///
/// let frames = || LengthDelimitedCodec::builder().max_frame_length(1024).new_codec();
/// let layer = CodecLayer::transforms(
///     move || Codec::new(frames(), PlainBytes::new()),
///     move || Codec::new(PlainBytes::new().max_item(1024), frames()),
/// );
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PlainBytes {
    max_item: usize,
}

/// The codec of plain text: as [`PlainBytes`], for a decoder or encoder of `String`s.
///
/// An item ends between two characters. Bytes that are no UTF-8 are an error.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainText {
    bytes: PlainBytes,
}

// ===== impl PlainBytes =====

impl PlainBytes {
    /// A codec with items of at most 16 KiB.
    pub const fn new() -> Self {
        Self { max_item: MAX_ITEM }
    }

    /// Sets the longest item, in bytes; at least 1.
    #[must_use]
    pub const fn max_item(mut self, max_item: usize) -> Self {
        self.max_item = if max_item == 0 { 1 } else { max_item };
        self
    }
}

impl Default for PlainBytes {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder for PlainBytes {
    type Item = Bytes;
    type Error = io::Error;

    fn decode(&mut self, input: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let len = input.len().min(self.max_item);
        Ok((len > 0).then(|| input.split_to(len).freeze()))
    }
}

impl<T: AsRef<[u8]>> Encoder<T> for PlainBytes {
    type Error = io::Error;

    fn encode(&mut self, item: T, output: &mut BytesMut) -> io::Result<()> {
        output.extend_from_slice(item.as_ref());
        Ok(())
    }
}

// ===== impl PlainText =====

impl PlainText {
    /// A codec with items of at most 16 KiB.
    pub const fn new() -> Self {
        Self {
            bytes: PlainBytes::new(),
        }
    }

    /// Sets the longest item, in bytes; at least 4, the longest character.
    #[must_use]
    pub const fn max_item(mut self, max_item: usize) -> Self {
        self.bytes.max_item = if max_item < 4 { 4 } else { max_item };
        self
    }
}

impl Decoder for PlainText {
    type Item = String;
    type Error = io::Error;

    fn decode(&mut self, input: &mut BytesMut) -> io::Result<Option<String>> {
        let bytes = &input[..input.len().min(self.bytes.max_item)];
        let text = match str::from_utf8(bytes) {
            Ok(text) => text,
            // The valid text before goes first; an incomplete character waits.
            Err(error) if error.valid_up_to() > 0 || error.error_len().is_none() => {
                str::from_utf8(&bytes[..error.valid_up_to()]).expect("it is valid up to there")
            }
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        };
        let text = text.to_owned();
        drop(input.split_to(text.len()));
        Ok((!text.is_empty()).then_some(text))
    }
}

impl<T: AsRef<[u8]>> Encoder<T> for PlainText {
    type Error = io::Error;

    fn encode(&mut self, item: T, output: &mut BytesMut) -> io::Result<()> {
        self.bytes.encode(item, output)
    }
}
