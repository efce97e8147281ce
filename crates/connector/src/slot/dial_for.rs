//! The boxed service that dials a partner for each connection.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use couplet_endpoint::{BoxIo, Conn};
use couplet_pairing::PairError;
use futures::future::BoxFuture;
use tower::Service;

/// Joins each connection with a partner that is dialled for it.
pub(crate) trait DialFor:
    Service<
        Conn<BoxIo>,
        Response = (),
        Error = PairError,
        Future = BoxFuture<'static, Result<(), PairError>>,
    > + Send
    + 'static
{
}

impl<S> DialFor for S where
    S: Service<
            Conn<BoxIo>,
            Response = (),
            Error = PairError,
            Future = BoxFuture<'static, Result<(), PairError>>,
        > + Send
        + 'static
{
}

/// A clone is a reference count, and makes its own service when it is polled for readiness: a stack of
/// handshakes clones all services below for each connection, and uses only the last clone.
pub(super) struct DialForSlot {
    prototype: Arc<Mutex<dyn Prototype>>,
    service: Option<Box<dyn DialFor>>,
}

trait Prototype: Send {
    fn make(&self) -> Box<dyn DialFor>;
}

// ===== impl DialForSlot =====

impl DialForSlot {
    pub(super) fn new(service: impl DialFor + Clone) -> Self {
        Self {
            prototype: Arc::new(Mutex::new(service)),
            service: None,
        }
    }

    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PairError>> {
        let service = self.service.get_or_insert_with(|| {
            let prototype = self.prototype.lock();
            prototype.unwrap_or_else(PoisonError::into_inner).make()
        });
        service.poll_ready(cx)
    }

    pub(super) fn call(&mut self, conn: Conn<BoxIo>) -> BoxFuture<'static, Result<(), PairError>> {
        let service = self.service.as_mut();
        service.expect("poll_ready comes before call").call(conn)
    }
}

impl Clone for DialForSlot {
    fn clone(&self) -> Self {
        Self {
            prototype: Arc::clone(&self.prototype),
            service: None,
        }
    }
}

// ===== impl Prototype =====

impl<S: DialFor + Clone> Prototype for S {
    fn make(&self) -> Box<dyn DialFor> {
        Box::new(self.clone())
    }
}
