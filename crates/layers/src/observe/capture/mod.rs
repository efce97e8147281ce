//! Writes the bytes of pairs as packets to pcapng files, for Wireshark and tshark.
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
//! fit into a frame. The end of a stream is a FIN; a reset, or a pair that is cut, is an RST. Where
//! both peers have the same address and port, B's port is shown as another. The first packet's
//! comment names the session, the last one's the reason of the end. So *Follow TCP Stream* works, and
//! traffic that a layer above decrypts or decompresses is seen in the clear.
//!
//! Bytes are captured when they are read, delivered or not. So the layer's place decides: above a
//! transform it captures the transform's input, below it the output.
//!
//! # A disk that is slow, or full
//!
//! A thread writes, and the relay never waits for the thread: packets wait in a queue of at most 16 MiB
//! ([`buffer`](Capture::buffer)) for all pairs together. If the queue is full, or a file can't be
//! written, the capture *stops*: a warning is logged, the queue is still written if possible, the files
//! are closed, whole as far as they go, and the relay goes on. The capture does not begin again, because
//! nothing would show the gap.
//!
//! The thread also opens a named pipe (FIFO), because opening waits for a reader; until there is one,
//! packets wait in the queue, and the log says so.
//!
//! # A live pair
//!
//! [`Capture::tap`] captures a pair that is live already, from now on, and needs no layer: it sees what the
//! relay reads, so below all layers of the pair. Its packets begin with an opening handshake that is made
//! up, too.
//!
//! **Where:** on a pair stack. **Splice:** a captured direction is copied, until its
//! [limit](CaptureLayer::limit) is reached or the capture has stopped. **Memory:** some 400 bytes a
//! pair; one file a pair costs a descriptor besides. Files can be read by their owner alone, those
//! that are replaced as well.
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

mod conversation;
mod files;
mod frame;
mod layer;
mod live;
mod message;
mod pcapng;
mod queue;
mod target;
#[cfg(test)]
mod tests;
mod watch;

pub use self::{
    layer::{CaptureLayer, CaptureService},
    live::LiveCapture,
    watch::{Captured, Watch},
};

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use couplet_pairing::Session;

use self::{message::Message, queue::Queue, target::Target};

/// How many bytes may wait to be written, by default.
const BUFFER: usize = 16 * 1024 * 1024;

/// Where packets go. Cheap to clone; clones share the files. See the [module](self).
#[derive(Clone, Debug)]
pub struct Capture {
    target: Arc<Target>,
    queue: Arc<OwnedQueue>,
}

/// Closes the queue when nothing can push any more.
#[derive(Debug)]
struct OwnedQueue(Arc<Queue>);

// ===== impl Capture =====

impl Capture {
    /// Writes to this file, which is replaced if it exists, or to this named pipe.
    pub fn to_file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::new(Target::File { path, roll: None })
    }

    /// Writes a file for each pair to this directory, named after the time and the session:
    /// `20261123T091502.000123Z-7.pcapng`.
    pub fn to_directory(path: impl Into<PathBuf>) -> Self {
        Self::new(Target::Directory(path.into()))
    }

    /// Writes to a writer, such as the standard output. It is flushed whenever nothing more waits to be
    /// written.
    pub fn to_writer(writer: impl io::Write + Send + 'static) -> Self {
        Self::new(Target::Writer(Mutex::new(Some(Box::new(writer)))))
    }

    fn new(target: Target) -> Self {
        Self {
            target: Arc::new(target),
            queue: Arc::new(OwnedQueue(Arc::new(Queue::new(BUFFER)))),
        }
    }

    /// Starts a new file before a file exceeds this many bytes: `trace.pcapng`, then
    /// `trace-2.pcapng`, and so on. For a regular file alone. Never, by default.
    #[must_use]
    pub fn roll(mut self, bytes: u64) -> Self {
        if let Target::File { path, .. } = &*self.target {
            let (path, roll) = (path.clone(), Some(bytes));
            self.target = Arc::new(Target::File { path, roll });
        }
        self
    }

    /// How many bytes may wait to be written, of all pairs together; 16 MiB by default. To be called
    /// before the capture is cloned or started.
    #[must_use]
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.queue = Arc::new(OwnedQueue(Arc::new(Queue::new(bytes))));
        self
    }

    /// Opens the file, or looks for the directory, and starts the thread that writes. Before that,
    /// pairs are not captured; nor are they once the capture was [finished](Self::finish) or has
    /// stopped.
    ///
    /// # Errors
    ///
    /// The file can't be created, there is no such directory, files are to [roll](Self::roll) where
    /// there is a pipe or a device, no thread can be started, or the capture was started before.
    pub fn start(&self) -> io::Result<()> {
        self.queue.0.start(self.target.open()?)
    }

    /// The file, or the directory, unless the capture goes to a writer.
    pub fn path(&self) -> Option<&Path> {
        self.target.path()
    }

    /// Whether packets are captured.
    pub fn is_active(&self) -> bool {
        self.queue.0.is_active()
    }

    /// Takes no more packets and waits until all that were taken are written, but no longer than
    /// this, and not for the reader of a named pipe; returns whether all are written. Blocks the
    /// thread: for the end of a program.
    pub fn finish(&self, within: Duration) -> bool {
        self.queue.0.close();
        self.queue.0.wait(within)
    }

    /// Captures the bytes of a live session, from now on: until the guard is dropped, the session ends or the
    /// capture stops. Meanwhile the bytes are copied, also where they were spliced before. `None` if the
    /// session has ended, or is captured so already.
    pub fn tap(&self, session: &Session) -> Option<LiveCapture> {
        LiveCapture::begin(self, session)
    }

    fn push(&self, message: Message) {
        self.queue.0.push(message);
    }
}

impl Drop for OwnedQueue {
    fn drop(&mut self) {
        self.0.close();
    }
}
