//! Admits or refuses a connection by its `Info`, before a byte is read.
//!
//! [`AccessLayer`] asks an [`AccessRule`], and closes a connection that the rule refuses. The rule is
//! an `AccessList` of networks (feature `access-list`), or a closure over the [`Info`]: over the
//! addresses, or over values that a layer above has put into the extensions.
//!
//! The rule gets the `Info` as it is when the connection meets the layer. So below a layer that reads
//! a PROXY protocol header, the address is the client's; above that layer, the proxy's.
//!
//! - **Where:** at the top of a side stack, so that a refused connection takes neither time nor a
//!   slot; below a handshake whose outcome the rule needs. On a dialled side the rule judges the
//!   address that was reached: a name that resolves to a forbidden address is closed before a byte is
//!   sent.
//! - **Splice:** costs none. **Memory:** the rule, shared by all connections.
//! - **Errors:** [`AccessRefused`], with the rule's reason as its source. The peer gets no reply.
//!
//! ```
//! use couplet_endpoint::Info;
//! use couplet_layers::{AccessLayer, Identity};
//!
//! let members_only = AccessLayer::new(|info: &Info| match info.extensions.get::<Identity>() {
//!     Some(client) if client.name().ends_with("@example.org") => Ok(()),
//!     _ => Err("not a member"),
//! });
//! ```

mod error;
mod layer;
#[cfg(feature = "access-list")]
mod list;
#[cfg(feature = "access-list")]
mod networks;
#[cfg(feature = "access-list")]
mod special;
#[cfg(test)]
mod tests;

pub use self::{error::AccessRefused, layer::AccessLayer};
#[cfg(feature = "access-list")]
pub use self::{
    error::{InvalidNetwork, NetworksError, NotListed},
    list::AccessList,
    networks::Networks,
};

use std::{
    future::ready,
    task::{Context, Poll},
};

use couplet_endpoint::{BoxError, Conn, Info};
use futures::future::{Either, TryFutureExt};
use tower_service::Service;

use super::OrRefused;
use crate::accessors::layer_and_service;

/// Decides which connections are admitted.
///
/// Implemented by `AccessList` (feature `access-list`), and by every function and closure of the shape `Fn(&Info) ->
/// Result<(), Error>`.
pub trait AccessRule {
    /// Why a connection may not pass.
    type Error: Into<BoxError>;

    /// May it pass? It is asked in the accept loop and should answer at once; a decision that takes
    /// time is a [`Handshake`](crate::Handshake).
    ///
    /// # Errors
    ///
    /// Why it may not.
    fn check(&self, info: &Info) -> Result<(), Self::Error>;
}

impl<F, E> AccessRule for F
where
    F: Fn(&Info) -> Result<(), E>,
    E: Into<BoxError>,
{
    type Error = E;

    fn check(&self, info: &Info) -> Result<(), E> {
        self(info)
    }
}

/// Lets those connections through that its rule admits: made by [`AccessLayer`].
#[derive(Clone, Debug)]
pub struct AccessService<S> {
    layer: AccessLayer,
    inner: S,
}

// ===== impl AccessService =====

layer_and_service!(AccessLayer => AccessService);

impl<I, S> Service<Conn<I>> for AccessService<S>
where
    S: Service<Conn<I>, Error: Into<BoxError>>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = OrRefused<S::Future, S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        match self.layer.check(&conn.info) {
            Ok(()) => Either::Left(self.inner.call(conn).err_into()),
            // The inner service stays ready for the next one.
            Err(reason) => Either::Right(ready(Err(reason.into()))),
        }
    }
}
