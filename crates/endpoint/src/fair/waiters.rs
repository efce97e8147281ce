//! Tasks in a line.

use std::{collections::BTreeMap, task::Waker};

/// The tasks that wait, in the order in which they came. Only the first is woken: it has to be polled
/// again, or to leave, before the next is.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    next: u64,
    /// None for a task that was woken and was not polled since.
    tickets: BTreeMap<u64, Option<Waker>>,
}

/// A place in the line, if there is one.
pub(super) type Ticket = Option<u64>;

// ===== impl Waiters =====

impl Waiters {
    /// Whether another is to be served before the one with this ticket.
    pub(super) fn are_before(&self, ticket: Ticket) -> bool {
        let first = self.tickets.first_key_value();
        first.is_some_and(|(first, _)| ticket != Some(*first))
    }

    /// Waits, at the end of the line or at the place that it has.
    pub(super) fn wait(&mut self, ticket: &mut Ticket, waker: &Waker) {
        let number = *ticket.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        match self.tickets.entry(number).or_default() {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Leaves the line. Returns the task to wake, as it may be the first now.
    pub(super) fn leave(&mut self, ticket: &mut Ticket) -> Option<Waker> {
        self.tickets.remove(&ticket.take()?)?;
        self.wake_first()
    }

    /// The first, to be woken; none where it has been woken already.
    pub(super) fn wake_first(&mut self) -> Option<Waker> {
        self.tickets.first_entry()?.get_mut().take()
    }

    /// All, to be woken.
    pub(super) fn wake_all(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.tickets).into_values().flatten()
    }
}
