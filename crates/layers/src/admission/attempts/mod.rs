//! Counts failed handshakes by address, and refuses or delays the addresses that fail too often.
//!
//! [`AttemptsLayer`] stands above the handshakes that authenticate a side's clients: a token, a
//! challenge, a TLS client certificate. A handshake that fails or times out (a
//! [`HandshakeError`](crate::HandshakeError)) counts against the client's address: IPv4 by address,
//! IPv6 by /64, the network of one customer. The first failure begins a window. When an address
//! reaches the limit within the window, its further connections are refused until the window ends, or
//! [delayed](AttemptsLayer::delay). A refused client gets no reply: its connection is reset.
//!
//! A failed handshake of the *partner* dialled for a client does not count against the client.
//!
//! All clients behind one address are refused together. A program that probes the port without a
//! handshake, such as a health check, counts as failing: put an access list above this layer, or a
//! listener without this layer on another port. Handshakes under way when the limit is reached go on;
//! the [handshake's own bound](crate::HandshakeLayer::bound) limits their number.
//!
//! - **Errors:** a failure becomes a [`FailedAttempt`], with the failure as source and the number of
//!   failures of the address; a refusal is [`TooManyAttempts`]. So a log of refusals shows the counts of
//!   each address.
//! - **Where:** on a side, above its handshakes, and below a PROXY header, which has the client's
//!   address. A connection without an address is not counted.
//! - **Splice:** costs none.
//! - **Memory:** some 100 bytes an address, for at most 65536 addresses
//!   ([`capacity`](Attempts::capacity)); beyond that the oldest windows are forgotten.
//! - **Readiness:** the inner service's. A delayed connection takes it only after the delay. At most 256
//!   connections are delayed at a time; more are refused. A client that leaves meanwhile is noticed:
//!   [`Departed`](crate::Departed).
//!
//! ```
//! use std::time::Duration;
//!
//! use couplet_layers::{Attempts, AttemptsLayer, ExpectToken, HandshakeLayer, Token};
//! use tower::ServiceBuilder;
//!
//! # fn side<S>(token: Token, place: S) {
//! let attempts = Attempts::new(10, Duration::from_secs(600));
//! let side = ServiceBuilder::new()
//!     .layer(AttemptsLayer::new(attempts.clone()))
//!     .layer(HandshakeLayer::new(ExpectToken::new(token)))
//!     .service(place);
//! println!("{} failed", attempts.counts().failed);
//! # }
//! ```

mod future;
mod layer;
mod table;
#[cfg(test)]
mod tests;

pub use self::{
    future::AttemptsFuture,
    layer::{AttemptsLayer, FailedAttempt, TooManyAttempts},
    table::{AttemptCounts, Attempts},
};

use std::{
    error::Error,
    future::{poll_fn, ready},
    net::IpAddr,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{BoxError, Conn, Io};
use futures::{
    FutureExt,
    future::{BoxFuture, Either, select},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tower_service::Service;

use self::{
    future::Failure,
    layer::Otherwise,
    table::{Failures, Verdict},
};
use super::Late;
use crate::handshake::Departure;

/// Counts failed handshakes by address: made by [`AttemptsLayer`].
#[derive(Clone, Debug)]
pub struct AttemptsService<S> {
    attempts: Attempts,
    otherwise: Otherwise,
    counts_if: fn(&(dyn Error + 'static)) -> bool,
    delays: Arc<Semaphore>,
    inner: S,
}

// ===== impl AttemptsService =====

impl<S> AttemptsService<S> {
    crate::accessors::inner_accessors!();
}

impl<S> AttemptsService<S> {
    fn refuse(&self, peer: IpAddr) -> TooManyAttempts {
        let Failures { failed, refused } = self.attempts.refuse(peer);
        TooManyAttempts {
            peer,
            failed,
            refused,
        }
    }

    /// Calls the inner service after the delay, once it is ready.
    fn delayed<I>(
        &self,
        mut conn: Conn<I>,
        time: Duration,
        permit: OwnedSemaphorePermit,
        failure: Failure,
    ) -> BoxFuture<'static, Result<S::Response, BoxError>>
    where
        I: Io,
        S: Service<Conn<I>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    {
        // A clone without readiness: it becomes ready after the delay.
        let mut inner = self.inner.clone();
        async move {
            {
                let ready = pin!(async {
                    sleep(time).await;
                    drop(permit);
                    poll_fn(|cx| inner.poll_ready(cx)).await
                });
                let mut departure = Departure::default();
                let departed = poll_fn(|cx| departure.poll(&mut conn, cx));
                match select(ready, departed).await {
                    Either::Left((ready, _)) => ready.map_err(Into::into)?,
                    Either::Right((departed, _)) => return Err(departed.into()),
                }
            }
            let call = inner.call(conn);
            let failure = Some(failure);
            AttemptsFuture { call, failure }.await
        }
        .boxed()
    }
}

impl<I, S> Service<Conn<I>> for AttemptsService<S>
where
    I: Io,
    S: Service<Conn<I>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<AttemptsFuture<S::Future>, Late<S::Response>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        let failure = conn.info.peer.map(|peer| Failure {
            attempts: self.attempts.clone(),
            peer: peer.ip(),
            counts_if: self.counts_if,
        });
        let failure = match failure {
            Some(failure) if self.attempts.verdict(failure.peer) == Verdict::Blocked => failure,
            failure => {
                let call = self.inner.call(conn);
                return Either::Left(AttemptsFuture { call, failure });
            }
        };
        if let Otherwise::Delay(time) = self.otherwise
            && let Ok(permit) = Arc::clone(&self.delays).try_acquire_owned()
        {
            self.attempts.count_delayed();
            let delayed = self.delayed(conn, time, permit, failure);
            return Either::Right(Either::Left(delayed));
        }
        let refused = self.refuse(failure.peer);
        Either::Right(Either::Right(ready(Err(refused.into()))))
    }
}
