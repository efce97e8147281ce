//! Dials a partner for each connection, and joins the two.

use std::{
    fmt,
    future::poll_fn,
    pin::pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{BoxError, Conn, ConnEvent, FairSlot, FairSlots, Info, Io, Replay, Side};
use futures::{
    FutureExt,
    future::{BoxFuture, Either, select},
};
use tower_service::Service;

use crate::{
    DialReply, Pair, PairError, PairingEnded, Pairs, Policy, WaitingCounts,
    handover::{Sender, handover},
    policy::GIVES_WAY,
    unjoined::Unjoined,
    watch::while_alive,
};

/// Dials a partner on side B for each connection of side A.
///
/// Returns the innermost service of side A's stack, and the pairs.
///
/// `connect` gets the connection's [`Info`] and answers with the partner: it may be a
/// [`Dial`](couplet_endpoint::Dial), a dial below side B's stack, or a function that chooses the target.
/// At most [`Policy::max_waiting`] dials run side by side, shared fairly among the clients' addresses:
/// [`PairError::GaveWay`]. A partner is joined with no other connection,
/// and a failed dial resets only its own connection.
///
/// A connection without a partner after a quarter of a second is watched from then on, as in a
/// [`rendezvous`](crate::rendezvous): if the peer resets, or ends its stream without having sent a byte
/// to its partner or to the relay, the dial is dropped, its slot is free, and the connection counts as
/// [died](WaitingCounts::died). A peer that waits for a [`DialReply`] is told how the dial ended. To notice
/// that a peer is gone, up to [`Policy::early`] bytes are read ahead, and replayed to the reader of the
/// joined connection.
pub fn dial_for_a<A, B, C>(policy: Policy, connect: C) -> (DialForA<A, B, C>, Joined<A, B>)
where
    C: Service<Info, Response = Conn<B>>,
{
    dial_for(Side::A, policy, connect, Pair::new)
}

/// Dials a partner on side A for each connection of side B: [`dial_for_a`] with the sides exchanged.
pub fn dial_for_b<A, B, C>(policy: Policy, connect: C) -> (DialForB<A, B, C>, Joined<A, B>)
where
    C: Service<Info, Response = Conn<A>>,
{
    dial_for(Side::B, policy, connect, |b, a| Pair::new(a, b))
}

type DialForA<A, B, C> = DialFor<A, B, C, Pair<Replay<A>, Replay<B>>>;
type DialForB<A, B, C> = DialFor<B, A, C, Pair<Replay<A>, Replay<B>>>;
type Joined<A, B> = Pairs<Replay<A>, Replay<B>>;

fn dial_for<I, J, C, A, B>(
    side: Side,
    policy: Policy,
    connect: C,
    join: fn(Conn<Replay<I>>, Conn<Replay<J>>) -> Pair<A, B>,
) -> (DialFor<I, J, C, Pair<A, B>>, Pairs<A, B>) {
    let counts = WaitingCounts::default();
    let (sender, receiver) = handover();
    let service = DialFor {
        side,
        connect,
        join,
        slots: FairSlots::new(policy.max_waiting, GIVES_WAY),
        sender,
        early: policy.early,
        counts: counts.clone(),
    };
    (service, Pairs::new(receiver, counts))
}

/// Dials a partner for each connection, and joins the two: made by [`dial_for_a`] and [`dial_for_b`].
///
/// `poll_ready` reserves a slot and the dialling service's readiness, `call` takes both, and the slot is
/// free again when the pair is joined or given up. A clone has none.
///
/// `I` is the io of the connections, `J` that of their partners, `C` the service that dials, and `P` the
/// [`Pair`] of the two, in the order of the sides.
pub struct DialFor<I, J, C, P> {
    side: Side,
    connect: C,
    join: fn(Conn<Replay<I>>, Conn<Replay<J>>) -> P,
    slots: FairSlots,
    sender: Sender<P>,
    early: usize,
    counts: WaitingCounts,
}

/// Counts a connection as waiting until this is dropped.
struct Waits {
    counts: WaitingCounts,
    side: Side,
    slot: FairSlot,
}

// ===== impl DialFor =====

impl<I, J, C, P> Service<Conn<I>> for DialFor<I, J, C, P>
where
    I: Io,
    J: Io,
    P: Send + 'static,
    C: Service<Info, Response = Conn<J>>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = ();
    type Error = PairError;
    type Future = BoxFuture<'static, Result<(), PairError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PairError>> {
        if self.sender.is_closed() {
            return Poll::Ready(Err(PairingEnded(()).into()));
        }
        let reserved = ready!(self.slots.poll_reserve(cx));
        reserved.map_err(|_| PairingEnded(()))?;
        self.connect
            .poll_ready(cx)
            .map_err(|error| PairError::partner(error.into()))
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        let mut waits = Waits::new(self.slots.take(), self.counts.clone(), self.side);
        let network = conn.info.stranger();
        let mut conn = Unjoined::new(conn.on(self.side).map_io(Replay::new));
        conn.info.is_through();
        conn.info.tell(ConnEvent::Waits);
        let dialling = self.connect.call(conn.info.clone());
        let join = self.join;
        let mut sender = self.sender.clone();
        let early = self.early;
        async move {
            let reply = DialReply::of(&conn.info);
            let is_owed = reply.is_some();
            let met = {
                // Pinned, not moved on: each move would cost time, and a place in this future.
                let mut dialling = pin!(dialling);
                let partner = pin!(async {
                    let dialled = {
                        let dialled = pin!(sender.while_open(dialling.as_mut()));
                        // Begins with the first wait: a dial that is done at once keeps no other out.
                        let gives_way = pin!(async {
                            if let Some(network) = network {
                                waits.slot.may_give_way(network);
                            }
                            waits.slot.gives_way().await;
                        });
                        match select(dialled, gives_way).await {
                            Either::Left((dialled, _)) => dialled.ok_or(PairingEnded(()))?,
                            Either::Right(_) => return Err(PairError::GaveWay),
                        }
                    };
                    let partner = dialled.map_err(|error| PairError::partner(error.into()))?;
                    // What the pair waits for now is bounded by itself.
                    waits.slot.settle();
                    let mut partner = Unjoined::new(partner.map_io(Replay::new));
                    partner.info.is_through();
                    // Joined only when there is room for the pair, as in a rendezvous.
                    // A client that waits for a reply has it before.
                    if is_owed {
                        return Ok((partner, None));
                    }
                    let request = poll_fn(|cx| sender.poll_request(cx)).await;
                    Ok::<_, PairError>((partner, Some(request.ok_or(PairingEnded(()))?)))
                });
                while_alive(partner, &mut conn, early).await
            };
            let Some(met) = met else {
                return waits.died(&conn.info);
            };
            let (partner, request) = match (met, reply) {
                (met, None) => met?,
                (Ok((partner, request)), Some(reply)) => {
                    let told = reply.joins(&mut conn.io, &partner.info).await;
                    told.map_err(PairError::Reply)?;
                    (partner, request)
                }
                (Err(PairError::Partner { source }), Some(reply)) => {
                    drop(waits);
                    reply.refuses(conn, &*source).await;
                    return Err(PairError::Asked { source });
                }
                (Err(PairError::GaveWay), Some(reply)) => {
                    drop(waits);
                    reply.refuses(conn, &PairError::GaveWay).await;
                    return Err(PairError::GaveWay);
                }
                (Err(error), Some(_)) => return Err(error),
            };
            let request = match request {
                Some(request) => request,
                None => {
                    let request = pin!(poll_fn(|cx| sender.poll_request(cx)));
                    let Some(request) = while_alive(request, &mut conn, early).await else {
                        return waits.died(&conn.info);
                    };
                    request.ok_or(PairingEnded(()))?
                }
            };
            sender.send(request, join(conn.take(), partner.take()));
            drop(waits);
            Ok(())
        }
        .boxed()
    }
}

impl<I, J, C: Clone, P> Clone for DialFor<I, J, C, P> {
    fn clone(&self) -> Self {
        Self {
            side: self.side,
            connect: self.connect.clone(),
            join: self.join,
            slots: self.slots.clone(),
            sender: self.sender.clone(),
            early: self.early,
            counts: self.counts.clone(),
        }
    }
}

impl<I, J, C: fmt::Debug, P> fmt::Debug for DialFor<I, J, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialFor")
            .field("side", &self.side)
            .field("connect", &self.connect)
            .finish_non_exhaustive()
    }
}

// ===== impl Waits =====

impl Waits {
    fn new(slot: FairSlot, counts: WaitingCounts, side: Side) -> Self {
        counts.side(side).entered();
        Self { counts, side, slot }
    }
}

impl Waits {
    /// The connection went away before it was joined.
    fn died(&self, info: &Info) -> Result<(), PairError> {
        tracing::debug!(
            conn = info.id.get(),
            "went away before its partner was there"
        );
        self.counts.side(self.side).died();
        info.tell(ConnEvent::Gone);
        Ok(())
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.counts.side(self.side).left();
    }
}
