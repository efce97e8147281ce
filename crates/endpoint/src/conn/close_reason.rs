use std::fmt;

use super::Side;

/// Why a session ended, and the side that ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// Both sides ended their streams and every byte was delivered; this side ended first.
    Finished(Side),
    /// This side ended its stream and then closed while the other was still sending: every byte from
    /// this side was delivered, the last bytes for this side were not.
    ClosedEarly(Side),
    /// This side's peer reset its connection.
    Reset(Side),
    /// This side's connection failed: its peer vanished, or a layer on it could not go on.
    Failed(Side),
    /// This side had ended its stream (a half-close), and the other direction was idle for the
    /// half-close timeout.
    HalfCloseTimeout(Side),
    /// Neither side sent a byte for the idle timeout.
    IdleTimeout,
    /// The session reached its maximal lifetime.
    MaxLifetime,
    /// The quota of bytes was delivered, and more came.
    QuotaExceeded,
    /// A step before the join refused the pair, or failed.
    Refused,
    /// A holder of the session closed it.
    Closed,
    /// The relay was told to stop.
    Shutdown,
    /// The embedding program, or a layer of that program, closed the session for this reason: a few
    /// words, such as `"account suspended"`.
    Custom(&'static str),
    /// The future that served the session was dropped first, by a timeout around it or a panic within.
    Dropped,
}

// ===== impl CloseReason =====

impl CloseReason {
    /// Every [`termination_state`](Self::termination_state) there is.
    pub const STATES: &[&'static str] = &[
        "AF", "BF", "AE", "BE", "AR", "BR", "AX", "BX", "AH", "BH", "TI", "TL", "LQ", "PR", "OC",
        "OS", "UC", "ID",
    ];

    /// Whether both sides ended their streams, with every byte delivered.
    pub const fn is_clean(self) -> bool {
        matches!(self, Self::Finished(_))
    }

    /// The reason in two letters, like HAProxy's termination state, for logs that programs read: the
    /// first letter is the side or the cause, the second the way.
    ///
    /// | | |
    /// |---|---|
    /// | `AF`, `BF` | [`Finished`](Self::Finished): all is well, this side ended first |
    /// | `AE`, `BE` | [`ClosedEarly`](Self::ClosedEarly) |
    /// | `AR`, `BR` | [`Reset`](Self::Reset) |
    /// | `AX`, `BX` | [`Failed`](Self::Failed) |
    /// | `AH`, `BH` | [`HalfCloseTimeout`](Self::HalfCloseTimeout): this side had ended |
    /// | `TI` | [`IdleTimeout`](Self::IdleTimeout): a time ran out |
    /// | `TL` | [`MaxLifetime`](Self::MaxLifetime) |
    /// | `LQ` | [`QuotaExceeded`](Self::QuotaExceeded): a limit was reached |
    /// | `PR` | [`Refused`](Self::Refused) by the pair's stack |
    /// | `OC` | [`Closed`](Self::Closed) by the operator of the relay |
    /// | `OS` | [`Shutdown`](Self::Shutdown) |
    /// | `UC` | [`Custom`](Self::Custom): the embedding program's own reason |
    /// | `ID` | [`Dropped`](Self::Dropped): an internal end |
    pub const fn termination_state(self) -> &'static str {
        match self {
            Self::Finished(Side::A) => "AF",
            Self::Finished(Side::B) => "BF",
            Self::ClosedEarly(Side::A) => "AE",
            Self::ClosedEarly(Side::B) => "BE",
            Self::Reset(Side::A) => "AR",
            Self::Reset(Side::B) => "BR",
            Self::Failed(Side::A) => "AX",
            Self::Failed(Side::B) => "BX",
            Self::HalfCloseTimeout(Side::A) => "AH",
            Self::HalfCloseTimeout(Side::B) => "BH",
            Self::IdleTimeout => "TI",
            Self::MaxLifetime => "TL",
            Self::QuotaExceeded => "LQ",
            Self::Refused => "PR",
            Self::Closed => "OC",
            Self::Shutdown => "OS",
            Self::Custom(_) => "UC",
            Self::Dropped => "ID",
        }
    }

    /// The side that ended the session, or `None` where neither did.
    pub const fn side(self) -> Option<Side> {
        match self {
            Self::Finished(side)
            | Self::ClosedEarly(side)
            | Self::Reset(side)
            | Self::Failed(side)
            | Self::HalfCloseTimeout(side) => Some(side),
            _ => None,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished(side) => write!(f, "finished, {side} first"),
            Self::ClosedEarly(side) => write!(f, "{side} closed while the other was sending"),
            Self::Reset(side) => write!(f, "reset by {side}"),
            Self::Failed(side) => write!(f, "{side} failed"),
            Self::HalfCloseTimeout(side) => write!(f, "half-close timeout, {side} had ended"),
            Self::IdleTimeout => f.write_str("idle timeout"),
            Self::MaxLifetime => f.write_str("maximal lifetime reached"),
            Self::QuotaExceeded => f.write_str("quota exceeded"),
            Self::Refused => f.write_str("refused before the join"),
            Self::Closed => f.write_str("closed"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::Custom(reason) => f.write_str(reason),
            Self::Dropped => f.write_str("dropped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_reasons_have_the_same_letters() {
        let of = |side| {
            [
                CloseReason::Finished(side),
                CloseReason::ClosedEarly(side),
                CloseReason::Reset(side),
                CloseReason::Failed(side),
                CloseReason::HalfCloseTimeout(side),
            ]
        };
        let mut reasons = [of(Side::A), of(Side::B)].concat();
        for reason in &reasons {
            let side = reason.side().unwrap().to_string();
            assert!(reason.termination_state().starts_with(&side), "{reason}");
        }
        reasons.extend([
            CloseReason::IdleTimeout,
            CloseReason::MaxLifetime,
            CloseReason::QuotaExceeded,
            CloseReason::Refused,
            CloseReason::Closed,
            CloseReason::Shutdown,
            CloseReason::Custom("a reason of its own"),
            CloseReason::Dropped,
        ]);
        let mut states: Vec<_> = reasons.iter().map(|r| r.termination_state()).collect();
        states.sort_unstable();
        states.dedup();
        assert_eq!(states.len(), reasons.len());
        let mut all = CloseReason::STATES.to_vec();
        all.sort_unstable();
        assert_eq!(states, all);
    }
}
