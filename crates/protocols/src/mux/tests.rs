use std::{convert::Infallible, future::Ready, io::ErrorKind, time::Duration};

use couplet_endpoint::{Conn, Origin, memory, memory::MemoryStream};
use futures::{FutureExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tower::Service;

use super::*;
use crate::testing::{assert_reset, read_all, read_some, streams};

type Shake = fn(Conn<MemoryStream>) -> Ready<Result<Conn<MemoryStream>, Infallible>>;
type Dial = MuxDial<memory::Dial, Shake>;
type Listen = MuxListen<memory::Listen, Shake>;

fn ends() -> (Dial, Listen) {
    let (dial, listen) = memory::endpoint();
    (
        MuxDial::new(dial, plain as Shake),
        MuxListen::new(listen, plain as Shake),
    )
}

/// A stream: its dialled end, then its accepted one.
async fn stream(dial: &mut Dial, listen: &mut Listen) -> (MuxIo, MuxIo) {
    let (dialled, accepted) = tokio::join!(dial.call(()), listen.next());
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap().unwrap());
    assert_eq!(accepted.info.origin, Origin::Accepted);
    (dialled.io, accepted.io)
}

/// Opens stream after stream.
async fn opened() -> impl AsyncFnMut() -> (MuxIo, MuxIo) {
    let (mut dial, mut listen) = ends();
    async move || stream(&mut dial, &mut listen).await
}

streams::hold_for!(opened);

/// The clock goes on only when nothing else does: a wait that ends was for nothing.
#[tokio::test(start_paused = true)]
async fn many_readers_that_stop_stop_their_writers_and_no_other() {
    const STUCK: usize = 1024 * 1024;
    let mut stream = opened().await;
    let mut stuck = Vec::new();
    for _ in 0..50 {
        let (mut one, other) = stream().await;
        let writing = tokio::spawn(async move {
            one.write_all(&vec![b'x'; STUCK]).await?;
            one.shutdown().await
        });
        stuck.push((writing, other));
    }
    let (mut one, mut other) = stream().await;
    let bytes: Vec<_> = (0..2_000_000u32).map(|n| n as u8).collect();
    let both = async {
        let sends = async {
            one.write_all(&bytes).await?;
            one.shutdown().await
        };
        tokio::join!(sends, read_all(&mut other))
    };
    let (sent, heard) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    sent.unwrap();
    assert!(heard.0 == bytes);
    for (writing, mut other) in stuck {
        assert!(!writing.is_finished(), "a window is 256 KiB");
        let (heard, end) = read_all(&mut other).await;
        assert_eq!(heard.len(), STUCK);
        end.unwrap();
        writing.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_carrier_that_fails_resets_its_streams_and_is_dialled_again() {
    let (dial, mut listen) = memory::endpoint();
    let mut dial = MuxDial::new(dial, plain as Shake);
    for _ in 0..2 {
        let dialling = tokio::spawn(dial.call(()));
        let carrier = listen.next().await.unwrap().unwrap();
        let (near, far) = memory::connection(64 * 1024);
        let (mut acceptor, give) = handed();
        give(far);
        let pipe = tokio::spawn(pass(carrier.io, near));
        let mut accepted = acceptor.next().await.unwrap().unwrap().io;
        let mut dialled = dialling.await.unwrap().unwrap().io;
        dialled.write_all(b"half").await.unwrap();
        dialled.flush().await.unwrap();
        assert_eq!(read_some(&mut accepted, 4).await, b"half");
        pipe.abort();
        for io in [&mut dialled, &mut accepted] {
            let (_, end) = read_all(io).await;
            assert_reset(&end);
        }
    }
}

/// An acceptor of streams, and how it gets its carrier.
fn handed() -> (Listen, impl FnOnce(MemoryStream)) {
    let (mut dial, listen) = memory::endpoint();
    let (give, given) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut carrier: MemoryStream = given.await.unwrap();
        let mut conn: Conn<MemoryStream> = dial.call(()).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut carrier, &mut conn.io).await;
    });
    (MuxListen::new(listen, plain as Shake), move |io| {
        give.send(io).unwrap();
    })
}

async fn pass(mut one: MemoryStream, mut other: MemoryStream) {
    let _ = tokio::io::copy_bidirectional(&mut one, &mut other).await;
}

#[tokio::test]
async fn many_streams_share_a_carrier_and_one_too_many_has_another() {
    let (dial, mut listen) = memory::endpoint();
    let mut dial = MuxDial::new(dial, plain as Shake);
    let (relay, carriers) = memory::endpoint();
    let mut acceptor = MuxListen::new(carriers, plain as Shake);
    let counted = tokio::spawn(async move {
        let mut carriers = 0;
        while let Some(Ok(carrier)) = listen.next().await {
            carriers += 1;
            let mut relay = relay.clone();
            let onward: Conn<MemoryStream> = relay.call(()).await.unwrap();
            tokio::spawn(pass(carrier.io, onward.io));
        }
        carriers
    });
    let mut streams = Vec::new();
    for _ in 0..=STREAMS {
        let (dialled, accepted) = tokio::join!(dial.call(()), acceptor.next());
        streams.push((dialled.unwrap(), accepted.unwrap().unwrap()));
    }
    drop((streams, dial));
    assert_eq!(counted.await.unwrap(), 2);
}

#[tokio::test]
async fn a_side_that_takes_no_more_lets_its_streams_end_and_the_next_is_opened_elsewhere() {
    let (dial, mut carriers) = memory::endpoint();
    let mut dial = MuxDial::new(dial, plain as Shake);
    let (mut old, give) = handed();
    let dialling = tokio::spawn(dial.call(()));
    give(carriers.next().await.unwrap().unwrap().io);
    let mut accepted = old.next().await.unwrap().unwrap().io;
    let mut dialled = dialling.await.unwrap().unwrap().io;
    drop(old);
    // The peer is told, and opens the next stream over a carrier of its own.
    let (mut new, give) = handed();
    let dialling = tokio::spawn(dial.call(()));
    give(carriers.next().await.unwrap().unwrap().io);
    let _newer = new.next().await.unwrap().unwrap().io;
    let _newest = dialling.await.unwrap().unwrap().io;
    dialled.write_all(b"still there").await.unwrap();
    dialled.shutdown().await.unwrap();
    assert_eq!(read_all(&mut accepted).await.0, b"still there");
    accepted.shutdown().await.unwrap();
    read_all(&mut dialled).await.1.unwrap();
}

#[tokio::test]
async fn a_stream_that_was_open_when_its_side_ends_is_handed_on() {
    let (mut dial, mut listen) = ends();
    let first = stream(&mut dial, &mut listen).await;
    let dialled: Vec<_> = futures::future::join_all((0..9).map(|_| dial.call(()))).await;
    for conn in dialled {
        conn.unwrap();
        assert!(
            listen.next().now_or_never().is_some(),
            "it is there at once"
        );
    }
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_carrier_that_falls_silent_is_given_up_and_dialled_again() {
    let (dial, mut carriers) = memory::endpoint();
    let watch = MuxWatch::default();
    let mut dial = MuxDial::new(dial, plain as Shake).watch(watch.clone());
    let (mut far, give) = handed();
    let dialling = tokio::spawn(dial.call(()));
    let carrier = carriers.next().await.unwrap().unwrap().io;
    let (near, passed) = memory::connection(64 * 1024);
    give(passed);
    let (stops, stopped) = tokio::sync::oneshot::channel::<()>();
    let kept = tokio::spawn(async move {
        let (mut carrier, mut near) = (carrier, near);
        {
            let passing = std::pin::pin!(tokio::io::copy_bidirectional(&mut carrier, &mut near));
            futures::future::select(passing, stopped).await;
        }
        // Both are there, and nothing goes through.
        futures::future::pending::<()>().await;
        drop((carrier, near));
    });
    let _accepted = far.next().await.unwrap().unwrap();
    let mut dialled = dialling.await.unwrap().unwrap().io;
    // An idle carrier that answers lives on.
    tokio::time::sleep(20 * PING).await;
    assert_eq!(watch.status().carriers, 1);
    stops.send(()).unwrap();
    let since = tokio::time::Instant::now();
    let (_, end) = read_all(&mut dialled).await;
    assert_reset(&end);
    assert!(since.elapsed() <= 3 * PING, "{:?}", since.elapsed());
    assert_eq!(watch.status().silent, 1);
    let (mut far, give) = handed();
    let dialling = tokio::spawn(dial.call(()));
    give(carriers.next().await.unwrap().unwrap().io);
    far.next().await.unwrap().unwrap();
    dialling.await.unwrap().unwrap();
    kept.abort();
}

#[tokio::test(start_paused = true)]
async fn calls_share_a_dial_and_its_failure_and_the_next_comes_after_a_pause() {
    use std::sync::atomic::{AtomicU32, Ordering};

    let dials = std::sync::Arc::new(AtomicU32::new(0));
    let refuses = tower::service_fn({
        let dials = dials.clone();
        move |()| {
            dials.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Err::<Conn<MemoryStream>, _>(std::io::Error::from(
                ErrorKind::ConnectionRefused,
            )))
        }
    });
    let mut dial = MuxDial::new(refuses, plain as Shake);
    let since = tokio::time::Instant::now();
    for round in 1..=4 {
        let calls = (0..50).map(|_| dial.call(()));
        for conn in futures::future::join_all(calls).await {
            let error = conn.unwrap_err();
            let cause = couplet_endpoint::find_cause::<std::io::Error>(&error).unwrap();
            assert_eq!(cause.kind(), ErrorKind::ConnectionRefused);
        }
        assert_eq!(dials.load(Ordering::Relaxed), round);
    }
    assert!(
        since.elapsed() >= Duration::from_secs(2),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test]
async fn carriers_are_bounded_and_full_ones_are_told_of() {
    let (dial, listen) = memory::endpoint();
    let mut listen = MuxListen::new(listen, plain as Shake);
    let mut dial = MuxDial::new(dial, plain as Shake).streams(2).carriers(2);
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(stream(&mut dial, &mut listen).await);
    }
    let error = dial.call(()).await.unwrap_err();
    assert!(matches!(error, MuxDialError::Full(2)), "{error}");
    drop(all.pop());
    stream(&mut dial, &mut listen).await;
}

#[tokio::test(start_paused = true)]
async fn carriers_without_a_stream_give_way_to_one_of_another_network() {
    let (dial, listen) = memory::endpoint();
    let from = move |last: u8| {
        let mut dial = dial.clone();
        async move {
            let mut conn: Conn<MemoryStream> = dial.call(()).await.unwrap();
            conn.io.write_all(&[last]).await.unwrap();
            conn
        }
    };
    // The first byte says where a client is.
    let named = listen.then(async |conn: Result<Conn<MemoryStream>, _>| {
        let mut conn = conn.unwrap();
        let mut last = [0];
        tokio::io::AsyncReadExt::read_exact(&mut conn.io, &mut last)
            .await
            .unwrap();
        conn.info.peer = Some(([192, 0, 2, last[0]], 1).into());
        Ok::<_, Infallible>(conn)
    });
    let mut listen = MuxListen::new(Named(named.boxed()), plain as Shake).carriers(4);
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(from(1).await);
    }
    let newcomer = tower::service_fn(move |()| from(2).map(Ok::<_, Infallible>));
    let mut newcomer = MuxDial::new(newcomer, plain as Shake);
    let (dialled, accepted) = tokio::join!(newcomer.call(()), listen.next());
    dialled.unwrap();
    assert_eq!(
        accepted
            .unwrap()
            .unwrap()
            .info
            .peer
            .unwrap()
            .ip()
            .to_string(),
        "192.0.2.2"
    );
}

/// An endpoint of connections that were changed.
struct Named(futures::stream::BoxStream<'static, Result<Conn<MemoryStream>, Infallible>>);

impl futures::Stream for Named {
    type Item = Result<Conn<MemoryStream>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl couplet_endpoint::Endpoint for Named {
    type Io = MemoryStream;
    type Error = Infallible;
}

#[tokio::test]
async fn a_watch_counts_and_tells_when_all_carriers_have_ended() {
    let (dial, listen) = memory::endpoint();
    let watch = MuxWatch::default();
    let mut listen = MuxListen::new(listen, plain as Shake).watch(watch.clone());
    let mut dial = MuxDial::new(dial, plain as Shake);
    let streams = [
        stream(&mut dial, &mut listen).await,
        stream(&mut dial, &mut listen).await,
    ];
    let status = watch.status();
    assert_eq!((status.carriers, status.streams), (1, 2));
    assert!(watch.carriers_ended().now_or_never().is_none());
    drop((streams, dial));
    watch.carriers_ended().await;
    let status = watch.status();
    assert_eq!((status.carriers, status.streams), (0, 0));
    assert_eq!((status.total_carriers, status.total_streams), (1, 2));
    assert_eq!(status.failed + status.refused + status.silent, 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_without_mux_is_told_of() {
    let (dial, mut listen) = memory::endpoint();
    let mut dial = MuxDial::new(dial, plain as Shake);
    let silent = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(Ok(carrier)) = listen.next().await {
            all.push(carrier);
        }
    });
    let error = dial.call(()).await.unwrap_err();
    assert!(matches!(error, MuxDialError::NotOpened), "{error}");
    silent.abort();
}

#[test]
fn lengths_may_be_cut_anywhere() {
    let mut script = vec![OPEN];
    for piece in [&b"one"[..], b"t", b"three and more"] {
        script.extend((piece.len() as u16).to_be_bytes());
        script.extend_from_slice(piece);
    }
    script.extend([0, 0]);
    for cut in 0..=script.len() {
        let mut lengths = io::Lengths::default();
        let mut heard = Vec::new();
        for mut part in [&script[..cut], &script[cut..]] {
            while !part.is_empty() {
                let mut room = [0; 4];
                let (taken, put) = lengths.take_out(part, &mut room).unwrap();
                part = &part[taken..];
                heard.extend_from_slice(&room[..put]);
            }
        }
        assert_eq!(heard, b"onetthree and more");
        assert!(lengths.ended);
        assert_eq!(lengths.take_out(&[7], &mut []), Err(ErrorKind::InvalidData));
    }
    let mut lengths = io::Lengths::default();
    assert_eq!(lengths.take_out(&[7], &mut []), Err(ErrorKind::InvalidData));
}

/// It is a mistake of the peer's, and what came with it is lost: no end of its own makes up for that.
#[tokio::test]
async fn bytes_behind_an_end_are_a_failure_of_their_stream() {
    let (mut dial, mut listen) = ends();
    let (mut one, mut other) = stream(&mut dial, &mut listen).await;
    one.write_raw(&[0, 1, b'x', 0, 0, 7]).await.unwrap();
    let (_, end) = read_all(&mut other).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidData);
}
