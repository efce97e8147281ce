//! What a dialled side dials: one target, or one for each client.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use couplet_connector::{
    endpoint::{BoxError, Conn, Dial, DialError, Info, TcpIo},
    layers::{DialledForLayer, Protocol, Replaceable},
};
use futures::{
    FutureExt, TryFutureExt,
    future::{BoxFuture, Either, ErrInto},
};
use tower::{Layer, Service};

use crate::routes::{Routes, Target};

/// Dials a side.
#[derive(Clone, Debug)]
pub(crate) struct Dialler {
    /// No other client is meant.
    pub(crate) dial: Dial,
    pub(crate) routes: Option<Replaceable<Arc<Routes>>>,
    /// A layer of the side has to know the client.
    pub(crate) tells_for_whom: bool,
}

/// A plain dial is boxed once, by itself.
type Dialling = Either<
    ErrInto<BoxFuture<'static, Result<Conn<TcpIo>, DialError>>, BoxError>,
    BoxFuture<'static, Result<Conn<TcpIo>, BoxError>>,
>;

// ===== impl Dialler =====

impl Dialler {
    fn choose(&self, client: &Info) -> Result<Dial, BoxError> {
        let Some(routes) = &self.routes else {
            return Ok(self.dial.clone());
        };
        let protocol = client.extensions.get().unwrap_or(&Protocol::Unknown);
        match routes.current().find(protocol) {
            Some(Target::Dial(addr)) => Ok(self.dial.clone().retarget(addr.clone())),
            Some(Target::Refuse) => Err(format!("the routes refuse `{protocol}`").into()),
            None => Ok(self.dial.clone()),
        }
    }
}

impl Service<Info> for Dialler {
    type Response = Conn<TcpIo>;
    type Error = BoxError;
    type Future = Dialling;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, client: Info) -> Dialling {
        match self.choose(&client) {
            Ok(mut dial) if !self.tells_for_whom => dial.call(client).err_into().left_future(),
            Ok(dial) => {
                let dialling = DialledForLayer.layer(dial).call(client);
                dialling.err_into().boxed().right_future()
            }
            Err(error) => std::future::ready(Err(error)).boxed().right_future(),
        }
    }
}

/// Where the side is dialled by itself.
impl Service<()> for Dialler {
    type Response = Conn<TcpIo>;
    type Error = BoxError;
    type Future = Dialling;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Dialling {
        self.dial.call(()).err_into().left_future()
    }
}
