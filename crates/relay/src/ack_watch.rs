//! Finds peers that vanished with bytes on their way to them, where the system takes a quarter of an
//! hour to.

use std::{pin::Pin, task::Context, time::Duration};

use couplet_endpoint::{AckTimeout, Io, Side};
use couplet_pairing::Session;
use tokio::time::{Instant, Sleep, sleep_until};

/// How many retransmissions, or probes of a full window, are unanswered at least: one or two may have
/// been lost on their way.
const TRIES: u32 = 3;

/// How many looks there are within the time.
const LOOKS: u32 = 8;

/// Watches the connections with an [`AckTimeout`]. While nothing is unacknowledged and no byte moves
/// it has no timer.
#[derive(Debug)]
pub(crate) struct AckWatch {
    sides: [Option<Watched>; 2],
    pause: Duration,
    /// The pair's progress when the timer was last armed.
    progress: Option<Instant>,
    looked: Instant,
    timer: Pin<Box<Sleep>>,
    is_armed: bool,
}

/// A connection with a timeout.
#[derive(Clone, Copy, Debug)]
struct Watched {
    timeout: Duration,
    /// Since when its peer's system has answered nothing that was sent.
    silent: Option<Instant>,
}

// ===== impl AckWatch =====

impl AckWatch {
    /// For a session that has a connection to watch.
    pub(crate) fn of(session: &Session) -> Option<Self> {
        let sides = [Side::A, Side::B].map(|side| {
            let timeout = session.info(side).extensions.get::<AckTimeout>()?.get();
            Some(Watched {
                timeout,
                silent: None,
            })
        });
        let shortest = sides.iter().flatten().map(|side| side.timeout).min()?;
        let now = Instant::now();
        Some(Self {
            sides,
            pause: (shortest / LOOKS).max(Duration::from_millis(1)),
            progress: None,
            looked: now,
            timer: Box::pin(sleep_until(now)),
            is_armed: false,
        })
    }

    /// The side whose peer has vanished, if one has. `progress` is when the pair last moved a byte.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        ios: [&mut dyn Io; 2],
        progress: Instant,
    ) -> Option<Side> {
        if !self.is_armed {
            if self.progress == Some(progress) {
                return None;
            }
            self.looked = Instant::now();
            self.arm(progress);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return None;
        }
        let (now, looked) = (Instant::now(), self.looked);
        self.looked = now;
        let mut all_answered = true;
        for ((watched, io), side) in self.sides.iter_mut().zip(ios).zip([Side::A, Side::B]) {
            let Some(watched) = watched else { continue };
            match io.unanswered() {
                None => watched.silent = None,
                Some(unanswered) => {
                    all_answered = false;
                    let heard = now.checked_sub(unanswered.heard_ago).unwrap_or(looked);
                    // What is unanswered now was sent after the last look, or was seen then.
                    let silent = watched.silent.unwrap_or(looked).max(heard);
                    watched.silent = (unanswered.tries > 0).then_some(silent);
                    if unanswered.tries >= TRIES && now - silent >= watched.timeout {
                        return Some(side);
                    }
                }
            }
        }
        self.is_armed = !all_answered || self.progress != Some(progress);
        if self.is_armed {
            self.arm(progress);
            // Pending: the deadline is to come.
            let _ = self.timer.as_mut().poll(cx);
        }
        None
    }

    fn arm(&mut self, progress: Instant) {
        self.is_armed = true;
        self.progress = Some(progress);
        self.timer.as_mut().reset(Instant::now() + self.pause);
    }
}
