use std::{error::Error, io};

use couplet_endpoint::{DialError, Refusal, find_cause, is_dial_failure};
use couplet_pairing::{PairError, PairingEnded};

use super::labels::labels;
use crate::{
    AccessRefused, HandshakeError, HealthCheck, OverLimit, PartnerLeft, TokenRefused,
    TooManyAttempts,
    admission::limits::Limit,
    handshake::{LineError, sniff::SniffError},
};

labels! {
    /// The reason for which a connection was not joined: one of a closed set, for a label of a metric.
    pub enum RefusalCause {
        /// The client's network is on the deny list, or not on the allow list.
        Network = "network",
        /// A rule of the program, in an [`AccessLayer`](crate::AccessLayer), refused the client.
        Rule = "rule",
        /// Too many connections of the client's address are open.
        LimitAddress = "limit_addr",
        /// Too many connections are open.
        LimitAll = "limit_all",
        /// The client's address opens connections too fast.
        RateAddress = "rate_addr",
        /// All clients together open connections too fast.
        RateAll = "rate",
        /// Too many handshakes of the client's address have failed.
        Attempts = "attempts",
        /// The PROXY header is missing, malformed, or from a network that is not trusted.
        ProxyHeader = "proxy_header",
        /// The TLS handshake failed.
        Tls = "tls",
        /// The Noise handshake failed.
        Noise = "noise",
        /// The WebSocket handshake failed.
        WebSocket = "ws",
        /// The token is wrong or has expired.
        Token = "token",
        /// The challenge was not answered with a known key.
        Challenge = "challenge",
        /// The client did not ask for a meeting at a rendezvous, or has no right to.
        Meeting = "rendezvous",
        /// Another handshake failed, or the connection broke during one.
        Handshake = "handshake",
        /// A handshake took too long.
        Timeout = "timeout",
        /// All slots of a handshake were taken.
        Busy = "busy",
        /// A server could not be dialled.
        Dial = "dial",
        /// The other side's stack refused the partner.
        Partner = "partner",
        /// The client left while it waited.
        Gone = "gone",
        /// No partner came in time.
        Expired = "expired",
        /// The connection has no key, or an unknown one.
        UnknownKey = "unknown_key",
        /// Too many connections wait.
        Full = "full",
        /// Too many connections with the same key wait.
        KeyFull = "key_full",
        /// A newer connection with the same key took its place.
        Replaced = "replaced",
        /// A newer connection took its place, because all were taken.
        Evicted = "evicted",
        /// The peer sent a byte before the join, which was not allowed.
        Impatient = "impatient",
        /// Two others with the same key were joined.
        Redundant = "redundant",
        /// The partner waits at another node, to which the client was sent; nothing is wrong.
        Redirected = "redirected",
        /// A proxy checked that the relay listens; nothing is wrong.
        HealthCheck = "health_check",
        /// The relay stopped.
        Shutdown = "shutdown",
        /// Anything else: a layer of a program's own.
        Other = "other",
    }
}

// ===== impl RefusalCause =====

impl RefusalCause {
    /// The cause that an error of a side's stack tells.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut otherwise = Self::Other;
        let mut next = Some(error);
        while let Some(error) = next {
            match Self::of_one(error) {
                // A handshake's own error, if it is one of ours, is deeper.
                Some(Self::Handshake) => otherwise = Self::Handshake,
                Some(cause) if cause.is_of_handshake() && has_left(error) => {
                    return Self::Handshake;
                }
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

    const fn is_of_handshake(self) -> bool {
        matches!(
            self,
            Self::ProxyHeader
                | Self::Tls
                | Self::Noise
                | Self::WebSocket
                | Self::Token
                | Self::Challenge
                | Self::Meeting
        )
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
                HandshakeError::Failed { .. } => Self::Handshake,
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
        (is::<TokenRefused>, Self::Token),
        (is::<LineError>, Self::Handshake),
        (is::<SniffError>, Self::Handshake),
        (is::<PartnerLeft>, Self::Gone),
        (is::<crate::Departed>, Self::Gone),
        (is::<DialError>, Self::Dial),
        #[cfg(any(feature = "connect", feature = "socks"))]
        (is::<crate::handshake::proxy::ViaError>, Self::Dial),
        #[cfg(feature = "signed-token")]
        (is::<crate::SignedTokenRefused>, Self::Token),
        #[cfg(feature = "challenge")]
        (is::<crate::ChallengeRefused>, Self::Challenge),
        #[cfg(feature = "challenge")]
        (is::<crate::NotAsked>, Self::Challenge),
        #[cfg(feature = "meet")]
        (is::<crate::handshake::meet::MeetingRefused>, Self::Meeting),
        #[cfg(feature = "meet")]
        (is::<crate::handshake::meet::NotMet>, Self::Meeting),
        #[cfg(feature = "noise")]
        (is::<crate::NoiseFailed>, Self::Noise),
        #[cfg(feature = "noise")]
        (is::<crate::BadRecord>, Self::Noise),
        #[cfg(feature = "proxy-protocol")]
        (
            is::<crate::handshake::proxy_protocol::ProxyHeaderRefused>,
            Self::ProxyHeader,
        ),
        #[cfg(feature = "tls")]
        (is::<crate::TlsError>, Self::Tls),
        #[cfg(feature = "ws")]
        (is::<crate::handshake::ws::WsRefused>, Self::WebSocket),
        #[cfg(feature = "ws")]
        (is::<crate::handshake::ws::WsNotAccepted>, Self::WebSocket),
    ];

    #[cfg_attr(
        not(feature = "access-list"),
        expect(unused_variables, reason = "only lists tell")
    )]
    fn of_access(error: &AccessRefused) -> Self {
        #[cfg(feature = "access-list")]
        if couplet_endpoint::is_caused_by::<crate::admission::access::NotListed>(error) {
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
    #[cfg(any(feature = "connect", feature = "socks"))]
    if couplet_endpoint::is_caused_by::<crate::handshake::proxy::ViaError>(error) {
        return true;
    }
    is_dial_failure(error)
}

fn is<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    error.is::<E>()
}

impl From<Refusal> for RefusalCause {
    /// The cause of what the pairing refused.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Expired => Self::Expired,
            Refusal::UnknownKey => Self::UnknownKey,
            Refusal::Full => Self::Full,
            Refusal::Duplicate => Self::KeyFull,
            Refusal::Replaced => Self::Replaced,
            Refusal::Evicted => Self::Evicted,
            Refusal::Impatient => Self::Impatient,
            Refusal::Redundant => Self::Redundant,
            Refusal::Redirected => Self::Redirected,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use couplet_endpoint::BoxError;

    use super::*;

    fn cause(error: impl Into<BoxError>) -> RefusalCause {
        RefusalCause::of(&*error.into())
    }

    fn failed(source: impl Into<BoxError>) -> HandshakeError {
        HandshakeError::Failed {
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
    fn no_two_causes_have_the_same_label() {
        let labels: HashSet<_> = RefusalCause::ALL
            .iter()
            .map(|cause| cause.label())
            .collect();
        assert_eq!(labels.len(), RefusalCause::ALL.len());
    }

    #[test]
    fn the_deepest_error_of_a_handshake_tells() {
        let timeout = HandshakeError::Timeout(Duration::from_secs(1));
        assert_eq!(cause(timeout), RefusalCause::Timeout);
        assert_eq!(cause(HandshakeError::GaveWay), RefusalCause::Busy);
        assert_eq!(
            cause(failed(io::Error::other("?"))),
            RefusalCause::Handshake
        );
        assert_eq!(cause(failed(HealthCheck)), RefusalCause::HealthCheck);
        assert_eq!(cause(failed(TokenRefused::Mismatch)), RefusalCause::Token);
        assert_eq!(cause(failed(TokenRefused::Ended)), RefusalCause::Handshake);
        let reset = TokenRefused::Io(io::ErrorKind::ConnectionReset.into());
        assert_eq!(cause(failed(reset)), RefusalCause::Handshake);
        let limit = OverLimit::Refused(Limit::ConnsPerAddress(4));
        assert_eq!(cause(limit), RefusalCause::LimitAddress);
        assert_eq!(cause("a layer of one's own"), RefusalCause::Other);
    }

    #[tokio::test]
    async fn a_partner_is_not_the_connection_itself() {
        let dial = couplet_endpoint::Dial::to("127.0.0.1:1").unwrap();
        let unreachable = dial.connect().await.unwrap_err();
        assert_eq!(cause(partner(unreachable)), RefusalCause::Dial);
        let refused = partner(failed(HealthCheck));
        assert_eq!(cause(refused), RefusalCause::Partner);
        let limit = OverLimit::Refused(Limit::Conns(4));
        assert_eq!(cause(partner(limit)), RefusalCause::Partner);
    }
}
