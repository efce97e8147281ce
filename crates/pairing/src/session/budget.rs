use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
};

use couplet_endpoint::Side;

use super::source::Source;

/// Says how many bytes of a pair may move, and when: what a limit of bandwidth or a quota is made
/// of. It wraps no io and sees no byte, so what it limits may be spliced.
///
/// The relay asks for some bytes before it takes any from a source, and tells afterwards how many it
/// took. A layer adds one to a pair with [`OwnedSession::limit`](super::OwnedSession::limit); of
/// several, the least counts.
pub trait Budget: Send + Sync + 'static {
    /// Which pairs share it, which says when it is asked.
    fn scope(&self) -> Scope;

    /// Sets some bytes aside for what comes from that side, at most `most`: pending until there are
    /// any, 0 when there will never be any again. Not called again before they were
    /// [settled](Self::settle).
    fn poll_reserve(&mut self, cx: &mut Context<'_>, from: Side, most: u32) -> Poll<u32>;

    /// Of what was set aside for that side, so many bytes were taken; the others are free again. If
    /// nothing was, it is waited for no more.
    fn settle(&mut self, from: Side, taken: u32);
}

/// Which pairs share a [`Budget`].
///
/// Budgets are asked in this order, and what one has set aside is held while the next is waited
/// for. So those that few share come before those that many do, and no two pairs ever wait for each
/// other. Numbers are unique within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// This pair's alone.
    Pair,
    /// That of some pairs, by its number.
    Group(u64),
    /// That of all pairs of a kind, by its number.
    All(u64),
    /// This pair's alone, and never waited for: asked when all others have granted.
    Quota,
}

/// The budgets of a pair. For the relay.
pub struct Budgets {
    /// By their scope.
    all: Vec<Box<dyn Budget>>,
    a_to_b: Direction,
    b_to_a: Direction,
}

/// How far a direction has come in asking, and whether it need ask at all.
struct Direction {
    /// How many budgets have granted.
    granted: usize,
    /// The least that one of them did.
    least: u32,
    /// The next one is waited for.
    waits: bool,
    /// The source had nothing. Until it wakes the task it is not asked for: a pair that is idle takes
    /// no place in any line, however often the other direction is woken.
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

    /// Takes bytes from a source as all the budgets allow.
    ///
    /// `take` may take as many as it is told, or one if that is 0: so an end that comes just there is
    /// seen. It tells how many it took. Ready with what it gave, and how many were allowed.
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

    /// Nothing more will be taken from that side: it may keep nobody waiting.
    pub fn leave(&mut self, from: Side) {
        self.settle(from, 0);
    }

    /// Does a direction wait for one of them?
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
    // Only how many: they need not be `Debug`.
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
