use std::{collections::VecDeque, io, time::Duration};

use bytes::{Buf, BytesMut};
use tokio::{io::ReadBuf, time::Instant};

/// The most bytes on their way.
const BYTES: usize = 1024 * 1024;

/// The most times that are remembered; bytes of one read share one.
const TIMES: usize = 4096;

/// Bytes that are on their way, and the end behind them.
#[derive(Debug, Default)]
pub(super) struct Late {
    bytes: BytesMut,
    /// When each number of bytes arrives.
    times: VecDeque<(Instant, usize)>,
    end: Option<(Instant, io::Result<()>)>,
    /// Nothing arrives before this.
    last: Option<Instant>,
}

// ===== impl Late =====

impl Late {
    pub(super) fn has_room(&self) -> bool {
        self.end.is_none() && self.bytes.len() < BYTES && self.times.len() < TIMES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.times.is_empty() && self.end.is_none()
    }

    /// The number of bytes that may be added.
    pub(super) fn room(&self) -> usize {
        BYTES - self.bytes.len()
    }

    pub(super) fn add(&mut self, bytes: &[u8], delay: Duration) {
        let due = self.due(delay);
        self.bytes.extend_from_slice(bytes);
        match self.times.back_mut() {
            Some((time, n)) if *time == due => *n += bytes.len(),
            _ => self.times.push_back((due, bytes.len())),
        }
    }

    pub(super) fn end(&mut self, end: io::Result<()>, delay: Duration) {
        self.end = Some((self.due(delay), end));
    }

    /// When the next byte, or the end, arrives.
    pub(super) fn next(&self) -> Option<Instant> {
        let next = self.times.front().map(|(due, _)| *due);
        next.or_else(|| self.end.as_ref().map(|(due, _)| *due))
    }

    /// Takes the bytes that have arrived by this time, or the end when no byte is left.
    pub(super) fn take(&mut self, until: Option<Instant>, buf: &mut ReadBuf<'_>) -> Taken {
        let arrived = |due: Instant| until.is_none_or(|until| due <= until);
        let mut taken = 0;
        while let Some((due, n)) = self.times.front_mut()
            && arrived(*due)
            && buf.remaining() > 0
        {
            let now = (*n).min(buf.remaining());
            buf.put_slice(&self.bytes[..now]);
            self.bytes.advance(now);
            *n -= now;
            if *n == 0 {
                self.times.pop_front();
            }
            taken += now;
        }
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
        if taken > 0 {
            return Taken::Bytes;
        }
        match self.end.take() {
            Some((due, end)) if self.times.is_empty() && arrived(due) => Taken::End(end),
            end => {
                self.end = end;
                Taken::Nothing
            }
        }
    }

    fn due(&mut self, delay: Duration) -> Instant {
        let now = Instant::now();
        // A time beyond the clock's range becomes a century.
        let due = now.checked_add(delay).unwrap_or(now + CENTURY);
        let due = self.last.map_or(due, |last| last.max(due));
        self.last = Some(due);
        due
    }
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// An arrival: bytes, the end, or nothing yet.
#[derive(Debug)]
pub(super) enum Taken {
    Nothing,
    Bytes,
    End(io::Result<()>),
}
