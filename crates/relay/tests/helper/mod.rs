//! What the tests of the relay share.
//!
//! Most tests are written for one side and run for both: `this` is the peer on the side in
//! question, `other` is its partner.

#![allow(dead_code, reason = "each test file uses some of it")]

pub(crate) mod ios;

use std::{io, task::Poll, time::Duration};

use couplet_endpoint::{BoxIo, Conn, Io, Listen, Origin, Side, TcpIo, memory::MemoryStream};
use couplet_pairing::{Pair, Session};
use couplet_relay::{Relay, RelayError, Summary};
use futures::{FutureExt, TryStreamExt};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::{JoinHandle, coop::Unconstrained},
};
use tokio_test::task::Spawn;
use tower::Service;

pub(crate) type Relaying = couplet_relay::Relaying<BoxIo, BoxIo>;
pub(crate) type Relayed = Result<Summary, RelayError>;

pub(crate) const SIDES: [Side; 2] = [Side::A, Side::B];
pub(crate) const MIB: usize = 1024 * 1024;

/// What a direction takes at a time before much has come.
pub(crate) const FIRST_READS: usize = match cfg!(target_os = "linux") {
    true => 32 * 1024,
    false => 64 * 1024,
};

// ===== pairs =====

/// Joins two ios, the first of which is on the given side.
pub(crate) fn join(side: Side, this: impl Io, other: impl Io) -> Pair<BoxIo, BoxIo> {
    let (this, other): (BoxIo, BoxIo) = (Box::new(this), Box::new(other));
    let (a, b) = match side {
        Side::A => (this, other),
        Side::B => (other, this),
    };
    let conn = |io| Conn::new(io, Origin::Accepted);
    Pair::new(conn(a), conn(b))
}

/// Two peers within the process, each with a buffer each way of that size, and the pair between
/// them.
pub(crate) fn memory_pair(
    side: Side,
    buffer: usize,
) -> (MemoryStream, MemoryStream, Pair<BoxIo, BoxIo>) {
    let (this, this_io) = couplet_endpoint::memory::connection(buffer);
    let (other, other_io) = couplet_endpoint::memory::connection(buffer);
    (this, other, join(side, this_io, other_io))
}

/// Two peers on loopback, and the pair between them.
pub(crate) async fn tcp_pair(side: Side) -> (TcpStream, TcpStream, Pair<BoxIo, BoxIo>) {
    let (this, this_io) = tcp_connection().await;
    let (other, other_io) = tcp_connection().await;
    (this, other, join(side, this_io, other_io))
}

/// Both ends of a connection over loopback: the client, and ours.
pub(crate) async fn tcp_connection() -> (TcpStream, TcpIo) {
    let mut listen = Listen::bind("127.0.0.1:0").await.expect("a free port");
    let connecting = TcpStream::connect(listen.local_addr());
    let (dialled, accepted) = tokio::join!(connecting, listen.try_next());
    let accepted = accepted.expect("loopback connects").expect("no end");
    (dialled.expect("loopback connects"), accepted.io)
}

// ===== relaying =====

/// Relays in a task of its own.
pub(crate) fn spawn(mut relay: Relay, pair: Pair<BoxIo, BoxIo>) -> (Session, JoinHandle<Relayed>) {
    let session = pair.session.handle();
    (session, tokio::spawn(relay.call(pair)))
}

/// A relay that goes on only in [`drive`], and as in a runtime only when it was woken.
pub(crate) struct ByHand {
    task: Spawn<Unconstrained<Relaying>>,
    has_begun: bool,
}

pub(crate) fn by_hand(mut relay: Relay, pair: Pair<BoxIo, BoxIo>) -> (Session, ByHand) {
    let session = pair.session.handle();
    let relaying = tokio::task::coop::unconstrained(relay.call(pair));
    let by_hand = ByHand {
        task: tokio_test::task::spawn(relaying),
        has_begun: false,
    };
    (session, by_hand)
}

impl ByHand {
    pub(crate) fn is_woken(&self) -> bool {
        self.task.is_woken()
    }

    /// One turn.
    pub(crate) fn poll(&mut self) -> Poll<Relayed> {
        self.has_begun = true;
        self.task.poll()
    }
}

/// Lets it do whatever does not have to wait.
pub(crate) fn drive(relaying: &mut ByHand) -> Poll<Relayed> {
    for _ in 0..100_000 {
        if relaying.has_begun && !relaying.is_woken() {
            return Poll::Pending;
        }
        if let Poll::Ready(relayed) = relaying.poll() {
            return Poll::Ready(relayed);
        }
    }
    panic!("it spins");
}

/// Drives it to its end, which must not need to wait for anything.
pub(crate) fn finish(mut relaying: ByHand) -> Relayed {
    match drive(&mut relaying) {
        Poll::Ready(relayed) => relayed,
        Poll::Pending => panic!("it has come to its end"),
    }
}

// ===== peers =====

/// What this gives without waiting, if it does.
pub(crate) fn now<F: Future>(future: F) -> Option<F::Output> {
    tokio::task::coop::unconstrained(future).now_or_never()
}

/// Writes what fits without waiting, and tells how much that was.
pub(crate) fn write_now(peer: &mut MemoryStream, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match now(peer.write(&bytes[written..])) {
            Some(n) => written += n.expect("the relay takes it"),
            None => break,
        }
    }
    written
}

/// Ends the peer's stream.
pub(crate) fn shut_down(peer: &mut MemoryStream) {
    let shut_down = now(peer.shutdown()).expect("in memory it is done at once");
    shut_down.expect("in memory it does not fail");
}

/// Resets the peer's connection.
pub(crate) fn reset(mut peer: impl Io) {
    peer.abort();
}

/// Reads what is there without waiting, and how it ends if it has.
pub(crate) fn read_now(peer: &mut MemoryStream) -> (Vec<u8>, Option<io::Result<()>>) {
    let mut heard = Vec::new();
    let end = now(peer.read_to_end(&mut heard));
    (heard, end.map(|result| result.map(drop)))
}

/// Reads until the stream ends or fails.
pub(crate) async fn read_all(peer: &mut (impl AsyncRead + Unpin)) -> (Vec<u8>, io::Result<()>) {
    let mut heard = Vec::new();
    let end = peer.read_to_end(&mut heard).await;
    (heard, end.map(drop))
}

/// Writes in pieces of any size up to `piece`.
pub(crate) async fn write_in_pieces(
    peer: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    piece: usize,
) {
    let mut random = Random::new(piece as u64);
    let mut rest = bytes;
    while !rest.is_empty() {
        let n = 1 + random.below(piece.min(rest.len()));
        peer.write_all(&rest[..n]).await.expect("it is read");
        rest = &rest[n..];
    }
}

#[track_caller]
pub(crate) fn assert_reset(end: &io::Result<()>) {
    let kind = end.as_ref().map_err(io::Error::kind);
    assert_eq!(kind, Err(io::ErrorKind::ConnectionReset));
}

/// Spins until the condition holds.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    let spin = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    let watchdog = Duration::from_secs(60);
    let spun = tokio::time::timeout(watchdog, spin).await;
    spun.expect("the condition comes true");
}

// ===== bytes =====

/// Bytes that look random and are the same each time.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    std::iter::repeat_with(|| random.next().to_le_bytes())
        .take(len.div_ceil(8))
        .flatten()
        .take(len)
        .collect()
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 32) as usize % n
    }
}
