//! A relay between two peers that do as the input says, held against a model of the bytes.
//!
//! The first byte chooses the transport of each side (memory, TCP, Unix sockets), the second the
//! settings; then two bytes are an action: of which peer, which, and how much. What must hold after each:
//!
//! - what a peer hears is what its partner sent, from the first byte on, in order, once;
//! - a peer that hears an end has heard everything, and its partner has ended its stream;
//! - a peer that is reset has a partner that was reset, or that closed without reading all;
//! - a relay that has nothing to do does nothing;
//! - in the end both peers have heard all that was sent and how it ended, and the relay is done.

mod peer;
mod stalling;

use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use couplet_connector::{
    endpoint::{BoxIo, Conn, Origin},
    pairing::Pair,
    relay::{Relay, RelayError, Splice, Summary},
};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};
use tower::Service;

use self::{
    peer::{Peer, Transport},
    stalling::Stalls,
};

/// What is done next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Write(usize),
    Read(usize),
    ShutDown,
    Close,
    Reset,
    /// Reads, writes or flushes of the relay are pending from now on, or no more.
    Stall(u8),
    /// The relay gets a turn.
    Relay,
}

/// The most bytes of an action.
const MOST: usize = 256 * 2048;

type Relayed = Result<Summary, RelayError>;

struct Model {
    runtime: Runtime,
    peers: [Peer; 2],
    stalls: [Stalls; 2],
    polls: Arc<AtomicUsize>,
    relayed: JoinHandle<Relayed>,
}

/// The future of a relay, and how often it was polled.
struct Counted<F>(F, Arc<AtomicUsize>);

/// A pair of scripted ios, and the relay between them.
pub fn relay(data: &[u8]) {
    let [transports, settings, script @ ..] = data else {
        return;
    };
    let transports = [transports & 15, transports >> 4].map(Transport::new);
    let mut model = Model::new(transports, *settings);
    for action in script.chunks_exact(2).take(200) {
        let side = usize::from(action[0] & 1);
        model.act(side, Action::new(action[0] >> 1, action[1]));
    }
    if settings & 0x80 == 0 {
        model.hear_out();
    }
    model.part();
}

// ===== impl Action =====

impl Action {
    fn new(what: u8, how_much: u8) -> Self {
        let some = usize::from(how_much) + 1;
        match what {
            0..=15 => Self::Write(some),
            16..=31 => Self::Read(some),
            32..=63 => Self::Write(some * 2048),
            64..=87 => Self::Read(some * 2048),
            88..=111 => Self::Relay,
            112..=115 => Self::ShutDown,
            116..=117 => Self::Close,
            118..=119 => Self::Reset,
            _ => Self::Stall(how_much),
        }
    }
}

// ===== impl Model =====

impl Model {
    fn new(transports: [Transport; 2], settings: u8) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("there are descriptors for a runtime");
        let entered = runtime.enter();
        ignore_sigpipe();
        let stalls = [Stalls::default(), Stalls::default()];
        let mut ios = Vec::<BoxIo>::new();
        let peers = [0, 1].map(|side| {
            let room = room(settings, transports);
            let (peer, io) = transports[side].connect(room, side as u64);
            ios.push(match settings & 0x10 {
                0 => io,
                _ => Box::new(stalls[side].around(io)),
            });
            peer
        });
        let [a, b] = <[BoxIo; 2]>::try_from(ios)
            .ok()
            .expect("there are two")
            .map(|io| Conn::new(io, Origin::Accepted));
        let splice = match settings & 0x20 {
            0 => Splice::Auto,
            _ => Splice::Never,
        };
        let polls = Arc::default();
        let relaying = Relay::new().splice(splice).call(Pair::new(a, b));
        let relayed = runtime.spawn(Counted(Box::pin(relaying), Arc::clone(&polls)));
        drop(entered);
        Self {
            runtime,
            peers,
            stalls,
            polls,
            relayed,
        }
    }

    fn act(&mut self, side: usize, action: Action) {
        let entered = self.runtime.enter();
        match action {
            Action::Stall(which) => self.stalls[side].set(which),
            Action::Relay => {}
            action => self.peers[side].act(action),
        }
        drop(entered);
        if let Action::Relay = action {
            self.turn();
        }
        let [a, b] = &self.peers;
        a.check(b);
        b.check(a);
    }

    fn turn(&self) {
        self.runtime.block_on(async {
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Turns until the relay waits for others. One that never does spins.
    fn settle(&self) {
        for _ in 0..100_000 {
            let before = self.polls.load(Ordering::Relaxed);
            self.turn();
            if self.polls.load(Ordering::Relaxed) == before {
                return;
            }
        }
        panic!("the relay spins");
    }

    /// Both send no more, nothing stalls any more, and both listen until they know all.
    fn hear_out(&mut self) {
        for side in [0, 1] {
            self.act(side, Action::Stall(0));
            self.act(side, Action::ShutDown);
        }
        let mut idle = 0;
        while !self.peers.iter().all(Peer::knows_all) {
            let before = self.heard();
            self.act(0, Action::Relay);
            for side in [0, 1] {
                self.act(side, Action::Read(64 * 1024));
            }
            idle = if self.heard() == before { idle + 1 } else { 0 };
            assert!(idle < 200, "a peer still waits: {:?}", self.peers);
            if idle > 20 {
                // What the kernel still holds is looked at now and then. No timeout comes to an end.
                let moment = Duration::from_millis(50);
                self.runtime.block_on(tokio::time::advance(moment));
                // The kernel's timers have a clock of their own: a segment for which there was no
                // room is sent again after 0.2 s.
                if self.peers.iter().any(Peer::is_socket) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    fn heard(&self) -> usize {
        self.peers.iter().map(|peer| peer.heard).sum()
    }

    /// Both are gone: the relay ends, at the latest when its patience does.
    fn part(mut self) {
        for side in [0, 1] {
            self.act(side, Action::Stall(0));
            self.act(side, Action::Close);
        }
        self.settle();
        // On a busy machine the kernel passes on late what two sockets still have in their queues, a reset
        // among it, and each byte of that gives the relay its time again.
        let has_socket = self.peers.iter().any(Peer::is_socket);
        for _ in 0..if has_socket { 500 } else { 10 } {
            if self.relayed.is_finished() {
                break;
            }
            if has_socket {
                std::thread::sleep(Duration::from_millis(10));
            }
            self.runtime
                .block_on(tokio::time::advance(Duration::from_secs(31)));
            self.settle();
        }
        assert!(
            self.relayed.is_finished(),
            "the relay has not ended: {:?}",
            self.peers
        );
        let relayed = self.runtime.block_on(&mut self.relayed);
        let relayed = relayed.expect("the relay does not panic");
        let (summary, is_clean) = match &relayed {
            Ok(summary) => (summary, summary.reason.is_clean()),
            Err(error) => (error.summary(), false),
        };
        let [a, b] = &self.peers;
        for (from, to, counted) in [(a, b, summary.a_to_b), (b, a, summary.b_to_a)] {
            let (sent, heard) = (from.sent as u64, to.heard as u64);
            assert!(
                (heard..=sent).contains(&counted),
                "{heard} {counted} {sent}"
            );
        }
        if a.has_heard_all(b) && b.has_heard_all(a) {
            assert!(is_clean, "{relayed:?} {:?}", self.peers);
        }
    }
}

/// A program in Rust ignores SIGPIPE, but here main is libFuzzer's: with a handler, a write to a
/// socket that was closed is an error, as in all other programs.
fn ignore_sigpipe() {
    static DONE: OnceLock<Signal> = OnceLock::new();
    DONE.get_or_init(|| signal(SignalKind::pipe()).expect("a handler can be set"));
}

/// The room of a connection in memory. As it moves so much at a time, it is no small one where a
/// socket is at the other side, which takes megabytes.
fn room(settings: u8, transports: [Transport; 2]) -> usize {
    let rooms = [1, 20, 100, 1000, 4096, 10_000, 65_536, 100_000];
    let room = rooms[usize::from(settings & 7)];
    match transports {
        [Transport::Memory, Transport::Memory] => room,
        _ => room.max(4096),
    }
}

// ===== impl Counted =====

impl<F: Future + Unpin> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll(cx)
    }
}
