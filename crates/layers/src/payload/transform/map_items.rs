use bytes::{Bytes, BytesMut};
use couplet_endpoint::BoxError;
use tokio_util::codec::{Decoder, Encoder};

use super::Transform;

/// The output made at once.
const ENOUGH: usize = 64 * 1024;

/// A [`Transform`] between two formats that maps items with a function: see [`map_items`].
#[derive(Clone, derive_more::Debug)]
pub struct MapItems<D, F, E> {
    decoder: D,
    #[debug(skip)]
    map: F,
    encoder: E,
    #[debug(skip)]
    last_words: Option<fn(&BoxError) -> Bytes>,
}

/// A [`Transform`] that decodes items, maps each with a function, and encodes the results.
///
/// The function returns any number of items for each: an `Option`, a `Vec`, an array. An error of the
/// function, the decoder or the encoder ends the pair. The decoder should bound the length of its items.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::{Bytes, BytesMut};
/// use couplet_layers::{TransformLayer, map_items};
/// use tokio_util::codec::{LengthDelimitedCodec, LinesCodec};
///
/// let layer = TransformLayer::new()
///     // Lines to frames, without empty lines.
///     .a_to_b(|| {
///         let map = |line: String| {
///             Ok::<_, Infallible>((!line.is_empty()).then(|| Bytes::from(line)))
///         };
///         let lines = LinesCodec::new_with_max_length(8192);
///         map_items(lines, map, LengthDelimitedCodec::new())
///     })
///     // Frames to lines.
///     .b_to_a(|| {
///         let map = |frame: BytesMut| String::from_utf8(frame.into()).map(Some);
///         map_items(LengthDelimitedCodec::new(), map, LinesCodec::new())
///             .last_words(|error| format!("error: {error}\n").into())
///     });
/// ```
pub const fn map_items<D, F, M, T, X, E>(decoder: D, map: F, encoder: E) -> MapItems<D, F, E>
where
    D: Decoder,
    F: FnMut(D::Item) -> Result<M, X>,
    M: IntoIterator<Item = T>,
    E: Encoder<T>,
{
    MapItems {
        decoder,
        map,
        encoder,
        last_words: None,
    }
}

// ===== impl MapItems =====

impl<D, F, E> MapItems<D, F, E> {
    /// Sends these bytes to the sender of the items when the transform fails, before the connection is
    /// reset: see [`Transform::last_words`].
    #[must_use]
    pub const fn last_words(mut self, words: fn(&BoxError) -> Bytes) -> Self {
        self.last_words = Some(words);
        self
    }
}

impl<D, F, E> MapItems<D, F, E>
where
    D: Decoder<Error: Into<BoxError>>,
{
    fn map<M, T, X>(&mut self, item: D::Item, output: &mut BytesMut) -> Result<(), BoxError>
    where
        F: FnMut(D::Item) -> Result<M, X>,
        M: IntoIterator<Item = T>,
        X: Into<BoxError>,
        E: Encoder<T, Error: Into<BoxError>>,
    {
        for item in (self.map)(item).map_err(Into::into)? {
            self.encoder.encode(item, output).map_err(Into::into)?;
        }
        Ok(())
    }
}

impl<D, F, M, T, X, E> Transform for MapItems<D, F, E>
where
    D: Decoder<Error: Into<BoxError>> + Send + 'static,
    F: FnMut(D::Item) -> Result<M, X> + Send + 'static,
    M: IntoIterator<Item = T>,
    X: Into<BoxError>,
    E: Encoder<T, Error: Into<BoxError>> + Send + 'static,
{
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        while output.len() < ENOUGH {
            let Some(item) = self.decoder.decode(input).map_err(Into::into)? else {
                break;
            };
            self.map(item, output)?;
        }
        Ok(())
    }

    fn finish(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        while let Some(item) = self.decoder.decode_eof(input).map_err(Into::into)? {
            self.map(item, output)?;
        }
        Ok(())
    }

    fn last_words(&mut self, error: &BoxError) -> Option<Bytes> {
        self.last_words.map(|words| words(error))
    }
}
