//! Brings a dialled connection back from its side's stack to the dial that made it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use couplet_endpoint::{BoxError, BoxIo, Conn, ConnId, Io};
use thiserror::Error;

/// The dialled connections on their way through their side's stack. Clones share them.
///
/// Looked up by the connection's id, because a channel for each would cost an allocation or more.
#[derive(Clone, Default)]
pub(crate) struct Deliveries(Arc<Mutex<Underway>>);

/// `None` until the connection has passed the stack.
type Underway = BTreeMap<ConnId, Option<Conn<BoxIo>>>;

/// The dial's end. The connection is expected until this is dropped.
pub(crate) struct Expected {
    deliveries: Deliveries,
    id: ConnId,
    over: bool,
}

/// A side stack handed on a connection that no dial expects.
#[derive(Debug, Error)]
#[error(
    "connection {0} was not dialled for this stack or comes a second time: a layer must hand on \
     the `Info` of the connection that it was given, and once"
)]
struct NotExpected(ConnId);

// ===== impl Deliveries =====

impl Deliveries {
    /// A connection with this id is on its way.
    pub(super) fn expect(&self, id: ConnId) -> Expected {
        self.underway().insert(id, None);
        Expected {
            deliveries: self.clone(),
            id,
            over: false,
        }
    }

    /// The connection has passed its side's stack.
    pub(super) fn deliver(&self, mut conn: Conn<BoxIo>) -> Result<(), BoxError> {
        let id = conn.info.id;
        if let Some(expected @ None) = self.underway().get_mut(&id) {
            *expected = Some(conn);
            return Ok(());
        }
        conn.io.abort();
        Err(NotExpected(id).into())
    }

    fn underway(&self) -> MutexGuard<'_, Underway> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deliveries({})", self.underway().len())
    }
}

// ===== impl Expected =====

impl Expected {
    /// Takes the connection, if it has come; from then on it is not expected.
    pub(super) fn take(&mut self) -> Option<Conn<BoxIo>> {
        self.over = true;
        self.deliveries.underway().remove(&self.id).flatten()
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        if !self.over
            && let Some(mut conn) = self.take()
        {
            // Delivered to no dial: a reset, because the peer would take a close for an end of stream.
            conn.io.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::{Origin, memory};

    use super::*;

    #[test]
    fn a_connection_is_delivered_once_to_the_dial_that_expects_it() {
        let deliveries = Deliveries::default();
        let conn = || Conn::new(memory::connection(1).0, Origin::Dialled).boxed();
        let (one, other) = (conn(), conn());
        let (id, other_id) = (one.info.id, other.info.id);
        let mut expected = deliveries.expect(id);

        let mut again = conn();
        again.info.id = id;
        deliveries.deliver(other).unwrap_err();
        deliveries.deliver(one).unwrap();
        let error = deliveries.deliver(again).unwrap_err();
        assert!(error.to_string().starts_with(&format!("connection {id} ")));
        assert_ne!(id, other_id);

        assert_eq!(expected.take().unwrap().info.id, id);
        drop(expected);
        assert!(deliveries.underway().is_empty());
    }

    #[test]
    fn a_connection_that_no_dial_expects_any_more_is_reset() {
        let deliveries = Deliveries::default();
        let (io, mut peer) = memory::connection(1);
        let conn = Conn::new(io, Origin::Dialled).boxed();
        let expected = deliveries.expect(conn.info.id);
        deliveries.deliver(conn).unwrap();
        drop(expected);
        assert!(peer.take_error().is_some());
        assert!(deliveries.underway().is_empty());
    }
}
