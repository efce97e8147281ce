//! Leads a dialled connection through its side's stack and back to the dial.

use std::{
    any::Any,
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{BoxError, BoxIo, Conn, Side};
use pin_project::pin_project;
use thiserror::Error;
use tower::Service;

use super::{
    Slot,
    deliver::{Deliveries, Expected},
};
use crate::stack::SideStack;

/// Leads a dialled connection through its side's stack, and answers with the connection.
#[derive(Clone, Debug)]
pub(crate) struct Passage<S> {
    side: Side,
    stack: S,
    deliveries: Deliveries,
    /// The stack has no layers.
    is_bare: bool,
}

#[pin_project(project = PassageProj)]
pub(crate) enum PassageFuture<F> {
    /// The stack has no layers.
    Bare(Option<Conn<BoxIo>>),
    Through {
        #[pin]
        arriving: F,
        expected: Expected,
        side: Side,
    },
}

/// A side stack answered without having handed on its connection.
#[derive(Debug, Error)]
#[error(
    "side {0}'s stack answered but handed no connection on: a layer must call its inner service"
)]
struct NotDelivered(Side);

// ===== impl Passage =====

impl<S: SideStack> Passage<S> {
    /// A passage through the stack that these layers make.
    pub(crate) fn new(side: Side, layers: impl FnOnce(Slot) -> S) -> Self {
        let deliveries = Deliveries::default();
        let stack = layers(Slot::deliver(deliveries.clone()));
        let slot = (&stack as &dyn Any).downcast_ref::<Slot>();
        Self {
            side,
            is_bare: slot.is_some_and(Slot::delivers),
            stack,
            deliveries,
        }
    }
}

impl<S: SideStack> Service<Conn<BoxIo>> for Passage<S> {
    type Response = Conn<BoxIo>;
    type Error = BoxError;
    type Future = PassageFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.stack.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, conn: Conn<BoxIo>) -> Self::Future {
        if self.is_bare {
            return PassageFuture::Bare(Some(conn));
        }
        PassageFuture::Through {
            expected: self.deliveries.expect(conn.info.id),
            arriving: self.stack.call(conn),
            side: self.side,
        }
    }
}

// ===== impl PassageFuture =====

impl<F, E> Future for PassageFuture<F>
where
    F: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    type Output = Result<Conn<BoxIo>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project() {
            PassageProj::Bare(conn) => {
                Ok(conn.take().expect("a future is not polled after its end"))
            }
            PassageProj::Through {
                arriving,
                expected,
                side,
            } => {
                ready!(arriving.poll(cx)).map_err(Into::into)?;
                expected.take().ok_or_else(|| NotDelivered(*side).into())
            }
        })
    }
}
