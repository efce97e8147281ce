use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{BoxError, Conn, Side};
use pin_project::pin_project;
use tower_service::Service;

use super::{AccessLog, Counted, entry::Entry};
use crate::accessors::layer_and_service;

/// Records the life of each connection of a side until the join, counts its bytes, and writes the record
/// of a connection that is not joined. For the top of the side's stack. See the [module](super).
#[derive(Clone, Debug)]
pub struct SideAccessLogLayer {
    log: AccessLog,
    side: Side,
}

/// Records the life of connections: made by [`SideAccessLogLayer`].
#[derive(Clone, Debug)]
pub struct SideAccessLogService<S> {
    layer: SideAccessLogLayer,
    inner: S,
}

/// The future of [`SideAccessLogService`].
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct SideAccessLogFuture<F> {
    #[pin]
    inner: F,
    entry: Arc<Entry>,
}

// ===== impl SideAccessLogLayer =====

impl SideAccessLogLayer {
    /// A layer for the connections of this side.
    pub const fn new(log: AccessLog, side: Side) -> Self {
        Self { log, side }
    }
}

layer_and_service!(SideAccessLogLayer => SideAccessLogService);

// ===== impl SideAccessLogService =====

impl<I, S> Service<Conn<I>> for SideAccessLogService<S>
where
    S: Service<Conn<Counted<I>>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = SideAccessLogFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut conn: Conn<I>) -> Self::Future {
        let SideAccessLogLayer { log, side } = self.layer.clone();
        let entry = Entry::begin(log, side, &mut conn.info);
        let conn = conn.map_io(|io| Counted::new(io, Arc::clone(&entry)));
        SideAccessLogFuture {
            inner: self.inner.call(conn),
            entry,
        }
    }
}

impl<F, T, E> Future for SideAccessLogFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx)).map_err(Into::into);
        match &result {
            // The pairing, where there is one, has told the observer already.
            Ok(_) => this.entry.through(),
            Err(error) => this.entry.failed(error),
        }
        Poll::Ready(result)
    }
}
