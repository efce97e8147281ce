//! Dials that fail, hang or are late as they are told.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use couplet_connector::endpoint::{
    Conn, Origin,
    memory::{self, MemoryStream},
};
use futures::{FutureExt, future::BoxFuture};
use tokio::time::Instant;
use tower::Service;

/// A dial that does as it is told, step by step, and connects when it has been told nothing more.
#[derive(Clone)]
pub(crate) struct Script {
    steps: Arc<Mutex<VecDeque<Step>>>,
    dialled: Arc<Mutex<Vec<Duration>>>,
    at_work: Arc<AtomicUsize>,
    begin: Instant,
    dial: memory::Dial,
}

#[derive(Clone, Copy)]
pub(crate) enum Step {
    Connect,
    Fail,
    Hang,
    /// Connects after this time.
    Late(Duration),
}

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> (Self, memory::Listen) {
        let (dial, listen) = memory::endpoint();
        let script = Self {
            steps: Arc::new(Mutex::new(steps.into_iter().collect())),
            dialled: Arc::default(),
            at_work: Arc::default(),
            begin: Instant::now(),
            dial,
        };
        (script, listen)
    }

    /// How many dials there have been.
    pub(crate) fn count(&self) -> usize {
        self.dialled.lock().expect("nobody panics with it").len()
    }

    /// When it was dialled, in milliseconds.
    pub(crate) fn dialled(&self) -> Vec<u128> {
        let dialled = self.dialled.lock().expect("nobody panics with it");
        dialled.iter().map(Duration::as_millis).collect()
    }

    /// How many are being dialled.
    pub(crate) fn at_work(&self) -> usize {
        self.at_work.load(Ordering::Relaxed)
    }
}

impl<R> Service<R> for Script {
    type Response = Conn<MemoryStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: R) -> Self::Future {
        self.dialled
            .lock()
            .expect("nobody panics with it")
            .push(self.begin.elapsed());
        let step = self
            .steps
            .lock()
            .expect("nobody panics with it")
            .pop_front();
        let dial = self.dial.clone();
        let at_work = AtWork::new(Arc::clone(&self.at_work));
        async move {
            let _at_work = at_work;
            match step.unwrap_or(Step::Connect) {
                Step::Connect => Ok(Conn::new(dial.connect().await?, Origin::Dialled)),
                Step::Late(time) => {
                    tokio::time::sleep(time).await;
                    Ok(Conn::new(dial.connect().await?, Origin::Dialled))
                }
                Step::Fail => Err(io::ErrorKind::ConnectionRefused.into()),
                Step::Hang => std::future::pending().await,
            }
        }
        .boxed()
    }
}

/// Counts a dial, as long as it is there.
struct AtWork(Arc<AtomicUsize>);

impl AtWork {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
