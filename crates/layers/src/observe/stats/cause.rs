use std::{error::Error, fmt, io};

use couplet_endpoint::{DialError, Refusal, find_cause, is_caused_by};
use couplet_pairing::{PairError, PairingEnded};

use crate::{
    AccessRefused, HandshakeError, HealthCheck, OverLimit, PartnerLeft, TokenRefused,
    TooManyAttempts,
    admission::limits::Limit,
    handshake::{LineError, sniff::SniffError},
};

/// The reason for which a connection was not joined: one of a closed set, for a label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefusalCause {
    /// The client's network is on the deny list, or not on the allow list.
    Network,
    /// A rule of the program, in an [`AccessLayer`](crate::AccessLayer), refused the client.
    Rule,
    /// Too many connections of the client's address are open.
    LimitAddress,
    /// Too many connections are open.
    LimitAll,
    /// The client's address opens connections too fast.
    RateAddress,
    /// All clients together open connections too fast.
    RateAll,
    /// Too many handshakes of the client's address have failed.
    Attempts,
    /// The PROXY header is missing, malformed, or from a network that is not trusted.
    ProxyHeader,
    /// The TLS handshake failed.
    Tls,
    /// The Noise handshake failed.
    Noise,
    /// The WebSocket handshake failed.
    WebSocket,
    /// The token is wrong or has expired.
    Token,
    /// The challenge was not answered with a known key.
    Challenge,
    /// The client did not ask for a meeting at a rendezvous, or has no right to.
    Meeting,
    /// Another handshake failed, or the connection broke during one.
    Handshake,
    /// A handshake took too long.
    Timeout,
    /// All slots of a handshake were taken.
    Busy,
    /// A server could not be dialled.
    Dial,
    /// The other side's stack refused the partner.
    Partner,
    /// The client left while it waited.
    Gone,
    /// No partner came in time.
    Expired,
    /// The connection has no key, or an unknown one.
    UnknownKey,
    /// Too many connections wait.
    Full,
    /// Too many connections with the same key wait.
    KeyFull,
    /// A newer connection with the same key took its place.
    Replaced,
    /// A newer connection took its place, because all were taken.
    Evicted,
    /// The peer sent a byte before the join, which was not allowed.
    Impatient,
    /// Two others with the same key were joined.
    Redundant,
    /// The partner waits at another node, to which the client was sent; nothing is wrong.
    Redirected,
    /// A proxy checked that the relay listens; nothing is wrong.
    HealthCheck,
    /// The relay stopped.
    Shutdown,
    /// Anything else: a layer of a program's own.
    Other,
}

// ===== impl RefusalCause =====

impl RefusalCause {
    /// All causes.
    pub const ALL: &[Self] = &[
        Self::Network,
        Self::Rule,
        Self::LimitAddress,
        Self::LimitAll,
        Self::RateAddress,
        Self::RateAll,
        Self::Attempts,
        Self::ProxyHeader,
        Self::Tls,
        Self::Noise,
        Self::WebSocket,
        Self::Token,
        Self::Challenge,
        Self::Meeting,
        Self::Handshake,
        Self::Timeout,
        Self::Busy,
        Self::Dial,
        Self::Partner,
        Self::Gone,
        Self::Expired,
        Self::UnknownKey,
        Self::Full,
        Self::KeyFull,
        Self::Replaced,
        Self::Evicted,
        Self::Impatient,
        Self::Redundant,
        Self::Redirected,
        Self::HealthCheck,
        Self::Shutdown,
        Self::Other,
    ];

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
        otherwise
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

    /// The cause in one word, for a label: `limit_addr`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Rule => "rule",
            Self::LimitAddress => "limit_addr",
            Self::LimitAll => "limit_all",
            Self::RateAddress => "rate_addr",
            Self::RateAll => "rate",
            Self::Attempts => "attempts",
            Self::ProxyHeader => "proxy_header",
            Self::Tls => "tls",
            Self::Noise => "noise",
            Self::WebSocket => "ws",
            Self::Token => "token",
            Self::Challenge => "challenge",
            Self::Meeting => "rendezvous",
            Self::Handshake => "handshake",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Dial => "dial",
            Self::Partner => "partner",
            Self::Gone => "gone",
            Self::Expired => "expired",
            Self::UnknownKey => "unknown_key",
            Self::Full => "full",
            Self::KeyFull => "key_full",
            Self::Replaced => "replaced",
            Self::Evicted => "evicted",
            Self::Impatient => "impatient",
            Self::Redundant => "redundant",
            Self::Redirected => "redirected",
            Self::HealthCheck => "health_check",
            Self::Shutdown => "shutdown",
            Self::Other => "other",
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
    if is_caused_by::<crate::handshake::proxy::ViaError>(error) {
        return true;
    }
    is_caused_by::<DialError>(error)
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

impl fmt::Display for RefusalCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
    fn every_cause_has_its_place_and_its_label() {
        let mut labels: Vec<_> = RefusalCause::ALL
            .iter()
            .map(|cause| cause.label())
            .collect();
        for (n, cause) in RefusalCause::ALL.iter().enumerate() {
            assert_eq!(*cause as usize, n);
        }
        labels.sort_unstable();
        labels.dedup();
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
