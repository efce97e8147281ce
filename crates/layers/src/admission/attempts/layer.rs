use std::{error::Error, net::IpAddr, sync::Arc, time::Duration};

use couplet_endpoint::{BoxError, is_caused_by};
use couplet_pairing::PairError;
use tokio::sync::Semaphore;
use tower_layer::Layer;

use super::{Attempts, AttemptsService};
use crate::handshake::HandshakeError;

/// How many connections are delayed at a time.
const MAX_DELAYED: usize = 256;

/// Refuses or delays addresses whose handshakes fail too often. See the [module](super).
#[derive(Clone, Debug)]
pub struct AttemptsLayer {
    attempts: Attempts,
    otherwise: Otherwise,
    counts_if: fn(&(dyn Error + 'static)) -> bool,
}

/// What becomes of an address that has failed too often.
#[derive(Clone, Copy, Debug)]
pub(super) enum Otherwise {
    Refuse,
    Delay(Duration),
}

/// A connection's address has failed too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many handshakes of {peer} have failed: {failed}, and {refused} refused for that")]
pub struct TooManyAttempts {
    pub(super) peer: IpAddr,
    pub(super) failed: u32,
    pub(super) refused: u32,
}

/// A handshake has failed, and was counted. The source is why it failed.
#[derive(Debug, thiserror::Error)]
#[error("failed attempt {number} of {peer}")]
pub struct FailedAttempt {
    pub(super) peer: IpAddr,
    pub(super) number: u32,
    pub(super) source: BoxError,
}

// ===== impl AttemptsLayer =====

impl AttemptsLayer {
    /// Counts with these, which may be those of other layers as well; refuses at once.
    pub fn new(attempts: Attempts) -> Self {
        Self {
            attempts,
            otherwise: Otherwise::Refuse,
            counts_if: is_its_own,
        }
    }

    /// Delays each connection of an address that has failed too often, in place of refusing it.
    #[must_use]
    pub fn delay(mut self, time: Duration) -> Self {
        self.otherwise = Otherwise::Delay(time);
        self
    }

    /// Which errors count, in place of every [`HandshakeError`] but a partner's: for a handshake
    /// that can fail without its peer being to blame.
    #[must_use]
    pub fn counts_if(mut self, counts_if: fn(&(dyn Error + 'static)) -> bool) -> Self {
        self.counts_if = counts_if;
        self
    }
}

impl<S> Layer<S> for AttemptsLayer {
    type Service = AttemptsService<S>;

    fn layer(&self, inner: S) -> AttemptsService<S> {
        AttemptsService {
            attempts: self.attempts.clone(),
            otherwise: self.otherwise,
            counts_if: self.counts_if,
            delays: Arc::new(Semaphore::new(MAX_DELAYED)),
            inner,
        }
    }
}

/// Is it a failed handshake of the connection's own? Where it is partnered by a dial, its error may
/// be that of its partner's handshake, for which it is not to blame.
fn is_its_own(error: &(dyn Error + 'static)) -> bool {
    is_caused_by::<HandshakeError>(error) && !is_caused_by::<PairError>(error)
}

// ===== impl TooManyAttempts =====

impl TooManyAttempts {
    /// The address.
    pub const fn peer(&self) -> IpAddr {
        self.peer
    }

    /// How many of its handshakes have failed in its window.
    pub const fn failed(&self) -> u32 {
        self.failed
    }

    /// How many of its connections were refused for that in its window, this one among them.
    pub const fn refused(&self) -> u32 {
        self.refused
    }
}

// ===== impl FailedAttempt =====

impl FailedAttempt {
    /// The address.
    pub const fn peer(&self) -> IpAddr {
        self.peer
    }

    /// How many of its handshakes have failed in its window, this one among them.
    pub const fn number(&self) -> u32 {
        self.number
    }
}
