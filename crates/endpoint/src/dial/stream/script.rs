//! A dial that follows the script of a test.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};
use tower_service::Service;

use crate::conn::{Conn, Origin};

/// For each dial, after how many milliseconds it connects or fails. It connects at once when the
/// script has come to its end.
#[derive(Clone)]
pub(super) struct Script(Arc<Mutex<Inner>>);

struct Inner {
    begin: Instant,
    steps: VecDeque<Result<u64, u64>>,
    dialled: Vec<u128>,
}

impl Script {
    pub(super) fn new(steps: impl IntoIterator<Item = Result<u64, u64>>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            begin: Instant::now(),
            steps: steps.into_iter().collect(),
            dialled: Vec::new(),
        })))
    }

    /// Forgets the steps to come: from now on it connects at once.
    pub(super) fn succeed(&self) {
        self.0.lock().unwrap().steps.clear();
    }

    /// When it was dialled, in milliseconds from the beginning.
    pub(super) fn dialled(&self) -> Vec<u128> {
        self.0.lock().unwrap().dialled.clone()
    }

    fn step(&self) -> BoxFuture<'static, io::Result<Conn<()>>> {
        let mut inner = self.0.lock().unwrap();
        let now = inner.begin.elapsed().as_millis();
        inner.dialled.push(now);
        let step = inner.steps.pop_front().unwrap_or(Ok(0));
        Box::pin(async move {
            let (Ok(ms) | Err(ms)) = step;
            if ms > 0 {
                sleep(Duration::from_millis(ms)).await;
            }
            match step {
                Ok(_) => Ok(Conn::new((), Origin::Dialled)),
                Err(_) => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }
}

impl Service<()> for Script {
    type Response = Conn<()>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Conn<()>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        self.step()
    }
}
