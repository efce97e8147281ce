//! The slots of handshakes at work: bounded, and shared fairly among the networks of the peers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use couplet_pairing::{FairShare, PeerNetwork};
use tokio::time::Instant;

/// How long a peer may be silent before a newcomer of any network may take its slot.
pub(super) const SILENCE: Duration = Duration::from_secs(1);

/// How long a handshake may take before a newcomer of any network may take its slot, though its peer
/// sends a byte now and then.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// The slots of a layer. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    bound: usize,
    /// Reserved, or held by a handshake or by a request that waits for the inner service.
    taken: usize,
    next_number: u64,
    /// The handshakes that may have to give way, by network; each has a record below.
    share: FairShare,
    shaking: HashMap<u64, Shaking>,
    /// How many of them have been told to give way and have not gone yet.
    leaving: usize,
    waiters: Vec<Waker>,
}

#[derive(Debug)]
struct Shaking {
    network: PeerNetwork,
    begun: Instant,
    /// When the handshake last had something to do: its task runs when a byte comes.
    active: Instant,
    waker: Option<Waker>,
    gives_way: bool,
}

/// A slot. Dropping it frees the slot.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    /// Of a handshake that may have to give way.
    number: Option<u64>,
}

/// What a service without a slot waits for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// A slot that is given back.
    Freed,
    /// A slot that is given back, or this time, from which on a handshake may have to give way.
    Until(Instant),
}

// ===== impl Slots =====

impl Slots {
    pub(super) fn new(bound: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            bound,
            taken: 0,
            next_number: 0,
            share: FairShare::new(),
            shaking: HashMap::new(),
            leaving: 0,
            waiters: Vec::new(),
        })))
    }

    /// Reserves a slot, or registers the task to be woken.
    ///
    /// While handshakes can give way, one slot more than the bound is handed out: the newcomer's
    /// network decides which handshake has to.
    pub(super) fn poll_reserve(&self, cx: &mut Context<'_>) -> Result<Slot, Wait> {
        let mut state = self.lock();
        let can_give_way = !state.shaking.is_empty();
        if state.taken < state.bound.saturating_add(can_give_way.into()) {
            state.taken += 1;
            return Ok(Slot {
                slots: self.clone(),
                number: None,
            });
        }
        if !state
            .waiters
            .iter()
            .any(|waiter| waiter.will_wake(cx.waker()))
        {
            state.waiters.push(cx.waker().clone());
        }
        Err(state.make_room())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl State =====

impl State {
    /// Frees a slot for a newcomer of which nothing is known yet: of the network that holds most, the
    /// quietest handshake gives way once its time is over.
    fn make_room(&mut self) -> Wait {
        if self.leaving > 0 {
            return Wait::Freed;
        }
        // No handshake is without a network, so this one holds no slot.
        let largest = self.network_that_gives_way_to(PeerNetwork::of(None));
        let Some((number, over)) = self.quietest(largest) else {
            return Wait::Freed;
        };
        if Instant::now() < over {
            return Wait::Until(over);
        }
        self.give_way(number);
        Wait::Freed
    }

    /// The network that holds most slots, if that many that it owes one to a newcomer.
    fn network_that_gives_way_to(&self, newcomer: PeerNetwork) -> Option<PeerNetwork> {
        let oldest = self.share.gives_way_to(newcomer)?;
        Some(self.shaking.get(&oldest)?.network)
    }

    /// The handshake of a network, or of any, whose time is over first, and when that is.
    fn quietest(&self, network: Option<PeerNetwork>) -> Option<(u64, Instant)> {
        // Of equals the oldest.
        let mut quietest: Option<(Instant, u64)> = None;
        for (number, one) in &self.shaking {
            let over = (one.active + SILENCE).min(one.begun + PATIENCE);
            let is_eligible =
                !one.gives_way && network.is_none_or(|network| network == one.network);
            if is_eligible && quietest.is_none_or(|earliest| (over, *number) < earliest) {
                quietest = Some((over, *number));
            }
        }
        quietest.map(|(over, number)| (number, over))
    }

    fn give_way(&mut self, number: u64) {
        if let Some(shaking) = self.shaking.get_mut(&number) {
            shaking.gives_way = true;
            self.share.leave(shaking.network, number);
            self.leaving += 1;
            if let Some(waker) = shaking.waker.take() {
                waker.wake();
            }
        }
    }

    /// A handshake is no longer one that may have to give way. Returns whether it had to.
    fn settle(&mut self, number: u64) -> bool {
        let Some(shaking) = self.shaking.remove(&number) else {
            return false;
        };
        match shaking.gives_way {
            true => self.leaving -= 1,
            false => self.share.leave(shaking.network, number),
        }
        shaking.gives_way
    }
}

// ===== impl Slot =====

impl Slot {
    /// The handshake of a peer from this network begins. If all slots are taken, the quietest handshake of
    /// the network that holds most of them gives way to one of a network that holds fewer.
    pub(super) fn begin(&mut self, network: PeerNetwork) {
        let mut state = self.slots.lock();
        if state.taken > state.bound
            && let Some(largest) = state.network_that_gives_way_to(network)
            && let Some((quietest, _)) = state.quietest(Some(largest))
        {
            state.give_way(quietest);
        }
        let now = Instant::now();
        let number = state.next_number;
        state.next_number += 1;
        state.share.enter(network, number);
        state.shaking.insert(
            number,
            Shaking {
                network,
                begun: now,
                active: now,
                waker: None,
                gives_way: false,
            },
        );
        self.number = Some(number);
    }

    /// The handshake's task runs. Ready if the handshake has to give way.
    pub(super) fn poll_gives_way(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(number) = self.number else {
            return Poll::Pending;
        };
        let mut state = self.slots.lock();
        match state.shaking.get_mut(&number) {
            Some(shaking) if shaking.gives_way => Poll::Ready(()),
            Some(shaking) => {
                shaking.active = Instant::now();
                match &mut shaking.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }

    /// The handshake has succeeded: its peer is no stranger any more.
    pub(super) fn has_shaken(&mut self) {
        if let Some(number) = self.number.take() {
            self.slots.lock().settle(number);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.slots.lock();
        if let Some(number) = self.number {
            state.settle(number);
        }
        state.taken -= 1;
        for waiter in state.waiters.drain(..) {
            waiter.wake();
        }
    }
}
