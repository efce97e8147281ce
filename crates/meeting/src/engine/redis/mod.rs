//! A match-maker on a Redis or Valkey server, or on several.
//!
//! One script a request, on the server's clock alone. Each key has a sorted set a side, whose members are
//! offers and whose scores are the ends of their leases, and each answer is kept for ten seconds, so that an
//! asker whose reply was lost is told the same again. All keys of a request have one hash tag.
//!
//! Of several offers the one whose lease is freshest is found: it is the least likely to be a dead node's. Where
//! offers say how long they have waited, the one that has waited longest is, and a second sorted set has the ends of
//! the leases.
//!
//! **Servers:** Redis 6.2 or newer, Valkey 7.2 or newer, with scripts. A server that may drop keys
//! (`maxmemory-policy` other than `noeviction`, with a `maxmemory`) forgets offers, which costs a wait, and
//! is warned of. Without memory (OOM) nothing new is entered or found. A replica is no match-maker: the
//! connection is made again until the address leads to a master. Of several servers, each has its share of the
//! keys (rendezvous hashing); they know nothing of each other, so each node is given the same ones.
//!
//! **The connection** is one for each server, on which requests do not wait for each other. It is made again
//! with a back-off of 50 to 250 ms, after an error of the connection, a `READONLY`, or three seconds without an
//! answer. A request without a connection fails at once; one without an answer after a second fails, and may
//! have been carried out.

mod address;
mod conn;
mod info;
mod link;
mod script;
mod server;
mod server_error;
#[cfg(feature = "redis-tls")]
mod tls;

#[cfg(feature = "redis-tls")]
pub use self::tls::RedisTls;
pub use self::{server::RedisServer, server_error::ServerError};

use std::{
    fmt, io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::time::timeout;
use tower::Service;

use self::{
    info::Lacks,
    link::{Fault, Link},
};
use super::{Answer, Key, Request};

/// How long a request may take.
const DEADLINE: Duration = Duration::from_secs(1);

/// How many offers of one key and side a server keeps.
const PER_KEY: usize = 64;

/// A match-maker on Redis or Valkey. Cheap to clone; clones share the connections. See the [module](self).
///
/// Its requests are not bounded: put a `ConcurrencyLimitLayer` above it.
#[derive(Clone)]
pub struct RedisEngine {
    links: Arc<[Link]>,
    per_key: usize,
    deadline: Duration,
}

/// A request that was not answered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RedisError {
    /// There is no connection.
    #[error("match-maker {server} can't be reached")]
    Away {
        /// The server, without secrets.
        server: Arc<str>,
    },
    /// The request was not answered in time. It may have been carried out.
    #[error("match-maker {server} has not answered within {within:?}")]
    Late {
        /// The server, without secrets.
        server: Arc<str>,
        /// The deadline.
        within: Duration,
    },
    /// The server refuses, or the connection failed.
    #[error("match-maker {server} fails")]
    Failed {
        /// The server, without secrets.
        server: Arc<str>,
        /// The reason.
        source: io::Error,
    },
}

/// The result of [`RedisEngine::check`] for a usable server.
#[derive(Debug)]
#[non_exhaustive]
pub enum Checked {
    /// The server is fit: its name and version.
    Well(String),
    /// The server may forget offers: the reason and what would be right.
    Warning(String),
}

/// A server can't be a match-maker, or can't be reached now.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The server lacks something that is needed, and trying again does not help.
    #[error("{server} can't be a match-maker: {lacks}")]
    Unfit {
        /// The server, without secrets.
        server: Arc<str>,
        /// What is missing, and what would be right.
        lacks: String,
    },
    /// The server can't be reached now, or is no master now.
    #[error("match-maker {server} can't be reached")]
    Away {
        /// The server, without secrets.
        server: Arc<str>,
        /// The reason.
        source: io::Error,
    },
}

// ===== impl RedisEngine =====

impl RedisEngine {
    /// Connects to these servers, in the background, until the last clone is dropped.
    ///
    /// # Panics
    ///
    /// Without a server, or outside of a tokio runtime.
    pub fn new(servers: impl IntoIterator<Item = RedisServer>) -> Self {
        let links: Arc<[Link]> = servers.into_iter().map(Link::new).collect();
        assert!(!links.is_empty(), "a match-maker has a server");
        Self {
            links,
            per_key: PER_KEY,
            deadline: DEADLINE,
        }
    }

    /// Bounds the offers of one key and side, over all nodes. 64 by default; a further one is answered with
    /// [`Answer::Full`].
    #[must_use]
    pub fn per_key(mut self, offers: usize) -> Self {
        self.per_key = offers;
        self
    }

    /// The deadline of a request. 1 s by default, which is longer than a usual pause of the server.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Checks each server once: the version, whether the server runs scripts, and whether it may drop keys.
    pub async fn check(&self) -> Vec<Result<Checked, CheckError>> {
        let mut checked = Vec::new();
        for link in self.links.iter() {
            let server = link.server().name();
            checked.push(match link.check().await {
                Ok(info) => Ok(match info.may_drop() {
                    Some(policy) => Checked::Warning(format!(
                        "{server} may drop offers: its maxmemory-policy is {policy}; right would be noeviction"
                    )),
                    None => Checked::Well(format!("{server}: {}", info.name())),
                }),
                Err(Fault::Lacks(Lacks(lacks))) => Err(CheckError::Unfit { server, lacks }),
                Err(Fault::Away(source)) => Err(CheckError::Away { server, source }),
            });
        }
        checked
    }

    /// Whether every server is connected.
    pub fn is_connected(&self) -> bool {
        self.links.iter().all(Link::is_up)
    }

    /// The server of a key: the same at every node, whatever the order of the servers.
    fn link(&self, key: &Key) -> &Link {
        let weight = |link: &&Link| {
            let hash = Sha256::new_with_prefix(key.0);
            hash.chain_update(link.server().name().as_bytes())
                .finalize()
        };
        match &*self.links {
            [only] => only,
            several => several.iter().max_by_key(weight).unwrap_or(&several[0]),
        }
    }
}

impl Service<Request> for RedisEngine {
    type Response = Answer;
    type Error = RedisError;
    type Future = BoxFuture<'static, Result<Answer, RedisError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RedisError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let link = self.link(&request.offer().key).clone();
        let (per_key, within) = (self.per_key, self.deadline);
        async move {
            let server = link.server().name();
            match timeout(within, link.ask(&request, per_key)).await {
                Ok(answer) => answer,
                Err(_) => Err(RedisError::Late { server, within }),
            }
        }
        .boxed()
    }
}

impl fmt::Debug for RedisEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = self.links.iter().map(|link| link.server().name());
        f.debug_struct("RedisEngine")
            .field("servers", &servers.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
