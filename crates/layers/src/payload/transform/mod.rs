//! What comes from a side is changed on its way to the other.
//!
//! A [`Transform`] changes the bytes of one direction: it may lengthen or shorten them, hold some
//! back until more come, and say last words when its source ends. [`TransformLayer`] gives each
//! pair fresh ones; where one side speaks another format than the relay should see,
//! [`codec`](crate::payload::codec) gives that side two of them. There are three ways to get one:
//!
//! - [`Codec`]: a decoder and an encoder of `tokio_util::codec`, item by item;
//! - [`map_bytes`]: a plain function of bytes, chunk by chunk, however they are cut;
//! - an own implementation of [`Transform`].
//!
//! What holds for each direction:
//!
//! - At the end of its source a transform [finishes](Transform::finish), and what it then still
//!   says is delivered before the end of the stream goes on.
//! - When its source stalls it is [flushed](Transform::flush), so that interactive traffic never
//!   sits inside it.
//! - A transform that fails ends the pair: its source's side has
//!   [failed](couplet_pairing::CloseReason::Failed), and the other side sees a reset, not an end.
//!   What was made before is delivered first.
//! - When the source itself fails, what its transform holds back is delivered before the reset.
//! - Bytes are counted once, as they are delivered: the session's meter shows what came out.
//!
//! **Where:** on a pair stack. What stands above it sees the bytes before, what stands below sees
//! them after. **Splice:** a direction with a transform is copied; one without is not touched.
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
};
pub(crate) use self::{reading::Reading, writing::Writing};

use bytes::BytesMut;
use couplet_endpoint::BoxError;

/// Changes the bytes of one direction of one pair, or of one connection. See the [module](self).
///
/// Its source is the side that is read from; for what is written to a [`Transformed`], it is who
/// writes.
pub trait Transform: Send + 'static {
    /// Takes what it can from the front of `input` and appends what becomes of it to `output`.
    ///
    /// What it leaves in `input` is there the next time, with more behind it. Whenever it has made
    /// output it is called again once that has gone, before there is more input and even if there
    /// is none left. So it may stop at some 64 KiB of output, however much is still to come.
    ///
    /// # Errors
    ///
    /// When the input is not what it should be: the pair ends.
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError>;

    /// The source stalls (who writes flushes), or fails: appends what it holds back, if a reader can use it. Called once
    /// after each burst.
    ///
    /// # Errors
    ///
    /// As [`transform`](Self::transform).
    fn flush(&mut self, output: &mut BytesMut) -> Result<(), BoxError> {
        let _ = output;
        Ok(())
    }

    /// The source has ended (who writes shuts down): takes the rest of `input` and appends its last bytes.
    ///
    /// # Errors
    ///
    /// When what was left in the input is not complete: the pair ends, and the other side sees a
    /// reset.
    fn finish(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError>;
}
