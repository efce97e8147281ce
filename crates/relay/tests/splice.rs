//! Bytes that pass by this process: promotion in the middle of a stream, and what is left behind.

#![cfg(target_os = "linux")]

mod helper;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use couplet_endpoint::{Io, Opaque, Replay, Side, TcpIo, io::Socket};
use couplet_pairing::CloseReason;
use couplet_relay::{Relay, Splice};
use helper::{
    MIB, SIDES, assert_reset, join, noise, read_all, reset, spawn, tcp_connection, until,
    write_in_pieces,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpStream, UnixStream},
};

/// An io that counts what is read from it, and lets itself be bypassed as the one within does.
struct Counting<I> {
    io: I,
    read: Arc<AtomicU64>,
}

impl<I> Counting<I> {
    fn new(io: I) -> (Self, Arc<AtomicU64>) {
        let read = Arc::default();
        let counting = Self {
            io,
            read: Arc::clone(&read),
        };
        (counting, read)
    }
}

impl<I: Io> Io for Counting<I> {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    fn splice_source(&self) -> Option<Socket<'_>> {
        self.io.splice_source()
    }

    fn splice_sink(&self) -> Option<Socket<'_>> {
        self.io.splice_sink()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Counting<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let n = buf.filled().len() - before;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

couplet_endpoint::forward_async_write!(impl[I: AsyncWrite + Unpin] for Counting<I>, io);

/// Both ends of a connection.
type Ends<P, I> = (P, I);

/// Sends it through a relay both ways at once, and tells how much was read on the way.
async fn through<P, I>(
    relay: Relay,
    (this, this_io): Ends<P, I>,
    (other, other_io): Ends<P, I>,
    sent: &[u8],
    piece: usize,
) -> u64
where
    P: AsyncRead + AsyncWrite,
    I: Io,
{
    let (this_io, this_read) = Counting::new(this_io);
    let (other_io, other_read) = Counting::new(other_io);
    let (_, relaying) = spawn(relay, join(Side::A, this_io, other_io));
    let (mut this_hears, mut this_says) = tokio::io::split(this);
    let (mut other_hears, mut other_says) = tokio::io::split(other);
    let (_, _, there, back) = tokio::join!(
        async {
            write_in_pieces(&mut this_says, sent, piece).await;
            this_says.shutdown().await.expect("it is read");
        },
        async {
            write_in_pieces(&mut other_says, sent, piece).await;
            other_says.shutdown().await.expect("it is read");
        },
        read_all(&mut other_hears),
        read_all(&mut this_hears),
    );
    for (heard, end) in [there, back] {
        assert!(heard == sent, "{} of {} bytes", heard.len(), sent.len());
        assert!(end.is_ok());
    }
    let relayed = relaying.await.expect("it does not panic");
    let summary = relayed.expect("nothing fails");
    assert_eq!(summary.a_to_b, sent.len() as u64);
    assert_eq!(summary.b_to_a, sent.len() as u64);
    this_read.load(Ordering::Relaxed) + other_read.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_stream_is_spliced_and_little_is_copied() {
    let sent = noise(1, 16 * MIB);
    let (this, other) = (tcp_connection().await, tcp_connection().await);
    let read = through(Relay::new(), this, other, &sent, 4 * MIB).await;
    assert!(read < 2 * 8 * MIB as u64, "{read} of 32 MiB were copied");

    let sent = noise(2, MIB);
    let (this, other) = (tcp_connection().await, tcp_connection().await);
    let relay = Relay::new().splice(Splice::Never);
    let read = through(relay, this, other, &sent, MIB).await;
    assert_eq!(read, 2 * MIB as u64);
}

#[tokio::test]
async fn large_messages_are_spliced_and_small_ones_are_copied() {
    for (size, spliced) in [(32 * 1024, true), (8 * 1024, false)] {
        let (mut this, this_io) = tcp_connection().await;
        let (mut other, other_io) = tcp_connection().await;
        let (this_io, read) = Counting::new(this_io);
        let _relaying = spawn(Relay::new(), join(Side::A, this_io, other_io));
        let (message, mut heard) = (noise(3, size), vec![0; size]);
        for _ in 0..32 {
            this.write_all(&message).await.expect("it is read");
            other.read_exact(&mut heard).await.expect("it comes");
            assert!(heard == message);
        }
        let read = read.load(Ordering::Relaxed);
        let all = 32 * size as u64;
        match spliced {
            true => assert!(read < all / 2, "{read} of {all} were copied"),
            false => assert_eq!(read, all),
        }
    }
}

/// Between copying and splicing, and back: not a byte is lost, doubled or out of order.
#[tokio::test]
async fn chunks_of_all_sizes_arrive_in_order() {
    for (seed, piece) in [7, 1000, 60_000, 70_000, 300_000, 3 * MIB]
        .into_iter()
        .enumerate()
    {
        let sent = noise(seed as u64, (piece * 400).min(24 * MIB));
        let (this, other) = (tcp_connection().await, tcp_connection().await);
        through(Relay::new(), this, other, &sent, piece).await;
    }
}

#[tokio::test]
async fn unix_sockets_are_spliced_too() {
    let sent = noise(3, 16 * MIB);
    let this = UnixStream::pair().unwrap();
    let other = UnixStream::pair().unwrap();
    through(Relay::new(), this, other, &sent, 4 * MIB).await;
}

#[tokio::test]
async fn an_opaque_io_is_copied() {
    let sent = noise(4, 8 * MIB);
    let opaque = |(peer, io): (TcpStream, TcpIo)| (peer, Opaque(io));
    let (this, other) = (tcp_connection().await, tcp_connection().await);
    let read = through(Relay::new(), opaque(this), opaque(other), &sent, 4 * MIB).await;
    assert_eq!(read, 2 * 8 * MIB as u64);
}

/// What was read ahead comes first, and the rest passes by.
#[tokio::test]
async fn bytes_read_ahead_are_not_overtaken_by_splice() {
    let sent = noise(5, 8 * MIB);
    let (mut this, this_io) = tcp_connection().await;
    let (mut other, other_io) = tcp_connection().await;
    this.write_all(&sent[..100]).await.unwrap();
    let mut this_io = Replay::new(this_io);
    while this_io.ahead().len() < 100 {
        this_io.read_ahead(100).await.unwrap();
    }
    let (_, relaying) = spawn(Relay::new(), join(Side::A, this_io, other_io));
    let send = async {
        this.write_all(&sent[100..]).await.unwrap();
        this.shutdown().await.unwrap();
    };
    let ((heard, end), ()) = tokio::join!(read_all(&mut other), send);
    assert!(heard == sent);
    assert!(end.is_ok());
    other.shutdown().await.unwrap();
    relaying.await.unwrap().unwrap();
}

/// A reset, or an end, at any moment: what arrives is the beginning of what was sent, and after an
/// end it is all of it.
#[tokio::test]
async fn an_end_at_any_moment_is_told_from_a_reset() {
    let sent = noise(6, 6 * MIB);
    for round in 0..24 {
        let (mut this, this_io) = tcp_connection().await;
        let (mut other, other_io) = tcp_connection().await;
        let side = SIDES[round % 2];
        let (_, relaying) = spawn(Relay::new(), join(side, this_io, other_io));
        let cut = sent.len() * (round + 1) / 25;
        let is_reset = round % 3 == 0;
        let send = async {
            this.write_all(&sent[..cut]).await.unwrap();
            match is_reset {
                true => reset(this),
                false => this.shutdown().await.unwrap(),
            }
        };
        let ((heard, end), ()) = tokio::join!(read_all(&mut other), send);
        assert!(heard == sent[..heard.len()], "round {round}");
        match is_reset {
            true => assert_reset(&end),
            false => assert_eq!((heard.len(), end.is_ok()), (cut, true), "round {round}"),
        }
        drop(other);
        let _ = relaying.await.unwrap();
    }
}

/// A pair that is closed with bytes in its pipe leaves them to no other pair.
#[tokio::test]
async fn bytes_left_by_one_pair_are_never_seen_by_the_next() {
    let sent = noise(7, 8 * MIB);
    for _ in 0..3 {
        let (mut this, this_io) = tcp_connection().await;
        let (other, other_io) = tcp_connection().await;
        let (session, relaying) = spawn(Relay::new(), join(Side::A, this_io, other_io));
        // It stalls with a full pipe: its reader never reads.
        let stalled = async {
            this.write_all(&[0xAA; 64 * MIB]).await.unwrap_err();
        };
        let close = async {
            // Nothing moves any more, however many turns it gets.
            let (mut moved, mut turns) = (0, 0);
            until(|| {
                let before = std::mem::replace(&mut moved, session.meter().bytes(Side::A));
                turns = if moved == before { turns + 1 } else { 0 };
                moved > MIB as u64 && turns > 10_000
            })
            .await;
            session.close(CloseReason::Closed);
        };
        tokio::join!(stalled, close);
        relaying.await.unwrap().unwrap();
        drop(other);

        let (this, other) = (tcp_connection().await, tcp_connection().await);
        through(Relay::new(), this, other, &sent, MIB).await;
    }
}
