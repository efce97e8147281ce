//! What is spoken on a side is another format than what the relay sees.
//!
//! [`CodecLayer`] gives each connection of a side a wire format: what is read from it is decoded,
//! what is written to it is encoded, and within there are plain bytes. Two relays with the same
//! format on the sides that face each other make a tunnel. There are three ways to get one:
//!
//! - [`new`](CodecLayer::new): a codec of `tokio_util::codec`, as it is, whose items are bytes;
//! - [`text`](CodecLayer::text): one whose items are text, such as lines;
//! - [`transforms`](CodecLayer::transforms): two [`Transform`]s, where a format has something to
//!   say when its source stalls, or last words. A [`Codec`](crate::Codec) of two halves is one.
//!
//! What holds for each direction:
//!
//! - An item that is read is its bytes, and where it ends is forgotten. Each burst that is written
//!   becomes an item, or several of at most 16 KiB.
//! - A flush sends on what was written before, so that a keystroke never waits; when the source
//!   stalls the relay flushes.
//! - Shutting down sends the format's last words, and then the end of the stream; the other
//!   direction goes on.
//! - Input that can't be decoded, or ends within an item, is a failure and no end: the side has
//!   [failed](couplet_pairing::CloseReason::Failed), and the other sees a reset. What is *within* an
//!   item is the codec's to say, or that of [`WholeItems`]; a stream that is cut *between* items can be
//!   told from a whole one only where the format has an end of its own.
//!
//! **Where:** on a side stack: above it is what is on the wire, below it what is plain. TLS goes
//! above it, what reads plain bytes (a token) below. **Splice:** both directions are copied.
//! **Memory:** one allocation a direction, and while bytes wait, 16 KiB with what becomes of them
//! and what the format holds. A decoder should bound the length of its items: see
//! `max_frame_length` or `new_with_max_length` of those in tokio-util; one that finds no item in
//! 8 MiB has failed.
//!
//! A format of one's own is a decoder and an encoder:
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
