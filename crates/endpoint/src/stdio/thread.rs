//! Descriptors that can't be waited for: read or written by a thread each, which is never joined. It may
//! hang in the system for as long as the process lives.

use std::{
    fs::File,
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    thread,
};

use bytes::{Buf, Bytes};
use tokio::{io::ReadBuf, sync::mpsc};
use tokio_util::sync::PollSender;

/// How much is read or written at a time.
const CHUNK: usize = 64 * 1024;

/// How many chunks wait.
const CHUNKS: usize = 2;

/// Reads ahead, by this many chunks.
#[derive(Debug)]
pub(super) struct ReadThread {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

/// Writes what is sent to it.
#[derive(Debug)]
pub(super) struct WriteThread {
    chunks: PollSender<Bytes>,
    /// What became of each, in their order.
    results: mpsc::Receiver<io::Result<()>>,
    unwritten: usize,
    left: Arc<AtomicUsize>,
}

// ===== impl ReadThread =====

impl ReadThread {
    pub(super) fn of(mut file: File) -> io::Result<Self> {
        let (to, chunks) = mpsc::channel(CHUNKS);
        thread::Builder::new().name("stdin".into()).spawn(move || {
            let mut buffer = vec![0; CHUNK];
            loop {
                let read = match file.read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read.map(|n| Bytes::copy_from_slice(&buffer[..n])),
                };
                let is_last = read.as_ref().map_or(true, Bytes::is_empty);
                if to.blocking_send(read).is_err() || is_last {
                    break;
                }
            }
        })?;
        Ok(Self {
            chunks,
            rest: Bytes::new(),
        })
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match ready!(self.chunks.poll_recv(cx)) {
                Some(chunk) => self.rest = chunk?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let n = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..n]);
        self.rest.advance(n);
        Poll::Ready(Ok(()))
    }
}

// ===== impl WriteThread =====

impl WriteThread {
    pub(super) fn of(mut file: File) -> io::Result<Self> {
        let (chunks, mut from) = mpsc::channel::<Bytes>(CHUNKS);
        let (to, results) = mpsc::channel(2 * CHUNKS);
        let left = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&left);
        thread::Builder::new()
            .name("stdout".into())
            .spawn(move || {
                while let Some(chunk) = from.blocking_recv() {
                    let written = file.write_all(&chunk);
                    counter.fetch_sub(1, Ordering::Release);
                    let failed = written.is_err();
                    if to.blocking_send(written).is_err() || failed {
                        break;
                    }
                }
            })?;
        Ok(Self {
            chunks: PollSender::new(chunks),
            results,
            unwritten: 0,
            left,
        })
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take_results(cx)?;
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.chunks.poll_reserve(cx)).map_err(gone)?;
        let chunk = &buf[..buf.len().min(CHUNK)];
        self.left.fetch_add(1, Ordering::Release);
        self.chunks
            .send_item(Bytes::copy_from_slice(chunk))
            .map_err(gone)?;
        self.unwritten += 1;
        Poll::Ready(Ok(chunk.len()))
    }

    /// Ready when all is written.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.take_results(cx)?;
        match self.unwritten {
            0 => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    pub(super) fn has_unwritten(&self) -> bool {
        self.left.load(Ordering::Acquire) > 0
    }

    fn take_results(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.unwritten > 0
            && let Poll::Ready(result) = self.results.poll_recv(cx)
        {
            result.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))?;
            self.unwritten -= 1;
        }
        Ok(())
    }
}
