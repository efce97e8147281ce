use std::{
    error::Error,
    io::ErrorKind,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use couplet_endpoint::{DialError, find_cause};

use super::{
    histogram::{Histogram, SHORT},
    labels::labels,
};

labels! {
    /// The outcome of a dial: one of a closed set, for a label of a metric.
    pub enum DialOutcome {
        /// Connected.
        Ok = "ok",
        /// Refused by the server's machine (`ECONNREFUSED`).
        Refused = "refused",
        /// No answer in time (`ETIMEDOUT`).
        Timeout = "timeout",
        /// No route to the server (`EHOSTUNREACH`, `ENETUNREACH`).
        Unreachable = "unreachable",
        /// The name has no address, or no name server answered.
        Name = "name",
        /// The bound on dials of the target was reached.
        Busy = "busy",
        /// Anything else.
        Other = "other",
    }
}

/// The dials of a side.
#[derive(Debug)]
pub(super) struct Dials(Mutex<Counted>);

#[derive(Debug)]
struct Counted {
    outcomes: [u64; DialOutcome::ALL.len()],
    took: Histogram,
}

// ===== impl DialOutcome =====

impl DialOutcome {
    /// The outcome behind an error of a dial.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let Some(error) = find_cause::<DialError>(error) else {
            return Self::Other;
        };
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_look_up() {
            Self::Name
        } else if error.is_busy() {
            Self::Busy
        } else {
            let last = error.failed().last();
            match last.map(|(_, error)| error.kind()) {
                Some(ErrorKind::ConnectionRefused) => Self::Refused,
                Some(ErrorKind::TimedOut) => Self::Timeout,
                Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
                    Self::Unreachable
                }
                _ => Self::Other,
            }
        }
    }
}

// ===== impl Dials =====

impl Dials {
    pub(super) fn add(&self, outcome: DialOutcome, took: Duration) {
        let mut counted = self.counted();
        counted.outcomes[outcome as usize] += 1;
        counted.took.add(took);
    }

    pub(super) fn outcomes(&self) -> Vec<(DialOutcome, u64)> {
        let counted = self.counted();
        let all = DialOutcome::ALL.iter();
        all.map(|outcome| (*outcome, counted.outcomes[*outcome as usize]))
            .collect()
    }

    pub(super) fn took(&self) -> Histogram {
        self.counted().took.clone()
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Dials {
    fn default() -> Self {
        Self(Mutex::new(Counted {
            outcomes: [0; DialOutcome::ALL.len()],
            took: Histogram::new(SHORT),
        }))
    }
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::Dial;

    use super::*;

    #[tokio::test]
    async fn an_error_tells_how_a_dial_went() {
        let error = Dial::to("127.0.0.1:1")
            .unwrap()
            .connect()
            .await
            .unwrap_err();
        assert_eq!(DialOutcome::of(&error), DialOutcome::Refused);
        let nowhere = std::io::Error::other("no dial's");
        assert_eq!(DialOutcome::of(&nowhere), DialOutcome::Other);
    }
}
