use couplet_endpoint::{BoxIo, Conn, Io, Side, io::boxed};

use crate::session::OwnedSession;

/// Two joined connections: the two ios, and the session they share.
#[derive(Debug)]
pub struct Pair<A, B> {
    /// Side A's io.
    pub a: A,
    /// Side B's io.
    pub b: B,
    /// The session: both `Info`s, the meter of the bytes, and the switch that ends the pair.
    pub session: OwnedSession,
}

// ===== impl Pair =====

impl<A, B> Pair<A, B> {
    /// Joins two connections.
    pub fn new(a: Conn<A>, b: Conn<B>) -> Self {
        let (a, b) = (a.on(Side::A), b.on(Side::B));
        Self {
            session: OwnedSession::new(a.info, b.info),
            a: a.io,
            b: b.io,
        }
    }

    /// The same pair with side A's io wrapped in another.
    pub fn map_a<T>(self, wrap: impl FnOnce(A) -> T) -> Pair<T, B> {
        Pair {
            a: wrap(self.a),
            b: self.b,
            session: self.session,
        }
    }

    /// The same pair with side B's io wrapped in another.
    pub fn map_b<T>(self, wrap: impl FnOnce(B) -> T) -> Pair<A, T> {
        Pair {
            a: self.a,
            b: wrap(self.b),
            session: self.session,
        }
    }
}

impl<A: Io, B: Io> Pair<A, B> {
    /// The same pair with its ios boxed.
    pub fn boxed(self) -> Pair<BoxIo, BoxIo> {
        self.map_a(boxed).map_b(boxed)
    }
}
