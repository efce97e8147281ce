use couplet_endpoint::Refusal;

use super::labels::labels;

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
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_causes_have_the_same_label() {
        let labels: HashSet<_> = RefusalCause::ALL
            .iter()
            .map(|cause| cause.label())
            .collect();
        assert_eq!(labels.len(), RefusalCause::ALL.len());
    }
}
