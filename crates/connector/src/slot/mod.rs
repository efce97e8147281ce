//! [`Slot`]: the innermost service of a side's stack.

mod deliver;
mod dial_for;
mod partner;
mod passage;

pub(crate) use self::{dial_for::DialFor, partner::Partner, passage::Passage};

use std::{
    any::Any,
    pin::Pin,
    task::{Context, Poll},
};

use couplet_endpoint::{BoxError, BoxIo, Conn, Io};
use couplet_pairing::{PairError, WaitSlot};
use futures::{FutureExt, future::BoxFuture};
use tower::{Service, ServiceExt, util::BoxCloneService};

use self::{deliver::Deliveries, dial_for::DialForSlot};
use crate::stack::SideStack;

/// The innermost service of a side's stack; in a list of layers, all services below.
///
/// Takes connections of any io, boxes the io, and answers `()`. The connector's
/// [pairing](crate::mode::Pairing) decides what happens to a connection:
///
/// - where both sides accept, the connection waits for a partner;
/// - where the other side is dialled for this one, the slot dials a partner and joins the two;
/// - where this side is dialled for the other, the connection goes back to the dial that made it, which
///   knows it by its [`ConnId`](couplet_endpoint::ConnId). So a layer that makes a new [`Conn`] must hand
///   on the `Info` of the old one.
///
/// `poll_ready` reserves capacity for one connection, `call` takes it, dropping the slot gives it back,
/// and a clone has none.
#[derive(Clone, Debug)]
pub struct Slot(Kind);

#[derive(Clone, derive_more::Debug)]
enum Kind {
    #[debug("wait")]
    Wait(WaitSlot<BoxIo>),
    #[debug("dial for")]
    DialFor(DialForSlot),
    #[debug("deliver")]
    Deliver(Deliveries),
    #[debug("stack")]
    Stack(BoxCloneService<Conn<BoxIo>, (), BoxError>),
}

/// The future of a [`Slot`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct SlotFuture(Answer);

#[derive(derive_more::Debug)]
enum Answer {
    /// `None` once it was given.
    #[debug("done")]
    Done(Option<Result<(), BoxError>>),
    #[debug("joined")]
    Joined(BoxFuture<'static, Result<(), PairError>>),
    #[debug("stack")]
    Stack(BoxFuture<'static, Result<(), BoxError>>),
}

// ===== impl Slot =====

impl Slot {
    /// Connections wait for a partner.
    pub(crate) fn wait(place: WaitSlot<BoxIo>) -> Self {
        Self(Kind::Wait(place))
    }

    /// A partner is dialled for each connection.
    pub(crate) fn dial_for(service: impl DialFor + Clone) -> Self {
        Self(Kind::DialFor(DialForSlot::new(service)))
    }

    /// Connections go back to the dials that made them.
    fn deliver(deliveries: Deliveries) -> Self {
        Self(Kind::Deliver(deliveries))
    }

    /// Whether this is the delivery, without layers above.
    fn delivers(&self) -> bool {
        matches!(self.0, Kind::Deliver(_))
    }

    /// Boxes a stack; a slot is not boxed again.
    pub(crate) fn stack<S: SideStack + Clone>(stack: S) -> Self {
        let mut stack = Some(stack);
        if let Some(slot) = (&mut stack as &mut dyn Any).downcast_mut::<Option<Self>>() {
            return slot.take().expect("it was put there above");
        }
        let stack = stack.expect("it was put there above");
        Self(Kind::Stack(stack.map_err(Into::into).boxed_clone()))
    }
}

impl<I: Io> Service<Conn<I>> for Slot {
    type Response = ();
    type Error = BoxError;
    type Future = SlotFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.0 {
            Kind::Wait(place) => place.poll_ready(cx).map_err(Into::into),
            Kind::DialFor(service) => service.poll_ready(cx).map_err(Into::into),
            Kind::Deliver(_) => Poll::Ready(Ok(())),
            Kind::Stack(stack) => stack.poll_ready(cx),
        }
    }

    fn call(&mut self, conn: Conn<I>) -> SlotFuture {
        let conn = conn.boxed();
        SlotFuture(match &mut self.0 {
            Kind::Wait(place) => {
                let placed = place.call(conn).into_inner();
                Answer::Done(Some(placed.map_err(Into::into)))
            }
            Kind::DialFor(service) => Answer::Joined(service.call(conn)),
            Kind::Deliver(deliveries) => Answer::Done(Some(deliveries.deliver(conn))),
            Kind::Stack(stack) => Answer::Stack(stack.call(conn)),
        })
    }
}

// ===== impl SlotFuture =====

impl Future for SlotFuture {
    type Output = Result<(), BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Done(answer) => {
                Poll::Ready(answer.take().expect("a future is not polled after its end"))
            }
            Answer::Joined(joined) => joined.poll_unpin(cx).map_err(Into::into),
            Answer::Stack(answer) => answer.poll_unpin(cx),
        }
    }
}
