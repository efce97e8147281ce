//! Connections that have no partner.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use couplet_endpoint::{Conn, Io};

/// A connection without a partner. Its drop is a reset, because the peer would take an end of stream for
/// the partner's.
pub(crate) struct Unjoined<I> {
    /// There until it is taken.
    conn: Option<Conn<I>>,
    // No bound on `Io` then, neither here nor on all that hold it.
    abort: fn(&mut I),
}

// ===== impl Unjoined =====

impl<I: Io> Unjoined<I> {
    pub(crate) fn new(conn: Conn<I>) -> Self {
        Self {
            conn: Some(conn),
            abort: I::abort,
        }
    }
}

impl<I> Unjoined<I> {
    /// Takes the connection, for a join or a reply.
    pub(crate) fn take(mut self) -> Conn<I> {
        self.conn.take().expect("it is taken once")
    }
}

impl<I> Drop for Unjoined<I> {
    fn drop(&mut self) {
        if let Some(conn) = &mut self.conn {
            (self.abort)(&mut conn.io);
        }
    }
}

impl<I> Deref for Unjoined<I> {
    type Target = Conn<I>;

    fn deref(&self) -> &Conn<I> {
        self.conn.as_ref().expect("it is taken with all of it")
    }
}

impl<I> DerefMut for Unjoined<I> {
    fn deref_mut(&mut self) -> &mut Conn<I> {
        self.conn.as_mut().expect("it is taken with all of it")
    }
}

impl<I: fmt::Debug> fmt::Debug for Unjoined<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.conn.fmt(f)
    }
}
