use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{CloseReason, ConnId, Extensions, Info, Refusal, Side};

/// Observes the events of one connection until that connection ends.
///
/// [`Info::observe`] adds an observer: a layer does so as the connection passes, an endpoint as it
/// makes the connection. A connection may have several observers, which get each event in the order in
/// which they were added. A closure `Fn(&Info, ConnEvent)` is an observer.
///
/// ```text
///             ╭─▶ Learned, any number of times
/// (added) ────┴─▶ Waits ─┬─▶ Joined ─▶ FirstByte(A), FirstByte(B), or neither ─▶ Ended
///                        ├─▶ Refused
///                        ╰─▶ Gone
/// ```
///
/// A connection that fails on its way through its side's stack, or whose partner can't be dialled,
/// has no further event: the error goes up through the stack. The last event is always followed by
/// the drop of the observer, when the last clone of the connection's [`Info`] is dropped.
///
/// An observer is called within the task that serves the connection, so it must return soon and never
/// block. A panic is caught, and changes nothing for the connection. A connection without observers
/// costs no memory and no time.
///
/// ```
/// use couplet_endpoint::{Conn, ConnEvent, Info, Origin};
///
/// let mut conn = Conn::new((), Origin::Accepted);
/// conn.info.observe(|info: &Info, event| println!("{}: {event:?}", info.id));
/// conn.info.tell(ConnEvent::Waits);
/// ```
pub trait ConnObserver: Send + Sync + 'static {
    /// Called at each event, with the connection's info at that time.
    fn on_event(&self, info: &Info, event: ConnEvent);
}

/// An event of a connection; [`ConnObserver`] shows the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnEvent {
    /// A layer has added to the [`Info`]: the client behind a proxy, an identity.
    Learned,
    /// The connection has passed its side's stack, and waits for a partner that connects or is
    /// dialled.
    Waits,
    /// The connection is joined with this one.
    Joined(ConnId),
    /// The first byte from this side was delivered to the other.
    FirstByte(Side),
    /// The session of the connection has ended.
    Ended(CloseReason),
    /// The pairing refused the connection, at once or while it waited.
    Refused(Refusal),
    /// The peer left while the connection waited.
    Gone,
}

/// The observers of a connection, in its [`Extensions`].
#[derive(Clone, Default)]
struct Observers(Vec<Arc<dyn ConnObserver>>);

// ===== impl ConnObserver =====

impl<F> ConnObserver for F
where
    F: Fn(&Info, ConnEvent) + Send + Sync + 'static,
{
    fn on_event(&self, info: &Info, event: ConnEvent) {
        self(info, event);
    }
}

// ===== impl Info =====

impl Info {
    /// Adds an observer. Clones of this `Info` that exist already don't have it.
    pub fn observe(&mut self, observer: impl ConnObserver) {
        let observers = self.extensions.get::<Observers>();
        let mut observers = observers.cloned().unwrap_or_default();
        observers.0.push(Arc::new(observer));
        self.extensions.insert(observers);
    }

    /// Tells the observers of an event.
    ///
    /// The pairing and the session tell all events but [`ConnEvent::Learned`], which is for any layer
    /// that adds to an `Info`.
    #[inline]
    pub fn tell(&self, event: ConnEvent) {
        if !self.extensions.is_empty() {
            tell(&self.extensions, self, event);
        }
    }
}

/// Without those that hear of another connection.
pub(super) fn leave_out(extensions: &mut Extensions) {
    extensions.remove::<Observers>();
}

#[cold]
fn tell(extensions: &Extensions, info: &Info, event: ConnEvent) {
    if let Some(Observers(observers)) = extensions.get() {
        for observer in observers {
            // A task that serves many may call: an observer's panic is the observer's alone.
            let _ = catch_unwind(AssertUnwindSafe(|| observer.on_event(info, event)));
        }
    }
}

impl fmt::Debug for Observers {
    // Shows only the number: observers need not be `Debug`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observers({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::conn::Origin;

    #[test]
    fn observers_hear_every_event_in_the_order_they_were_added() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut info = Info::new(Origin::Accepted);
        info.tell(ConnEvent::Learned);
        for n in 0..2 {
            let heard = Arc::clone(&heard);
            info.observe(move |_: &Info, event| heard.lock().unwrap().push((n, event)));
        }
        info.clone().tell(ConnEvent::Waits);
        info.tell(ConnEvent::Gone);
        let expected = [ConnEvent::Waits, ConnEvent::Gone];
        let expected = expected.map(|event| [(0, event), (1, event)]);
        assert_eq!(*heard.lock().unwrap(), expected.concat());
    }

    #[test]
    fn an_observer_goes_with_the_last_info() {
        struct Observer;
        impl ConnObserver for (Observer, Arc<()>) {
            fn on_event(&self, _: &Info, _: ConnEvent) {}
        }

        let alive = Arc::new(());
        let mut info = Info::new(Origin::Accepted);
        info.observe((Observer, Arc::clone(&alive)));
        let clone = info.clone();
        drop(info);
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(clone);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
