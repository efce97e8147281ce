//! Looks at the bytes of a live session, from now on: [`Session::tap`].

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{Ordering, fence},
    },
};

use couplet_endpoint::Side;

use super::{Session, SessionId};

/// Sees the bytes of a live pair as the relay reads them: below all layers of the pair.
///
/// Each method is called by the task that moves the bytes, and should return soon.
pub trait Tap: Send + Sync + 'static {
    /// The bytes of one read, at least one.
    fn data(&self, from: Side, bytes: &[u8]);

    /// The stream from this side has ended.
    fn ended(&self, from: Side);

    /// The connection of this side has failed.
    fn failed(&self, side: Side, error: &io::Error);

    /// Whether the tap is done: it is not called any more, and the bytes may be spliced again.
    fn is_done(&self) -> bool {
        false
    }
}

/// A [`Tap`] at work. Dropping it ends the tap, and so does the session's end; either drops the tap.
#[derive(Debug)]
#[must_use = "dropping it ends the tap"]
pub struct Tapped(Session);

/// The taps of all sessions: a session has a flag and no place, as most are never tapped.
static TAPS: Mutex<BTreeMap<SessionId, Arc<dyn Tap>>> = Mutex::new(BTreeMap::new());

fn taps() -> MutexGuard<'static, BTreeMap<SessionId, Arc<dyn Tap>>> {
    TAPS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Shows `tap` the bytes that the relay reads from now on, until the guard is dropped. Meanwhile they are
    /// copied, also where they were spliced before; what was read by then, and waits to be written, is not
    /// seen. `None` if there is a tap already, or the session has ended.
    ///
    /// A session that is not tapped costs nothing for it.
    pub fn tap(&self, tap: impl Tap) -> Option<Tapped> {
        {
            let mut taps = taps();
            if taps.contains_key(&self.id()) {
                return None;
            }
            taps.insert(self.id(), Arc::new(tap));
            self.meter().set_tapped(true);
        }
        let tapped = Tapped(self.clone());
        // Either the end, which comes first, is seen here, or the end sees the flag: see `end_tap_at_end`.
        fence(Ordering::SeqCst);
        self.end_reason().is_none().then_some(tapped)
    }

    /// Whether there is a [`tap`](Self::tap).
    pub fn is_tapped(&self) -> bool {
        self.meter().is_tapped()
    }

    /// The tap, if there is one. For the relay.
    pub fn current_tap(&self) -> Option<Arc<dyn Tap>> {
        match self.is_tapped() {
            true => taps().get(&self.id()).cloned(),
            false => None,
        }
    }

    /// To be called once the reason of the end is there.
    pub(super) fn end_tap_at_end(&self) {
        fence(Ordering::SeqCst);
        self.end_tap();
    }

    fn end_tap(&self) {
        if self.is_tapped() {
            let tap = {
                let mut taps = taps();
                self.meter().set_tapped(false);
                taps.remove(&self.id())
            };
            // It may take its time, and look at the session.
            drop(tap);
        }
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.0.end_tap();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use couplet_endpoint::{CloseReason, Info, Origin};

    use super::*;
    use crate::OwnedSession;

    struct Nothing(#[expect(dead_code, reason = "it is counted")] Arc<()>);

    impl Tap for Nothing {
        fn data(&self, _: Side, _: &[u8]) {}
        fn ended(&self, _: Side) {}
        fn failed(&self, _: Side, _: &io::Error) {}
    }

    fn session() -> OwnedSession {
        OwnedSession::new(Info::new(Origin::Accepted), Info::new(Origin::Dialled))
    }

    fn tap() -> (Nothing, Weak<()>) {
        let alive = Arc::new(());
        let weak = Arc::downgrade(&alive);
        (Nothing(alive), weak)
    }

    #[tokio::test]
    async fn a_session_has_one_tap_until_its_guard_is_dropped() {
        let session = session();
        let (first, alive) = tap();
        let guard = session.tap(first).unwrap();
        assert!(session.is_tapped() && session.current_tap().is_some());
        assert!(session.handle().tap(tap().0).is_none());
        drop(guard);
        assert!(!session.is_tapped() && session.current_tap().is_none());
        assert_eq!(alive.strong_count(), 0);
        drop(session.tap(tap().0).unwrap());
    }

    #[tokio::test]
    async fn the_end_of_a_session_is_that_of_its_tap() {
        let session = session();
        let (first, alive) = tap();
        let guard = session.tap(first).unwrap();
        session.end(CloseReason::Closed);
        assert!(!session.is_tapped());
        assert_eq!(alive.strong_count(), 0);
        assert!(session.tap(tap().0).is_none());
        drop(guard);
    }
}
