//! Connections that are not joined: logged, and a failure where one pair was expected.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{
    BoxError, Chain, Conn, ConnId, Origin, PeerName, Side, find_cause, is_caused_by,
    is_dial_failure,
};
use couplet_layers::{Departed, RefusalCause};
use couplet_pairing::PairError;
use pin_project::pin_project;
use tower::{Layer, Service};

use crate::{ConnectorError, event::Refused, lifecycle::Lifecycle};

#[derive(Clone, Debug)]
pub(crate) struct RefusalsLayer {
    lifecycle: Arc<Lifecycle>,
    side: Side,
    expects_one_pair: bool,
}

#[derive(Debug)]
pub(crate) struct Refusals<S> {
    layer: RefusalsLayer,
    inner: S,
}

#[pin_project]
#[derive(Debug)]
pub(crate) struct RefusalsFuture<F> {
    #[pin]
    inner: F,
    layer: RefusalsLayer,
    id: ConnId,
    addr: Option<SocketAddr>,
    peer: PeerName,
    origin: Origin,
}

// ===== impl RefusalsLayer =====

impl RefusalsLayer {
    pub(crate) fn new(lifecycle: Arc<Lifecycle>, side: Side, expects_one_pair: bool) -> Self {
        Self {
            lifecycle,
            side,
            expects_one_pair,
        }
    }

    fn refused(
        &self,
        id: ConnId,
        (addr, peer): (Option<SocketAddr>, &PeerName),
        origin: Origin,
        error: BoxError,
    ) {
        let cause = match self.lifecycle.is_stopped() {
            true => RefusalCause::Shutdown,
            false => RefusalCause::of(&*error),
        };
        self.lifecycle.refused(Refused {
            side: self.side,
            conn: id,
            peer: addr,
            cause,
            error: Some(&*error),
        });
        let (side, conn, causes) = (self.side, id.get(), Chain(&*error));
        // A refused client concerns the client, and so does a target that the client asked for; a server
        // that is down concerns the operator.
        let is_asked = matches!(find_cause(&*error), Some(PairError::Asked { .. }));
        match cause {
            RefusalCause::Shutdown => return,
            RefusalCause::HealthCheck => {
                tracing::debug!(%side, conn, %peer, "health check");
                return;
            }
            _ if is_caused_by::<Departed>(&*error) => {
                tracing::debug!(%side, conn, %peer, "left before its turn");
                return;
            }
            _ if is_dial_failure(&*error) && !is_asked => {
                tracing::warn!(%side, conn, %peer, error = %causes, "refused");
            }
            _ => tracing::info!(%side, conn, %peer, error = %causes, "refused"),
        }
        // Another client may follow a refused one; no other dial follows a failed one.
        let no_other = origin == Origin::Dialled || is_caused_by::<PairError>(&*error);
        if self.expects_one_pair && no_other {
            let source = error.into();
            self.lifecycle.fail(ConnectorError::Pair { source });
        }
    }
}

impl<S> Layer<S> for RefusalsLayer {
    type Service = Refusals<S>;

    fn layer(&self, inner: S) -> Refusals<S> {
        Refusals {
            layer: self.clone(),
            inner,
        }
    }
}

// ===== impl Refusals =====

impl<I, S> Service<Conn<I>> for Refusals<S>
where
    S: Service<Conn<I>, Response = ()>,
    S::Error: Into<BoxError>,
{
    type Response = ();
    type Error = S::Error;
    type Future = RefusalsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        RefusalsFuture {
            layer: self.layer.clone(),
            id: conn.info.id,
            addr: conn.info.peer,
            peer: conn.info.peer_name(),
            origin: conn.info.origin,
            inner: self.inner.call(conn),
        }
    }
}

impl<F, E> Future for RefusalsFuture<F>
where
    F: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Err(error) = ready!(this.inner.poll(cx)) {
            this.layer.refused(
                *this.id,
                (*this.addr, this.peer),
                *this.origin,
                error.into(),
            );
        }
        Poll::Ready(Ok(()))
    }
}
