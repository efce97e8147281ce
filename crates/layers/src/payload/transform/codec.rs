use bytes::BytesMut;
use couplet_endpoint::BoxError;
use tokio_util::codec::{Decoder, Encoder};

use super::Transform;

/// The output made at once.
const ENOUGH: usize = 64 * 1024;

/// A [`Transform`] that decodes items from one format and encodes them in another.
#[derive(Clone, Debug, Default)]
pub struct Codec<D, E> {
    decoder: D,
    encoder: E,
}

// ===== impl Codec =====

impl<D, E> Codec<D, E> {
    /// Decodes with `decoder` and encodes with `encoder`. The decoder should bound the length of its
    /// items.
    pub const fn new(decoder: D, encoder: E) -> Self {
        Self { decoder, encoder }
    }
}

impl<D, E> Transform for Codec<D, E>
where
    D: Decoder + Send + 'static,
    D::Error: Into<BoxError>,
    E: Encoder<D::Item> + Send + 'static,
    <E as Encoder<D::Item>>::Error: Into<BoxError>,
{
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        while output.len() < ENOUGH {
            let Some(item) = self.decoder.decode(input).map_err(Into::into)? else {
                break;
            };
            self.encoder.encode(item, output).map_err(Into::into)?;
        }
        Ok(())
    }

    fn finish(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        while let Some(item) = self.decoder.decode_eof(input).map_err(Into::into)? {
            self.encoder.encode(item, output).map_err(Into::into)?;
        }
        Ok(())
    }
}
