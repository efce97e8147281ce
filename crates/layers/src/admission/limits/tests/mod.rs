mod conns;
mod flood;
mod queue;
#[cfg(feature = "rate-limit")]
mod rates;

use std::{convert::Infallible, net::IpAddr};

use couplet_endpoint::{
    BoxError, Conn, Io, Replay,
    memory::{self, MemoryStream},
};
use futures::{FutureExt, future::BoxFuture};
use tokio_test::task::{self, Spawn};
use tower::{Service, ServiceExt, service_fn};

use super::{OverLimit, table::Permit};
use crate::{admission::live_limit::Live, testing::conn};

/// A connection that is let in.
type Open = Live<Replay<MemoryStream>, Permit>;

type Coming<T> = Spawn<BoxFuture<'static, Result<T, BoxError>>>;

/// A connection of this address, and its peer.
fn from(address: impl Into<IpAddr>) -> (MemoryStream, Conn<MemoryStream>) {
    let (peer, io) = memory::connection(64);
    let mut conn = conn(io);
    conn.info.peer = Some((address.into(), 4711).into());
    (peer, conn)
}

/// The innermost service: gives the connection back.
fn give_back<I: Io>()
-> impl Service<Conn<I>, Response = Conn<I>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
    service_fn(async |conn: Conn<I>| Ok::<_, Infallible>(conn))
}

/// Calls the service, which has to be ready, with a connection of this address.
async fn come<S>(service: &mut S, address: impl Into<IpAddr>) -> (MemoryStream, Coming<S::Response>)
where
    S: Service<Conn<MemoryStream>, Error = BoxError, Future: Send + 'static>,
{
    let (peer, conn) = from(address);
    let call = service.ready().now_or_never();
    let service = call.expect("it is ready").unwrap();
    (peer, task::spawn(service.call(conn).boxed()))
}

/// Comes and is let in at once.
async fn enter<S>(service: &mut S, address: impl Into<IpAddr>) -> S::Response
where
    S: Service<Conn<MemoryStream>, Error = BoxError, Future: Send + 'static>,
{
    let (_, coming) = come(service, address).await;
    coming
        .now_or_never()
        .expect("it is let in at once")
        .unwrap()
}

/// Comes and is refused at once.
async fn refused<S>(service: &mut S, address: impl Into<IpAddr>) -> OverLimit
where
    S: Service<Conn<MemoryStream>, Error = BoxError, Future: Send + 'static>,
{
    let (_, coming) = come(service, address).await;
    why(coming.now_or_never().expect("it is refused at once"))
}

#[track_caller]
fn why<T>(outcome: Result<T, BoxError>) -> OverLimit {
    let error = outcome.err().expect("it is over the limit");
    *error.downcast().expect("it is over the limit")
}
