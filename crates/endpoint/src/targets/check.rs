//! Active checks.

use std::{future::poll_fn, io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tower_service::Service;

use super::{Member, status::State};
use crate::{
    conn::Conn,
    error::{BoxError, Chain},
    io::Io,
    relay_name::RelayName,
};

/// Dials targets at intervals, whether or not clients come, to find those that are down.
///
/// A check dials a target as for a client; the first check runs at once. A check passes once the target is
/// connected, and has sent the [expected](Self::expect) bytes.
#[derive(Clone, Debug)]
pub struct Check {
    every: Duration,
    timeout: Duration,
    rise: u32,
    fall: u32,
    send: Arc<[u8]>,
    expect: Arc<[u8]>,
}

/// The most bytes in which the expected ones are looked for.
const MOST: usize = 64 * 1024;

/// The checks of all targets, which end when this is dropped.
#[derive(Debug)]
pub(super) struct Checks(Vec<JoinHandle<()>>);

// ===== impl Check =====

impl Check {
    /// A check every 2 s, with a timeout of 1 s; one that passes brings a target up, two in a row that fail take
    /// it down.
    pub fn new() -> Self {
        Self {
            every: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            rise: 1,
            fall: 2,
            send: [].into(),
            expect: [].into(),
        }
    }

    /// The time between two checks of a target.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        assert!(!every.is_zero(), "`every` is 0: checks need a pause");
        self.every = every;
        self
    }

    /// The timeout of a check; a check also ends when the next one is due.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The number of checks in a row that must pass to bring a target up, at least 1.
    #[must_use]
    pub fn rise(mut self, checks: u32) -> Self {
        self.rise = checks.max(1);
        self
    }

    /// The number of checks in a row that must fail to take a target down, at least 1.
    #[must_use]
    pub fn fall(mut self, checks: u32) -> Self {
        self.fall = checks.max(1);
        self
    }

    /// Sends these bytes to the target. None by default.
    #[must_use]
    pub fn send(mut self, bytes: &[u8]) -> Self {
        self.send = bytes.into();
        self
    }

    /// Waits for these bytes among the first 64 KiB from the target. None by default.
    #[must_use]
    pub fn expect(mut self, bytes: &[u8]) -> Self {
        self.expect = bytes.into();
        self
    }

    pub(super) fn start<D, I>(&self, members: &[Member<D>]) -> Checks
    where
        D: Service<(), Response = Conn<I>, Error: Into<BoxError>, Future: Send>,
        D: Clone + Send + Sync + 'static,
        I: Io,
    {
        let start = |member: &Member<D>| {
            let (check, state) = (self.clone(), Arc::clone(&member.state));
            let dial = member.check.as_ref().unwrap_or(&member.dial).clone();
            let checking = async move { check.run(dial, &state).await };
            tokio::spawn(RelayName::current().scope(checking))
        };
        Checks(members.iter().map(start).collect())
    }

    async fn run<D, I>(&self, dial: D, state: &State)
    where
        D: Service<(), Response = Conn<I>, Error: Into<BoxError>> + Clone,
        I: Io,
    {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let late = || format!("no answer to a check within {:?}", self.timeout).into();
            let once = timeout(self.timeout, self.once(dial.clone())).await;
            let result = once.unwrap_or_else(|_| Err(late()));
            let needed = match result {
                Ok(()) => self.rise,
                Err(_) => self.fall,
            };
            let change = state.health(|health| health.checked(result.is_ok(), needed));
            let error = result.as_ref().err().map(|error| Chain(&**error));
            state.tell(change, error.as_ref().map(|error| error as _));
        }
    }

    async fn once<D, I>(&self, mut dial: D) -> Result<(), BoxError>
    where
        D: Service<(), Response = Conn<I>, Error: Into<BoxError>>,
        I: Io,
    {
        poll_fn(|cx| dial.poll_ready(cx))
            .await
            .map_err(Into::into)?;
        let mut io = dial.call(()).await.map_err(Into::into)?.io;
        io.write_all(&self.send).await?;
        io.flush().await?;
        let mut heard = Vec::new();
        while !contains(&heard, &self.expect) {
            let room = MOST - heard.len();
            if room == 0 || (&mut io).take(room as u64).read_buf(&mut heard).await? == 0 {
                let error = "the answer to a check is not the expected one";
                return Err(io::Error::new(io::ErrorKind::InvalidData, error).into());
            }
        }
        // An end is all that the target has to be told, and it may have gone by now.
        let _ = io.shutdown().await;
        Ok(())
    }
}

impl Default for Check {
    fn default() -> Self {
        Self::new()
    }
}

fn contains(heard: &[u8], expected: &[u8]) -> bool {
    expected.is_empty() || heard.windows(expected.len()).any(|part| part == expected)
}

// ===== impl Checks =====

impl Drop for Checks {
    fn drop(&mut self) {
        for check in &self.0 {
            check.abort();
        }
    }
}
