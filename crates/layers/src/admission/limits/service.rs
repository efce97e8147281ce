use std::{
    future::{poll_fn, ready},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use couplet_endpoint::{BoxError, Conn, ConnEvent, Io, Replay};
use futures::{
    FutureExt, TryFutureExt,
    future::{BoxFuture, Either, ErrInto},
};
use tower_service::Service;

use super::{
    counts::LimitCounts,
    departure::gone,
    error::OverLimit,
    key::{Client, Scope},
    limiter::Limiter,
    queue::{InLine, Line, Over},
};
use crate::admission::Late;

/// Refuses or queues connections over a limit: made by
/// [`ConnLimitLayer`](super::ConnLimitLayer) and `ConnRateLayer`.
#[derive(Debug)]
pub struct LimitService<L, S> {
    limiter: Arc<L>,
    scope: Scope,
    /// `None` where connections over the limit are refused.
    line: Option<Line>,
    counts: LimitCounts,
    inner: S,
}

/// The inner service's future, at once or after a wait, or a refusal.
pub type LimitFuture<F, T> = Either<ErrInto<F, BoxError>, Late<T>>;

/// The common settings of the layers.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) scope: Scope,
    pub(super) over: Over,
    pub(super) counts: LimitCounts,
}

/// The methods of a layer that has [`Settings`].
macro_rules! setters {
    () => {
        /// Refuses or queues connections beyond the limit. By default they are refused.
        #[must_use]
        pub fn over(mut self, over: $crate::admission::limits::Over) -> Self {
            self.settings.over = over;
            self
        }

        /// Counts admitted, refused and waiting connections in `counts`.
        #[must_use]
        pub fn counts(mut self, counts: $crate::admission::limits::LimitCounts) -> Self {
            self.settings.counts = counts;
            self
        }
    };
}

pub(super) use setters;

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
        Either::Right(Either::Right(ready(Err(why.into()))))
    }

    crate::accessors::inner_accessors!();

    #[cfg(test)]
    pub(super) fn limiter(&self) -> &L {
        &self.limiter
    }
}

impl<L: Limiter, S: Clone> LimitService<L, S> {
    /// Waits in line for the connection's turn, and then for the inner service.
    fn wait<I>(
        &self,
        line: &Line,
        mut in_line: InLine,
        client: Client,
        permit: Option<L::Permit>,
        mut conn: Conn<Replay<I>>,
    ) -> BoxFuture<'static, Result<S::Response, BoxError>>
    where
        I: Io,
        S: Service<Conn<L::Io<Replay<I>>>> + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
    {
        let (limiter, scope, timeout) = (Arc::clone(&self.limiter), self.scope, line.timeout());
        let (counts, waiting) = (self.counts.clone(), self.counts.wait());
        let (turn, mut inner) = (line.turn(client), self.inner.clone());
        let ready = async move {
            let turn = turn.await;
            let permit = match permit {
                Some(permit) => permit,
                None => limiter.admit(client.within(scope)).await,
            };
            let ready = poll_fn(|cx| inner.poll_ready(cx)).await;
            drop(turn);
            ready.map(|()| (permit, inner)).map_err(Into::into)
        };
        let limit = self.limiter.limit();
        async move {
            let admitted = {
                let mut ready = pin!(tokio::time::timeout(timeout, ready));
                let (mut gone, mut evicted) = (pin!(gone(&mut conn.io)), pin!(in_line.evicted()));
                poll_fn(|cx| {
                    if let Poll::Ready(ready) = ready.as_mut().poll(cx) {
                        let ready = ready.map_err(|_| OverLimit::Timeout(limit, timeout));
                        return Poll::Ready(ready);
                    }
                    if gone.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Err(OverLimit::Gone(limit)));
                    }
                    let evicted = evicted.as_mut().poll(cx);
                    evicted.map(|()| Err(OverLimit::QueueFull(limit)))
                })
                .await
            };
            drop((in_line, waiting));
            let (permit, mut inner) = match admitted {
                Ok(ready) => ready?,
                Err(why) => {
                    match why {
                        OverLimit::Gone(_) => conn.info.tell(ConnEvent::Gone),
                        _ => counts.refuse(),
                    }
                    return Err(why.into());
                }
            };
            counts.admit();
            let call = inner.call(conn.map_io(|io| L::hold(io, permit)));
            call.await.map_err(Into::into)
        }
        .boxed()
    }
}

impl<I, L, S> Service<Conn<I>> for LimitService<L, S>
where
    I: Io,
    L: Limiter,
    S: Service<Conn<L::Io<Replay<I>>>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = LimitFuture<S::Future, S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.line {
            None => self.inner.poll_ready(cx).map_err(Into::into),
            // A slot reserved here, for the next newcomer, would be missing to the queue.
            Some(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        let client = Client::of(&conn.info);
        let conn = conn.map_io(Replay::new);
        let admit = || self.limiter.try_admit(client.within(self.scope));
        let Some(line) = &self.line else {
            return match admit() {
                None => self.refuse(OverLimit::Refused(self.limiter.limit())),
                Some(permit) => {
                    self.counts.admit();
                    let conn = conn.map_io(|io| L::hold(io, permit));
                    Either::Left(self.inner.call(conn).err_into())
                }
            };
        };
        let permit = if line.has(client) { None } else { admit() };
        let permit = match permit {
            None => None,
            Some(permit) => {
                let mut inner = self.inner.clone();
                match poll_fn(|cx| inner.poll_ready(cx)).now_or_never() {
                    Some(Ok(())) => {
                        self.counts.admit();
                        let conn = conn.map_io(|io| L::hold(io, permit));
                        return Either::Left(inner.call(conn).err_into());
                    }
                    // The clone in the queue becomes ready itself, or fails in the same way.
                    Some(Err(_)) | None => Some(permit),
                }
            }
        };
        match line.enter(&conn.info) {
            None => self.refuse(OverLimit::QueueFull(self.limiter.limit())),
            Some(in_line) => {
                Either::Right(Either::Left(self.wait(line, in_line, client, permit, conn)))
            }
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
