//! Each connection brings its own partner: dial, then pair.

use std::{
    fmt,
    future::poll_fn,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{BoxError, Conn, ConnEvent, Info, Io, Replay, Side};
use futures::{FutureExt, future::BoxFuture};
use tower_service::Service;

use crate::{
    Pair, PairError, PairingEnded, Pairs, Policy, WaitingCounts,
    handover::{Giver, handover},
    seats::{Seat, Seats, free_seats},
    unjoined::Unjoined,
    watch::while_alive,
};

/// Dials a partner on side B for each connection of side A.
///
/// Returns the innermost service of side A's stack, and the pairs.
///
/// `connect` gets what is known of the connection and answers with its partner: it may be a
/// [`Dial`](couplet_endpoint::Dial), that under side B's stack, or a function that chooses the
/// target. Dials run side by side, as many as there are [places](Policy::max_waiting); the partner
/// belongs to this connection and no other, and a dial that fails resets only this one.
///
/// A connection whose partner is not there within a quarter of a second is watched from then on, as
/// in a [`rendezvous`](crate::rendezvous): where its peer resets it, or ends its stream without
/// having sent a byte, its dial is given up, its place is free, and it counts as
/// [died](WaitingCounts::died). To know this, up to [`Policy::early`] bytes are read ahead and
/// replayed to the reader of the joined connection.
pub fn dial_for_a<A, B, C>(policy: Policy, connect: C) -> (DialForA<A, B, C>, Joined<A, B>)
where
    C: Service<Info, Response = Conn<B>>,
{
    dial_for(Side::A, policy, connect, Pair::new)
}

/// Dials a partner on side A for each connection of side B: [`dial_for_a`] the other way round.
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
    let (giver, taker) = handover();
    let service = DialFor {
        side,
        connect,
        join,
        seats: Seats::new(free_seats(policy.max_waiting)),
        giver,
        early: policy.early,
        counts: counts.clone(),
    };
    (service, Pairs::new(taker, counts))
}

/// Dials a partner for each connection it is called with, and joins the two: made by
/// [`dial_for_a`] and [`dial_for_b`].
///
/// `poll_ready` reserves a place and the dialling service's readiness, `call` takes both, and the
/// place is free again when the pair is joined or given up. A clone has none.
///
/// `I` is the io of the connections that come, `J` that of their partners, `C` the service that
/// dials, and `P` the [`Pair`] of the two, in the order of the sides.
pub struct DialFor<I, J, C, P> {
    side: Side,
    connect: C,
    join: fn(Conn<Replay<I>>, Conn<Replay<J>>) -> P,
    seats: Seats,
    giver: Giver<P>,
    early: usize,
    counts: WaitingCounts,
}

/// Counts a connection as waiting, as long as it is there.
struct Waits {
    counts: WaitingCounts,
    side: Side,
    _seat: Seat,
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
        if self.giver.is_closed() {
            return Poll::Ready(Err(PairingEnded(()).into()));
        }
        ready!(self.seats.poll_reserve(cx))?;
        self.connect
            .poll_ready(cx)
            .map_err(|error| PairError::partner(error.into()))
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        let waits = Waits::new(self.seats.take(), self.counts.clone(), self.side);
        let mut conn = Unjoined::new(conn.on(self.side).map_io(Replay::new));
        conn.info.is_through();
        conn.info.tell(ConnEvent::Waits);
        let dialling = self.connect.call(conn.info.clone());
        let join = self.join;
        let mut giver = self.giver.clone();
        let early = self.early;
        async move {
            let partner = async {
                let partner = giver
                    .while_open(dialling)
                    .await
                    .ok_or(PairingEnded(()))?
                    .map_err(|error| PairError::partner(error.into()))?;
                let mut partner = Unjoined::new(partner.map_io(Replay::new));
                partner.info.is_through();
                // Joined only when there is room for the pair, as in a rendezvous.
                let asked = poll_fn(|cx| giver.poll_asked(cx)).await;
                Ok::<_, PairError>((partner, asked.ok_or(PairingEnded(()))?))
            };
            let Some(partner) = while_alive(partner, &mut conn, early).await else {
                tracing::debug!(
                    conn = conn.info.id.get(),
                    "went away before its partner was there"
                );
                waits.died();
                conn.info.tell(ConnEvent::Gone);
                return Ok(());
            };
            let (partner, asked) = partner?;
            giver.give(asked, join(conn.take(), partner.take()));
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
            seats: self.seats.clone(),
            giver: self.giver.clone(),
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
    fn new(seat: Seat, counts: WaitingCounts, side: Side) -> Self {
        counts.side(side).entered();
        Self {
            counts,
            side,
            _seat: seat,
        }
    }
}

impl Waits {
    /// The connection went away.
    fn died(&self) {
        self.counts.side(self.side).died();
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.counts.side(self.side).left();
    }
}
