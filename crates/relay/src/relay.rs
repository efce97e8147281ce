use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::Io;
use couplet_pairing::Pair;
use tower_service::Service;

use crate::{RelayError, Relaying, Splice, Summary};

/// Moves the bytes of a pair: the innermost service of a pair stack.
///
/// The guarantees for each pair:
///
/// - **Half-close.** When one side ends its stream, everything it sent is delivered, flushed, and
///   then the end itself; the other direction goes on. If that is then idle for
///   [`half_close_timeout`](Self::half_close_timeout), the pair ends.
/// - **Back-pressure.** Each direction holds at most one buffer of 64 KiB or one pipe of 1 MiB in
///   the kernel, and only while bytes wait in it: a reader that stops stops its sender, and an idle
///   pair holds neither. Up to 32 KiB that wait for a reader hold their own number of bytes, and no
///   buffer.
/// - **Splice.** Where both ios [agree](couplet_endpoint::Io::splice_source), a direction whose
///   reads bring 32 KiB and more goes over to splice(2), and back when less than 16 KiB come at a
///   time (Linux; elsewhere it is copied). A pipe is held only while bytes wait in it: an idle pair
///   has two descriptors.
/// - **Flush on stall.** When a source has nothing to read, what was written is flushed.
/// - **Resets are passed on as resets**, after everything that came before was delivered. An end
///   of stream is only ever passed on, never made up: a peer that reads one can rely on having
///   read everything. So a session that is closed (a timeout, a shutdown, the future dropped)
///   ends with a reset for each peer whose partner had not ended its stream.
/// - **Lingering close.** When a side answers and closes while the other is still sending, the
///   answer arrives whole: what still comes is read and thrown away until that side closes too,
///   for [`linger`](Self::linger) and 64 MiB at most. (Closing a TCP socket with unread input
///   makes the kernel send a reset, which discards the answer.)
///
/// The future is ready with a [`Summary`], or with a [`RelayError`] that carries one when a
/// connection failed. It ends soon after [`Session::close`](couplet_pairing::Session::close).
/// Both directions run in the caller's task. Dropping the future ends both connections.
#[derive(Clone, Debug, Default)]
pub struct Relay {
    /// Shared, so that each pair holds no more of them than a pointer.
    limits: Arc<Limits>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) half_close: Option<Duration>,
    pub(crate) linger: Duration,
    pub(crate) splice: Splice,
}

// ===== impl Relay =====

impl Relay {
    /// A relay with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time that the surviving direction may be idle after the other has ended (half-close); every
    /// byte starts it again. 60 seconds by default, `None` for ever.
    #[must_use]
    pub fn half_close_timeout(mut self, timeout: Option<Duration>) -> Self {
        Arc::make_mut(&mut self.limits).half_close = timeout;
        self
    }

    /// The time that a connection is kept open after the last write, so that bytes in the system's buffer
    /// arrive before the close. 30 seconds by default.
    #[must_use]
    pub fn linger(mut self, time: Duration) -> Self {
        Arc::make_mut(&mut self.limits).linger = time;
        self
    }

    /// Whether bytes may be spliced, within the kernel; [`Splice::Auto`] by default.
    #[must_use]
    pub fn splice(mut self, splice: Splice) -> Self {
        Arc::make_mut(&mut self.limits).splice = splice;
        self
    }
}

impl<A: Io, B: Io> Service<Pair<A, B>> for Relay {
    type Response = Summary;
    type Error = RelayError;
    type Future = Relaying<A, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RelayError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, pair: Pair<A, B>) -> Self::Future {
        Relaying::new(pair, Arc::clone(&self.limits))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            half_close: Some(Duration::from_secs(60)),
            linger: Duration::from_secs(30),
            splice: Splice::Auto,
        }
    }
}
