//! What holds for the streams of every carrier. `stream` opens one: its dialled end, then its accepted one.

use std::{io::ErrorKind, time::Duration};

use couplet_endpoint::{Gone, Io, Side, memory};
use couplet_pairing::CloseReason;
use futures::FutureExt;
use tokio::io::AsyncWriteExt;
use tower::layer::util::Identity;

use super::{assert_reset, read_all, read_some, relay_between};

/// A test of each, of the streams that `$opened` opens.
macro_rules! hold_for {
    ($opened:path) => {
        $crate::testing::streams::hold_for! {
            $opened:
            each_direction_ends_by_itself
            an_early_answer_arrives_whole
            a_stream_that_is_cut_is_a_reset_behind_its_bytes
            a_reader_that_stops_stops_its_writer_and_no_other
            a_stream_that_waits_tells_when_its_peer_goes_and_keeps_what_comes
            through_a_relay_ends_and_resets_are_what_they_were
        }
    };
    ($opened:path: $($holds:ident)*) => { $(
        #[tokio::test]
        async fn $holds() {
            $crate::testing::streams::$holds($opened().await).await;
        }
    )* };
}

pub(crate) use hold_for;

/// The ends of a stream, the one first that is to act first.
async fn turned<I>(stream: &mut impl AsyncFnMut() -> (I, I), dialled_first: bool) -> (I, I) {
    let (dialled, accepted) = stream().await;
    match dialled_first {
        true => (dialled, accepted),
        false => (accepted, dialled),
    }
}

pub(crate) async fn each_direction_ends_by_itself<I: Io>(mut stream: impl AsyncFnMut() -> (I, I)) {
    for dialled_first in [true, false] {
        let (mut one, mut other) = turned(&mut stream, dialled_first).await;
        one.write_all(b"question").await.unwrap();
        one.shutdown().await.unwrap();
        let (heard, end) = read_all(&mut other).await;
        assert_eq!(heard, b"question");
        end.unwrap();
        other.write_all(&[b'x'; 100_000]).await.unwrap();
        other.shutdown().await.unwrap();
        // What was written before arrives though the stream is gone.
        drop(other);
        let (heard, end) = read_all(&mut one).await;
        assert_eq!(heard.len(), 100_000);
        end.unwrap();
    }
}

/// An answer that comes, with its end, while its reader is sending: nothing of it is lost, and the other
/// direction goes on.
pub(crate) async fn an_early_answer_arrives_whole<I: Io>(mut stream: impl AsyncFnMut() -> (I, I)) {
    const MUCH: usize = 2_000_000;
    let (mut client, mut server) = stream().await;
    client.write_all(b"question").await.unwrap();
    assert_eq!(read_some(&mut server, 8).await, b"question");
    server.write_all(&[b'x'; 100_000]).await.unwrap();
    server.shutdown().await.unwrap();
    let (sent, heard) = tokio::join!(
        async {
            client.write_all(&vec![b'y'; MUCH]).await?;
            client.shutdown().await
        },
        read_all(&mut server)
    );
    sent.unwrap();
    heard.1.unwrap();
    assert_eq!(heard.0.len(), MUCH);
    let (heard, end) = read_all(&mut client).await;
    assert_eq!(heard.len(), 100_000);
    end.unwrap();
}

pub(crate) async fn a_stream_that_is_cut_is_a_reset_behind_its_bytes<I: Io>(
    mut stream: impl AsyncFnMut() -> (I, I),
) {
    for (dialled_first, aborts) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut first, mut second) = turned(&mut stream, dialled_first).await;
        first.write_all(&[b'x'; 100_000]).await.unwrap();
        first.flush().await.unwrap();
        if aborts {
            first.abort();
        }
        drop(first);
        let (heard, end) = read_all(&mut second).await;
        assert_eq!(heard.len(), 100_000);
        assert_reset(&end);
        let error = second.take_error().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        // What is written to it fails, sooner or later.
        let error = loop {
            match second.write_all(&[0; 1000]).await {
                Ok(()) => tokio::task::yield_now().await,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

pub(crate) async fn a_reader_that_stops_stops_its_writer_and_no_other<I: Io>(
    mut stream: impl AsyncFnMut() -> (I, I),
) {
    let (mut stuck, _never_read) = stream().await;
    let mut taken = 0;
    let held_up = Duration::from_millis(500);
    while let Ok(n) = tokio::time::timeout(held_up, stuck.write(&[0; 16 * 1024])).await {
        taken += n.unwrap();
        assert!(taken < 1024 * 1024, "a window is 256 KiB");
    }
    let (mut one, mut other) = stream().await;
    let bytes: Vec<_> = (0..2_000_000u32).map(|n| n as u8).collect();
    let (sent, heard) = tokio::join!(
        async {
            one.write_all(&bytes).await?;
            one.shutdown().await
        },
        read_all(&mut other)
    );
    sent.unwrap();
    assert!(heard.0 == bytes);
}

pub(crate) async fn a_stream_that_waits_tells_when_its_peer_goes_and_keeps_what_comes<I: Io>(
    mut stream: impl AsyncFnMut() -> (I, I),
) {
    let gone = async |io: &mut I| std::future::poll_fn(|cx| io.poll_gone(cx)).await;
    let (mut one, mut other) = stream().await;
    assert!(gone(&mut other).now_or_never().is_none());
    one.write_all(b"early").await.unwrap();
    one.shutdown().await.unwrap();
    let look = tokio::time::timeout(Duration::from_millis(50), gone(&mut other));
    look.await.unwrap_err();
    assert_eq!(read_some(&mut other, 5).await, b"early");
    assert_eq!(gone(&mut other).await, Gone::Ended);
    let (one, mut other) = stream().await;
    drop(one);
    assert_eq!(gone(&mut other).await, Gone::Failed);
}

pub(crate) async fn through_a_relay_ends_and_resets_are_what_they_were<I: Io>(
    mut stream: impl AsyncFnMut() -> (I, I),
) {
    let (mut client, accepted) = stream().await;
    let (b_io, mut b) = memory::connection(1024);
    let (_, end) = relay_between(Identity::new(), accepted, b_io);
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut b).await.0, b"question");
    b.write_all(b"answer").await.unwrap();
    drop(b);
    let (heard, ended) = read_all(&mut client).await;
    assert_eq!(heard, b"answer");
    ended.unwrap();
    let summary = end.await.unwrap().unwrap();
    assert_eq!(summary.reason, CloseReason::Finished(Side::A));

    let (mut client, accepted) = stream().await;
    let (b_io, mut b) = memory::connection(1024);
    let (_, end) = relay_between(Identity::new(), accepted, b_io);
    b.write_all(b"half").await.unwrap();
    b.abort();
    drop(b);
    let (heard, ended) = read_all(&mut client).await;
    assert_eq!(heard, b"half");
    assert_reset(&ended);
    end.await.unwrap().unwrap_err();
}
