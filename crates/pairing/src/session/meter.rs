use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use couplet_endpoint::{ConnEvent, Info, Side};
use tokio::time::Instant;

use super::Moved;

/// Counts the bytes delivered in each direction, and the time of the last.
///
/// The relay counts; any task may read, at no cost to the relay.
pub struct Meter {
    /// The infos of the two connections, whose observers hear of the first bytes. Apart from the rest: tokio
    /// aligns its tasks and its sockets' registrations to 128 bytes, and glibc's malloc leaves holes of 240
    /// bytes beside them. Two halves fit in; the whole would not.
    infos: Box<[Info; 2]>,
    a_to_b: AtomicU64,
    b_to_a: AtomicU64,
    /// Milliseconds since the start, rounded down; or [`HELD_UP`].
    progress: AtomicU64,
    /// [`SENT`] and [`TAPPED`], in one, so that the relay looks at both at once.
    asked: AtomicU8,
    /// Whether the last bytes from each side were spliced.
    spliced: [AtomicBool; 2],
    /// Whether the relay has begun to move bytes: here, where the fields before leave a hole.
    pub(super) relaying: AtomicBool,
    /// Since when each side's bytes are held up by the other: milliseconds since the start, and one
    /// more; 0 while they are not.
    stalled: [AtomicU32; 2],
    /// How much the relay holds meanwhile, in pieces of [`PIECE`] bytes: so it fits into a hole.
    held: [AtomicU16; 2],
    /// Where the bytes count, too.
    moved: OnceLock<Moved>,
    start: Instant,
}

/// Of what is held, the least that counts. A pipe has at most 32,768 of them.
const PIECE: u32 = 32;

/// The progress of a pair that waits for its budget.
const HELD_UP: u64 = u64::MAX;

/// See [`Meter::ask_for_sent`].
const SENT: u8 = 1;

/// There is a tap.
const TAPPED: u8 = 2;

// ===== impl Meter =====

impl Meter {
    pub(super) fn new(infos: [Info; 2]) -> Self {
        Self {
            infos: Box::new(infos),
            a_to_b: AtomicU64::new(0),
            b_to_a: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            asked: AtomicU8::new(0),
            spliced: [const { AtomicBool::new(false) }; 2],
            relaying: AtomicBool::new(false),
            stalled: [const { AtomicU32::new(0) }; 2],
            held: [const { AtomicU16::new(0) }; 2],
            moved: OnceLock::new(),
            start: Instant::now(),
        }
    }

    /// The first call counts.
    pub(super) fn count_in(&self, moved: Moved) {
        let _ = self.moved.set(moved);
    }

    /// Counts bytes that came from `from` and were delivered to the other side.
    ///
    /// For the relay alone: two tasks at once would lose counts, because this is a load and a store, which
    /// are cheaper than an atomic addition.
    pub fn add(&self, from: Side, bytes: u64) {
        self.count(from, bytes, false);
    }

    /// As [`add`](Self::add), of bytes that the kernel moved by splice(2).
    pub fn add_spliced(&self, from: Side, bytes: u64) {
        self.count(from, bytes, true);
    }

    #[inline]
    fn count(&self, from: Side, bytes: u64, by_splice: bool) {
        let counter = self.counter(from);
        let before = counter.load(Ordering::Relaxed);
        counter.store(before + bytes, Ordering::Relaxed);
        self.progress.store(self.elapsed(), Ordering::Relaxed);
        self.spliced[from as usize].store(by_splice, Ordering::Relaxed);
        if let Some(moved) = self.moved.get() {
            moved.delivers(from, bytes, by_splice);
        }
        if self.stalled[from as usize].load(Ordering::Relaxed) != 0 {
            self.end_stall(from);
        }
        if before == 0 && bytes > 0 {
            self.tell(ConnEvent::FirstByte(from));
        }
    }

    /// Marks that the other side accepts no more bytes from `from` (back-pressure), until the next bytes are
    /// delivered. The relay holds this many bytes meanwhile. For the relay alone.
    pub fn begin_stall(&self, from: Side, held: u32) {
        let stalled = &self.stalled[from as usize];
        if stalled.load(Ordering::Relaxed) == 0 {
            let since = u32::try_from(self.elapsed().saturating_add(1)).unwrap_or(u32::MAX);
            stalled.store(since, Ordering::Relaxed);
            if let Some(moved) = self.moved.get() {
                let pieces = u16::try_from(held.div_ceil(PIECE)).unwrap_or(u16::MAX);
                self.held[from as usize].store(pieces, Ordering::Relaxed);
                moved.holds(from, u64::from(pieces) * u64::from(PIECE));
            }
        }
    }

    /// Ends it, though nothing was delivered: the other side is gone. For the relay alone.
    #[cold]
    pub fn end_stall(&self, from: Side) {
        let since = self.stalled[from as usize].swap(0, Ordering::Relaxed);
        if let (Some(since), Some(moved)) = (since.checked_sub(1), self.moved.get()) {
            moved.stalls(from, self.elapsed().saturating_sub(since.into()));
            let pieces = self.held[from as usize].swap(0, Ordering::Relaxed);
            moved.lets_go(from, u64::from(pieces) * u64::from(PIECE));
        }
    }

    /// The time since which the other side holds up bytes from `from`; `None` while bytes flow, or none wait.
    pub fn stalled_since(&self, from: Side) -> Option<Instant> {
        let since = self.stalled[from as usize].load(Ordering::Relaxed);
        let since = since.checked_sub(1)?;
        Some(self.start + Duration::from_millis(since.into()))
    }

    /// Whether the last bytes from `from` were spliced.
    pub fn is_spliced(&self, from: Side) -> bool {
        self.spliced[from as usize].load(Ordering::Relaxed)
    }

    /// Tells the observers of both connections.
    pub(super) fn tell(&self, event: ConnEvent) {
        for info in self.infos.iter() {
            info.tell(event);
        }
    }

    pub(super) fn info(&self, side: Side) -> &Info {
        match side {
            Side::A => &self.infos[0],
            Side::B => &self.infos[1],
        }
    }

    /// Sets whether a direction waits for its [budget](super::Budget), in which case the pair is not idle.
    /// For the relay alone.
    pub fn held_up(&self, is_held_up: bool) {
        if is_held_up {
            self.progress.store(HELD_UP, Ordering::Relaxed);
        } else if self.progress.load(Ordering::Relaxed) == HELD_UP {
            self.progress.store(self.elapsed(), Ordering::Relaxed);
        }
    }

    /// The bytes that came from `from` and were delivered to the other side.
    ///
    /// With a transform between, these are the bytes that came out of it.
    pub fn bytes(&self, from: Side) -> u64 {
        self.counter(from).load(Ordering::Relaxed)
    }

    /// The time of the last delivery, or of the session's begin; exact to a millisecond. While a direction
    /// waits for its [budget](super::Budget), the present time.
    pub fn last_progress(&self) -> Instant {
        match self.progress.load(Ordering::Relaxed) {
            HELD_UP => Instant::now(),
            progress => self.start + Duration::from_millis(progress),
        }
    }

    /// Asks the relay to count, once, the system's sending of earlier bytes as progress. The answer is in
    /// [`last_progress`](Self::last_progress) after the next poll of the relay's future.
    pub fn ask_for_sent(&self) {
        self.asked.fetch_or(SENT, Ordering::Relaxed);
    }

    /// Whether something is asked of the relay, or there is a tap. For the relay alone, which looks at each poll.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) != 0
    }

    pub(super) fn set_tapped(&self, is_tapped: bool) {
        match is_tapped {
            true => self.asked.fetch_or(TAPPED, Ordering::Relaxed),
            false => self.asked.fetch_and(!TAPPED, Ordering::Relaxed),
        };
    }

    pub(super) fn is_tapped(&self) -> bool {
        self.asked.load(Ordering::Relaxed) & TAPPED != 0
    }

    /// Whether [`ask_for_sent`](Self::ask_for_sent) was called since the last call of this. For the relay
    /// alone.
    pub fn is_asked_for_sent(&self) -> bool {
        // A load alone, as a rule: it is looked at at each poll.
        self.asked.load(Ordering::Relaxed) & SENT != 0
            && self.asked.fetch_and(!SENT, Ordering::Relaxed) & SENT != 0
    }

    /// Counts the system's sending at this time as progress. For the relay alone.
    pub fn sent(&self, at: Instant) {
        let at = at.saturating_duration_since(self.start).as_millis();
        let at = u64::try_from(at).unwrap_or(0);
        // Also where a pair is held up: its progress is the greatest number of all.
        self.progress.fetch_max(at, Ordering::Relaxed);
    }

    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// In milliseconds.
    fn elapsed(&self) -> u64 {
        let elapsed = self.start.elapsed().as_millis();
        u64::try_from(elapsed).unwrap_or(HELD_UP)
    }

    fn counter(&self, from: Side) -> &AtomicU64 {
        match from {
            Side::A => &self.a_to_b,
            Side::B => &self.b_to_a,
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("a_to_b", &self.bytes(Side::A))
            .field("b_to_a", &self.bytes(Side::B))
            .field("last_progress", &self.last_progress())
            .finish()
    }
}
