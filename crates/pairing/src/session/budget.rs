use std::{
    fmt,
    task::{Context, Poll, ready},
};

use couplet_endpoint::Side;

/// Says how many bytes of a pair may move, and when: what a limit of bandwidth or a quota is made
/// of. It wraps no io and sees no byte, so what it limits may be spliced.
///
/// The relay asks for some bytes before it takes any from a source, and tells afterwards how many it
/// took. A layer adds one to a pair with [`OwnedSession::limit`](super::OwnedSession::limit); of
/// several, the least counts.
pub trait Budget: Send + Sync + 'static {
    /// Whose it is, which says when it is asked.
    fn scope(&self) -> Scope;

    /// Sets some bytes aside for what comes from that side, at most `most`: pending until there are
    /// any, 0 when there will never be any again. Not called again before they were
    /// [settled](Self::settle).
    fn poll_reserve(&mut self, cx: &mut Context<'_>, from: Side, most: u32) -> Poll<u32>;

    /// Of what was set aside for that side, so many bytes were taken; the others are free again. If
    /// nothing was, it is waited for no more.
    fn settle(&mut self, from: Side, taken: u32);
}

/// Whose a [`Budget`] is.
///
/// Budgets are asked in this order, and what one has set aside is held while the next is waited
/// for. So those that few share come before those that many do, and no two pairs ever wait for each
/// other. Numbers are unique within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    a_to_b: Asked,
    b_to_a: Asked,
}

/// How far a direction has come in asking.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// How many budgets have granted.
    granted: usize,
    /// The least that one of them did.
    least: u32,
    /// The next one is waited for.
    waits: bool,
}

// ===== impl Budgets =====

impl Budgets {
    pub(super) const fn new() -> Self {
        Self {
            all: Vec::new(),
            a_to_b: Asked::NOTHING,
            b_to_a: Asked::NOTHING,
        }
    }

    pub(super) fn add(&mut self, budget: impl Budget) {
        let scope = budget.scope();
        let at = self.all.partition_point(|before| before.scope() <= scope);
        self.all.insert(at, Box::new(budget));
    }

    /// As [`Budget::poll_reserve`], of all of them.
    pub fn poll_reserve(&mut self, cx: &mut Context<'_>, from: Side) -> Poll<u32> {
        let (all, asked) = self.of(from);
        while let Some(budget) = all.get_mut(asked.granted) {
            asked.waits = true;
            asked.least = ready!(budget.poll_reserve(cx, from, asked.least));
            asked.waits = false;
            asked.granted += 1;
            if asked.least == 0 {
                break;
            }
        }
        Poll::Ready(asked.least)
    }

    /// As [`Budget::settle`], of all of them.
    pub fn settle(&mut self, from: Side, taken: u32) {
        let (all, asked) = self.of(from);
        let concerned = asked.granted + usize::from(asked.waits);
        for budget in &mut all[..concerned] {
            budget.settle(from, taken);
        }
        *asked = Asked::NOTHING;
    }

    /// Does a direction wait for one of them?
    pub fn is_waited_for(&self) -> bool {
        self.a_to_b.waits || self.b_to_a.waits
    }

    fn of(&mut self, from: Side) -> (&mut [Box<dyn Budget>], &mut Asked) {
        let asked = match from {
            Side::A => &mut self.a_to_b,
            Side::B => &mut self.b_to_a,
        };
        (&mut self.all, asked)
    }
}

impl fmt::Debug for Budgets {
    // Only how many: they need not be `Debug`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budgets({})", self.all.len())
    }
}

// ===== impl Asked =====

impl Asked {
    const NOTHING: Self = Self {
        granted: 0,
        least: u32::MAX,
        waits: false,
    };
}
