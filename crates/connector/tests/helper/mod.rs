//! What the tests of the connector share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    collections::VecDeque,
    io,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use couplet_connector::{
    Connector, Handle,
    endpoint::{
        Conn, Origin, Side,
        memory::{self, MemoryStream},
    },
    mode::{DialForA, DialForB, InTurn, Meet},
    pairing::{CloseReason, Session},
};
use futures::{FutureExt, StreamExt, future::BoxFuture, poll};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    runtime,
    task::yield_now,
    time::{Instant, timeout},
};
use tower::Service;

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

// ===== every mode =====

/// The peers of a connector in memory.
pub(crate) struct Rig {
    pub(crate) mode: &'static str,
    /// In the order in which the connector gets its connections for one pair.
    pub(crate) order: [Side; 2],
    a: Peers,
    b: Peers,
}

/// The peers of a side.
pub(crate) enum Peers {
    Come(memory::Dial),
    AreDialled(memory::Listen),
}

/// Runs the block for each of the four modes, with a connector of it and its [`Rig`].
#[macro_export]
macro_rules! every_mode {
    (|$connector:ident, $rig:ident| $block:block) => {
        #[allow(unused_mut, reason = "not every block meets a peer")]
        {
            let ($connector, mut $rig) = $crate::helper::listen_listen();
            $block
            let ($connector, mut $rig) = $crate::helper::listen_dial();
            $block
            let ($connector, mut $rig) = $crate::helper::dial_listen();
            $block
            let ($connector, mut $rig) = $crate::helper::dial_dial();
            $block
        }
    };
}

/// Runs the block for each mode that has a setting for one pair, and one that joins one pair
/// anyway, with a connector that joins one and its [`Rig`].
#[macro_export]
macro_rules! every_mode_once {
    (|$connector:ident, $rig:ident| $block:block) => {
        #[allow(unused_mut, reason = "not every block meets a peer")]
        {
            let ($connector, mut $rig) = $crate::helper::listen_listen();
            let $connector = $connector.once();
            $block
            let ($connector, mut $rig) = $crate::helper::listen_dial();
            let $connector = $connector.once();
            $block
            let ($connector, mut $rig) = $crate::helper::dial_listen();
            let $connector = $connector.once();
            $block
            let ($connector, mut $rig) = $crate::helper::dial_dial();
            $block
        }
    };
}

pub(crate) fn listen_listen() -> (Connector<Meet>, Rig) {
    let ((a, listen_a), (b, listen_b)) = (memory::endpoint(), memory::endpoint());
    let rig = Rig {
        mode: "listen + listen",
        order: [Side::A, Side::B],
        a: Peers::Come(a),
        b: Peers::Come(b),
    };
    (Connector::listen_listen(listen_a, listen_b), rig)
}

pub(crate) fn listen_dial() -> (Connector<DialForA<memory::Dial>>, Rig) {
    let ((a, listen_a), (dial_b, b)) = (memory::endpoint(), memory::endpoint());
    let rig = Rig {
        mode: "listen + dial",
        order: [Side::A, Side::B],
        a: Peers::Come(a),
        b: Peers::AreDialled(b),
    };
    (Connector::listen_dial(listen_a, dial_b), rig)
}

pub(crate) fn dial_listen() -> (Connector<DialForB<memory::Dial>>, Rig) {
    let ((dial_a, a), (b, listen_b)) = (memory::endpoint(), memory::endpoint());
    let rig = Rig {
        mode: "dial + listen",
        order: [Side::B, Side::A],
        a: Peers::AreDialled(a),
        b: Peers::Come(b),
    };
    (Connector::dial_listen(dial_a, listen_b), rig)
}

pub(crate) fn dial_dial() -> (Connector<InTurn<memory::Dial>>, Rig) {
    let ((dial_a, a), (dial_b, b)) = (memory::endpoint(), memory::endpoint());
    let rig = Rig {
        mode: "dial + dial",
        order: [Side::A, Side::B],
        a: Peers::AreDialled(a),
        b: Peers::AreDialled(b),
    };
    (Connector::dial_dial(dial_a, dial_b), rig)
}

// ===== impl Rig =====

impl Rig {
    /// The next connection on that side.
    #[track_caller]
    pub(crate) fn meet(&mut self, side: Side) -> impl Future<Output = MemoryStream> {
        soon(self.peers(side).meet())
    }

    /// The two ends of the next pair.
    pub(crate) async fn pair(&mut self) -> [MemoryStream; 2] {
        self.pair_saying(["", ""]).await
    }

    /// The two ends of the next pair, each of which says something first.
    pub(crate) async fn pair_saying(&mut self, first: [&str; 2]) -> [MemoryStream; 2] {
        let mut one = self.meet(self.order[0]).await;
        say(&mut one, first[self.order[0] as usize]).await;
        let mut other = self.meet(self.order[1]).await;
        say(&mut other, first[self.order[1] as usize]).await;
        match self.order {
            [Side::A, _] => [one, other],
            [Side::B, _] => [other, one],
        }
    }

    /// Has nobody been dialled that we have not met?
    pub(crate) async fn nobody_dialled(&mut self) -> bool {
        settle().await;
        SIDES.map(|side| self.peers(side).dialled()) == [false; 2]
    }

    pub(crate) fn is_dialled(&self, side: Side) -> bool {
        let peers = match side {
            Side::A => &self.a,
            Side::B => &self.b,
        };
        matches!(peers, Peers::AreDialled(_))
    }

    /// Does the connector listen, on any side?
    pub(crate) fn is_listened_to(&self) -> bool {
        [&self.a, &self.b].into_iter().any(|peers| match peers {
            Peers::Come(dial) => dial.connect().now_or_never().is_none_or(|io| io.is_ok()),
            Peers::AreDialled(_) => false,
        })
    }

    /// Nobody comes to that side any more, and nobody can be dialled there.
    pub(crate) fn closes(&mut self, side: Side) {
        *self.peers(side) = Peers::Come(memory::endpoint().0);
    }

    fn peers(&mut self, side: Side) -> &mut Peers {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
}

// ===== impl Peers =====

impl Peers {
    async fn meet(&mut self) -> MemoryStream {
        match self {
            Self::Come(dial) => dial.connect().await.expect("it listens"),
            Self::AreDialled(listen) => accept(listen).await,
        }
    }

    fn dialled(&mut self) -> bool {
        match self {
            Self::Come(_) => false,
            Self::AreDialled(listen) => listen.next().now_or_never().flatten().is_some(),
        }
    }
}

/// The next connection that was dialled.
pub(crate) async fn accept(listen: &mut memory::Listen) -> MemoryStream {
    let conn = listen.next().await.expect("it may be dialled again");
    conn.expect("in memory nothing fails").io
}

// ===== dials =====

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
