//! What the tests of the connector share.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses its own part"
)]

mod rig;
mod script;

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use couplet_connector::{
    Handle,
    endpoint::{Io, Side},
    pairing::{CloseReason, Session},
};
use futures::{FutureExt, poll};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    runtime,
    task::yield_now,
    time::{Instant, timeout},
};

pub(crate) use self::{rig::*, script::*};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const SIDES: [Side; 2] = [Side::A, Side::B];

/// How often other tasks get their turn before something counts as not happening.
const TURNS: usize = 100_000;

// ===== time =====

/// Lets the other tasks do all they can do now. No time passes.
pub(crate) async fn settle() {
    for _ in 0..64 {
        yield_now().await;
    }
}

/// Waits for what the other tasks can do now. No time passes, so that a paused clock stands still.
#[track_caller]
pub(crate) fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        let mut future = pin!(future);
        for _ in 0..TURNS {
            if let Poll::Ready(output) = poll!(future.as_mut()) {
                return output;
            }
            yield_now().await;
        }
        panic!("did not happen: {caller}");
    }
}

/// Waits until it holds, as [`soon`] does.
#[track_caller]
pub(crate) fn until(mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    soon(std::future::poll_fn(move |_| match holds() {
        true => Poll::Ready(()),
        false => Poll::Pending,
    }))
}

/// What a future comes to, and after what time; a paused clock goes on.
pub(crate) async fn timed<F: Future>(future: F) -> (F::Output, Duration) {
    let begin = Instant::now();
    let output = eventually(future).await;
    (output, begin.elapsed())
}

/// Waits for what takes time: a paused clock goes on, and on a real one this is a watchdog.
#[track_caller]
pub(crate) fn eventually<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    timeout(60 * SECOND, future)
        .map(move |output| output.unwrap_or_else(|_| panic!("did not happen: {caller}")))
}

/// Waits until no task is left in this runtime.
#[track_caller]
pub(crate) fn no_task_left() -> impl Future<Output = ()> {
    let metrics = runtime::Handle::current().metrics();
    until(move || metrics.num_alive_tasks() == 0)
}

// ===== peers =====

/// Writes all of it.
pub(crate) async fn say(peer: &mut (impl AsyncWrite + Unpin), bytes: impl AsRef<[u8]>) {
    peer.write_all(bytes.as_ref()).await.expect("it is read");
}

/// Ends its stream.
pub(crate) async fn end(peer: &mut (impl AsyncWrite + Unpin)) {
    peer.shutdown().await.expect("it is open");
}

/// Ends a connection by a reset.
pub(crate) fn reset(mut peer: impl Io) {
    peer.abort();
}

/// Reads as many bytes as are expected, and compares.
#[track_caller]
pub(crate) fn hears(
    peer: &mut (impl AsyncRead + Unpin),
    expected: impl AsRef<[u8]>,
) -> impl Future<Output = ()> {
    let expected = expected.as_ref().to_vec();
    soon(async move {
        let mut heard = vec![0; expected.len()];
        peer.read_exact(&mut heard)
            .await
            .expect("as much is to come");
        assert_eq!(
            String::from_utf8_lossy(&heard),
            String::from_utf8_lossy(&expected)
        );
    })
}

/// Reads to the end of the stream, which must be one and not a reset.
pub(crate) async fn hear_all(peer: &mut (impl AsyncRead + Unpin)) -> String {
    let mut heard = String::new();
    peer.read_to_string(&mut heard).await.expect("no reset");
    heard
}

/// Waits until the connection is over, without another byte: by its end, or by a reset.
pub(crate) async fn gone(peer: &mut (impl AsyncRead + Unpin)) {
    match peer.read(&mut [0; 1]).await {
        Ok(0) | Err(_) => {}
        Ok(_) => panic!("a byte came"),
    }
}

/// Nothing happens on the connection.
pub(crate) async fn open(peer: &mut (impl AsyncRead + Unpin)) {
    settle().await;
    assert!(poll!(pin!(peer.read(&mut [0; 1]))).is_pending());
}

/// They are joined with each other: what the one says the other hears, both ways.
#[track_caller]
pub(crate) fn joined<'a>(
    a: &'a mut (impl AsyncRead + AsyncWrite + Unpin),
    b: &'a mut (impl AsyncRead + AsyncWrite + Unpin),
) -> impl Future<Output = ()> + 'a {
    soon(exchange(a, b))
}

/// As [`joined`], however long it takes.
pub(crate) async fn exchange(
    a: &mut (impl AsyncRead + AsyncWrite + Unpin),
    b: &mut (impl AsyncRead + AsyncWrite + Unpin),
) {
    say(a, "ping").await;
    let mut heard = [0; 4];
    b.read_exact(&mut heard).await.expect("a says so");
    assert_eq!(&heard, b"ping");
    say(b, "pong").await;
    a.read_exact(&mut heard).await.expect("b says so");
    assert_eq!(&heard, b"pong");
}

// ===== hooks =====

/// What the hooks were told.
#[derive(Clone, Default)]
pub(crate) struct Told {
    pub(crate) joins: Arc<Mutex<Vec<Session>>>,
    pub(crate) ends: Arc<Mutex<Vec<(Session, CloseReason)>>>,
}

impl Told {
    pub(crate) fn on_join(&self) -> impl Fn(&Session) + Send + Sync + 'static {
        let joins = Arc::clone(&self.joins);
        move |session| {
            joins
                .lock()
                .expect("nobody panics with it")
                .push(session.clone())
        }
    }

    pub(crate) fn on_end(
        &self,
    ) -> impl Fn(&Session, CloseReason, Option<&(dyn std::error::Error + 'static)>) + Send + Sync + 'static
    {
        let ends = Arc::clone(&self.ends);
        move |session, reason, _| {
            ends.lock()
                .expect("nobody panics with it")
                .push((session.clone(), reason))
        }
    }

    pub(crate) fn joins(&self) -> usize {
        self.joins.lock().expect("nobody panics with it").len()
    }

    pub(crate) fn reasons(&self) -> Vec<CloseReason> {
        let ends = self.ends.lock().expect("nobody panics with it");
        ends.iter().map(|(_, reason)| *reason).collect()
    }
}

/// Ends it, and waits until nothing is left.
#[track_caller]
pub(crate) fn close(relay: &Handle) -> impl Future<Output = ()> {
    let closed = soon(relay.close());
    let done = relay.done();
    let left = no_task_left();
    async move {
        closed.await;
        done.await.expect("nothing has failed");
        left.await;
    }
}
