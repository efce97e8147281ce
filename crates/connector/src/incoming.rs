//! A side with an endpoint of its own: a listener or a pool.

use std::{sync::Arc, task::Poll};

#[cfg(unix)]
use couplet_endpoint::io::{DeferredOptions, LateOptions};
use couplet_endpoint::{
    AcceptErrors, BoxError, BoxIo, Conn, Endpoint, Io, LocalAddr, Side, io::ResetUnlessShut,
};
use futures::{
    FutureExt, Stream, StreamExt, TryStreamExt,
    future::BoxFuture,
    stream::{BoxStream, poll_fn},
};
use tokio::task::yield_now;

use crate::lifecycle::Lifecycle;

/// How often, at a drain, an empty accept queue is polled again.
const LOOKS: u32 = 3;

/// A side's endpoint, boxed.
#[derive(derive_more::Debug)]
pub(crate) struct Incoming {
    #[debug(skip)]
    pub(crate) conns: BoxStream<'static, Result<Conn<BoxIo>, BoxError>>,
    pub(crate) local_addr: Option<LocalAddr>,
    accept_errors: Option<AcceptErrors>,
    /// At a drain there may be connections in the accept queue.
    #[debug(skip)]
    queues: bool,
}

// ===== impl Incoming =====

impl Incoming {
    pub(crate) fn new(endpoint: impl Endpoint) -> Self {
        Self {
            local_addr: endpoint.local_addr(),
            accept_errors: endpoint.accept_errors(),
            conns: endpoint.map_ok(guarded).map_err(Into::into).boxed(),
            queues: true,
        }
    }

    /// A side that is dialled at the start: at a drain it is dialled no more.
    pub(crate) fn dialled(dials: impl Endpoint) -> Self {
        Self {
            queues: false,
            ..Self::new(dials)
        }
    }

    /// The connections until the drain, and then those in the accept queue. None comes during
    /// a pause, unless the drain ends it.
    pub(crate) fn until_drained(
        self,
        side: Side,
        lifecycle: Arc<Lifecycle>,
    ) -> impl Stream<Item = Result<Conn<BoxIo>, BoxError>> + Send {
        let Self {
            mut conns,
            queues,
            accept_errors,
            ..
        } = self;
        if let Some(errors) = accept_errors {
            lifecycle.stats().watch_accepts(side, &errors);
        }
        let mut looks = 0;
        let mut look_again: Option<BoxFuture<'static, ()>> = None;
        poll_fn(move |cx| {
            let is_draining = lifecycle.drain().poll_on(side, cx);
            // Another owner of the socket accepts the queue.
            if is_draining && (!queues || lifecycle.is_retired()) {
                return Poll::Ready(None);
            }
            if !is_draining && lifecycle.pause().poll_on(side, cx) {
                return Poll::Pending;
            }
            loop {
                if let Poll::Ready(next) = conns.poll_next_unpin(cx) {
                    return Poll::Ready(next);
                }
                if !is_draining {
                    return Poll::Pending;
                }
                // The runtime learns of the queue only when this task yields.
                if looks == LOOKS {
                    return Poll::Ready(None);
                }
                let turn = look_again.get_or_insert_with(|| yield_now().boxed());
                if turn.poll_unpin(cx).is_pending() {
                    return Poll::Pending;
                }
                look_again = None;
                looks += 1;
            }
        })
    }
}

/// A connection whose peer sees a reset unless it is shut down, so that no layer that refuses has to
/// think of that.
pub(crate) fn guarded<I: Io>(conn: Conn<I>) -> Conn<BoxIo> {
    #[cfg(unix)]
    if let Some(&options) = conn.info.extensions.get::<DeferredOptions>() {
        return conn
            .map_io(|io| ResetUnlessShut::new(LateOptions::new(io, options)))
            .boxed();
    }
    conn.map_io(ResetUnlessShut::new).boxed()
}
