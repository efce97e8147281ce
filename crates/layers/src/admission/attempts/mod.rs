//! Counts failed handshakes by address, and refuses or delays the addresses that fail too often.
//!
//! [`AttemptsLayer`] stands above the handshakes of a side that authenticate, whatever they are: a
//! token, a challenge, a TLS client certificate. One that fails or is not done in time (what a
//! [`HandshakeError`](crate::HandshakeError) caused) counts against its peer's address: IPv4 by
//! address, IPv6 by /64, which is what one customer has. After so many failures within a window that
//! begins with the first, what still comes from there is refused at once until the window is over;
//! or, with [`delay`](AttemptsLayer::delay), waits first. The peer is told nothing: its connection
//! is closed.
//!
//! A handshake of the partner that is dialled for it does not count: that one failed.
//!
//! Clients that share an address with a guessing one share its lot. So does a program that probes the
//! port without a handshake, such as a health check: put an access list above it, or do without this
//! for such addresses. Those that are already shaking hands when an address has failed too often go
//! on; how many can be is bounded by the [handshake](crate::HandshakeLayer::bound).
//!
//! - **Errors:** a failure becomes a [`FailedAttempt`], whose source it is, with its number among those of
//!   its address; a refusal is [`TooManyAttempts`]. So the log of refusals shows the counts of each
//!   address.
//! - **Where:** on a side, above its handshakes, and below what finds out the peer's address (a
//!   PROXY header). A connection without an address is not counted.
//! - **Splice:** costs none.
//! - **Memory:** some 100 bytes an address, for at most 65536 of them
//!   ([`capacity`](Attempts::capacity)); beyond that those whose window began first are forgotten.
//! - **Readiness:** the inner service's. A delayed connection takes its readiness only after its
//!   delay; at most 256 are delayed at a time, and what would be one more is refused.
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
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use couplet_endpoint::{BoxError, Conn};
use tokio::sync::Semaphore;
use tower_service::Service;

use self::{
    layer::Otherwise,
    table::{Failures, Verdict},
};

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
    fn refuse<I>(&self, peer: IpAddr) -> AttemptsFuture<I, S>
    where
        S: Service<Conn<I>>,
    {
        let Failures { failed, refused } = self.attempts.refuse(peer);
        AttemptsFuture::refused(TooManyAttempts {
            peer,
            failed,
            refused,
        })
    }
}

impl<I, S> Service<Conn<I>> for AttemptsService<S>
where
    S: Service<Conn<I>> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = AttemptsFuture<I, S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        let Some(peer) = conn.info.peer.map(|peer| peer.ip()) else {
            return AttemptsFuture::uncounted(self.inner.call(conn));
        };
        let failure = future::Failure {
            attempts: self.attempts.clone(),
            peer,
            counts_if: self.counts_if,
        };
        match (self.attempts.verdict(peer), self.otherwise) {
            (Verdict::Pass, _) => AttemptsFuture::counted(self.inner.call(conn), failure),
            (Verdict::Blocked, Otherwise::Refuse) => self.refuse(peer),
            (Verdict::Blocked, Otherwise::Delay(time)) => {
                match Arc::clone(&self.delays).try_acquire_owned() {
                    Ok(permit) => {
                        self.attempts.count_delayed();
                        // A clone without readiness: it becomes ready after the delay.
                        AttemptsFuture::delayed(conn, self.inner.clone(), time, permit, failure)
                    }
                    Err(_) => self.refuse(peer),
                }
            }
        }
    }
}
