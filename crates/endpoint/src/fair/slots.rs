use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    FairShare,
    waiters::{Ticket, Waiters},
};
use crate::conn::PeerNetwork;

/// A bounded number of slots, shared fairly among the networks of the peers that hold them, IPv4 by
/// address and IPv6 by /64, as sshd's `MaxStartups` keeps room for newcomers.
///
/// A holder [may give way](FairSlot::may_give_way) from when it is told to until it
/// [settles](FairSlot::settle). When all slots are taken, one of the network that holds most gives way
/// to a newcomer whose network holds fewer, at once; and, after the time that [`GivesWay`] says, to one of
/// which nothing is known yet, because it waits in the system's queue. So one address that takes all slots
/// keeps no other out, and no one gives way while there is room.
///
/// While one can give way, one slot more than the bound is handed out: only the newcomer's network tells
/// whether it has a claim.
///
/// `poll_reserve` reserves a slot here, `take` hands it out; dropping this gives a reserved slot back, and a
/// clone, which shares the slots, has none. Tasks that wait are served in the order in which they came.
#[derive(Debug)]
pub struct FairSlots {
    shared: Arc<Mutex<State>>,
    reserved: Option<FairSlot>,
    ticket: Ticket,
    /// Until a holder may have to give way.
    over: Option<Pin<Box<Sleep>>>,
}

/// Which holder of a slot gives way, and when to a newcomer whose network is unknown.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum GivesWay {
    /// The one that has held its slot for longest, of a network that holds at least two.
    Oldest {
        /// How long it must have held the slot.
        after: Duration,
    },
    /// The one that was [polled](FairSlot::poll_gives_way) least recently: the peer has been silent. To a
    /// newcomer of which nothing is known, one of any network.
    Quietest {
        /// How long it must have been silent.
        silent: Duration,
        /// Or how long it must have held the slot.
        after: Duration,
    },
}

/// A slot. Dropping it frees the slot.
#[derive(Debug)]
pub struct FairSlot {
    shared: Arc<Mutex<State>>,
    /// Of a holder that may have to give way.
    number: Option<u64>,
}

/// The slots were [closed](FairSlots::close).
#[derive(Debug, Error)]
#[error("slots are closed")]
pub struct SlotsClosed(());

#[derive(Debug)]
struct State {
    bound: usize,
    rule: GivesWay,
    is_closed: bool,
    /// Reserved or held.
    taken: usize,
    next_number: u64,
    /// Those that may have to give way.
    held: BTreeMap<u64, Held>,
    /// The same by network, kept from when all slots are taken until none is: what has room pays nothing.
    share: Option<FairShare>,
    /// How many have been told to give way and have not gone yet.
    leaving: usize,
    waiters: Waiters,
    /// Woken when the lock is free again.
    wakes: [Option<Waker>; 2],
}

#[derive(Debug)]
struct Held {
    network: PeerNetwork,
    begun: Instant,
    /// When the holder last had something to do: its task runs when a byte comes.
    active: Instant,
    waker: Option<Waker>,
    gives_way: bool,
}

/// What a task without a slot waits for.
enum Wait {
    /// A slot that is given back.
    Freed,
    /// A slot that is given back, or this time, from which on a holder may have to give way.
    Until(Instant),
}

// ===== impl FairSlots =====

impl FairSlots {
    /// Makes `bound` slots.
    pub fn new(bound: usize, rule: GivesWay) -> Self {
        Self::of(Arc::new(Mutex::new(State {
            bound,
            rule,
            is_closed: false,
            taken: 0,
            next_number: 0,
            held: BTreeMap::new(),
            share: None,
            leaving: 0,
            waiters: Waiters::default(),
            wakes: [None, None],
        })))
    }

    fn of(shared: Arc<Mutex<State>>) -> Self {
        Self {
            shared,
            reserved: None,
            ticket: None,
            over: None,
        }
    }

    /// Reserves a slot, once.
    ///
    /// # Errors
    ///
    /// [`SlotsClosed`] once the slots are closed.
    pub fn poll_reserve(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SlotsClosed>> {
        while self.reserved.is_none() {
            let ticket = &mut self.ticket;
            let reserved = with(&self.shared, |state| {
                (!state.is_closed).then(|| state.reserve(ticket, cx.waker()))
            });
            match reserved {
                None => return Poll::Ready(Err(SlotsClosed(()))),
                Some(Ok(())) => self.reserved = Some(FairSlot::of(&self.shared)),
                Some(Err(Wait::Freed)) => {
                    self.over = None;
                    return Poll::Pending;
                }
                Some(Err(Wait::Until(over))) => {
                    let sleep = self.over.get_or_insert_with(|| Box::pin(sleep_until(over)));
                    if sleep.deadline() != over {
                        sleep.as_mut().reset(over);
                    }
                    ready!(sleep.as_mut().poll(cx));
                }
            }
        }
        self.over = None;
        Poll::Ready(Ok(()))
    }

    /// Hands out the reserved slot.
    ///
    /// # Panics
    ///
    /// If none was reserved: `poll_ready` comes before `call`.
    pub fn take(&mut self) -> FairSlot {
        self.reserved
            .take()
            .expect("a slot was reserved: poll_ready comes before call")
    }

    /// Takes a slot at once, for a peer of this network; `None` where none is free, and no other gives way
    /// to it. A peer without a network never gives way.
    pub fn enter(&self, network: Option<PeerNetwork>) -> Option<FairSlot> {
        let is_taken = with(&self.shared, |state| state.enter(network));
        is_taken.then(|| {
            let mut slot = FairSlot::of(&self.shared);
            if let Some(network) = network {
                slot.may_give_way(network);
            }
            slot
        })
    }

    /// The number of slots that are reserved or held.
    pub fn taken(&self) -> usize {
        lock(&self.shared).taken
    }

    /// Closes the slots: none is handed out any more, and tasks that wait for one get an error.
    pub fn close(&self) {
        let wakes = {
            let mut state = lock(&self.shared);
            state.is_closed = true;
            state.waiters.wake_all()
        };
        wakes.for_each(Waker::wake);
    }
}

impl Clone for FairSlots {
    fn clone(&self) -> Self {
        Self::of(Arc::clone(&self.shared))
    }
}

impl Drop for FairSlots {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            let ticket = &mut self.ticket;
            with(&self.shared, |state| {
                state.wakes[0] = state.waiters.leave(ticket);
            });
        }
    }
}

/// A time that does not come.
fn far_off() -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    Instant::now() + 30 * YEAR
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    // Nothing in here panics half-way.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes the state, and wakes the tasks that it concerns when the lock is free again.
fn with<T>(shared: &Mutex<State>, change: impl FnOnce(&mut State) -> T) -> T {
    let mut state = lock(shared);
    let result = change(&mut state);
    let wakes = std::mem::take(&mut state.wakes);
    drop(state);
    wakes.into_iter().flatten().for_each(Waker::wake);
    result
}

// ===== impl State =====

impl State {
    fn reserve(&mut self, ticket: &mut Ticket, waker: &Waker) -> Result<(), Wait> {
        if self.waiters.are_before(*ticket) {
            self.waiters.wait(ticket, waker);
            return Err(Wait::Freed);
        }
        if self.taken < self.bound || (self.taken == self.bound && self.can_give_way()) {
            self.taken += 1;
            self.wakes[0] = self.waiters.leave(ticket);
            return Ok(());
        }
        self.waiters.wait(ticket, waker);
        Err(self.make_room())
    }

    /// Takes a slot if one is free, or if another gives way.
    fn enter(&mut self, network: Option<PeerNetwork>) -> bool {
        let is_taken = !self.is_closed
            && (self.taken - self.leaving < self.bound
                || network.is_some_and(|newcomer| self.yields_to(newcomer)));
        self.taken += usize::from(is_taken);
        is_taken
    }

    /// Whether a holder may have to give way to a newcomer of which nothing is known.
    fn can_give_way(&mut self) -> bool {
        match self.rule {
            GivesWay::Quietest { .. } => !self.held.is_empty(),
            GivesWay::Oldest { .. } => self.network_that_gives_way_to(STRANGER).is_some(),
        }
    }

    /// Frees a slot for a newcomer of which nothing is known yet.
    fn make_room(&mut self) -> Wait {
        if self.leaving > 0 {
            return Wait::Freed;
        }
        let largest = self.network_that_gives_way_to(STRANGER);
        let Some((number, over)) = self.first_to_go(largest) else {
            return Wait::Freed;
        };
        if Instant::now() < over {
            return Wait::Until(over);
        }
        self.give_way(number);
        Wait::Freed
    }

    /// A holder gives way to a newcomer of this network, if the newcomer has a claim.
    fn yields_to(&mut self, newcomer: PeerNetwork) -> bool {
        let gives_way = self
            .network_that_gives_way_to(newcomer)
            .and_then(|largest| self.first_to_go(Some(largest)));
        if let Some((number, _)) = gives_way {
            self.give_way(number);
        }
        gives_way.is_some()
    }

    /// The network that holds most slots, if that many that it owes one to a newcomer.
    fn network_that_gives_way_to(&mut self, newcomer: PeerNetwork) -> Option<PeerNetwork> {
        let held = &self.held;
        let share = self.share.get_or_insert_with(|| {
            let mut share = FairShare::new();
            for (number, one) in held.iter().filter(|(_, one)| !one.gives_way) {
                share.enter(one.network, *number);
            }
            share
        });
        let oldest = share.gives_way_to(newcomer)?;
        Some(held.get(&oldest)?.network)
    }

    /// The holder of a network, or of any, that gives way first, and when its time is over.
    fn first_to_go(&self, network: Option<PeerNetwork>) -> Option<(u64, Instant)> {
        match self.rule {
            GivesWay::Oldest { after } => {
                let oldest = self.share.as_ref()?.oldest_of(network?)?;
                let begun = self.held.get(&oldest)?.begun;
                Some((oldest, begun.checked_add(after).unwrap_or_else(far_off)))
            }
            GivesWay::Quietest { silent, after } => {
                let eligible = self.held.iter().filter(|(_, one)| {
                    !one.gives_way && network.is_none_or(|network| network == one.network)
                });
                // Of equals the oldest.
                eligible
                    .map(|(number, one)| (*number, (one.active + silent).min(one.begun + after)))
                    .min_by_key(|(_, over)| *over)
            }
        }
    }

    fn give_way(&mut self, number: u64) {
        if let Some(one) = self.held.get_mut(&number) {
            one.gives_way = true;
            self.leaving += 1;
            self.wakes[1] = one.waker.take();
            if let Some(share) = &mut self.share {
                share.leave(one.network, number);
            }
        }
    }

    fn begin(&mut self, network: PeerNetwork) -> u64 {
        if self.taken - self.leaving > self.bound {
            self.yields_to(network);
        }
        let now = Instant::now();
        let number = self.next_number;
        self.next_number += 1;
        if let Some(share) = &mut self.share {
            share.enter(network, number);
        }
        self.held.insert(
            number,
            Held {
                network,
                begun: now,
                active: now,
                waker: None,
                gives_way: false,
            },
        );
        // There may be one now that can give way to those that wait.
        self.wakes[0] = self.waiters.wake_first();
        number
    }

    /// A holder is no longer one that may have to give way.
    fn settle(&mut self, number: u64) {
        let Some(one) = self.held.remove(&number) else {
            return;
        };
        if one.gives_way {
            self.leaving -= 1;
        } else if let Some(share) = &mut self.share {
            share.leave(one.network, number);
        }
        if self.held.is_empty() {
            self.share = None;
        }
    }
}

/// A newcomer of which nothing is known: no holder is without a network, so this one holds no slot.
const STRANGER: PeerNetwork = PeerNetwork::UNKNOWN;

// ===== impl FairSlot =====

impl FairSlot {
    fn of(shared: &Arc<Mutex<State>>) -> Self {
        Self {
            shared: Arc::clone(shared),
            number: None,
        }
    }

    /// Lets the holder, a peer of this network, give way from now on. If all slots are taken, and its network
    /// holds fewer than another, one of that network gives way at once.
    pub fn may_give_way(&mut self, network: PeerNetwork) {
        if self.number.is_none() {
            self.number = Some(with(&self.shared, |state| state.begin(network)));
        }
    }

    /// Ready if the holder has to give way, and must drop the slot soon. Marks the holder as active.
    pub fn poll_gives_way(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(number) = self.number else {
            return Poll::Pending;
        };
        let mut state = lock(&self.shared);
        let is_quietest_first = matches!(state.rule, GivesWay::Quietest { .. });
        match state.held.get_mut(&number) {
            Some(one) if one.gives_way => Poll::Ready(()),
            Some(one) => {
                if is_quietest_first {
                    one.active = Instant::now();
                }
                match &mut one.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }

    /// Waits until the holder has to give way. Cancel-safe.
    pub async fn gives_way(&self) {
        poll_fn(|cx| self.poll_gives_way(cx)).await;
    }

    /// Keeps the slot from now on without giving way: the peer is no stranger any more, or the holder waits
    /// for something with a bound of its own.
    pub fn settle(&mut self) {
        if let Some(number) = self.number.take() {
            with(&self.shared, |state| state.settle(number));
        }
    }
}

impl Drop for FairSlot {
    fn drop(&mut self) {
        with(&self.shared, |state| {
            if let Some(number) = self.number {
                state.settle(number);
            }
            state.taken -= 1;
            state.wakes[0] = state.waiters.wake_first();
        });
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
