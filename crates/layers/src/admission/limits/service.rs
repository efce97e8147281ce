use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{BoxError, Conn};
use futures::{
    FutureExt,
    future::{self, BoxFuture},
};
use tower_service::Service;

use super::{
    counts::LimitCounts,
    error::OverLimit,
    future::LimitFuture,
    key::{Client, Scope},
    limiter::Limiter,
    queue::{InLine, Line, Over},
};

/// Refuses connections that are over a limit, or lets them wait: made by
/// [`ConnLimitLayer`](super::ConnLimitLayer) and `ConnRateLayer`.
#[derive(Debug)]
pub struct LimitService<L, S> {
    limiter: Arc<L>,
    scope: Scope,
    /// None where nobody may wait.
    line: Option<Line>,
    counts: LimitCounts,
    inner: S,
}

/// What the layers have in common.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) scope: Scope,
    pub(super) over: Over,
    pub(super) counts: LimitCounts,
}

// ===== impl Settings =====

impl Settings {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope,
            over: Over::Refuse,
            counts: LimitCounts::new(),
        }
    }

    pub(super) fn service<L, S>(&self, limiter: L, inner: S) -> LimitService<L, S> {
        LimitService {
            limiter: Arc::new(limiter),
            scope: self.scope,
            line: match self.over {
                Over::Refuse => None,
                Over::Queue(queue) => Some(Line::new(queue)),
            },
            counts: self.counts.clone(),
            inner,
        }
    }
}

// ===== impl LimitService =====

impl<L, S> LimitService<L, S> {
    fn refuse<F, T>(&self, why: OverLimit) -> LimitFuture<F, T> {
        self.counts.refuse();
        LimitFuture::refused(why)
    }

    #[cfg(test)]
    pub(super) fn limiter(&self) -> &L {
        &self.limiter
    }
}

impl<L: Limiter, S: Clone> LimitService<L, S> {
    /// Waits in line for its turn, and then for the inner service.
    fn wait<I>(
        &self,
        turn: BoxFuture<'static, L::Permit>,
        in_line: InLine,
        timeout: Duration,
        conn: Conn<I>,
    ) -> BoxFuture<'static, Result<S::Response, BoxError>>
    where
        I: Send + 'static,
        S: Service<Conn<L::Io<I>>> + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
    {
        let limit = self.limiter.limit();
        let (counts, waiting) = (self.counts.clone(), self.counts.wait());
        let mut inner = self.inner.clone();
        let waited = tokio::time::timeout(timeout, async move {
            let permit = turn.await;
            let ready = poll_fn(|cx| inner.poll_ready(cx)).await;
            ready.map(|()| (permit, inner))
        });
        async move {
            let Ok(ready) = waited.await else {
                counts.refuse();
                return Err(OverLimit::Timeout(limit, timeout).into());
            };
            let (permit, mut inner) = ready.map_err(Into::into)?;
            drop((in_line, waiting));
            counts.admit();
            let call = inner.call(conn.map_io(|io| L::hold(io, permit)));
            call.await.map_err(Into::into)
        }
        .boxed()
    }
}

impl<I, L, S> Service<Conn<I>> for LimitService<L, S>
where
    I: Send + 'static,
    L: Limiter,
    S: Service<Conn<L::Io<I>>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = LimitFuture<S::Future, S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.line {
            None => self.inner.poll_ready(cx).map_err(Into::into),
            // What was reserved here, for who comes next, would be missing to those in line.
            Some(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        let client = Client::of(&conn.info);
        let permit = self.limiter.try_admit(client.within(self.scope));
        let Some(line) = &self.line else {
            return match permit {
                None => self.refuse(OverLimit::Refused(self.limiter.limit())),
                Some(permit) => {
                    self.counts.admit();
                    let conn = conn.map_io(|io| L::hold(io, permit));
                    LimitFuture::admitted(self.inner.call(conn))
                }
            };
        };
        let turn = match permit {
            None => self.limiter.admit(client.within(self.scope)),
            Some(permit) => {
                let mut inner = self.inner.clone();
                match poll_fn(|cx| inner.poll_ready(cx)).now_or_never() {
                    Some(Ok(())) => {
                        self.counts.admit();
                        let conn = conn.map_io(|io| L::hold(io, permit));
                        return LimitFuture::admitted(inner.call(conn));
                    }
                    // The one in line becomes ready anew, or fails so.
                    Some(Err(_)) | None => future::ready(permit).boxed(),
                }
            }
        };
        match line.enter(client) {
            None => self.refuse(OverLimit::QueueFull(self.limiter.limit())),
            Some(in_line) => LimitFuture::waiting(self.wait(turn, in_line, line.timeout(), conn)),
        }
    }
}

impl<L, S: Clone> Clone for LimitService<L, S> {
    fn clone(&self) -> Self {
        Self {
            limiter: Arc::clone(&self.limiter),
            scope: self.scope,
            line: self.line.clone(),
            counts: self.counts.clone(),
            inner: self.inner.clone(),
        }
    }
}
