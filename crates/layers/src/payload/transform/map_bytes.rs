use bytes::{Bytes, BytesMut};
use couplet_endpoint::BoxError;

use super::Transform;

/// A [`Transform`] that applies a function to every chunk: made by [`map_bytes`].
#[derive(Clone, Debug)]
pub struct MapBytes<F>(F);

/// A [`Transform`] that applies `map` to every chunk of bytes, whatever its size. The result may have
/// another length; no byte is held back.
pub const fn map_bytes<F, B>(map: F) -> MapBytes<F>
where
    F: FnMut(Bytes) -> B,
    B: AsRef<[u8]>,
{
    MapBytes(map)
}

// ===== impl MapBytes =====

impl<F, B> Transform for MapBytes<F>
where
    F: FnMut(Bytes) -> B + Send + 'static,
    B: AsRef<[u8]>,
{
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        if !input.is_empty() {
            output.extend_from_slice((self.0)(input.split().freeze()).as_ref());
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut BytesMut, _: &mut BytesMut) -> Result<(), BoxError> {
        Ok(()) // Nothing is ever left.
    }
}
