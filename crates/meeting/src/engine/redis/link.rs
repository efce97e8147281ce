//! The connection to a server, made again whenever it fails.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use couplet_connector::endpoint::RelayName;
use redis::{AsyncConnectionConfig, ServerErrorKind};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::{
    RedisError,
    conn::Conn,
    info::{Info, Lacks},
    script::{self, Scripts},
    server::{CONNECT, RESPONSE, RedisServer},
};
use crate::engine::{Answer, Request};

/// The first and the longest pause between two attempts.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];

/// How often an idle connection is tried, and how long each try may take.
const PING: Duration = Duration::from_secs(1);

/// How many tries in a row may be without an answer: a server that pauses is not gone.
const TRIES: u32 = 3;

/// The connection to a server. Clones share it; with the last, the task that keeps it ends.
#[derive(Clone, Debug)]
pub(super) struct Link(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    server: RedisServer,
    up: watch::Receiver<Option<Up>>,
    broken: Arc<Broken>,
    keeper: AbortHandle,
}

/// Requests tell the keeper that a connection is broken.
#[derive(Debug, Default)]
struct Broken {
    told: Notify,
    /// The number of the broken connection.
    number: AtomicU32,
}

#[derive(Clone)]
struct Up {
    conn: Conn,
    scripts: Arc<Scripts>,
    number: u32,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Fault {
    Lacks(Lacks),
    Away(io::Error),
}

// ===== impl Link =====

impl Link {
    pub(super) fn new(server: RedisServer) -> Self {
        let (send, up) = watch::channel(None);
        let broken = Arc::<Broken>::default();
        let keeping = keep(server.clone(), send, Arc::clone(&broken));
        let keeper = tokio::spawn(RelayName::current().scope(keeping)).abort_handle();
        Self(Arc::new(Shared {
            server,
            up,
            broken,
            keeper,
        }))
    }

    pub(super) fn server(&self) -> &RedisServer {
        &self.0.server
    }

    pub(super) fn is_up(&self) -> bool {
        self.0.up.borrow().is_some()
    }

    /// A connection of its own, and what the server says of itself.
    pub(super) async fn check(&self) -> Result<Info, Fault> {
        connect(self.server()).await.map(|(_, info)| info)
    }

    pub(super) async fn ask(
        &self,
        request: &Request,
        per_key: usize,
    ) -> Result<Answer, RedisError> {
        let server = self.server().name();
        let up = self.0.up.borrow().clone();
        let Some(mut up) = up else {
            return Err(RedisError::Away { server });
        };
        let call = up.scripts.invocation(request, per_key);
        match call.invoke_async::<Option<Vec<u8>>>(&mut up.conn).await {
            Ok(Some(member)) => script::peer(&member).map(Answer::Found).ok_or_else(|| {
                let source = io::Error::new(
                    io::ErrorKind::InvalidData,
                    "an offer there is none of couplet's",
                );
                RedisError::Failed { server, source }
            }),
            Ok(None) => Ok(match request {
                Request::Meet(_) => Answer::Waits,
                Request::Leave(_) | Request::PutBack(..) => Answer::Done,
            }),
            Err(error) if error.code() == Some("FULL") => Ok(Answer::Full),
            Err(error) => {
                if is_broken(&error) {
                    self.0.broken.tell(up.number);
                }
                let source = io::Error::other(error);
                Err(RedisError::Failed { server, source })
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl fmt::Debug for Up {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Up")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

// ===== impl Broken =====

impl Broken {
    fn tell(&self, number: u32) {
        self.number.fetch_max(number, Ordering::Relaxed);
        self.told.notify_one();
    }

    /// Waits until this connection is told to be broken.
    async fn told(&self, number: u32) {
        while self.number.load(Ordering::Relaxed) < number {
            self.told.notified().await;
        }
    }
}

// ===== the keeper =====

/// Whether a new connection may help: the crate's goes on after a `READONLY`, with the server that was a
/// master.
fn is_broken(error: &redis::RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_connection_dropped()
        || error.kind() == redis::ErrorKind::Server(ServerErrorKind::ReadOnly)
}

async fn keep(server: RedisServer, up: watch::Sender<Option<Up>>, broken: Arc<Broken>) {
    let name = server.name();
    let [mut pause, longest] = PAUSES;
    let mut is_told = false;
    for number in 1.. {
        match connect(&server).await {
            Ok((conn, info)) => {
                tracing::info!(engine = %name, server = info.name(), "match-maker connected");
                if let Some(policy) = info.may_drop() {
                    tracing::warn!(engine = %name, policy, "match-maker may drop offers: right would be noeviction");
                }
                (pause, is_told) = (PAUSES[0], false);
                let scripts = Arc::new(Scripts::new(info.has_script_flags()));
                let probe = conn.clone();
                up.send_replace(Some(Up {
                    conn,
                    scripts,
                    number,
                }));
                tokio::select! {
                    () = broken.told(number) => {}
                    () = is_silent(probe) => {}
                }
                up.send_replace(None);
                tracing::warn!(engine = %name, "match-maker lost: clients of this node still meet here");
            }
            Err(fault) => {
                if !is_told {
                    let reason = match &fault {
                        Fault::Lacks(Lacks(lacks)) => lacks.clone(),
                        Fault::Away(error) => error.to_string(),
                    };
                    tracing::warn!(engine = %name, reason, "match-maker is away: clients of this node still meet here");
                }
                is_told = true;
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// Ready when the server has not answered for some tries in a row, or the connection is closed.
async fn is_silent(mut conn: Conn) {
    let mut missing = 0;
    while missing < TRIES {
        sleep(PING).await;
        let ping = redis::cmd("PING");
        match timeout(PING, ping.query_async::<redis::Value>(&mut conn)).await {
            Ok(Err(error)) if error.is_unrecoverable_error() => return,
            // An answer, if not the one that is asked for.
            Ok(_) => missing = 0,
            Err(_) => missing += 1,
        }
    }
}

async fn connect(server: &RedisServer) -> Result<(Conn, Info), Fault> {
    let connecting = async {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(RESPONSE));
        let (mut conn, mut one) = server.open(&config).await?;
        let info: String = redis::cmd("INFO").query_async(&mut one).await?;
        let info = Info::parse(&info);
        if let Some(lacks) = info.lacks() {
            return Ok(Err(Fault::Lacks(lacks)));
        }
        // In a cluster, the masters are found by themselves.
        if info.is_of_cluster() && matches!(conn, Conn::One(_)) {
            let lacks = "it is of a Redis Cluster; `redis+cluster://HOST:6379`";
            return Ok(Err(Fault::Lacks(Lacks(lacks.to_owned()))));
        }
        if info.is_replica() && !info.is_of_cluster() {
            let error = io::Error::other("it is a replica: the address of the master, or wait");
            return Ok(Err(Fault::Away(error)));
        }
        for script in Scripts::new(info.has_script_flags()).all() {
            if let Err(error) = script.load_async(&mut conn).await {
                if error.is_io_error() {
                    return Err(error);
                }
                let lacks = format!("it runs no scripts ({error}); a server with Lua scripts");
                return Ok(Err(Fault::Lacks(Lacks(lacks))));
            }
        }
        Ok(Ok((conn, info)))
    };
    // That of a cluster is large.
    match timeout(CONNECT, Box::pin(connecting)).await {
        Ok(Ok(connected)) => connected,
        Ok(Err(error)) => Err(Fault::Away(io::Error::other::<redis::RedisError>(error))),
        Err(_) => Err(Fault::Away(io::ErrorKind::TimedOut.into())),
    }
}
