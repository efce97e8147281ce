use std::sync::Arc;

use bytes::Bytes;
use couplet_endpoint::{BoxError, Conn};
use tokio_util::codec::{Decoder, Encoder};

use super::{PlainBytes, PlainText, Reading, Transform, Writing};
use crate::{
    mapped::{MapRequest, Mapped, mapped_layer},
    payload::transform::{Codec, Transformed},
};

/// Gives each connection of a side a wire format. See the [module](super).
#[derive(Clone, derive_more::Debug)]
#[debug("CodecLayer")]
pub struct CodecLayer {
    decode: Arc<dyn Fn() -> Box<Reading> + Send + Sync>,
    encode: Arc<dyn Fn() -> Box<Writing> + Send + Sync>,
}

/// Decodes and encodes the bytes of a connection: made by [`CodecLayer`].
pub type CodecService<S> = Mapped<CodecLayer, S>;

// ===== impl CodecLayer =====

impl CodecLayer {
    /// A layer with a codec of byte items; `make` makes one for each direction of each connection.
    pub fn new<C>(make: impl Fn() -> C + Clone + Send + Sync + 'static) -> Self
    where
        C: Decoder<Item: AsRef<[u8]>, Error: Into<BoxError>>,
        C: Encoder<Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let decode = make.clone();
        Self::transforms(
            move || Codec::new(decode(), PlainBytes::new()),
            move || Codec::new(PlainBytes::new(), make()),
        )
    }

    /// A layer with a codec of text items; `make` makes one for each direction of each connection.
    /// Bytes written must be UTF-8; a character split between two bursts waits for its rest.
    pub fn text<C>(make: impl Fn() -> C + Clone + Send + Sync + 'static) -> Self
    where
        C: Decoder<Item: AsRef<[u8]>, Error: Into<BoxError>>,
        C: Encoder<String, Error: Into<BoxError>> + Send + 'static,
    {
        let decode = make.clone();
        Self::transforms(
            move || Codec::new(decode(), PlainBytes::new()),
            move || Codec::new(PlainText::new(), make()),
        )
    }

    /// A layer with two transforms for each connection: one for bytes read, one for bytes written.
    pub fn transforms<D: Transform, E: Transform>(
        decode: impl Fn() -> D + Send + Sync + 'static,
        encode: impl Fn() -> E + Send + Sync + 'static,
    ) -> Self {
        Self {
            decode: Arc::new(move || Box::new(Reading::new(decode()))),
            encode: Arc::new(move || Box::new(Writing::new(encode()))),
        }
    }

    /// Gives this connection its wire format.
    pub fn apply<I>(&self, conn: Conn<I>) -> Conn<Transformed<I>> {
        conn.map_io(|io| Transformed::with(io, Some((self.decode)()), Some((self.encode)())))
    }
}

mapped_layer!(CodecLayer);

impl<I> MapRequest<Conn<I>> for CodecLayer {
    type Request = Conn<Transformed<I>>;

    fn map_request(&self, conn: Conn<I>) -> Self::Request {
        self.apply(conn)
    }
}
