use std::{convert::Infallible, future::poll_fn, io, pin::pin, time::Duration};

use axum::Router;
use couplet_connector::endpoint::{FairSlots, GivesWay};
use futures::future::select;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Access, Admin, AdminListener, listen::Accepted};

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

/// The pause after an accept that failed, as without descriptors (`EMFILE`).
const PAUSE: Duration = Duration::from_millis(50);

/// Serves an [`Admin`] over connections of its own.
///
/// At most 16 connections are served at a time. Beyond that, the oldest of the address that has most gives way
/// to one of an address with fewer, and after 3 s to any; the others wait to be accepted. A request has 10 s for its
/// head, and so has the next one on the same connection.
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

    /// Accepts connections and serves them, without end. Dropping the future stops the accepting;
    /// connections that are served go on until their client leaves.
    pub async fn run(self, mut listener: AdminListener) -> Infallible {
        let mut connections = self.connections.clone();
        loop {
            let reserved = poll_fn(|cx| connections.poll_reserve(cx)).await;
            reserved.expect("the slots are never closed");
            match listener.accept().await {
                Ok(accepted) => {
                    let server = self.clone();
                    let mut slot = connections.take();
                    if let Some(network) = accepted.network() {
                        slot.may_give_way(network);
                    }
                    tokio::spawn(async move {
                        let gives_way = pin!(slot.gives_way());
                        select(pin!(server.serve_accepted(accepted)), gives_way).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin endpoint can't accept; tries again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn serve_accepted(&self, accepted: Accepted) {
        let served = match accepted {
            Accepted::Tcp(io) => self.serve(io).await,
            #[cfg(unix)]
            Accepted::Unix(io) => self.serve(io).await,
        };
        if let Err(error) = served {
            tracing::debug!(error, "an admin connection failed");
        }
    }

    /// Serves one connection to its end: HTTP/1.1.
    ///
    /// # Errors
    ///
    /// Where the connection fails, a request's head is malformed, or takes too long.
    pub async fn serve(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<(), couplet_connector::BoxError> {
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
