//! What a dialled side dials: one target, or one for each client.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

#[cfg(unix)]
use couplet_connector::endpoint::UnixDial;
use couplet_connector::{
    endpoint::{BoxError, Conn, Dial, DialError, Info, TcpIo},
    layers::{DialledForLayer, Protocol, Replaceable},
};
use futures::{
    FutureExt, TryFutureExt,
    future::{BoxFuture, Either, ErrInto, MapOk},
};
use tower::{Layer, Service};

use crate::{
    routes::{Routes, Target},
    stream::Stream,
};

/// Dials a side.
#[derive(Clone, Debug)]
pub(crate) struct Dialler {
    /// Its target is dialled where no route leads elsewhere.
    pub(crate) dial: AnyDial,
    pub(crate) routes: Option<Routed>,
    /// A layer of the side has to know the client.
    pub(crate) tells_for_whom: bool,
}

/// The targets of a side that depend on the client.
#[derive(Clone, Debug)]
pub(crate) struct Routed {
    pub(crate) routes: Replaceable<Arc<Routes>>,
    /// How a TCP target is dialled: it is given the target.
    pub(crate) tcp: Dial,
    /// The same of a Unix socket.
    #[cfg(unix)]
    pub(crate) unix: UnixDial,
}

/// A dial of any kind.
#[derive(Clone, Debug)]
pub(crate) enum AnyDial {
    Tcp(Dial),
    #[cfg(unix)]
    Unix(UnixDial),
}

type Result<T, E = BoxError> = std::result::Result<T, E>;

/// A plain dial is boxed once, by itself.
type Dialling = Either<
    ErrInto<
        MapOk<BoxFuture<'static, Result<Conn<TcpIo>, DialError>>, fn(Conn<TcpIo>) -> Conn<Stream>>,
        BoxError,
    >,
    BoxFuture<'static, Result<Conn<Stream>>>,
>;

// ===== impl Dialler =====

impl Dialler {
    fn choose(&self, client: &Info) -> Result<AnyDial> {
        let Some(routed) = &self.routes else {
            return Ok(self.dial.clone());
        };
        let protocol = client.extensions.get().unwrap_or(&Protocol::Unknown);
        match routed.routes.current().find(protocol) {
            Some(Target::Dial(addr)) => {
                let dial = routed.tcp.clone().retarget(addr.clone());
                Ok(AnyDial::Tcp(dial))
            }
            #[cfg(unix)]
            Some(Target::Unix(addr)) => {
                let dial = routed.unix.clone().retarget(addr.clone());
                Ok(AnyDial::Unix(dial))
            }
            #[cfg(not(unix))]
            Some(Target::Unix(addr)) => {
                Err(format!("no Unix sockets on this system: {addr}").into())
            }
            Some(Target::Refuse) => Err(format!("the routes refuse `{protocol}`").into()),
            None => Ok(self.dial.clone()),
        }
    }
}

impl Service<Info> for Dialler {
    type Response = Conn<Stream>;
    type Error = BoxError;
    type Future = Dialling;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, client: Info) -> Dialling {
        match self.choose(&client) {
            Ok(mut dial) if !self.tells_for_whom => dial.call(client),
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
    type Response = Conn<Stream>;
    type Error = BoxError;
    type Future = Dialling;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Dialling {
        self.dial.call(())
    }
}

// ===== impl AnyDial =====

impl<R> Service<R> for AnyDial {
    type Response = Conn<Stream>;
    type Error = BoxError;
    type Future = Dialling;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: R) -> Dialling {
        match self {
            Self::Tcp(dial) => {
                let as_stream: fn(Conn<TcpIo>) -> _ = |conn| conn.map_io(Stream::Tcp);
                dial.call(()).map_ok(as_stream).err_into().left_future()
            }
            #[cfg(unix)]
            Self::Unix(dial) => {
                let dial = dial.clone();
                let dialling = async move {
                    crate::own_addresses::refuse_unix(dial.target())?;
                    Ok(dial.connect().await?.map_io(Stream::Unix))
                };
                dialling.boxed().right_future()
            }
        }
    }
}
