use std::{
    io,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use couplet_connector::{
    BoxError, Conn,
    endpoint::{FairSlots, GivesWay, Io, PeerNetwork},
};
use futures::{
    FutureExt,
    future::{BoxFuture, Either, select},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tower::Service;

use crate::{Access, Admin};

/// How long the head of a request may take, also the next one's on the same connection.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long a head may be.
const HEAD_BYTES: usize = 16 * 1024;

/// How many connections are served at a time.
const CONNECTIONS: usize = 16;

/// When a connection gives way to another that waits to be accepted: its address has most of them, and it
/// is the oldest.
const GIVES_WAY: GivesWay = GivesWay::Oldest {
    after: Duration::from_secs(3),
};

/// Serves an [`Admin`] over connections of its own: HTTP/1.1.
///
/// It is the innermost service of a side's stack: below it may stand any layers of a side, such as TLS with
/// client certificates, lists of networks and limits. A listener is driven into it by
/// [`serve`](couplet_connector::serve):
///
/// ```no_run
/// use couplet_admin::{Access, Admin, Server};
/// use couplet_connector::{BoxError, Listen, serve};
///
/// # async fn start(admin: &Admin) -> Result<(), BoxError> {
/// let listen = Listen::bind("127.0.0.1:9180").await?;
/// tokio::spawn(serve(listen, Server::new(admin, Access::Look)));
/// # Ok(())
/// # }
/// ```
///
/// On a Unix socket that its owner alone may connect to, requests may do
/// [everything](Access::Everything): `UnixListen::options().mode(0o600)`.
///
/// At most 16 connections are served at a time. Beyond that, the oldest of the address that has most gives way
/// to one of an address with fewer, and after 3 s to any; the others wait to be accepted. A request has 10 s for its
/// head, and so has the next one on the same connection. A connection that fails is no error of the service.
#[derive(Clone, Debug)]
pub struct Server {
    router: Router,
    connections: FairSlots,
}

// ===== impl Server =====

impl Server {
    /// Answers requests that may do this.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new(admin: &Admin, access: Access) -> Self {
        Self {
            router: admin.router_for(access),
            connections: FairSlots::new(CONNECTIONS, GIVES_WAY),
        }
    }

    /// Serves one connection to its end, beside the 16.
    ///
    /// # Errors
    ///
    /// Where the connection fails, a request's head is malformed, or takes too long.
    pub async fn serve(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<(), BoxError> {
        let service = TowerToHyperService::new(self.router.clone());
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(io), service)
            .await;
        served.map_err(io::Error::other).map_err(Into::into)
    }
}

impl<I: Io> Service<Conn<I>> for Server {
    type Response = ();
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<(), BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connections.poll_reserve(cx).map_err(Into::into)
    }

    fn call(&mut self, conn: Conn<I>) -> Self::Future {
        let mut slot = self.connections.take();
        // A client of a Unix socket has no address, and never gives way.
        if let Some(peer) = conn.info.peer {
            slot.may_give_way(PeerNetwork::of(Some(peer.ip())));
        }
        let server = self.clone();
        async move {
            let serving = pin!(server.serve(conn.io));
            let gives_way = pin!(slot.gives_way());
            if let Either::Left((Err(error), _)) = select(serving, gives_way).await {
                tracing::debug!(error, "an admin connection failed");
            }
            Ok(())
        }
        .boxed()
    }
}
