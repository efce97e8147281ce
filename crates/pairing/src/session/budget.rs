use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
};

use couplet_endpoint::Side;

use super::source::Source;

/// Bounds the bytes of a pair: the building block of a bandwidth limit or a quota. It wraps no io and
/// sees no byte, so bounded bytes may be spliced.
///
/// The relay reserves bytes before it reads from a source, and settles afterwards with the number read.
/// A layer adds a budget to a pair with [`OwnedSession::limit`](super::OwnedSession::limit); the least of
/// several counts.
pub trait Budget: Send + Sync + 'static {
    /// The pairs that share this budget, which decides its place in the order.
    fn scope(&self) -> Scope;

    /// Reserves bytes for the direction from this side, at most `most`. Pending while there are none, 0
    /// when there will never be any again. Not called again before the reserved bytes are
    /// [settled](Self::settle).
    fn poll_reserve(&mut self, cx: &mut Context<'_>, from: Side, most: u32) -> Poll<u32>;

    /// Takes `taken` of the bytes reserved for this side, and frees the rest. Where none were reserved,
    /// the direction stops waiting.
    fn settle(&mut self, from: Side, taken: u32);
}

/// Which pairs share a [`Budget`].
///
/// Budgets are polled in this order, and the bytes that one has reserved are held while the next is
/// waited for. So budgets of few pairs come before budgets of many, and no two pairs ever wait for each
/// other. Numbers are unique within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// This pair alone.
    Pair,
    /// A group of pairs, by its number.
    Group(u64),
    /// All pairs of a kind, by its number.
    All(u64),
    /// This pair alone, and never waited for: polled after all others.
    Quota,
}

/// The budgets of a pair. For the relay.
pub struct Budgets {
    /// By their scope.
    all: Vec<Box<dyn Budget>>,
    a_to_b: Direction,
    b_to_a: Direction,
}

/// The state of a direction: the budgets that have granted bytes, and whether it waits.
struct Direction {
    /// The number of budgets that have granted bytes.
    granted: usize,
    /// The least number of bytes granted.
    least: u32,
    /// The direction waits for the next budget.
    waits: bool,
    /// The source had no bytes. No budget is polled until the source wakes the task: an idle pair takes no
    /// place in a queue, however often the other direction is woken.
    is_dry: bool,
    source: Arc<Source>,
}

// ===== impl Budgets =====

impl Budgets {
    pub(super) fn new() -> Self {
        Self {
            all: Vec::new(),
            a_to_b: Direction::new(),
            b_to_a: Direction::new(),
        }
    }

    pub(super) fn add(&mut self, budget: impl Budget) {
        let scope = budget.scope();
        let at = self.all.partition_point(|before| before.scope() <= scope);
        self.all.insert(at, Box::new(budget));
    }

    /// Takes as many bytes from a source as all budgets allow.
    ///
    /// `take` gets the number of bytes that it may take, or takes one for 0, so that an end right there is
    /// seen; it returns the number taken. Ready with its result and the number allowed.
    pub fn poll_take<T>(
        &mut self,
        cx: &mut Context<'_>,
        from: Side,
        take: impl FnOnce(&mut Context<'_>, u32) -> Poll<(T, u32)>,
    ) -> Poll<(T, u32)> {
        let (_, direction) = self.of(from);
        direction.source.register(cx.waker());
        if direction.is_dry && !direction.source.has_woken() {
            return Poll::Pending;
        }
        let most = ready!(self.poll_reserve(cx, from));
        let (_, direction) = self.of(from);
        let waker = direction.source.waker();
        let taken = take(&mut Context::from_waker(&waker), most.max(1));
        direction.is_dry = taken.is_pending();
        let n = match &taken {
            Poll::Ready((_, n)) => *n,
            Poll::Pending => 0,
        };
        self.settle(from, n.min(most));
        taken.map(|(taken, _)| (taken, most))
    }

    fn poll_reserve(&mut self, cx: &mut Context<'_>, from: Side) -> Poll<u32> {
        let (all, direction) = self.of(from);
        while let Some(budget) = all.get_mut(direction.granted) {
            direction.waits = true;
            direction.least = ready!(budget.poll_reserve(cx, from, direction.least));
            direction.waits = false;
            direction.granted += 1;
            if direction.least == 0 {
                break;
            }
        }
        Poll::Ready(direction.least)
    }

    fn settle(&mut self, from: Side, taken: u32) {
        let (all, direction) = self.of(from);
        let concerned = direction.granted + usize::from(direction.waits);
        for budget in &mut all[..concerned] {
            budget.settle(from, taken);
        }
        direction.granted = 0;
        direction.least = u32::MAX;
        direction.waits = false;
    }

    /// Releases what this side has reserved, because no more bytes will be read from it.
    pub fn leave(&mut self, from: Side) {
        self.settle(from, 0);
    }

    /// Whether a direction waits for a budget.
    pub fn is_waited_for(&self) -> bool {
        self.a_to_b.waits || self.b_to_a.waits
    }

    fn of(&mut self, from: Side) -> (&mut [Box<dyn Budget>], &mut Direction) {
        let direction = match from {
            Side::A => &mut self.a_to_b,
            Side::B => &mut self.b_to_a,
        };
        (&mut self.all, direction)
    }
}

impl fmt::Debug for Budgets {
    // Shows only the number: budgets need not be `Debug`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budgets({})", self.all.len())
    }
}

// ===== impl Direction =====

impl Direction {
    fn new() -> Self {
        Self {
            granted: 0,
            least: u32::MAX,
            waits: false,
            is_dry: false,
            source: Arc::default(),
        }
    }
}
