//! A side whose connections come by themselves.

use std::{fmt, net::SocketAddr};

use couplet_endpoint::{BoxError, BoxIo, Conn, Endpoint, Io, io::ResetUnlessShut};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};

/// A side's endpoint, its type forgotten.
pub(crate) struct Incoming {
    pub(crate) conns: BoxStream<'static, Result<Conn<BoxIo>, BoxError>>,
    pub(crate) local_addr: Option<SocketAddr>,
}

// ===== impl Incoming =====

impl Incoming {
    pub(crate) fn new(endpoint: impl Endpoint) -> Self {
        Self {
            local_addr: endpoint.local_addr(),
            conns: endpoint.map_ok(guarded).map_err(Into::into).boxed(),
        }
    }
}

/// A connection that the peer sees reset unless it is shut down: whatever refuses it, no layer has to
/// think of that.
pub(crate) fn guarded<I: Io>(conn: Conn<I>) -> Conn<BoxIo> {
    conn.map_io(ResetUnlessShut::new).boxed()
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("local_addr", &self.local_addr)
            .finish_non_exhaustive()
    }
}
