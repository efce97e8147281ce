//! Whether a target is up: what its dials and its checks say.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause before a target that is down is dialled again; each is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
pub(super) struct Health {
    /// Of clients' dials, in a row.
    failures: u32,
    /// Checks that agree with each other and not with the state, in a row.
    checks: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Up,
    /// Until a check says otherwise.
    Down,
    /// A dial may try it from then on.
    DownUntil(Instant, Duration),
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    WentDown,
    CameUp,
}

// ===== impl Health =====

impl Health {
    pub(super) const fn new() -> Self {
        Self {
            failures: 0,
            checks: 0,
            state: State::Up,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// May it be dialled for a client?
    pub(super) fn may_dial(&self, now: Instant) -> bool {
        match self.state {
            State::Up => true,
            State::Down => false,
            State::DownUntil(until, _) => until <= now,
        }
    }

    /// A dial begins. Of a target that is down there is one at a time.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let may = self.may_dial(now);
        if let State::DownUntil(until, pause) = &mut self.state
            && may
        {
            *until = now + *pause;
        }
        may
    }

    /// A client's dial has failed.
    pub(super) fn dial_failed(
        &mut self,
        now: Instant,
        most: u32,
        is_checked: bool,
    ) -> Option<Change> {
        self.failures = self.failures.saturating_add(1);
        match self.state {
            State::Up if self.failures >= most => {
                self.checks = 0;
                self.state = match is_checked {
                    true => State::Down,
                    false => State::DownUntil(now + FIRST_PAUSE, FIRST_PAUSE),
                };
                Some(Change::WentDown)
            }
            State::DownUntil(_, pause) => {
                let pause = (pause * 2).min(LONGEST_PAUSE);
                self.state = State::DownUntil(now + pause, pause);
                None
            }
            _ => None,
        }
    }

    /// A client's dial has connected.
    pub(super) fn dial_connected(&mut self) -> Option<Change> {
        self.failures = 0;
        match self.state {
            State::DownUntil(..) => {
                self.state = State::Up;
                Some(Change::CameUp)
            }
            State::Up | State::Down => None,
        }
    }

    /// A check has passed, or not; `needed` in a row change the state.
    pub(super) fn checked(&mut self, passed: bool, needed: u32) -> Option<Change> {
        if passed == self.is_up() {
            self.checks = 0;
            return None;
        }
        self.checks += 1;
        if self.checks < needed {
            return None;
        }
        (self.checks, self.failures) = (0, 0);
        let (state, change) = match passed {
            true => (State::Up, Change::CameUp),
            false => (State::Down, Change::WentDown),
        };
        self.state = state;
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_take_a_target_down_and_one_dial_at_a_time_tries_it_again() {
        let mut health = Health::new();
        let begin = Instant::now();
        let after = |seconds: u64| begin + Duration::from_secs(seconds);
        assert_eq!(health.dial_failed(begin, 2, false), None);
        assert_eq!(health.dial_connected(), None);
        assert_eq!(health.dial_failed(begin, 2, false), None, "not in a row");
        assert_eq!(health.dial_failed(begin, 2, false), Some(Change::WentDown));
        assert!(!health.may_dial(begin) && !health.is_up());
        assert!(health.begin(after(1)));
        assert!(!health.begin(after(1)), "there is one already");
        assert_eq!(health.dial_failed(after(1), 2, false), None);
        assert!(!health.may_dial(after(2)) && health.may_dial(after(3)));
        assert!(health.begin(after(3)));
        assert_eq!(health.dial_connected(), Some(Change::CameUp));
        assert!(health.is_up());
        for _ in 0..20 {
            health.dial_failed(after(3), 2, false);
        }
        assert!(health.may_dial(after(33)), "the pause has a bound");
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_is_checked_comes_up_by_a_check() {
        let mut health = Health::new();
        let now = Instant::now();
        assert_eq!(health.dial_failed(now, 1, true), Some(Change::WentDown));
        assert!(!health.begin(now + Duration::from_secs(3600)));
        assert_eq!(health.dial_connected(), None, "it had begun before");
        assert_eq!(health.checked(true, 2), None);
        assert_eq!(health.checked(false, 2), None, "not in a row");
        assert_eq!(health.checked(true, 2), None);
        assert_eq!(health.checked(true, 2), Some(Change::CameUp));
        assert_eq!(health.checked(false, 2), None);
        assert_eq!(health.checked(false, 2), Some(Change::WentDown));
    }
}
