use std::{error::Error, net::IpAddr, sync::Arc, time::Duration};

use couplet_endpoint::{BoxError, is_caused_by, shown_client_ip};
use couplet_pairing::PairError;
use tokio::sync::Semaphore;
use tower_layer::Layer;

use super::{Attempts, AttemptsService};
use crate::handshake::HandshakeError;

/// The most connections that are delayed at a time.
const MAX_DELAYED: usize = 256;

/// Refuses or delays addresses whose handshakes fail too often. See the [module](super).
#[derive(Clone, Debug)]
pub struct AttemptsLayer {
    attempts: Attempts,
    otherwise: Otherwise,
    counts_if: fn(&(dyn Error + 'static)) -> bool,
}

/// The treatment of an address that has failed too often.
#[derive(Clone, Copy, Debug)]
pub(super) enum Otherwise {
    Refuse,
    Delay(Duration),
}

/// A connection was refused because its peer's address has failed too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many handshakes of {} have failed: {failed}, and {refused} refused for that",
    shown_client_ip(*peer)
)]
pub struct TooManyAttempts {
    pub(super) peer: IpAddr,
    pub(super) failed: u32,
    pub(super) refused: u32,
}

/// A handshake has failed, and was counted. The source is the handshake's error.
#[derive(Debug, thiserror::Error)]
#[error("failed attempt {number} of {}", shown_client_ip(*peer))]
pub struct FailedAttempt {
    pub(super) peer: IpAddr,
    pub(super) number: u32,
    pub(super) source: BoxError,
}

// ===== impl AttemptsLayer =====

impl AttemptsLayer {
    /// Refuses addresses by this table, which several layers may share.
    pub fn new(attempts: Attempts) -> Self {
        Self {
            attempts,
            otherwise: Otherwise::Refuse,
            counts_if: is_its_own,
        }
    }

    /// Delays the connections of an address that has failed too often, and does not refuse them.
    #[must_use]
    pub fn delay(mut self, time: Duration) -> Self {
        self.otherwise = Otherwise::Delay(time);
        self
    }

    /// Counts the errors for which this function returns true. By default every [`HandshakeError`]
    /// counts, except the partner's. For a handshake that can fail without fault of the peer.
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

/// Whether the connection's own handshake failed, and not that of the partner dialled for it.
fn is_its_own(error: &(dyn Error + 'static)) -> bool {
    is_caused_by::<HandshakeError>(error) && !is_caused_by::<PairError>(error)
}

// ===== impl TooManyAttempts =====

impl TooManyAttempts {
    /// The address.
    pub const fn peer(&self) -> IpAddr {
        self.peer
    }

    /// The number of failed handshakes of the address in this window.
    pub const fn failed(&self) -> u32 {
        self.failed
    }

    /// The number of refused connections of the address in this window, this one included.
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

    /// The number of failed handshakes of the address in this window, this one included.
    pub const fn number(&self) -> u32 {
        self.number
    }
}
