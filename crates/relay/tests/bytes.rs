//! Every byte arrives, in order and once, whatever the pieces; and it is counted then.

mod helper;

use std::time::Duration;

use couplet_endpoint::{Side, memory::MemoryStream};
use couplet_pairing::CloseReason;
use couplet_relay::Relay;
use helper::{
    MIB, SIDES, by_hand, drive, finish, memory_pair, noise, read_all, read_now, shut_down, spawn,
    tcp_pair, write_in_pieces, write_now,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::Instant,
};

#[tokio::test]
async fn a_script_cut_anywhere_arrives_in_order() {
    let (request, answer) = (b"GET /answer", b"it is 42, of course");
    for side in SIDES {
        for cut in 0..=request.len() {
            for answer_cut in 0..=answer.len() {
                let (mut this, mut other, pair) = memory_pair(side, 64);
                let (_, mut relaying) = by_hand(Relay::new(), pair);

                let (mut heard, mut answered) = (Vec::new(), Vec::new());
                let pieces = [
                    (&request[..cut], &answer[..answer_cut]),
                    (&request[cut..], &answer[answer_cut..]),
                ];
                for (request, answer) in pieces {
                    write_now(&mut this, request);
                    write_now(&mut other, answer);
                    assert!(drive(&mut relaying).is_pending());
                    heard.extend(read_now(&mut other).0);
                    answered.extend(read_now(&mut this).0);
                }
                assert_eq!(heard, request);
                assert_eq!(answered, answer);
            }
        }
    }
}

#[tokio::test]
async fn many_bytes_arrive_both_ways_through_tiny_buffers() {
    for buffer in [1, 61, 4096] {
        let (this, other, pair) = memory_pair(Side::A, buffer);
        let (_, relaying) = spawn(Relay::new(), pair);
        exchange(this, other, buffer * 10_000, 3 * buffer).await;
        let summary = relaying.await.unwrap().unwrap();
        assert_eq!(summary.a_to_b, buffer as u64 * 10_000);
        assert_eq!(summary.b_to_a, buffer as u64 * 10_000);
    }
}

#[tokio::test]
async fn many_bytes_arrive_both_ways_over_tcp() {
    let (this, other, pair) = tcp_pair(Side::A).await;
    let (_, relaying) = spawn(Relay::new(), pair);
    exchange(this, other, 32 * MIB, 300_000).await;
    let summary = relaying.await.unwrap().unwrap();
    assert_eq!(summary.a_to_b, 32 * MIB as u64);
    assert_eq!(summary.b_to_a, 32 * MIB as u64);
}

/// Sends noise both ways at once, in pieces of any size.
async fn exchange<S>(this: S, other: S, len: usize, piece: usize)
where
    S: AsyncRead + AsyncWrite,
{
    let (forth, back) = (noise(1, len), noise(2, len));
    let (mut this_reads, mut this_writes) = tokio::io::split(this);
    let (mut other_reads, mut other_writes) = tokio::io::split(other);
    let sends = async {
        write_in_pieces(&mut this_writes, &forth, piece).await;
        this_writes.shutdown().await
    };
    let answers = async {
        write_in_pieces(&mut other_writes, &back, piece + 1).await;
        other_writes.shutdown().await
    };
    let (heard, answered, sent, sent_back) = tokio::join!(
        read_all(&mut other_reads),
        read_all(&mut this_reads),
        sends,
        answers
    );
    // Not `assert_eq!`, which would print them.
    assert!(heard.0 == forth && answered.0 == back);
    assert!(heard.1.and(answered.1).and(sent).and(sent_back).is_ok());
}

#[tokio::test]
async fn bytes_are_counted_once_they_are_delivered() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 4);
        let (session, mut relaying) = by_hand(Relay::new(), pair);
        let mut deliver = |this: &mut MemoryStream, bytes: &[u8]| {
            let taken = write_now(this, bytes);
            assert!(drive(&mut relaying).is_pending());
            (taken, session.meter().bytes(side))
        };

        assert_eq!(deliver(&mut this, b"0123"), (4, 4));
        // The partner has no room: they are taken, and not delivered.
        assert_eq!(deliver(&mut this, b"4567"), (4, 4));
        assert_eq!(deliver(&mut this, b"89ab"), (4, 4));
        assert_eq!(read_now(&mut other).0, b"0123");
        assert_eq!(deliver(&mut this, b"cd"), (0, 8));
        assert_eq!(read_now(&mut other).0, b"4567");
        assert_eq!(deliver(&mut this, b""), (0, 12));
        assert_eq!(session.meter().bytes(!side), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_meter_tells_when_bytes_last_moved() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 4);
        let (session, mut relaying) = by_hand(Relay::new(), pair);

        tokio::time::advance(Duration::from_secs(1)).await;
        write_now(&mut this, b"0123");
        assert!(drive(&mut relaying).is_pending());
        assert_eq!(session.meter().last_progress(), Instant::now());

        // Taken, and not delivered: that is no progress.
        tokio::time::advance(Duration::from_secs(1)).await;
        write_now(&mut this, b"4567");
        assert!(drive(&mut relaying).is_pending());
        let one_second_ago = Instant::now() - Duration::from_secs(1);
        assert_eq!(session.meter().last_progress(), one_second_ago);

        read_now(&mut other);
        assert!(drive(&mut relaying).is_pending());
        assert_eq!(session.meter().last_progress(), Instant::now());
    }
}

#[tokio::test(start_paused = true)]
async fn the_summary_has_reason_bytes_and_error() {
    for side in SIDES {
        let (mut this, mut other, pair) = memory_pair(side, 64);
        let (session, mut relaying) = by_hand(Relay::new(), pair);
        assert!(session.is_relaying());
        write_now(&mut this, b"ping");
        shut_down(&mut this);
        assert!(drive(&mut relaying).is_pending());
        tokio::time::advance(Duration::from_secs(2)).await;
        write_now(&mut other, b"pong!");
        shut_down(&mut other);

        let summary = finish(relaying).unwrap();
        assert_eq!(summary.session, session.id());
        let (sent, answered) = match side {
            Side::A => (summary.a_to_b, summary.b_to_a),
            Side::B => (summary.b_to_a, summary.a_to_b),
        };
        assert_eq!((sent, answered), (4, 5));
        assert_eq!(summary.duration, Duration::from_secs(2));
        assert_eq!(summary.reason, CloseReason::Finished(side));
        assert!(summary.reason.is_clean());
        assert_eq!(session.end_reason(), Some(summary.reason));
        let mut line = format!("session {}: 4 bytes A to B, 5 bytes B to A", session.id());
        if side == Side::B {
            line = format!("session {}: 5 bytes A to B, 4 bytes B to A", session.id());
        }
        assert_eq!(
            summary.to_string(),
            format!("{line} in 2s: finished, {side} first")
        );
    }
}
