//! Layers with a fault each fail in the check that is about it, and in no other.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::{
    convert::Infallible,
    io::{self, IoSlice},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::{BoxError, BoxIo, Conn, Io};
use futures::future::{BoxFuture, FutureExt};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, BufWriter, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::Service;
use tower_layer::Layer;

use couplet_conformance::{Check, Innermost, Report, SideKit, pair, side};
use couplet_layers::{ExpectToken, HandshakeLayer, SendToken, Token};

#[track_caller]
fn assert_fails(check: Check, made: Result<(), Report>) {
    let report = made.unwrap_err();
    let failed: Vec<_> = report.failures().iter().map(|it| it.check).collect();
    assert_eq!(failed, [check], "{report}");
    assert!(report.to_string().contains(&format!("\n  {check}: ")));
}

/// A side whose io is wrapped in something.
fn wrapped<I: Io>(wrap: impl Fn(BoxIo) -> I + Clone + Send + Sync + 'static) -> SideKit {
    side(HandshakeLayer::new(move |conn: Conn<BoxIo>| {
        futures::future::ready(Ok::<_, Infallible>(conn.map_io(wrap.clone())))
    }))
}

// ===== ios =====

/// An io with a fault.
struct Faulty {
    io: BoxIo,
    fault: Fault,
    held: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// What a short write leaves is forgotten.
    ForgetsTheRest,
    /// All slices are said to be taken, but the first alone is written.
    FirstSlice,
    /// Takes whatever it is given.
    TakesAll,
    /// Reads nothing more once it is shut down.
    ShutsBoth,
    /// An error is an end.
    EndsOnError,
    /// Does not pass on that it is aborted.
    Gentle,
}

impl Fault {
    fn kit(self) -> SideKit {
        wrapped(move |io| Faulty {
            io,
            fault: self,
            held: Vec::new(),
        })
    }
}

impl Faulty {
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let n = ready!(Pin::new(&mut self.io).poll_write(cx, &self.held))?;
            self.held.drain(..n);
        }
        Poll::Ready(Ok(()))
    }
}

impl Io for Faulty {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    fn abort(&mut self) {
        if self.fault != Fault::Gentle {
            self.io.abort();
        }
    }
}

impl AsyncRead for Faulty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.fault == Fault::ShutsBoth && !self.held.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match ready!(Pin::new(&mut self.io).poll_read(cx, buf)) {
            Err(_) if self.fault == Fault::EndsOnError => Poll::Ready(Ok(())),
            read => Poll::Ready(read),
        }
    }
}

impl AsyncWrite for Faulty {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.fault == Fault::TakesAll {
            self.held.extend_from_slice(bytes);
            let _ = self.poll_held(cx)?;
            return Poll::Ready(Ok(bytes.len()));
        }
        let n = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        Poll::Ready(Ok(match self.fault {
            Fault::ForgetsTheRest => bytes.len(),
            _ => n,
        }))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.fault == Fault::TakesAll {
            ready!(self.poll_held(cx))?;
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.fault {
            Fault::TakesAll => ready!(self.poll_held(cx))?,
            Fault::ShutsBoth => self.held = vec![0],
            _ => {}
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.fault == Fault::FirstSlice {
            let n = ready!(Pin::new(&mut self.io).poll_write(cx, &slices[0]))?;
            let later: usize = slices[1..].iter().map(|slice| slice.len()).sum();
            return Poll::Ready(Ok(n + later));
        }
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        self.poll_write(cx, &all)
    }
}

#[test]
fn a_wrapper_that_forgets_what_is_left_is_caught() {
    // A full wire takes a part of a write, too: the slow reader loses it as well.
    let report = Fault::ForgetsTheRest.kit().check().unwrap_err();
    let failures = report.failures();
    assert_eq!(failures[0].check, Check::Segmentation);
    assert!(failures[0].why.contains("from near to far"), "{report}");
}

#[test]
fn a_wrapper_that_writes_the_first_slice_alone_is_caught() {
    assert_fails(Check::VectoredWrites, Fault::FirstSlice.kit().check());
}

#[test]
fn a_wrapper_without_back_pressure_is_caught() {
    assert_fails(Check::SlowReader, Fault::TakesAll.kit().check());
}

#[test]
fn a_wrapper_that_does_not_flush_is_caught() {
    /// Flushes nothing but its end.
    struct Unflushed(BufWriter<BoxIo>);

    impl Io for Unflushed {
        fn inner_mut(&mut self) -> Option<&mut dyn Io> {
            Some(self.0.get_mut())
        }
    }

    impl AsyncRead for Unflushed {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Unflushed {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, bytes)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    let report = wrapped(|io| Unflushed(BufWriter::new(io)))
        .check()
        .unwrap_err();
    let flush = report.failures().iter().find(|it| it.check == Check::Flush);
    assert!(
        flush.unwrap().why.contains("a byte that near flushed"),
        "{report}"
    );
    let ends = [
        Check::HalfClose,
        Check::Cancellation,
        Check::Deadline,
        Check::Readiness,
    ];
    assert!(
        report.failures().iter().all(|it| !ends.contains(&it.check)),
        "{report}"
    );
}

#[test]
fn a_wrapper_that_shuts_down_both_directions_is_caught() {
    assert_fails(Check::HalfClose, Fault::ShutsBoth.kit().check());
}

#[test]
fn a_wrapper_that_turns_a_reset_into_an_end_is_caught() {
    assert_fails(Check::Resets, Fault::EndsOnError.kit().check());
    assert_fails(Check::Resets, Fault::Gentle.kit().check());
}

#[test]
fn a_format_without_an_end_is_caught() {
    assert_fails(Check::CutStreams, wrapped(|io| io).has_end().check());
}

// ===== handshakes =====

fn token() -> HandshakeLayer<SendToken> {
    HandshakeLayer::new(SendToken::new(Token::new("open sesame").unwrap()))
}

#[test]
fn a_handshake_that_loses_bytes_read_ahead_is_caught() {
    async fn first_line(mut conn: Conn<BoxIo>) -> io::Result<Conn<BoxIo>> {
        let mut buffered = BufReader::new(&mut conn.io);
        buffered.read_line(&mut String::new()).await?;
        Ok(conn)
    }

    let kit = side(HandshakeLayer::new(first_line)).peer(token());
    let report = kit.check().unwrap_err();
    let behind = report
        .failures()
        .iter()
        .find(|it| it.check == Check::BytesBehindHandshake);
    assert!(behind.is_some(), "{report}");
}

#[test]
fn a_layer_that_waits_for_ever_is_caught() {
    let expect = ExpectToken::new(Token::new("open sesame").unwrap());
    let kit = side(HandshakeLayer::new(expect).timeout(None)).peer(token());
    assert_fails(Check::Deadline, kit.check());
}

// ===== calls =====

/// Runs its calls in tasks that are never dropped.
#[derive(Clone)]
struct Detach<S>(S);

impl<S, R> Service<R> for Detach<S>
where
    S: Service<R, Error = BoxError, Response: Send + 'static, Future: Send + 'static>,
    S: Clone + Send + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let call = tokio::spawn(self.0.call(request));
        async { call.await? }.boxed()
    }
}

#[test]
fn a_layer_that_survives_its_drop_is_caught() {
    let handshake = HandshakeLayer::new(ExpectToken::new(Token::new("open sesame").unwrap()));
    let detached = tower_layer::layer_fn(move |inner: Innermost| Detach(handshake.layer(inner)));
    assert_fails(Check::Cancellation, side(detached).peer(token()).check());
}

/// What is ready is cloned.
#[derive(Clone)]
struct ClonesReadiness<S> {
    ready: bool,
    inner: S,
}

impl<S: Service<Conn<BoxIo>>> Service<Conn<BoxIo>> for ClonesReadiness<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if !self.ready {
            ready!(self.inner.poll_ready(cx))?;
            self.ready = true;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, conn: Conn<BoxIo>) -> S::Future {
        assert!(mem::take(&mut self.ready));
        self.inner.call(conn)
    }
}

#[test]
fn a_service_that_clones_readiness_is_caught() {
    let layer = tower_layer::layer_fn(|inner: Innermost| ClonesReadiness {
        ready: false,
        inner,
    });
    assert_fails(Check::Readiness, side(layer).check());
}

/// Keeps what it has reserved.
struct Hoards<S> {
    free: std::sync::Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    inner: S,
}

impl<S: Clone> Clone for Hoards<S> {
    fn clone(&self) -> Self {
        Self {
            free: self.free.clone(),
            permit: None,
            inner: self.inner.clone(),
        }
    }
}

impl<S> Drop for Hoards<S> {
    fn drop(&mut self) {
        mem::forget(self.permit.take());
    }
}

impl<R, S: Service<R>> Service<R> for Hoards<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.permit.is_none() {
            let Ok(permit) = self.free.clone().try_acquire_owned() else {
                return Poll::Pending;
            };
            self.permit = Some(permit);
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.permit = None;
        self.inner.call(request)
    }
}

#[test]
fn a_service_that_keeps_its_reservation_is_caught() {
    let hoards = |inner: Innermost| Hoards {
        free: std::sync::Arc::new(Semaphore::new(100)),
        permit: None,
        inner,
    };
    assert_fails(
        Check::Readiness,
        side(tower_layer::layer_fn(hoards)).check(),
    );
    assert_fails(
        Check::Readiness,
        pair(tower_layer::layer_fn(hoards)).check(),
    );
}

/// Calls what is not ready.
#[derive(Clone)]
struct Hasty<S>(S);

impl<S: Service<Conn<BoxIo>> + Clone + Send + 'static> Service<Conn<BoxIo>> for Hasty<S>
where
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, conn: Conn<BoxIo>) -> S::Future {
        self.0.clone().call(conn)
    }
}

#[test]
fn a_service_that_calls_an_unready_one_is_caught() {
    let layer = tower_layer::layer_fn(|inner: Innermost| Hasty(inner));
    assert_fails(Check::Readiness, side(layer).check());
}

#[test]
fn a_panic_is_reported_as_one() {
    let panics = |_: Conn<BoxIo>| async { panic!("oh no") as io::Result<Conn<BoxIo>> };
    let report = side(HandshakeLayer::new(panics)).check().unwrap_err();
    assert!(report.to_string().contains("panicked"), "{report}");
    let _ = side(HandshakeLayer::new(panics))
        .peer(token())
        .deadline(std::time::Duration::MAX);
}
