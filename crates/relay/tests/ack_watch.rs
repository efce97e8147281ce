//! A peer whose system answers nothing any more, where the kernel leaves that to the relay.

#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod helper;

use std::{io, time::Duration};

use couplet_endpoint::{AckTimeout, BoxIo, Conn, Origin, Side, memory, memory::MemoryStream};
use couplet_pairing::{CloseReason, Pair};
use couplet_relay::Relay;
use helper::{
    SIDES, assert_reset,
    ios::{Faults, Faulty},
    read_all, spawn,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

const TIMEOUT: Duration = Duration::from_secs(48);

/// This side has an acknowledgement timeout.
fn watched(side: Side) -> (MemoryStream, MemoryStream, Faults, Pair<BoxIo, BoxIo>) {
    let (this, this_io) = memory::connection(1024);
    let (other, other_io) = memory::connection(1024);
    let (this_io, faults) = Faulty::new(this_io);
    let mut this_conn = Conn::new(this_io, Origin::Accepted).boxed();
    this_conn.info.extensions.insert(AckTimeout::new(TIMEOUT));
    let other_conn = Conn::new(other_io, Origin::Accepted).boxed();
    let (a, b) = match side {
        Side::A => (this_conn, other_conn),
        Side::B => (other_conn, this_conn),
    };
    (this, other, faults, Pair::new(a, b))
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_nothing_has_failed_after_the_time() {
    for side in SIDES {
        let (mut this, mut other, faults, pair) = watched(side);
        let (_, relaying) = spawn(Relay::new(), pair);
        this.write_all(b"last words").await.unwrap();
        // Idle for long: no timer runs, and the time begins with what is sent next.
        sleep(10 * TIMEOUT).await;
        let begin = Instant::now();
        faults.set().unanswered = Some((7, begin - TIMEOUT));
        other.write_all(b"are you there?").await.unwrap();
        let error = relaying.await.unwrap().unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Failed(side));
        assert!(begin.elapsed() >= TIMEOUT, "{:?}", begin.elapsed());
        assert!(
            begin.elapsed() <= TIMEOUT + TIMEOUT / 4,
            "{:?}",
            begin.elapsed()
        );
        let (heard, end) = read_all(&mut other).await;
        assert_eq!(heard, b"last words");
        assert_reset(&end);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_now_and_then_is_left_alone() {
    let (mut this, mut other, faults, pair) = watched(Side::A);
    let (_, relaying) = spawn(Relay::new(), pair);
    other.write_all(b"x").await.unwrap();
    for _ in 0..20 {
        // Loss, and an answer within the time; then a pause with a full window, which is probed.
        for (tries, pause) in [(5, TIMEOUT * 3 / 4), (1, TIMEOUT * 5), (0, TIMEOUT * 5)] {
            faults.set().unanswered = Some((tries, Instant::now()));
            sleep(pause).await;
        }
    }
    assert!(!relaying.is_finished());
    faults.set().unanswered = None;
    other.shutdown().await.unwrap();
    this.shutdown().await.unwrap();
    this.read_exact(&mut [0]).await.unwrap();
    relaying.await.unwrap().unwrap();
}

/// A filter for sockets: as where a NAT has forgotten the connection.
#[cfg(target_os = "linux")]
fn vanish(peer: &tokio::net::TcpStream) {
    let drop_all = socket2::SockFilter::new(6, 0, 0, 0);
    socket2::SockRef::from(peer)
        .attach_filter(&[drop_all])
        .unwrap();
}

/// The kernel's own numbers: one peer vanishes with bytes on their way to it, one pauses with a full
/// window for longer than the time.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_tells_a_peer_that_vanished_from_one_that_does_not_read() {
    async fn pair() -> (
        tokio::net::TcpStream,
        tokio::net::TcpStream,
        Pair<BoxIo, BoxIo>,
    ) {
        let (this, this_io) = helper::tcp_connection().await;
        let (other, other_io) = helper::tcp_connection().await;
        let mut a = Conn::new(this_io, Origin::Accepted).boxed();
        let timeout = Duration::from_millis(2500);
        a.info.extensions.insert(AckTimeout::new(timeout));
        (
            this,
            other,
            Pair::new(a, Conn::new(other_io, Origin::Accepted).boxed()),
        )
    }
    let (mut reader, mut sender, reading) = pair().await;
    let (session, reading) = spawn(Relay::new(), reading);
    let much = vec![7; 32 * helper::MIB];
    let sending = tokio::spawn(async move {
        sender.write_all(&much).await.unwrap();
        sender.shutdown().await.unwrap();
        sender
    });
    let (gone, mut talker, vanishing) = pair().await;
    let (_, vanishing) = spawn(Relay::new(), vanishing);
    talker.write_all(b"x").await.unwrap();
    vanish(&gone);
    talker.write_all(b"are you there?").await.unwrap();
    let error = vanishing.await.unwrap().unwrap_err();
    assert_eq!(error.summary().reason, CloseReason::Failed(Side::A));
    let source =
        std::error::Error::source(&error).and_then(|error| error.downcast_ref::<io::Error>());
    assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::TimedOut));
    // As long, and the reader has not read a byte.
    assert!(!reading.is_finished());
    assert!(session.meter().bytes(Side::B) > 0);
    let (heard, end) = read_all(&mut reader).await;
    assert_eq!(heard.len(), 32 * helper::MIB);
    end.unwrap();
    drop(reader);
    sending.await.unwrap();
    reading.await.unwrap().unwrap();
}
