//! [`Slot`]: what the layers of a side are built on.

mod deliver;
mod dial_for;
mod partner;
mod passage;

pub(crate) use self::{dial_for::DialFor, partner::Partner, passage::Passage};

use std::{
    any::Any,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use couplet_endpoint::{BoxError, BoxIo, Conn, Io};
use couplet_pairing::{PairError, WaitSlot};
use futures::{FutureExt, future::BoxFuture};
use tower::{Service, ServiceExt, util::BoxCloneService};

use self::{deliver::Deliveries, dial_for::DialForSlot};
use crate::stack::SideStack;

/// What the layers of a side are built on: the innermost service of the side's stack, or, in a list
/// of layers, all services below.
///
/// A slot takes connections of any io, boxes it where it is not boxed, and answers `()`. What the
/// innermost slot does with a connection depends on the connector's
/// [pairing](crate::mode::Pairing):
///
/// - both sides come by themselves: the connection takes a place among those that wait;
/// - a partner is dialled for each connection of this side: the slot dials it and joins the two;
/// - this side is dialled for the other: the connection is delivered to the dial that made it,
///   which knows it by its [`ConnId`](couplet_endpoint::ConnId). So a layer that makes a new
///   [`Conn`] hands on the `Info` of the old one.
///
/// `poll_ready` reserves what the connection needs, `call` takes it, dropping the slot gives it
/// back, and a clone has nothing reserved.
#[derive(Clone)]
pub struct Slot(Kind);

#[derive(Clone)]
enum Kind {
    Wait(WaitSlot<BoxIo>),
    DialFor(DialForSlot),
    Deliver(Deliveries),
    Stack(BoxCloneService<Conn<BoxIo>, (), BoxError>),
}

/// The future of a [`Slot`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct SlotFuture(Answer);

enum Answer {
    /// `None` once it was given.
    Done(Option<Result<(), BoxError>>),
    Joined(BoxFuture<'static, Result<(), PairError>>),
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

    /// Is it the delivery, with no layers above?
    fn delivers(&self) -> bool {
        matches!(self.0, Kind::Deliver(_))
    }

    /// A stack whose type is forgotten; a slot stays as it is.
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

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Wait(_) => "Slot(wait)",
            Kind::DialFor(_) => "Slot(dial for)",
            Kind::Deliver(_) => "Slot(deliver)",
            Kind::Stack(_) => "Slot(stack)",
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

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done(_) => "done",
            Self::Joined(_) => "joined",
            Self::Stack(_) => "stack",
        })
    }
}
