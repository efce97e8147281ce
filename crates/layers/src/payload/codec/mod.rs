//! Speaks a wire format on a side, with plain bytes in the relay.
//!
//! [`CodecLayer`] gives each connection of a side a wire format: bytes read are decoded, bytes written
//! are encoded. Two relays with the same format on the sides that face each other make a tunnel. There
//! are three ways to make a layer:
//!
//! - [`new`](CodecLayer::new): from a codec of `tokio_util::codec` with byte items, unchanged;
//! - [`text`](CodecLayer::text): from a codec with text items, such as lines;
//! - [`transforms`](CodecLayer::transforms): from two [`Transform`]s, for a format that needs a flush when
//!   its source stalls, or a trailer. A [`Codec`](crate::Codec) of two halves is a transform.
//!
//! What holds for each direction:
//!
//! - The items read are joined to a stream of bytes; the borders between them are lost. Each burst
//!   written becomes an item, or several of at most 16 KiB.
//! - A flush sends all bytes written before, so that a keystroke never waits; the relay flushes when
//!   the source stalls.
//! - A shutdown sends the format's trailer, and then the end of the stream; the other direction goes
//!   on.
//! - Input that can't be decoded, or ends within an item, is a failure and no end: the side has
//!   [failed](couplet_pairing::CloseReason::Failed), and the other side sees a reset. The codec, or
//!   [`WholeItems`], decides what counts as within an item. A stream that is cut *between* items looks
//!   whole, unless the format has an end of its own.
//!
//! **Where:** on a side stack; layers above it see the wire format, layers below it plain bytes. TLS goes
//! above, a token below. **Splice:** both directions are copied. **Memory:** one allocation a direction;
//! while bytes wait, 16 KiB of input, the output for it, and the bytes that the format holds. A decoder
//! should bound the length of its items (`max_frame_length` or `new_with_max_length` in tokio-util); a
//! decoder that finds no item in 8 MiB has failed.
//!
//! A format of your own is a decoder and an encoder:
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use couplet_layers::CodecLayer;
//! use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec, LinesCodec};
//!
//! /// Two hexadecimal digits a byte.
//! struct Hex;
//!
//! impl Decoder for Hex {
//!     type Item = Vec<u8>;
//!     type Error = std::io::Error;
//!
//!     fn decode(&mut self, wire: &mut BytesMut) -> Result<Option<Vec<u8>>, Self::Error> {
//!         let digits = wire.split_to(wire.len() & !1);
//!         let byte = |pair: &[u8]| {
//!             let pair = str::from_utf8(pair).ok()?;
//!             u8::from_str_radix(pair, 16).ok()
//!         };
//!         let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
//!         let bytes = bytes.ok_or(std::io::ErrorKind::InvalidData)?;
//!         Ok((!bytes.is_empty()).then_some(bytes))
//!     }
//! }
//!
//! impl Encoder<Bytes> for Hex {
//!     type Error = std::io::Error;
//!
//!     fn encode(&mut self, plain: Bytes, wire: &mut BytesMut) -> Result<(), Self::Error> {
//!         let digits = plain.iter().map(|byte| format!("{byte:02x}"));
//!         wire.extend_from_slice(digits.collect::<String>().as_bytes());
//!         Ok(())
//!     }
//! }
//!
//! let hex = CodecLayer::new(|| Hex);
//! let frames = CodecLayer::new(LengthDelimitedCodec::new);
//! let lines = CodecLayer::text(|| LinesCodec::new_with_max_length(8192));
//! ```

mod layer;
mod plain;
#[cfg(test)]
mod tests;
mod whole;

pub use self::{
    layer::{CodecLayer, CodecService},
    plain::{PlainBytes, PlainText},
    whole::WholeItems,
};

use crate::payload::transform::{Reading, Transform, Writing};
