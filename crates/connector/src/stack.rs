//! The stacks of a [`Connector`](crate::Connector): the traits that
//! [`start`](crate::Connector::start) requires, and the [`Slot`] at the bottom of a side.

use couplet_endpoint::{BoxError, BoxIo, Conn, Io};
use couplet_relay::Summary;
use tower::Service;

use crate::BoxPair;
pub use crate::{layer_list::PairSlot, serve::ServeError, slot::Slot};

/// The stack of a side: the layers of the side around a [`Slot`].
///
/// Implemented by every service of `Conn<BoxIo>` that answers `()`, which the layers in
/// [`layers`](crate::layers) and tower's own make. The stack of a side that is dialled for the other is
/// cloned for each connection, so its services are `Clone`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no stack of a side",
    label = "the layers of this side don't make a `Service<Conn<BoxIo>, Response = ()>`",
    note = "a layer of a side makes a service of `Conn<BoxIo>` that is `Send + 'static`; its error is \
            `Into<BoxError>`, its future `Send`",
    note = "a layer of the pair stack goes into `layer_pair`; a handshake of a side takes a \
            `Conn<I>` and returns a `Conn<_>`; services below a handshake are `Clone`"
)]
pub trait SideStack:
    Service<Conn<BoxIo>, Response = (), Error: Into<BoxError>, Future: Send + 'static> + Send + 'static
{
}

/// The stack of a pair: the pair's layers around a [`Relay`](crate::relay::Relay).
///
/// Implemented by every service of [`BoxPair`] that answers with the relay's [`Summary`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no stack of a pair",
    label = "the pair's layers don't make a `Service<BoxPair, Response = Summary>`",
    note = "a layer of the pair stack makes a service of `BoxPair` that is `Send + 'static`; its \
            error is `Into<BoxError>`, its future `Send`, its response the relay's `Summary`",
    note = "a layer of a side goes into `layer_a` or `layer_b`; a step before the join takes a \
            `Pair<A, B>` and returns a `Pair<_, _>`; services below a handshake are `Clone`"
)]
pub trait PairStack:
    Service<BoxPair, Response = Summary, Error: Into<BoxError>, Future: Send + 'static> + Send + 'static
{
}

/// Dials a side: a [`Dial`](crate::Dial), a [`dial_by`](crate::endpoint::dial_by), or any other
/// service that connects.
///
/// The request `R` is the [`Info`](crate::endpoint::Info) of the connection for which a partner is
/// dialled, or `()` where the side is dialled at the start.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not dial",
    label = "no `Service<{R}, Response = Conn<_>>` that is `Clone`",
    note = "a side is dialled by a `Dial`, by `dial_by`, or by a `Service<{R}>` that is `Clone + Send \
            + 'static`, whose response is a `Conn` and whose error is `Into<BoxError>`",
    note = "the request is the `Info` of the connection that a partner is dialled for, and `()` where \
            the side is dialled by itself, as side A of `dial_dial` is"
)]
pub trait Dials<R>:
    Service<R, Response = Conn<Self::Io>, Error: Into<BoxError> + 'static, Future: Send + 'static>
    + Clone
    + Send
    + 'static
{
    /// The io of the connections.
    type Io: Io;
}

#[diagnostic::do_not_recommend]
impl<S> SideStack for S where
    S: Service<Conn<BoxIo>, Response = (), Error: Into<BoxError>, Future: Send + 'static>
        + Send
        + 'static
{
}

#[diagnostic::do_not_recommend]
impl<S> PairStack for S where
    S: Service<BoxPair, Response = Summary, Error: Into<BoxError>, Future: Send + 'static>
        + Send
        + 'static
{
}

#[diagnostic::do_not_recommend]
impl<D, R, I> Dials<R> for D
where
    D: Service<R, Response = Conn<I>, Error: Into<BoxError> + 'static, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
    I: Io,
{
    type Io = I;
}
