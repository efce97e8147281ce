use std::fmt;

use couplet_endpoint::Info;

use crate::Refusal;

/// Is told how a connection fares in its pairing: put into the extensions of the connection's
/// [`Info`] by whoever wants to know, before it comes there. Of the others nothing is told, and
/// no time is taken.
///
/// It is called in the pairing's own task, so it should return soon and must not panic.
///
/// ```
/// use couplet_endpoint::{Conn, Origin};
/// use couplet_pairing::{WaitEvent, WaitObserver};
///
/// let mut conn = Conn::new((), Origin::Accepted);
/// conn.info.extensions.insert(WaitObserver::new(|info, event| {
///     println!("{}: {event:?}", info.id);
/// }));
/// ```
pub struct WaitObserver(Box<Observe>);

type Observe = dyn Fn(&Info, WaitEvent) + Send + Sync;

/// What befalls a connection in its pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitEvent {
    /// It has come through its side's stack, and waits for its partner to come or to be dialled.
    Entered,
    /// It was let go, because no partner had come in time.
    Expired,
    /// It was let go for another reason, or not let wait.
    Refused(Refusal),
    /// It went away while it waited.
    Died,
}

// ===== impl WaitObserver =====

impl WaitObserver {
    /// Calls this function with what is known of the connection then.
    pub fn new(observe: impl Fn(&Info, WaitEvent) + Send + Sync + 'static) -> Self {
        Self(Box::new(observe))
    }

    /// Tells the connection's observer, if it has one.
    pub(crate) fn tell(info: &Info, event: WaitEvent) {
        if let Some(Self(observe)) = info.extensions.get() {
            observe(info, event);
        }
    }
}

impl fmt::Debug for WaitObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitObserver").finish_non_exhaustive()
    }
}
