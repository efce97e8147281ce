//! The exit status: how a relay of one pair tells what became of the pair.

use std::process::ExitCode;

use couplet_connector::pairing::CloseReason;

/// The status of a relay that is done; `pair` is how the only pair ended, where there was to be one.
///
/// | status | |
/// |---|---|
/// | 0 | the relay has drained, or the only pair has finished: both sides ended their streams |
/// | 1 | the relay could not do its work |
/// | 2 | wrong usage |
/// | 3 | a peer cut the only pair: by a reset, a failure, or a close while the other side was sending |
/// | 4 | a time ran out for the only pair: `--idle-timeout`, `--half-close-timeout`, `--max-lifetime` |
/// | 5 | the only pair had reached its `--quota` |
pub(crate) fn of(pair: Option<CloseReason>) -> ExitCode {
    let status: u8 = match pair {
        None | Some(CloseReason::Finished(_) | CloseReason::Closed | CloseReason::Shutdown) => 0,
        Some(CloseReason::Reset(_) | CloseReason::Failed(_) | CloseReason::ClosedEarly(_)) => 3,
        Some(
            CloseReason::IdleTimeout | CloseReason::HalfCloseTimeout(_) | CloseReason::MaxLifetime,
        ) => 4,
        Some(CloseReason::QuotaExceeded) => 5,
        Some(_) => 1,
    };
    status.into()
}
