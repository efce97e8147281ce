//! [`Targets`]: one of several targets for each connection.

mod balance;
mod check;
mod error;
mod health;
mod status;

pub use self::{
    balance::Balance,
    check::Check,
    error::TargetsError,
    status::{TargetStatus, TargetWatch},
};

use std::{
    future::poll_fn,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};
use tower_service::Service;

use self::{
    balance::{Candidate, Turns},
    check::Checks,
    status::{Live, State},
};
use crate::{
    conn::{Conn, Info},
    error::{BoxError, Chain, find_cause},
    io::Io,
};

/// Dials one of several targets for each connection, and the next one if a dial fails.
///
/// Each target is a dial of its own, of any kind. After several failed [dials](Self::max_failures) or
/// [checks](Self::check) in a row a target is *down*, and gets no clients. Without checks, the dial of one
/// client tries the target again after a second, then after pauses that double up to 30 s; with checks, a
/// check that passes brings the target up. If a dial fails, the next target is dialled, each target once;
/// when all have failed or are down, the client's dial fails at once, or after a [time](Self::retry). No byte
/// of the client is read before a dial has succeeded, so no byte is sent twice.
///
/// Failures of this machine (no permission, no free port or descriptor) don't count against a target.
///
/// tower's `balance` is not used here: it has no order, no weights and no targets that are down, because it
/// takes any target that is ready, and a dial always is. Its choice of two at random is
/// [`Balance::RandomTwo`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), couplet_endpoint::BoxError> {
/// use couplet_endpoint::{Balance, Dial, Listen, Target, Targets};
///
/// let listen = Listen::bind("127.0.0.1:0").await?;
/// let targets = Targets::new([
///     Target::new("one", Dial::to("127.0.0.1:1")?), // No server is there.
///     Target::new("two", Dial::new(listen.local_addr())).weight(2),
/// ])
/// .balance(Balance::RoundRobin)
/// .max_failures(1);
/// for _ in 0..5 {
///     let conn = targets.connect(None).await?;
///     assert_eq!(conn.info.peer, Some(listen.local_addr()));
/// }
/// let up: Vec<_> = targets.watch().status().map(|target| target.is_up).collect();
/// assert_eq!(up, [false, true]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Targets<D> {
    members: Arc<[Member<D>]>,
    watch: TargetWatch,
    turns: Arc<Mutex<Turns>>,
    balance: Balance,
    max_failures: u32,
    retry: Duration,
    checks: Option<Arc<Checks>>,
}

/// A target of [`Targets`].
#[derive(Clone, Debug)]
pub struct Target<D> {
    name: Arc<str>,
    dial: D,
    check: Option<D>,
    weight: u32,
    is_backup: bool,
}

#[derive(Debug)]
struct Member<D> {
    dial: D,
    /// How it is dialled for a check, if not as for a client.
    check: Option<D>,
    state: Arc<State>,
}

/// The pause between two rounds of dials for one client.
const PAUSE: Duration = Duration::from_millis(100);

// ===== impl Target =====

impl<D> Target<D> {
    /// A target with a name, which is for the log and metrics; [`Balance::HashAddr`] chooses by names.
    pub fn new(name: impl Into<Arc<str>>, dial: D) -> Self {
        Self {
            name: name.into(),
            dial,
            check: None,
            weight: 1,
            is_backup: false,
        }
    }

    /// The target's share of the clients, relative to the other targets. 1 by default.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        assert!(weight > 0, "`weight` is 0: leave the target out");
        self.weight = weight;
        self
    }

    /// A [check](Targets::check) dials it so, and not as a client's dial does: with the handshakes of TLS and a
    /// token, say, which a client's connection goes through behind its dial.
    #[must_use]
    pub fn checked_by(mut self, dial: D) -> Self {
        self.check = Some(dial);
        self
    }

    /// Makes the target a backup, which is dialled only while no other target is up.
    #[must_use]
    pub fn backup(mut self) -> Self {
        self.is_backup = true;
        self
    }
}

// ===== impl Targets =====

impl<D> Targets<D> {
    /// Dials these targets, in this order: [`Balance::Failover`].
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn new(targets: impl IntoIterator<Item = Target<D>>) -> Self {
        let member = |target: Target<D>| Member {
            dial: target.dial,
            check: target.check,
            state: Arc::new(State::new(target.name, target.weight, target.is_backup)),
        };
        let members: Arc<[_]> = targets.into_iter().map(member).collect();
        assert!(!members.is_empty(), "no targets");
        let states = members.iter().map(|member| Arc::clone(&member.state));
        Self {
            watch: TargetWatch(states.collect()),
            members,
            turns: Arc::default(),
            balance: Balance::default(),
            max_failures: 3,
            retry: Duration::ZERO,
            checks: None,
        }
    }

    /// How a target is chosen for a client. [`Balance::Failover`] by default.
    #[must_use]
    pub fn balance(mut self, balance: Balance) -> Self {
        self.balance = balance;
        self
    }

    /// The number of failed dials in a row that take a target down. 3 by default.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[must_use]
    pub fn max_failures(mut self, failures: u32) -> Self {
        assert!(
            failures > 0,
            "`max_failures` is 0: every target would be down"
        );
        self.max_failures = failures;
        self
    }

    /// While no target can be reached, dials all again every 100 ms for this time. 0 by default: the client's
    /// dial fails when each target has been tried.
    #[must_use]
    pub fn retry(mut self, time: Duration) -> Self {
        self.retry = time;
        self
    }

    /// Checks the targets from now on, until the last clone is dropped. No checks by default.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn check<I>(mut self, check: &Check) -> Self
    where
        D: Service<(), Response = Conn<I>, Error: Into<BoxError>, Future: Send>,
        D: Clone + Send + Sync + 'static,
        I: Io,
    {
        self.checks = Some(Arc::new(check.start(&self.members)));
        self
    }

    /// Observes the targets, for a log or metrics.
    pub fn watch(&self) -> TargetWatch {
        self.watch.clone()
    }

    /// Connects to one of the targets, for a client with this address.
    ///
    /// Cancel-safe: dropping the future drops the dial that is under way.
    ///
    /// # Errors
    ///
    /// [`TargetsError`] if no target was reached.
    pub async fn connect<I>(&self, client: Option<IpAddr>) -> Result<Conn<I>, TargetsError>
    where
        D: Service<(), Response = Conn<I>, Error: Into<BoxError>> + Clone,
    {
        let until = Instant::now() + self.retry;
        let mut last = None;
        loop {
            let mut tried = vec![false; self.members.len()];
            while let Some(at) = self.choose(&mut tried, client) {
                match self.dial(&self.members[at]).await {
                    Ok(conn) => return Ok(conn),
                    Err(error) => last = Some(error),
                }
            }
            if Instant::now() + PAUSE > until {
                return Err(TargetsError::new(self.members.len(), last));
            }
            sleep(PAUSE).await;
        }
    }

    /// One that was not tried and may be dialled; it has been tried from now on.
    fn choose(&self, tried: &mut [bool], client: Option<IpAddr>) -> Option<usize> {
        loop {
            let now = Instant::now();
            let may = |at: &usize| {
                let state = &self.members[*at].state;
                !tried[*at] && state.health(|health| health.may_dial(now))
            };
            let candidates = |is_backup: bool| {
                let those = (0..self.members.len())
                    .filter(|at| self.members[*at].state.is_backup == is_backup);
                let candidate = |at: usize| {
                    let state = &self.members[at].state;
                    Candidate {
                        name: &state.name,
                        at,
                        weight: state.weight,
                        live: state.live(),
                    }
                };
                those.filter(may).map(candidate).collect::<Vec<_>>()
            };
            let mut found = candidates(false);
            if found.is_empty() {
                found = candidates(true);
            }
            if found.is_empty() {
                return None;
            }
            let chosen = {
                let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
                found[self.balance.choose(&found, &mut turns, client)].at
            };
            tried[chosen] = true;
            // Another client's dial may have begun to try one that is down.
            if self.members[chosen]
                .state
                .health(|health| health.begin(now))
            {
                return Some(chosen);
            }
        }
    }

    async fn dial<I>(&self, member: &Member<D>) -> Result<Conn<I>, BoxError>
    where
        D: Service<(), Response = Conn<I>, Error: Into<BoxError>> + Clone,
    {
        let (mut dial, state) = (member.dial.clone(), &member.state);
        state.dials();
        // Counted from here on, so that those that come at the same time do not all take the same.
        let live = Live::of(state);
        let dialled = async {
            poll_fn(|cx| dial.poll_ready(cx))
                .await
                .map_err(Into::into)?;
            dial.call(()).await.map_err(Into::into)
        };
        match dialled.await {
            Ok(mut conn) => {
                conn.info.extensions.insert(live);
                let change = state.health(|health| health.dial_connected());
                state.tell(change, None);
                Ok(conn)
            }
            Err(error) => {
                state.failed();
                if !is_ours(&error) {
                    let (now, is_checked) = (Instant::now(), self.checks.is_some());
                    let change = state
                        .health(|health| health.dial_failed(now, self.max_failures, is_checked));
                    state.tell(change, Some(&Chain(&*error)));
                }
                Err(error)
            }
        }
    }
}

/// Has this machine failed, and not the target?
fn is_ours(error: &BoxError) -> bool {
    if find_cause::<crate::DialError>(&**error).is_some_and(crate::DialError::is_busy) {
        return true;
    }
    let Some(error) = find_cause::<io::Error>(&**error) else {
        return false;
    };
    let kinds = [
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::AddrNotAvailable,
        io::ErrorKind::AddrInUse,
        io::ErrorKind::OutOfMemory,
    ];
    kinds.contains(&error.kind()) || is_shortage(error)
}

#[cfg(unix)]
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| shortages.contains(&error))
}

#[cfg(not(unix))]
fn is_shortage(_: &io::Error) -> bool {
    false
}

impl<D> Clone for Targets<D> {
    fn clone(&self) -> Self {
        Self {
            members: Arc::clone(&self.members),
            watch: self.watch.clone(),
            turns: Arc::clone(&self.turns),
            checks: self.checks.clone(),
            ..*self
        }
    }
}

/// For a client of the other side.
impl<D, I> Service<Info> for Targets<D>
where
    D: Service<(), Response = Conn<I>, Error: Into<BoxError>, Future: Send>,
    D: Clone + Send + Sync + 'static,
    I: 'static,
{
    type Response = Conn<I>;
    type Error = TargetsError;
    type Future = BoxFuture<'static, Result<Conn<I>, TargetsError>>;

    /// Always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TargetsError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, client: Info) -> Self::Future {
        let targets = self.clone();
        let client = client.peer.map(|peer| peer.ip());
        Box::pin(async move { targets.connect(client).await })
    }
}

/// For no client.
impl<D, I> Service<()> for Targets<D>
where
    D: Service<(), Response = Conn<I>, Error: Into<BoxError>, Future: Send>,
    D: Clone + Send + Sync + 'static,
    I: 'static,
{
    type Response = Conn<I>;
    type Error = TargetsError;
    type Future = BoxFuture<'static, Result<Conn<I>, TargetsError>>;

    /// Always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TargetsError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let targets = self.clone();
        Box::pin(async move { targets.connect(None).await })
    }
}

#[cfg(test)]
mod tests;
