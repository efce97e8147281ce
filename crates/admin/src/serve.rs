use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
};

use crate::{Access, Admin, AdminListener, listen::Accepted};

/// How long the head of a request may take, also the next one's on the same connection.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long a head may be.
const HEAD_BYTES: usize = 16 * 1024;

/// How many connections are served at a time.
const CONNECTIONS: usize = 16;

/// The pause after an accept that failed, as without descriptors (`EMFILE`).
const PAUSE: Duration = Duration::from_millis(50);

/// Serves an [`Admin`] over connections of its own.
///
/// At most 16 connections are served at a time; the others wait to be accepted. A request has 10 s for its
/// head, and so has the next one on the same connection.
#[derive(Clone, Debug)]
pub struct Server {
    router: Router,
    connections: Arc<Semaphore>,
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
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// Accepts connections and serves them, without end. Dropping the future stops the accepting;
    /// connections that are served go on until their client leaves.
    pub async fn run(self, mut listener: AdminListener) -> Infallible {
        loop {
            let permit = Arc::clone(&self.connections).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok(accepted) => {
                    let server = self.clone();
                    tokio::spawn(async move {
                        server.serve_accepted(accepted).await;
                        drop(permit);
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
