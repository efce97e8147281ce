//! The matchmaker's end of a switchboard.

use std::{
    collections::{HashMap, VecDeque},
    task::{Context, Poll},
};

use couplet_endpoint::{Io, Refusal};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::switchboard::{Ask, Reserved};
use crate::{
    rendezvous::{
        asking::{ANSWER_TIMEOUT, Answer},
        waiting::Waiting,
    },
    unjoined::Unjoined,
};

/// Connections that are taken for partners from elsewhere. Each is in one of these sets, and in none of
/// the matchmaker's.
#[derive(Debug)]
pub(super) struct Guests<I, T> {
    asks: mpsc::UnboundedReceiver<Ask<I>>,
    asking: mpsc::UnboundedSender<Ask<I>>,
    /// Peers that are asked whether they are there.
    asked: JoinSet<(Answer<Waiting<I, T>>, Taking<I>)>,
    /// With how often each was given back before.
    reserved: HashMap<u64, (Waiting<I, T>, u32)>,
    /// Those that are joined as soon as a pair is requested.
    joins: VecDeque<(Waiting<I, T>, Partner<I, T>)>,
}

/// The partner of one that is taken.
#[derive(Debug)]
pub(super) enum Partner<I, T> {
    /// It comes from elsewhere.
    There(Unjoined<I>),
    /// It was taken here, too.
    Here(Waiting<I, T>),
}

/// A caller waits for a connection.
#[derive(Debug)]
pub(super) struct Taking<I> {
    reply: oneshot::Sender<Reserved<I>>,
    returned: u32,
}

/// What the matchmaker has to do.
#[derive(Debug)]
pub(super) enum Errand<I, T> {
    /// Take this one out, if it waits alone.
    Take(u64, oneshot::Sender<Reserved<I>>),
    /// Goes on waiting; was given back this often.
    PutBack(Waiting<I, T>, u32),
    /// Is gone.
    Vanished(Waiting<I, T>),
    /// Is refused.
    Refuse(Waiting<I, T>, Refusal),
}

// ===== impl Guests =====

impl<I: Io, T: Send + 'static> Guests<I, T> {
    pub(super) fn new(
        asks: mpsc::UnboundedReceiver<Ask<I>>,
        asking: mpsc::UnboundedSender<Ask<I>>,
    ) -> Self {
        Self {
            asks,
            asking,
            asked: JoinSet::new(),
            reserved: HashMap::new(),
            joins: VecDeque::new(),
        }
    }

    /// Whether no connection is taken.
    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.reserved.is_empty() && self.joins.is_empty()
    }

    /// The next errand, if there is one.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Option<Errand<I, T>> {
        while let Poll::Ready(Some(answer)) = self.asked.poll_join_next(cx) {
            // Where a foreign io has panicked, the connection is gone.
            if let Ok((Answer { waiting, is_alive }, taking)) = answer {
                match is_alive {
                    true => self.reserve(waiting, taking),
                    false => return Some(Errand::Vanished(waiting)),
                }
            }
        }
        // The channel stays open: one of its senders is here.
        while let Poll::Ready(Some(ask)) = self.asks.poll_recv(cx) {
            match ask {
                Ask::Take(number, reply) => return Some(Errand::Take(number, reply)),
                Ask::Back(number) => {
                    if let Some((waiting, returned)) = self.reserved.remove(&number) {
                        return Some(Errand::PutBack(waiting, returned.saturating_add(1)));
                    }
                }
                Ask::Join(number, partner) => {
                    if let Some((waiting, _)) = self.reserved.remove(&number) {
                        self.joins.push_back((waiting, Partner::There(partner)));
                    }
                }
                Ask::Couple(one, other) => {
                    let two = [one, other].map(|number| self.reserved.remove(&number));
                    if let [Some((one, _)), Some((other, _))] = two {
                        self.joins.push_back((one, Partner::Here(other)));
                    }
                }
                Ask::Refuse(number, refusal, extensions) => {
                    if let Some((mut waiting, _)) = self.reserved.remove(&number) {
                        waiting.info_mut().extensions = extensions;
                        return Some(Errand::Refuse(waiting, refusal));
                    }
                }
            }
        }
        None
    }

    /// Reserves a connection for the caller that takes it, after asking its peer if need be.
    pub(super) fn give(
        &mut self,
        mut waiting: Waiting<I, T>,
        reply: oneshot::Sender<Reserved<I>>,
        returned: u32,
    ) {
        let taking = Taking { reply, returned };
        if !waiting.may_have_vanished() {
            return self.reserve(waiting, taking);
        }
        self.asked.spawn(async move {
            let is_alive = waiting.is_alive(ANSWER_TIMEOUT).await;
            (Answer { waiting, is_alive }, taking)
        });
    }

    /// The next two to be joined.
    pub(super) fn next_join(&mut self) -> Option<(Waiting<I, T>, Partner<I, T>)> {
        self.joins.pop_front()
    }

    fn reserve(&mut self, waiting: Waiting<I, T>, Taking { reply, returned }: Taking<I>) {
        let number = waiting.number();
        let info = waiting.info().clone();
        let asking = self.asking.clone();
        self.reserved.insert(number, (waiting, returned));
        // If no caller waits for it any more, its drop gives it back.
        let _ = reply.send(Reserved::new(number, info, returned, asking));
    }
}
