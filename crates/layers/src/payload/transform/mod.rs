//! Changes the bytes of a direction on their way from one side to the other.
//!
//! A [`Transform`] may lengthen or shorten the bytes, hold some back until more come, and add some at the
//! end. [`TransformLayer`] gives each pair fresh transforms; [`codec`](crate::payload::codec) gives two to
//! a side that speaks another format than the relay. There are four ways to make a transform:
//!
//! - [`Codec`]: a decoder and an encoder of `tokio_util::codec`, item by item;
//! - [`map_items`]: the same, with a function that maps, drops or multiplies items;
//! - [`map_bytes`]: a function of bytes, chunk by chunk, wherever the stream was cut;
//! - an implementation of [`Transform`].
//!
//! What holds for each direction:
//!
//! - At the end of its source a transform [finishes](Transform::finish), and the bytes that it then
//!   adds are delivered before the end of the stream goes on.
//! - When its source stalls a transform is [flushed](Transform::flush), so that interactive traffic
//!   never sits inside it.
//! - A transform that fails ends the pair: its source's side has
//!   [failed](couplet_pairing::CloseReason::Failed), and the other side sees a reset, not an end.
//!   Earlier output is delivered first, and the side that failed may get [the
//!   reason](Transform::last_words).
//! - When the source itself fails, bytes that its transform holds back are delivered before the reset.
//! - Bytes are counted once, as they are delivered: the session's meter counts the output.
//!
//! **Where:** on a pair stack. A layer above sees the bytes before the transform, a layer below the bytes
//! after it. **Splice:** a direction with a transform is copied; one without may be spliced.
//! **Memory:** at most 64 KiB and what the transform holds, while bytes wait; a decoder that
//! finds no item in 8 MiB has failed.
//!
//! ```
//! use couplet_layers::{Codec, TransformLayer, map_bytes};
//! use tokio_util::codec::LinesCodec;
//!
//! let layer = TransformLayer::new()
//!     .a_to_b(|| map_bytes(|bytes| bytes.to_ascii_uppercase()))
//!     .b_to_a(|| Codec::new(LinesCodec::new_with_max_length(8192), LinesCodec::new()));
//! ```

mod codec;
mod io;
mod layer;
mod map_bytes;
mod map_items;
mod reading;
#[cfg(test)]
mod tests;
mod work;
mod writing;

pub use self::{
    codec::Codec,
    io::Transformed,
    layer::{TransformLayer, TransformService},
    map_bytes::{MapBytes, map_bytes},
    map_items::{MapItems, map_items},
};
pub(crate) use self::{reading::Reading, writing::Writing};

use bytes::{Bytes, BytesMut};
use couplet_endpoint::BoxError;

/// Changes the bytes of one direction of one pair, or of one connection. See the [module](self).
///
/// Its source is the side that is read from; of what is written to a [`Transformed`], the writer.
pub trait Transform: Send + 'static {
    /// Takes what it can from the front of `input` and appends what becomes of it to `output`.
    ///
    /// What it leaves in `input` is there the next time, with more behind it. After a call that made
    /// output it is called again once that has gone, before there is more input and even if there
    /// is none left. So it may stop at some 64 KiB of output, however much is still to come.
    ///
    /// # Errors
    ///
    /// The input is not what it should be: the pair ends.
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError>;

    /// The source stalls (a writer flushes), or fails: appends what is held back, if a reader can use
    /// it. Called once after each burst.
    ///
    /// # Errors
    ///
    /// As [`transform`](Self::transform).
    fn flush(&mut self, output: &mut BytesMut) -> Result<(), BoxError> {
        let _ = output;
        Ok(())
    }

    /// The source has ended (a writer shuts down): takes the rest of `input` and appends the last
    /// bytes.
    ///
    /// # Errors
    ///
    /// What was left in the input is not complete: the pair ends, and the other side sees a reset.
    fn finish(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError>;

    /// The transform has failed with this error: returns what the peer is told whose bytes it could
    /// not take, in that peer's format.
    ///
    /// The words are sent as far as the connection takes them at once, behind what was written to it
    /// before; then the connection is reset. Only of what is read from a side. Nothing, by default.
    fn last_words(&mut self, error: &BoxError) -> Option<Bytes> {
        let _ = error;
        None
    }
}
