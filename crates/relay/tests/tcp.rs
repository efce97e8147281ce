//! What the kernel does between the relay and its peers.
//!
//! The peers wait for what the relay has done by spinning on its meter: no clock is involved.

#![cfg(target_os = "linux")]

mod helper;

use std::io;

use couplet_pairing::CloseReason;
use couplet_relay::Relay;
use helper::{
    MIB, SIDES, assert_reset, noise, read_all, reset, spawn, tcp_pair, until, write_in_pieces,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An answer of this size fits into the buffers of a peer that does not read yet.
const ANSWER: usize = 512 * 1024;

#[tokio::test]
async fn a_side_that_has_ended_gets_its_answer() {
    let answer = noise(1, 8 * MIB);
    for side in SIDES {
        let (mut this, mut other, pair) = tcp_pair(side).await;
        let (_, relaying) = spawn(Relay::new(), pair);
        this.write_all(b"question").await.unwrap();
        this.shutdown().await.unwrap();
        let (question, end) = read_all(&mut other).await;
        assert_eq!(question, b"question");
        assert!(end.is_ok());
        let answers = async {
            write_in_pieces(&mut other, &answer, MIB).await;
            other.shutdown().await.unwrap();
        };
        let ((heard, end), ()) = tokio::join!(read_all(&mut this), answers);
        assert!(heard == answer);
        assert!(end.is_ok());
        let summary = relaying.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::Finished(side));
    }
}

#[tokio::test]
async fn an_ended_stream_arrives_though_the_pair_is_over() {
    let sent = noise(1, 2 * MIB);
    for side in SIDES {
        let (mut this, mut other, pair) = tcp_pair(side).await;
        let (_, relaying) = spawn(Relay::new(), pair);
        other.shutdown().await.unwrap();
        this.write_all(&sent).await.unwrap();
        this.shutdown().await.unwrap();
        let summary = relaying.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::Finished(!side));
        let (heard, end) = read_all(&mut other).await;
        assert!(heard == sent);
        assert!(end.is_ok());
    }
}

/// The kernel takes bytes for a peer that is gone until it hears so.
#[tokio::test]
async fn an_end_that_finds_the_connection_broken_is_not_clean() {
    for side in SIDES {
        let (mut this, mut other, pair) = tcp_pair(side).await;
        let (session, relaying) = spawn(Relay::new(), pair);
        this.write_all(&[0; 100_000]).await.unwrap();
        until(|| session.meter().bytes(side) == 100_000).await;
        has_input(&other).await;
        other.shutdown().await.unwrap();
        assert!(read_all(&mut this).await.1.is_ok());
        drop(other);

        this.shutdown().await.unwrap();
        let summary = relaying.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::ClosedEarly(!side));
    }
}

#[tokio::test]
async fn a_reset_comes_after_the_bytes_sent_before() {
    for side in SIDES {
        let (mut this, mut other, pair) = tcp_pair(side).await;
        let (_, relaying) = spawn(Relay::new(), pair);
        this.write_all(b"last words").await.unwrap();
        reset(this);
        let (heard, end) = read_all(&mut other).await;
        assert_eq!(heard, b"last words");
        assert_reset(&end);
        let error = relaying.await.unwrap().unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Reset(side));
        assert_eq!(error.summary().a_to_b + error.summary().b_to_a, 10);
    }
}

#[tokio::test]
async fn a_stream_that_ended_before_the_reset_is_whole() {
    for side in SIDES {
        let (mut this, mut other, pair) = tcp_pair(side).await;
        let (_, relaying) = spawn(Relay::new(), pair);
        this.write_all(b"question").await.unwrap();
        this.shutdown().await.unwrap();
        reset(this);
        let (heard, end) = read_all(&mut other).await;
        assert_eq!(heard, b"question");
        assert!(end.is_ok());
        other.write_all(b"unheard").await.unwrap();
        other.shutdown().await.unwrap();
        let summary = relaying.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::ClosedEarly(side));
    }
}

#[tokio::test]
async fn a_reader_that_is_late_gets_everything_before_the_reset() {
    let sent = noise(1, 2 * MIB);
    for side in SIDES {
        let (mut this, mut other, pair) = tcp_pair(side).await;
        let (session, relaying) = spawn(Relay::new(), pair);
        this.write_all(&sent).await.unwrap();
        // All of it is between the relay and a peer that has read nothing: more than the peer's
        // own buffer has room for.
        until(|| session.meter().bytes(side) == sent.len() as u64).await;
        reset(this);
        // The relay has seen the reset: what is sent to that side is swallowed, or refused.
        // That can't be seen from outside, so the relay gets many turns.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert!(!relaying.is_finished(), "it waits for the reader");

        let (heard, end) = read_all(&mut other).await;
        assert_eq!(heard.len(), sent.len());
        assert!(heard == sent);
        assert_reset(&end);
        let error = relaying.await.unwrap().unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Reset(side));
    }
}

/// The same, while the reader holds the relay up.
#[tokio::test]
async fn a_reader_that_holds_the_relay_up_gets_what_it_accepted() {
    let sent = noise(1, 64 * MIB);
    for side in SIDES {
        let (this, mut other, pair) = tcp_pair(side).await;
        let (session, relaying) = spawn(Relay::new(), pair);
        // Until nothing goes any more: all buffers on the way are full.
        let mut taken = 0;
        let mut stalled = 0;
        while stalled < 1000 {
            match this.try_write(&sent[taken..]) {
                Ok(n) => (taken, stalled) = (taken + n, 0),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    stalled += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
        let delivered = session.meter().bytes(side);
        reset(this);

        let (heard, end) = read_all(&mut other).await;
        assert_reset(&end);
        assert!(heard[..] == sent[..heard.len()]);
        let error = relaying.await.unwrap().unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Reset(side));
        let bytes = error.summary().a_to_b + error.summary().b_to_a;
        assert!(bytes > delivered, "what it had read is delivered too");
        assert_eq!(heard.len() as u64, bytes);
    }
}

#[tokio::test]
async fn an_early_answer_arrives_whole_while_its_reader_still_sends() {
    let answer = noise(1, ANSWER);
    for side in SIDES {
        let (mut this, mut other, pair) = tcp_pair(side).await;
        let (session, relaying) = spawn(Relay::new(), pair);
        let upload = noise(2, 16 * MIB);

        let client = async {
            // It reads only when it has sent everything.
            write_in_pieces(&mut this, &upload, MIB).await;
            let (heard, end) = read_all(&mut this).await;
            drop(this);
            (heard, end)
        };
        let server = async {
            other.read_exact(&mut [0; 1000]).await.unwrap();
            other.write_all(&answer).await.unwrap();
            until(|| session.meter().bytes(!side) == ANSWER as u64).await;
            other.shutdown().await.unwrap();
            // With input unread: the kernel resets the connection after the end.
            drop(other);
        };
        let ((heard, end), ()) = tokio::join!(client, server);
        assert!(heard == answer);
        assert!(end.is_ok());
        let summary = relaying.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::ClosedEarly(!side));
    }
}

#[tokio::test]
async fn an_answer_arrives_before_the_reset_that_unread_input_makes() {
    let answer = noise(1, ANSWER);
    for side in SIDES {
        let (mut this, mut other, pair) = tcp_pair(side).await;
        let (session, relaying) = spawn(Relay::new(), pair);
        this.write_all(&[0; 100_000]).await.unwrap();
        until(|| session.meter().bytes(side) == 100_000).await;
        other.write_all(&answer).await.unwrap();
        until(|| session.meter().bytes(!side) == ANSWER as u64).await;
        has_input(&other).await;
        drop(other);

        let (heard, end) = read_all(&mut this).await;
        assert!(heard == answer);
        assert_reset(&end);
        let error = relaying.await.unwrap().unwrap_err();
        assert_eq!(error.summary().reason, CloseReason::Reset(!side));
    }
}

async fn has_input(peer: &TcpStream) {
    let there = peer.peek(&mut [0; 1]).await;
    assert!(there.is_ok_and(|n| n > 0));
}

#[tokio::test]
async fn a_closed_session_resets_both_sides() {
    for side in SIDES {
        let (mut this, mut other, pair) = tcp_pair(side).await;
        let (session, relaying) = spawn(Relay::new(), pair);
        this.write_all(b"half a quest").await.unwrap();
        let mut heard = [0; 12];
        other.read_exact(&mut heard).await.unwrap();
        session.close(CloseReason::Shutdown);
        assert_reset(&read_all(&mut this).await.1);
        assert_reset(&read_all(&mut other).await.1);
        let summary = relaying.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::Shutdown);
    }
}
