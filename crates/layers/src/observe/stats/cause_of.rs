use std::{error::Error, io};

use couplet_endpoint::{DialError, find_cause, is_caused_by, is_dial_failure};
use couplet_pairing::{PairError, PairingEnded};

use super::cause::RefusalCause;
use crate::{
    AccessRefused, Departed, HandshakeError, HealthCheck, LineError, OverLimit, PartnerLeft,
    TokenRefused, TooManyAttempts, ViaError, admission::limits::Limit,
};

// ===== impl RefusalCause =====

impl RefusalCause {
    /// The cause that an error of a side's stack tells.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut otherwise = Self::Other;
        let mut next = Some(error);
        while let Some(error) = next {
            match Self::of_one(error) {
                // What else is known of it is deeper.
                Some(Self::Handshake) => otherwise = Self::Handshake,
                Some(cause) => return cause,
                None => {}
            }
            next = error.source();
        }
        match otherwise {
            Self::Other if is_dial_failure(error) => Self::Dial,
            otherwise => otherwise,
        }
    }

    fn of_one(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(error) = error.downcast_ref::<PairError>() {
            return Some(match error {
                PairError::Partner { source } | PairError::Asked { source } => {
                    match is_of_dial(&**source) {
                        true => Self::Dial,
                        false => Self::Partner,
                    }
                }
                PairError::GaveWay => Self::Evicted,
                PairError::Reply(_) => Self::Gone,
                _ => Self::Shutdown,
            });
        }
        if let Some(error) = error.downcast_ref::<OverLimit>() {
            return Some(match error {
                OverLimit::Gone(_) => Self::Gone,
                OverLimit::Refused(limit)
                | OverLimit::QueueFull(limit)
                | OverLimit::Timeout(limit, _) => Self::of_limit(limit),
            });
        }
        if let Some(error) = error.downcast_ref::<HandshakeError>() {
            return Some(match error {
                HandshakeError::Timeout(_) => Self::Timeout,
                HandshakeError::GaveWay => Self::Busy,
                HandshakeError::Failed { source, .. } if has_left(&**source) => Self::Handshake,
                HandshakeError::Failed { source, .. } if is_caused_by::<HealthCheck>(&**source) => {
                    Self::HealthCheck
                }
                HandshakeError::Failed { cause, .. } => *cause,
            });
        }
        if let Some(error) = error.downcast_ref::<AccessRefused>() {
            return Some(Self::of_access(error));
        }
        Self::OF_TYPES
            .iter()
            .find_map(|(is, cause)| is(error).then_some(*cause))
    }

    /// What an error is, and the cause that it tells.
    const OF_TYPES: &[(fn(&(dyn Error + 'static)) -> bool, Self)] = &[
        (is::<PairingEnded>, Self::Shutdown),
        (is::<TooManyAttempts>, Self::Attempts),
        (is::<HealthCheck>, Self::HealthCheck),
        (is::<LineError>, Self::Handshake),
        (is::<PartnerLeft>, Self::Gone),
        (is::<Departed>, Self::Gone),
        (is::<DialError>, Self::Dial),
        (is::<ViaError>, Self::Dial),
    ];

    #[cfg_attr(
        not(feature = "access-list"),
        expect(unused_variables, reason = "only lists tell")
    )]
    fn of_access(error: &AccessRefused) -> Self {
        #[cfg(feature = "access-list")]
        if is_caused_by::<crate::admission::access::NotListed>(error) {
            return Self::Network;
        }
        Self::Rule
    }

    const fn of_limit(limit: &Limit) -> Self {
        match limit {
            Limit::ConnsPerAddress(_) => Self::LimitAddress,
            Limit::Conns(_) => Self::LimitAll,
            #[cfg(feature = "rate-limit")]
            Limit::RatePerAddress(_) => Self::RateAddress,
            #[cfg(feature = "rate-limit")]
            Limit::Rate(_) => Self::RateAll,
        }
    }
}

/// Whether the peer left during its handshake, or the connection broke: nothing was refused.
fn has_left(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind as Kind;

    let io = find_cause::<io::Error>(error).map(io::Error::kind);
    matches!(
        io,
        Some(
            Kind::UnexpectedEof
                | Kind::ConnectionReset
                | Kind::ConnectionAborted
                | Kind::BrokenPipe
        )
    ) || matches!(find_cause(error), Some(TokenRefused::Ended))
        || matches!(find_cause(error), Some(LineError::Ended))
}

/// Was a server, or a proxy before it, not reached?
fn is_of_dial(error: &(dyn Error + 'static)) -> bool {
    is_caused_by::<ViaError>(error) || is_dial_failure(error)
}

fn is<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    error.is::<E>()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use couplet_endpoint::BoxError;

    use super::*;

    fn cause(error: impl Into<BoxError>) -> RefusalCause {
        RefusalCause::of(&*error.into())
    }

    fn failed(cause: RefusalCause, source: impl Into<BoxError>) -> HandshakeError {
        HandshakeError::Failed {
            cause,
            source: source.into(),
        }
    }

    fn partner(source: impl Into<BoxError>) -> PairError {
        PairError::Partner {
            source: source.into(),
        }
    }

    #[test]
    fn a_target_that_a_client_asked_for_is_a_partner() {
        let asked = |source: BoxError| cause(PairError::Asked { source });
        assert_eq!(asked("no target".into()), RefusalCause::Partner);
        let gone = PairError::Reply(io::ErrorKind::BrokenPipe.into());
        assert_eq!(cause(gone), RefusalCause::Gone);
    }

    #[test]
    fn a_handshake_tells_what_it_refuses_for() {
        let timeout = HandshakeError::Timeout(Duration::from_secs(1));
        assert_eq!(cause(timeout), RefusalCause::Timeout);
        assert_eq!(cause(HandshakeError::GaveWay), RefusalCause::Busy);
        let token = |error: BoxError| cause(failed(RefusalCause::Token, error));
        assert_eq!(token(TokenRefused::Mismatch.into()), RefusalCause::Token);
        assert_eq!(token(HealthCheck.into()), RefusalCause::HealthCheck);
        // The peer left: nothing was refused.
        assert_eq!(token(TokenRefused::Ended.into()), RefusalCause::Handshake);
        assert_eq!(token(LineError::Ended.into()), RefusalCause::Handshake);
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(token(reset.into()), RefusalCause::Handshake);
    }

    #[test]
    fn what_is_known_of_a_failed_handshake_may_be_deeper() {
        let deeper = |error: BoxError| cause(failed(RefusalCause::Handshake, error));
        assert_eq!(deeper("no".into()), RefusalCause::Handshake);
        let within = failed(RefusalCause::Tls, "no certificate");
        assert_eq!(deeper(within.into()), RefusalCause::Tls);
        assert_eq!(deeper(HealthCheck.into()), RefusalCause::HealthCheck);
        let limit = OverLimit::Refused(Limit::ConnsPerAddress(4));
        assert_eq!(deeper(limit.into()), RefusalCause::LimitAddress);
        assert_eq!(cause("a layer of one's own"), RefusalCause::Other);
    }

    #[tokio::test]
    async fn a_partner_is_not_the_connection_itself() {
        let dial = couplet_endpoint::Dial::to("127.0.0.1:1").unwrap();
        let unreachable = dial.connect().await.unwrap_err();
        assert_eq!(cause(partner(unreachable)), RefusalCause::Dial);
        let refused = partner(failed(RefusalCause::Handshake, HealthCheck));
        assert_eq!(cause(refused), RefusalCause::Partner);
        let limit = OverLimit::Refused(Limit::Conns(4));
        assert_eq!(cause(partner(limit)), RefusalCause::Partner);
    }
}
