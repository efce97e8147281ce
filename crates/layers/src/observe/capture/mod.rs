//! The bytes of pairs as packets, in pcapng files that Wireshark and tshark read.
//!
//! ```text
//!  CaptureLayer ──wraps──▶ Captured<A>, Captured<B>
//!                               │ what is read
//!                          a conversation ──packets──▶ queue ──▶ thread ──▶ files
//! ```
//!
//! Each pair is shown as one TCP connection between its two peers, with headers that are made up but
//! consistent: Ethernet, IPv4 or IPv6 by the peers' addresses (made-up ones of 192.0.2.0/24 and
//! 2001:db8::/32 for those without; where the two families differ, IPv4 is mapped into IPv6), and
//! TCP with the opening handshake, sequence numbers, acknowledgements, checksums, and segments that
//! fit into a frame. The end of a stream is a FIN; a reset, or a pair that is cut, is an RST. The
//! first packet's comment names the session, the last one's why it was cut. So *Follow TCP
//! Stream* works, and what encrypts or compresses above the layer is seen in the clear.
//!
//! What is read from a side is captured, whether or not it can be delivered; so the layer's
//! place says what is seen: above a transform the bytes as they come, below it what comes out of
//! it.
//!
//! # A disk that is slow, or full
//!
//! A thread of its own writes, and the relay never waits for it: what waits to be written is
//! bounded by 16 MiB ([`buffer`](Capture::buffer)), for all pairs together. If there is more, or a file can't be written, the
//! capture *stops*: a warning is logged, what waited is still written if it can be, the files are
//! whole as far as they go and are closed, and the relay goes on without it. It does not begin
//! again, because what is missing in between could not be told from what never was.
//!
//! **Where:** on a pair stack. **Splice:** a captured direction is copied, until its
//! [limit](CaptureLayer::limit) is reached or the capture has stopped. **Memory:** some 400 bytes a
//! pair; one file a pair costs a descriptor besides. Files are readable by their owner alone,
//! those that are replaced as well.
//!
//! ```
//! use couplet_layers::{Capture, CaptureLayer};
//! use couplet_relay::Relay;
//! use tower::ServiceBuilder;
//!
//! # fn main() -> std::io::Result<()> {
//! # let scratch = tempfile::tempdir()?;
//! # let path = scratch.path().join("trace.pcapng");
//! let capture = Capture::to_file(path).roll(100_000_000);
//! capture.start()?;
//! let stack = ServiceBuilder::new()
//!     .layer(CaptureLayer::new(capture.clone()).limit(4096))
//!     .service(Relay::new());
//! # Ok(())
//! # }
//! ```

mod captured;
mod conversation;
mod files;
mod frame;
mod pcapng;
mod queue;
#[cfg(test)]
mod tests;

pub use self::captured::Captured;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use couplet_endpoint::Side;
use couplet_pairing::Pair;
use tower_layer::Layer;
use tower_service::Service;

use self::{
    conversation::Conversation,
    files::Target,
    queue::{Message, Queue},
};
use crate::observe::redact::Redact;

/// How many bytes may wait to be written.
const BUFFER: usize = 16 * 1024 * 1024;

/// Where packets go. Cheap to clone; clones share the files. See the [module](self).
#[derive(Clone, Debug)]
pub struct Capture {
    target: Arc<Target>,
    queue: Arc<Queued>,
}

/// Closes the queue when nobody can push any more.
#[derive(Debug)]
struct Queued(Arc<Queue>);

/// Captures the bytes of pairs. See the [module](self).
#[derive(Clone)]
#[must_use]
pub struct CaptureLayer {
    capture: Capture,
    limit: u64,
    redact: Redact,
    clock: fn() -> SystemTime,
}

/// Captures the bytes of the pairs it passes on: made by [`CaptureLayer`].
#[derive(Clone, Debug)]
pub struct CaptureService<S> {
    layer: CaptureLayer,
    inner: S,
}

// ===== impl Capture =====

impl Capture {
    /// To this file, which is replaced if it exists.
    pub fn to_file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::new(Target::File { path, roll: None })
    }

    /// To a file for each pair in this directory, named after the time and the session:
    /// `20261123T091502.000123Z-7.pcapng`.
    pub fn to_directory(path: impl Into<PathBuf>) -> Self {
        Self::new(Target::Directory(path.into()))
    }

    fn new(target: Target) -> Self {
        Self {
            target: Arc::new(target),
            queue: Arc::new(Queued(Arc::new(Queue::new(BUFFER)))),
        }
    }

    /// Goes on in a new file before one grows beyond so many bytes: `trace.pcapng`, then
    /// `trace-2.pcapng`, and so on. Not for a directory. Never, by default.
    #[must_use]
    pub fn roll(mut self, bytes: u64) -> Self {
        if let Target::File { roll, .. } = Arc::make_mut(&mut self.target) {
            *roll = Some(bytes);
        }
        self
    }

    /// How many bytes may wait to be written, of all pairs together; 16 MiB by default. To be said
    /// before it is cloned or started.
    #[must_use]
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.queue = Arc::new(Queued(Arc::new(Queue::new(bytes))));
        self
    }

    /// Opens the file, or looks for the directory, and starts the thread that writes. Before, pairs
    /// are not captured, and once one was [finished](Self::finish) or has stopped none is again.
    ///
    /// # Errors
    ///
    /// When the file can't be created, there is no such directory, no thread is to be had, or it was
    /// started before.
    pub fn start(&self) -> io::Result<()> {
        self.queue.0.start(self.target.open()?)
    }

    /// The file, or the directory.
    pub fn path(&self) -> &Path {
        match &*self.target {
            Target::File { path, .. } | Target::Directory(path) => path,
        }
    }

    /// Are packets taken?
    pub fn is_active(&self) -> bool {
        self.queue.0.is_active()
    }

    /// Takes no more packets, and waits until those that were taken are written, but no longer than
    /// this; were they? Blocks the thread: for the end of a program.
    pub fn finish(&self, within: Duration) -> bool {
        self.queue.0.close();
        self.queue.0.wait(within)
    }

    fn push(&self, message: Message) {
        self.queue.0.push(message);
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.close();
    }
}

// ===== impl CaptureLayer =====

impl CaptureLayer {
    /// Captures everything.
    pub const fn new(capture: Capture) -> Self {
        Self {
            capture,
            limit: u64::MAX,
            redact: Redact::NOTHING,
            clock: SystemTime::now,
        }
    }

    /// Captures no more than the first so many bytes of each direction. What follows is not looked
    /// at, neither its bytes nor its end, and may be spliced: the stream seems to end there.
    /// Everything, by default.
    pub const fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Captures only what this function leaves of the bytes that came from a side. It is called with
    /// what was read at once, wherever that was cut; nothing is redacted by default.
    pub fn redact(mut self, redact: impl Fn(Side, &mut Vec<u8>) + Send + Sync + 'static) -> Self {
        self.redact = Redact::new(redact);
        self
    }

    /// Takes the time from here and not from the system's clock, for tests.
    pub const fn clock(mut self, now: fn() -> SystemTime) -> Self {
        self.clock = now;
        self
    }
}

impl<S> Layer<S> for CaptureLayer {
    type Service = CaptureService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CaptureService {
            layer: self.clone(),
            inner,
        }
    }
}

impl fmt::Debug for CaptureLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureLayer")
            .field("capture", &self.capture)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

// ===== impl CaptureService =====

impl<S, A, B> Service<Pair<A, B>> for CaptureService<S>
where
    S: Service<Pair<Captured<A>, Captured<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, pair: Pair<A, B>) -> Self::Future {
        let active = self.layer.capture.is_active();
        let conversation = active.then(|| {
            let session = pair.session.handle();
            Arc::new(Mutex::new(Conversation::open(self.layer.clone(), session)))
        });
        let a = conversation.clone();
        let pair = pair
            .map_a(|io| Captured::new(io, Side::A, a))
            .map_b(|io| Captured::new(io, Side::B, conversation));
        self.inner.call(pair)
    }
}
