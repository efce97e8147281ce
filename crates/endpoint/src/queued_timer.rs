use std::{
    cell::RefCell,
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    runtime::{self, Handle},
    time::{Instant, sleep_until},
};

/// A timer that most connections set, for the same time, and hardly one waits for.
///
/// Timers of one length fall due in the order in which they were set, so a list holds them, and one timer of
/// the runtime serves all of a thread. Setting one and letting go of it costs no allocation, no look into the
/// runtime's timers, and no system call to wake the runtime's driver; it holds 40 bytes while it is set.
pub struct QueuedTimer {
    queue: Arc<Queue>,
    number: u64,
    /// The waker that the queue holds; 0 where it holds none.
    waker: usize,
}

/// The timers of one length that the tasks of one thread have set.
struct Queue {
    length: Duration,
    /// All timers with lower numbers have fired.
    fired: AtomicU64,
    list: Mutex<List>,
}

struct List {
    /// In the order of their numbers, and of the times at which they fall due.
    entries: VecDeque<Entry>,
    next: u64,
    /// The number of entries whose timers have been dropped.
    left: usize,
    is_driven: bool,
}

struct Entry {
    number: u64,
    due: Instant,
    /// `None` once the timer has been dropped.
    waker: Option<Waker>,
}

thread_local! {
    static QUEUES: RefCell<Vec<(runtime::Id, Arc<Queue>)>> = const { RefCell::new(Vec::new()) };
}

// ===== impl QueuedTimer =====

impl QueuedTimer {
    /// Fires after that time. Meant for a few times that many connections have in common: each has a list of
    /// its own for each thread.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time enabled.
    pub fn new(after: Duration) -> Self {
        let queue = queue(after);
        let number = queue.push();
        Self {
            queue,
            number,
            waker: 0,
        }
    }

    /// Runs a future for that time at most: `None` when the time is up first. Cancel-safe if the future is.
    pub async fn bound<F: Future>(time: Duration, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut timer = Self::new(time);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => timer.poll(cx).map(|()| None),
        })
        .await
    }

    /// Ready when the time is up, and from then on. Wakes the task that polled it last.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker();
        // The same waker: it is not freed, and its place not given to another, while it is held.
        let address = waker.data().addr() ^ std::ptr::from_ref(waker.vtable()).addr();
        if self.waker != address && !self.is_elapsed() {
            self.waker = address;
            self.queue.list().wake(self.number, waker);
        }
        // Looked at after the waker is there, so that no firing is missed.
        match self.is_elapsed() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Whether the time is up.
    pub fn is_elapsed(&self) -> bool {
        self.number < self.queue.fired.load(Ordering::Acquire)
    }
}

impl Drop for QueuedTimer {
    fn drop(&mut self) {
        if !self.is_elapsed() {
            self.queue.list().leave(self.number);
        }
    }
}

impl fmt::Debug for QueuedTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuedTimer")
            .field("length", &self.queue.length)
            .field("is_elapsed", &self.is_elapsed())
            .finish()
    }
}

/// The queue of this thread, in this runtime.
fn queue(length: Duration) -> Arc<Queue> {
    let runtime = Handle::current().id();
    QUEUES.with_borrow_mut(|queues| {
        let known = queues
            .iter()
            .find(|(of, queue)| *of == runtime && queue.length == length);
        if let Some((_, queue)) = known {
            return Arc::clone(queue);
        }
        // Queues of runtimes that have ended, and of lengths that no timer has now.
        queues.retain(|(_, queue)| Arc::strong_count(queue) > 1);
        let queue = Arc::new(Queue::new(length));
        queues.push((runtime, Arc::clone(&queue)));
        queue
    })
}

// ===== impl Queue =====

impl Queue {
    fn new(length: Duration) -> Self {
        Self {
            length,
            fired: AtomicU64::new(0),
            list: Mutex::new(List {
                entries: VecDeque::new(),
                next: 0,
                left: 0,
                is_driven: false,
            }),
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        // What panicked was a waker's, and the list is whole.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(self: &Arc<Self>) -> u64 {
        let mut list = self.list();
        let number = list.next;
        list.next += 1;
        let now = Instant::now();
        list.entries.push_back(Entry {
            number,
            // A time beyond the clock's range is as good as never.
            due: now.checked_add(self.length).unwrap_or(now + FAR),
            waker: Some(Waker::noop().clone()),
        });
        if !std::mem::replace(&mut list.is_driven, true) {
            drop(list);
            let driver = Driver {
                queue: Arc::clone(self),
                is_done: false,
            };
            tokio::spawn(driver.drive());
        }
        number
    }

    /// When the first falls due. Without one the queue is not driven any more.
    fn first(&self) -> Option<Instant> {
        let mut list = self.list();
        let first = list.entries.front().map(|entry| entry.due);
        list.is_driven = first.is_some();
        first
    }

    /// Fires what has fallen due.
    fn fire(&self, now: Instant) {
        while let Some(waker) = self.fire_one(now) {
            waker.wake();
        }
    }

    fn fire_one(&self, now: Instant) -> Option<Waker> {
        let mut list = self.list();
        while list.entries.front()?.due <= now {
            let entry = list.entries.pop_front()?;
            self.fired.store(entry.number + 1, Ordering::Release);
            if entry.waker.is_some() {
                return entry.waker;
            }
            list.left -= 1;
        }
        None
    }
}

/// Beyond what a clock need measure: thirty years.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

// ===== impl Entry =====

impl Entry {
    fn is_left(&self) -> bool {
        self.waker.is_none()
    }
}

// ===== impl List =====

impl List {
    fn find(&self, number: u64) -> Option<usize> {
        let found = self
            .entries
            .binary_search_by_key(&number, |entry| entry.number);
        found.ok()
    }

    fn wake(&mut self, number: u64, waker: &Waker) {
        if let Some(at) = self.find(number) {
            self.entries[at].waker = Some(waker.clone());
        }
    }

    /// The timer has been dropped.
    fn leave(&mut self, number: u64) {
        let Some(at) = self.find(number) else { return };
        if at + 1 == self.entries.len() {
            // As a rule, the last come are the first to go.
            self.entries.pop_back();
            while self.entries.back().is_some_and(Entry::is_left) {
                self.entries.pop_back();
                self.left -= 1;
            }
            return;
        }
        self.entries[at].waker = None;
        self.left += 1;
        if self.left > self.entries.len() / 2 {
            self.entries.retain(|entry| !entry.is_left());
            self.left = 0;
            self.entries.shrink_to(2 * self.entries.len());
        }
    }
}

/// Drives a queue, until the queue is empty or the runtime ends.
struct Driver {
    queue: Arc<Queue>,
    is_done: bool,
}

// ===== impl Driver =====

impl Driver {
    async fn drive(mut self) {
        while let Some(due) = self.queue.first() {
            sleep_until(due).await;
            self.queue.fire(Instant::now());
        }
        self.is_done = true;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Once it is done, another may drive the queue.
        if !self.is_done {
            self.queue.list().is_driven = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The number of entries in this thread's queue of one second, and of those among them that were dropped.
    fn held() -> (usize, usize) {
        let queue = queue(SECOND);
        let list = queue.list();
        (list.entries.len(), list.left)
    }

    #[tokio::test(start_paused = true)]
    async fn each_fires_at_its_time() {
        let began = Instant::now();
        let mut timers = Vec::new();
        for _ in 0..10 {
            timers.push(QueuedTimer::new(SECOND));
            timers.push(QueuedTimer::new(2 * SECOND));
            advance(SECOND / 10).await;
        }
        // In any order of their polls.
        for (at, timer) in timers.iter_mut().enumerate().rev() {
            let at = u32::try_from(at).unwrap();
            poll_fn(|cx| timer.poll(cx)).await;
            let due = SECOND / 10 * (at / 2) + SECOND * (1 + at % 2);
            assert!(Instant::now() - began >= due);
        }
        assert!(Instant::now() - began < SECOND * 3);
        for timer in &mut timers {
            assert!(timer.is_elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_wakes_the_task_that_polled_it_last_and_at_its_time() {
        let began = Instant::now();
        let mut timer = QueuedTimer::new(SECOND);
        let mut first = task::spawn(());
        assert_pending!(first.enter(|cx, _| timer.poll(cx)));
        poll_fn(|cx| timer.poll(cx)).await;
        assert_eq!(Instant::now() - began, SECOND);
        assert!(!first.is_woken());
        assert_ready!(first.enter(|cx, _| timer.poll(cx)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waits_for_is_let_go() {
        let kept: Vec<_> = (0..3).map(|_| QueuedTimer::new(SECOND)).collect();
        for _ in 0..1000 {
            drop(QueuedTimer::new(SECOND));
        }
        assert_eq!(held(), (3, 0));
        // Those in the middle.
        let many: Vec<_> = (0..1000).map(|_| QueuedTimer::new(SECOND)).collect();
        let last = QueuedTimer::new(SECOND);
        drop(many);
        let (entries, left) = held();
        assert!(left <= entries / 2, "{left} of {entries}");
        assert!(entries < 16, "{entries}");
        tokio::time::sleep(2 * SECOND).await;
        assert!(last.is_elapsed() && kept.iter().all(QueuedTimer::is_elapsed));
        assert_eq!(held(), (0, 0));
    }

    #[test]
    fn each_runtime_has_its_own() {
        let runtimes = [0, 1].map(|_| {
            tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap()
        });
        // The first runtime does not run while the second waits.
        let _first = runtimes[0].block_on(async { QueuedTimer::new(SECOND) });
        for runtime in &runtimes {
            runtime.block_on(async {
                let mut timer = QueuedTimer::new(SECOND);
                timeout(2 * SECOND, poll_fn(|cx| timer.poll(cx)))
                    .await
                    .unwrap();
            });
        }
    }

    /// The next runtime may have the number of one that has ended.
    #[test]
    fn a_runtime_that_has_ended_is_forgotten() {
        for _ in 0..10 {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut timer = QueuedTimer::new(SECOND);
                timeout(2 * SECOND, poll_fn(|cx| timer.poll(cx)))
                    .await
                    .unwrap();
                std::mem::forget(QueuedTimer::new(SECOND));
            });
        }
        assert!(QUEUES.with_borrow(Vec::len) <= 10);
    }

    #[test]
    fn a_timer_may_be_dropped_in_another_thread() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..200)
                .map(|n| {
                    tokio::spawn(async move {
                        let mut timer = QueuedTimer::new(Duration::from_millis(20));
                        for _ in 0..n % 7 {
                            tokio::task::yield_now().await;
                        }
                        if n % 2 == 0 {
                            poll_fn(|cx| timer.poll(cx)).await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                timeout(Duration::from_secs(60), task)
                    .await
                    .unwrap()
                    .unwrap();
            }
        });
    }
}
