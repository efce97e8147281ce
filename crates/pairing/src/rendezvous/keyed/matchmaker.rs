mod room;

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{Conn, Info, Io, Replay, Side};
use tokio::{
    sync::oneshot,
    task::{Id, JoinSet},
};

use super::{
    Keyed, Third,
    guests::{Errand, Guests, Partner},
    index::{Index, Rank, Tag},
    switchboard::{Attachment, Notifier, Reserved},
};
use crate::{
    Policy, Refusal, WaitingCounts,
    handover::Sender,
    pair::Pair,
    rendezvous::{
        asking::{Answer, Asking},
        demand::{Demand, Timer},
        slot::{Arrival, Arrivals},
        waiting::{Change, Removed, Waiting, WaitingSet, tell_refused},
    },
    unjoined::Unjoined,
};

/// The task that keeps the waiting connections, and joins two with the same key when a pair is
/// requested.
#[derive(Debug)]
pub(super) struct Matchmaker<I, K, S> {
    keyed: Keyed<K, S>,
    arrivals: Arrivals<I>,
    waiting: WaitingSet<I, Tag<K, S>>,
    index: Index<K, S>,
    max_waiting: usize,
    counts: WaitingCounts,
    demand: Demand<Pair<Replay<I>, Replay<I>>>,
    timer: Timer,
    asking: Asking<Waiting<I, Tag<K, S>>, Waiting<I, Tag<K, S>>>,
    /// The keys of the couples that are asked.
    asked: HashMap<Id, K>,
    /// The keys of the live sessions, where a third is refused.
    joined: HashSet<K>,
    /// One task for each live session, which waits for its end.
    ends: JoinSet<K>,
    /// One task for each refused connection that gets a reply.
    replies: JoinSet<()>,
    /// Where partners may come from elsewhere.
    guests: Option<Box<Guests<I, Tag<K, S>>>>,
}

// ===== impl Matchmaker =====

impl<I, K, S> Matchmaker<I, K, S>
where
    I: Io,
    K: Eq + Hash + Clone + Send + 'static,
    S: Eq + Clone + Send + 'static,
{
    pub(super) fn new(
        keyed: Keyed<K, S>,
        policy: Policy,
        arrivals: Arrivals<I>,
        sender: Sender<Pair<Replay<I>, Replay<I>>>,
        counts: WaitingCounts,
        attachment: Option<Attachment<I, K, S>>,
    ) -> Self {
        let (guests, notifier) = attachment
            .map(
                |Attachment {
                     asks,
                     asking,
                     notices,
                 }| {
                    (Box::new(Guests::new(asks, asking)), Notifier::new(notices))
                },
            )
            .unzip();
        Self {
            arrivals,
            waiting: WaitingSet::new(policy, counts.clone()).silent(keyed.silent),
            index: Index::new(notifier),
            max_waiting: policy.max_waiting,
            keyed,
            counts,
            demand: Demand::new(sender),
            timer: Timer::default(),
            asking: Asking::new(),
            asked: HashMap::new(),
            joined: HashSet::new(),
            ends: JoinSet::new(),
            replies: JoinSet::new(),
            guests,
        }
    }

    /// The number of keys with which connections wait.
    pub(super) fn keys(&self) -> usize {
        self.index.keys()
    }

    /// Accepts a newcomer, or refuses it.
    fn enter(&mut self, arrival: Arrival<I>) {
        let info = &arrival.conn.info;
        let Some(tag) = self.keyed.tag(info) else {
            tell_refused(&self.counts, info, Refusal::UnknownKey, Duration::ZERO);
            return self.reply(arrival.conn, Refusal::UnknownKey);
        };
        let entered = self.waiting.enter(arrival, tag.clone());
        match entered.map(Waiting::number) {
            Err(removed) => self.removed(removed),
            Ok(number) => match self.make_room_for(&tag) {
                Ok(()) => {
                    let with_key = self.enter_index(number, tag);
                    self.log_entered(number, with_key);
                }
                Err(refusal) => self.refuse(number, refusal),
            },
        }
    }

    /// Returns how many of the key wait alone, the connection among them; `None` where it has a partner.
    fn enter_index(&mut self, number: u64, tag: Tag<K, S>) -> Option<usize> {
        let is_open = self.waiting.get(number)?.is_open();
        self.index.enter(Rank { is_open, number }, tag)
    }

    fn log_entered(&self, number: u64, with_key: Option<usize>) {
        let Some(waiting) = self.waiting.get(number) else {
            return;
        };
        let info = waiting.info();
        let side = info.side.map(tracing::field::display);
        if let Some(with_key) = with_key {
            // The line that tells whether a far end is there: two ends with different keys both wait.
            tracing::info!(side, conn = info.id.get(), peer = %info.peer_name(),
                with_same_key = with_key, in_all = self.index.alone(),
                "waits for a partner with the same key");
        } else {
            tracing::debug!(side, conn = info.id.get(), peer = %info.peer_name(),
                "waits for a partner, and has found one");
        }
    }

    /// Takes the next two live connections that can be joined.
    fn take_couple(&mut self) -> Option<(Waiting<I, Tag<K, S>>, Waiting<I, Tag<K, S>>)> {
        loop {
            let numbers = self.index.next_couple()?;
            match numbers.map(|number| self.take_alive(number)) {
                [Some(one), Some(other)] => return Some((one, other)),
                [Some(left), None] | [None, Some(left)] => self.put_back(left),
                [None, None] => {}
            }
        }
    }

    fn put_back(&mut self, waiting: Waiting<I, Tag<K, S>>) {
        let tag = waiting.tag.clone();
        match self.waiting.put_back(waiting).map(Waiting::number) {
            Ok(number) => {
                self.enter_index(number, tag);
            }
            Err(removed) => self.removed(removed),
        }
    }

    /// Joins the two, or asks first whether they are there.
    fn join_or_ask(&mut self, one: Waiting<I, Tag<K, S>>, other: Waiting<I, Tag<K, S>>) {
        let key = one.tag.key.clone();
        match self.asking.ask(one, other) {
            Ok((one, other)) => self.join(one, other.leave()),
            Err(question) => {
                self.asked.insert(question, key);
            }
        }
    }

    /// A peer has answered, or has not.
    fn answered(&mut self, Answer { waiting, is_alive }: Answer<Waiting<I, Tag<K, S>>>) {
        match is_alive {
            true => self.put_back(waiting),
            false => {
                let removed = self.waiting.vanished(waiting);
                self.removed(removed);
            }
        }
    }

    /// Does what the other end of the switchboard asks for.
    fn poll_guests(&mut self, cx: &mut Context<'_>) {
        while let Some(errand) = self.guests.as_mut().and_then(|guests| guests.poll_next(cx)) {
            match errand {
                Errand::Take(number, reply) => self.give(number, reply),
                Errand::PutBack(waiting, times) => {
                    self.index.is_returned(Some((times, waiting.since())));
                    self.put_back(waiting);
                    self.index.is_returned(None);
                }
                Errand::Vanished(waiting) => {
                    let removed = self.waiting.vanished(waiting);
                    self.removed(removed);
                }
                Errand::Refuse(waiting, refusal) => {
                    self.left(waiting, Some(refusal));
                }
            }
        }
    }

    /// Gives a connection that waits alone, for a partner from elsewhere.
    fn give(&mut self, number: u64, reply: oneshot::Sender<Reserved<I>>) {
        if let Some(returned) = self.index.returned(number)
            && let Some(waiting) = self.take_alive(number)
            && let Some(guests) = &mut self.guests
        {
            self.index.leave(number, &waiting.tag.key);
            guests.give(waiting, reply, returned);
        }
    }

    /// Joins the next of those that have a partner from elsewhere. Returns whether there was one.
    fn join_guest(&mut self) -> bool {
        let Some((mut waiting, partner)) = self.guests.as_mut().and_then(|it| it.next_join())
        else {
            return false;
        };
        let alive = self.waiting.is_alive(&mut waiting);
        match (alive, partner) {
            (Ok(()), Partner::There(partner)) => {
                let mut partner = partner.take().map_io(Replay::new);
                partner.info.is_through();
                self.join(waiting, partner);
            }
            (Ok(()), Partner::Here(mut other)) => match self.waiting.is_alive(&mut other) {
                Ok(()) if waiting.number() < other.number() => self.join(waiting, other.leave()),
                Ok(()) => self.join(other, waiting.leave()),
                Err(refusal) => {
                    self.left(other, refusal);
                    self.put_back(waiting);
                }
            },
            (Err(refusal), partner) => {
                self.left(waiting, refusal);
                if let Partner::Here(other) = partner {
                    self.put_back(other);
                }
            }
        }
        true
    }

    /// One that was taken has left.
    fn left(&mut self, waiting: Waiting<I, Tag<K, S>>, refusal: Option<Refusal>) {
        let removed = self.waiting.part_from(waiting, refusal);
        self.removed(removed);
    }

    /// Gives the connections to the pairing that takes them over, if there is one.
    fn give_to_heir(&mut self) {
        let Some(heir) = self.arrivals.heir() else {
            return;
        };
        for number in self.waiting.numbers() {
            if let Some(waiting) = self.take_alive(number) {
                self.index.leave(number, &waiting.tag.key);
                heir.give(waiting.leave());
            }
        }
    }

    fn take_alive(&mut self, number: u64) -> Option<Waiting<I, Tag<K, S>>> {
        match self.waiting.take(number)? {
            Ok(waiting) => Some(waiting),
            Err(removed) => {
                self.removed(removed);
                None
            }
        }
    }

    fn join(&mut self, one: Waiting<I, Tag<K, S>>, other: Conn<Replay<I>>) {
        let (one, Tag { key, .. }) = one.into_parts();
        let (a, b) = in_order(one, other);
        let pair = Pair::new(a, b);
        match self.keyed.third {
            Third::Queue => {}
            Third::Refuse => {
                self.joined.insert(key.clone());
                let session = pair.session.handle();
                self.ends.spawn(async move {
                    session.ended().await;
                    key
                });
            }
            Third::LetGo => {
                while let Some(&left_over) = self.index.alone_with(&key).first() {
                    self.refuse(left_over.number, Refusal::Redundant);
                }
            }
        }
        self.demand.send(pair);
    }

    fn refuse(&mut self, number: u64, refusal: Refusal) {
        if let Some(removed) = self.waiting.refuse(number, refusal) {
            self.removed(removed);
        }
    }

    /// A connection has left the waiting set without being taken.
    fn removed(&mut self, Removed { waiting, refusal }: Removed<I, Tag<K, S>>) {
        let number = waiting.number();
        let (conn, tag) = waiting.into_parts();
        self.index.leave(number, &tag.key);
        let conn = Unjoined::new(conn);
        if let Some(refusal) = refusal {
            self.reply(conn, refusal);
        }
    }

    fn changed(&mut self, change: Change<I, Tag<K, S>>) {
        match change {
            Change::Removed(removed) => self.removed(removed),
            Change::Ended(number) => {
                if let Some(waiting) = self.waiting.get(number) {
                    self.index.ended(number, &waiting.tag.key);
                }
            }
        }
    }

    /// Sends a refused connection its reply, if there is one and not too many are under way.
    fn reply(&mut self, conn: Unjoined<impl Io>, refusal: Refusal) {
        if let Some(reply) = &self.keyed.refusal_reply
            && self.replies.len() < self.max_waiting.saturating_mul(2)
            && let Some(sending) = reply.send(conn, refusal)
        {
            self.replies.spawn(sending);
        }
    }

    /// Collects the sessions that have ended and the replies that are sent.
    fn poll_done(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(ended)) = self.ends.poll_join_next(cx) {
            if let Ok(key) = ended {
                self.joined.remove(&key);
            }
        }
        while let Poll::Ready(Some(_)) = self.replies.poll_join_next(cx) {}
    }

    /// Whether no pair can come any more, and no reply is under way.
    fn is_exhausted(&self) -> bool {
        self.arrivals.are_over()
            && !self.index.has_couples()
            && self.asking.is_empty()
            && self.replies.is_empty()
            && self.guests.as_ref().is_none_or(|guests| guests.is_empty())
    }

    /// Its work: ready when no more pairs can come, or none are wanted.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.arrivals.register_for_heir(cx);
        loop {
            while let Some(arrival) = self.arrivals.poll_next(cx) {
                self.enter(arrival);
            }
            for change in self.waiting.poll_keep(cx) {
                self.changed(change);
            }
            while let Some((question, answers)) = self.asking.poll_next(cx) {
                self.asked.remove(&question);
                if let Some((one, other)) = answers {
                    self.answered(one);
                    self.answered(other);
                }
            }
            if self.guests.is_some() {
                self.poll_guests(cx);
            }
            self.give_to_heir();
            if self.demand.poll(cx).is_err() {
                return Poll::Ready(());
            }
            if self.demand.is_requested() && self.join_guest() {
                continue;
            }
            if self.demand.is_requested()
                && let Some((one, other)) = self.take_couple()
            {
                self.join_or_ask(one, other);
                continue;
            }
            // Last, because all of the above may have begun tasks whose end has to wake this one.
            self.poll_done(cx);
            if self.is_exhausted() {
                return Poll::Ready(());
            }
            if self.timer.poll(cx, self.waiting.next_due()).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// The connection on side A first; where neither is, the older.
fn in_order<I>(older: Conn<I>, newer: Conn<I>) -> (Conn<I>, Conn<I>) {
    let is = |info: &Info, side| info.side == Some(side);
    let newer_is_a = is(&newer.info, Side::A) && !is(&older.info, Side::A);
    let older_is_b = is(&older.info, Side::B) && !is(&newer.info, Side::B);
    match newer_is_a || older_is_b {
        true => (newer, older),
        false => (older, newer),
    }
}
