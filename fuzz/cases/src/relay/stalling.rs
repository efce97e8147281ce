use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use couplet_connector::endpoint::{BoxIo, Io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What of an io is pending, to be set while it is in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Stalls(Arc<Mutex<Set>>);

#[derive(Debug, Default)]
struct Set {
    which: u8,
    wakers: Vec<Waker>,
}

const READS: u8 = 1;
const WRITES: u8 = 2;
const FLUSHES: u8 = 4;
const SHUTDOWNS: u8 = 8;
/// Writes take half of what they are given.
const SHORT: u8 = 16;

/// Does as the io within, but for what stalls. It is never spliced.
pub(super) struct Stalling {
    io: BoxIo,
    stalls: Stalls,
}

// ===== impl Stalls =====

impl Stalls {
    pub(super) fn around(&self, io: BoxIo) -> Stalling {
        Stalling {
            io,
            stalls: self.clone(),
        }
    }

    pub(super) fn set(&self, which: u8) {
        let mut set = self.0.lock().expect("no holder panics");
        set.which = which;
        set.wakers.drain(..).for_each(Waker::wake);
    }

    fn stall(&self, which: u8, cx: &mut Context<'_>) -> bool {
        let mut set = self.0.lock().expect("no holder panics");
        let stalls = set.which & which != 0;
        if stalls {
            set.wakers.push(cx.waker().clone());
        }
        stalls
    }

    fn is_short(&self) -> bool {
        self.0.lock().expect("no holder panics").which & SHORT != 0
    }
}

// ===== impl Stalling =====

impl Io for Stalling {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }
}

impl AsyncRead for Stalling {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.stalls.stall(READS, cx) {
            true => Poll::Pending,
            false => Pin::new(&mut self.io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stalling {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.stalls.stall(WRITES, cx) {
            return Poll::Pending;
        }
        let len = match self.stalls.is_short() {
            true => buf.len().div_ceil(2),
            false => buf.len(),
        };
        Pin::new(&mut self.io).poll_write(cx, &buf[..len])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.stalls.stall(FLUSHES, cx) {
            true => Poll::Pending,
            false => Pin::new(&mut self.io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.stalls.stall(SHUTDOWNS, cx) {
            true => Poll::Pending,
            false => Pin::new(&mut self.io).poll_shutdown(cx),
        }
    }
}
