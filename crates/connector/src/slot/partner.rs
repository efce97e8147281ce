//! Dials a connection and leads it through its side's stack.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{BoxError, BoxIo, Conn, ConnId, Info, Io, Side};
use couplet_layers::{RefusalCause, observe::stats::DialOutcome};
use pin_project::pin_project;
use tokio::time::Instant;
use tower::Service;

use crate::{event::Refused, incoming::guarded, lifecycle::Lifecycle};

/// Dials a connection, and leads it through its side's stack and back.
#[derive(Clone, Debug)]
pub(crate) struct Partner<D, S> {
    dial: D,
    side: Side,
    stack: S,
    lifecycle: Arc<Lifecycle>,
}

/// ```text
/// Dialling ──connected──▶ Arriving ──through the stack──▶ a partner
/// ```
#[pin_project(project = PartnerProj)]
pub(crate) enum PartnerFuture<F, S: Service<Conn<BoxIo>>> {
    Dialling {
        #[pin]
        dialling: F,
        /// Ready.
        stack: S,
        side: Side,
        since: Instant,
        lifecycle: Arc<Lifecycle>,
    },
    Arriving {
        #[pin]
        arriving: S::Future,
        side: Side,
        conn: (ConnId, Option<SocketAddr>),
        lifecycle: Arc<Lifecycle>,
    },
}

// ===== impl Partner =====

impl<D, S> Partner<D, S> {
    pub(crate) fn new(side: Side, dial: D, stack: S, lifecycle: Arc<Lifecycle>) -> Self {
        Self {
            dial,
            side,
            stack,
            lifecycle,
        }
    }
}

impl<D, S, J> Service<Info> for Partner<D, S>
where
    D: Service<Info, Response = Conn<J>>,
    D::Error: Into<BoxError> + 'static,
    D::Future: Send + 'static,
    J: Io,
    S: Service<Conn<BoxIo>, Response = Conn<BoxIo>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Conn<BoxIo>;
    type Error = BoxError;
    type Future = PartnerFuture<D::Future, S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        ready!(self.dial.poll_ready(cx)).map_err(Into::into)?;
        self.stack.poll_ready(cx)
    }

    fn call(&mut self, dialled_for: Info) -> Self::Future {
        let dialling = self.dial.call(dialled_for);
        // The ready service goes with the connection; its clone must become ready itself.
        let clone = self.stack.clone();
        let stack = std::mem::replace(&mut self.stack, clone);
        PartnerFuture::Dialling {
            dialling,
            stack,
            side: self.side,
            since: Instant::now(),
            lifecycle: Arc::clone(&self.lifecycle),
        }
    }
}

// ===== impl PartnerFuture =====

impl<F, S, J, E> Future for PartnerFuture<F, S>
where
    F: Future<Output = Result<Conn<J>, E>>,
    E: Into<BoxError>,
    J: Io,
    S: Service<Conn<BoxIo>, Response = Conn<BoxIo>, Error = BoxError>,
{
    type Output = Result<Conn<BoxIo>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.as_mut().project() {
                PartnerProj::Dialling {
                    dialling,
                    stack,
                    side,
                    since,
                    lifecycle,
                } => {
                    let dialled = ready!(dialling.poll(cx)).map_err(Into::into);
                    let outcome = match &dialled {
                        Ok(_) => DialOutcome::Ok,
                        Err(error) => DialOutcome::of(&**error),
                    };
                    let (side, lifecycle) = (*side, Arc::clone(lifecycle));
                    lifecycle.stats().dialled(side, outcome, since.elapsed());
                    let conn = dialled?;
                    let known = (conn.info.id, conn.info.peer);
                    let arriving = stack.call(guarded(conn.on(side)));
                    self.set(Self::Arriving {
                        arriving,
                        side,
                        conn: known,
                        lifecycle,
                    });
                }
                PartnerProj::Arriving {
                    arriving,
                    side,
                    conn: (conn, peer),
                    lifecycle,
                } => {
                    let arrived = ready!(arriving.poll(cx));
                    // The log tells with the connection that the partner was dialled for.
                    if let Err(error) = &arrived {
                        lifecycle.refused(Refused {
                            side: *side,
                            conn: *conn,
                            peer: *peer,
                            cause: RefusalCause::of(&**error),
                            error: Some(&**error),
                        });
                    }
                    return Poll::Ready(arrived);
                }
            }
        }
    }
}
