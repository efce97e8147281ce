use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::BoxError;
use futures::Stream;
use pin_project::pin_project;
use thiserror::Error;
use tower_service::Service;

/// The requests in a row before other tasks get a turn.
const ROUNDS: u32 = 64;

/// Drives a stream of requests into a service: connections into a side stack, pairs into a pair
/// stack.
///
/// Asks the service for capacity first, then takes the next request, then spawns the call's future on
/// the current tokio runtime. So back-pressure reaches the stream: a listener does not accept, and a dial
/// does not connect, before the service has room.
///
/// Spawn this future: in the body of `#[tokio::main]` each request pays for a wake-up across threads.
///
/// Dropping the future stops the stream and the service; spawned requests go on. A call that panics ends
/// its own request alone. A panic in `poll_ready`, or in the stream, ends this future with an error,
/// because the next poll could not be trusted.
///
/// # Errors
///
/// If the service fails to become ready, the stream yields an error, or one of them panics. The results
/// of spawned futures are for the service's layers.
pub fn serve<R, E, St, S>(requests: St, service: S) -> impl Future<Output = Result<(), ServeError>>
where
    St: Stream<Item = Result<R, E>>,
    E: Into<BoxError>,
    S: Service<R>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    serve_with(requests, service, |future| {
        tokio::spawn(async {
            let _ = future.await;
        });
    })
}

/// As [`serve`], with the caller's own way to spawn the futures.
pub(crate) fn serve_with<R, E, St, S, F>(requests: St, service: S, spawn: F) -> Serve<St, S, F>
where
    St: Stream<Item = Result<R, E>>,
    E: Into<BoxError>,
    S: Service<R>,
    S::Error: Into<BoxError>,
    F: FnMut(S::Future),
{
    Serve {
        requests,
        service,
        spawn,
        ready: false,
    }
}

/// The future of [`serve_with`].
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Serve<St, S, F> {
    #[pin]
    requests: St,
    service: S,
    spawn: F,
    /// The service has capacity for the next request.
    ready: bool,
}

// ===== impl Serve =====

impl<R, E, St, S, F> Future for Serve<St, S, F>
where
    St: Stream<Item = Result<R, E>>,
    E: Into<BoxError>,
    S: Service<R>,
    S::Error: Into<BoxError>,
    F: FnMut(S::Future),
{
    type Output = Result<(), ServeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        for _ in 0..ROUNDS {
            if !*this.ready {
                let readiness =
                    guarded(|| this.service.poll_ready(cx)).map_err(ServeError::Service)?;
                ready!(readiness).map_err(|error| ServeError::Service(error.into()))?;
                *this.ready = true;
            }
            let next = guarded(|| this.requests.as_mut().poll_next(cx));
            match ready!(next.map_err(ServeError::Requests)?) {
                Some(Ok(request)) => {
                    *this.ready = false;
                    // A panic in the call ends its request alone, as a panic in the future does.
                    match guarded(|| this.service.call(request)) {
                        Ok(future) => (this.spawn)(future),
                        Err(error) => tracing::error!(error, "a request is lost"),
                    }
                }
                Some(Err(error)) => return Poll::Ready(Err(ServeError::Requests(error.into()))),
                None => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Calls a foreign function, and turns a panic into an error.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, BoxError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| Panicked::new(&*panic).into())
}

/// The failure that ended [`serve`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The service failed to become ready.
    #[error("service failed to become ready")]
    Service(#[source] BoxError),
    /// The stream of requests failed.
    #[error("stream of requests failed")]
    Requests(#[source] BoxError),
}

/// A layer or an endpoint panicked.
#[derive(Debug, Error)]
#[error("panic: {0}")]
struct Panicked(String);

// ===== impl Panicked =====

impl Panicked {
    fn new(panic: &(dyn Any + Send)) -> Self {
        let message = panic.downcast_ref::<&str>().copied();
        let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self(message.unwrap_or("no message").to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use futures::stream;
    use tokio_test::{assert_pending, assert_ready, task};
    use tower::{ServiceBuilder, service_fn};

    use super::*;

    #[tokio::test]
    async fn capacity_is_asked_for_before_a_request_is_taken() {
        let taken = Arc::new(AtomicUsize::new(0));
        let requests = stream::repeat_with({
            let taken = Arc::clone(&taken);
            move || Ok::<_, Infallible>(taken.fetch_add(1, Ordering::Relaxed))
        });
        let (release, held) = tokio::sync::watch::channel(());
        let service = ServiceBuilder::new()
            .concurrency_limit(2)
            .service(service_fn(move |_: usize| {
                let mut held = held.clone();
                async move { held.changed().await }
            }));
        let mut serving = task::spawn(serve(requests, service));

        assert_pending!(serving.poll());
        assert_eq!(taken.load(Ordering::Relaxed), 2);
        tokio::task::yield_now().await; // the two have begun
        release.send(()).unwrap();
        while !serving.is_woken() {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        assert_pending!(serving.poll());
        assert_eq!(taken.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn a_call_that_panics_ends_its_request_alone() {
        let (send, mut served) = tokio::sync::mpsc::unbounded_channel();
        let service = service_fn(move |n: u8| {
            assert_ne!(n, 2, "as it was told");
            send.send(n).unwrap();
            async { Ok::<_, Infallible>(()) }
        });
        let requests = stream::iter([1, 2, 3].map(Ok::<_, Infallible>));
        serve(requests, service).await.unwrap();
        for n in [Some(1), Some(3), None] {
            assert_eq!(served.recv().await, n);
        }
    }

    #[tokio::test]
    async fn a_panic_of_the_service_or_the_stream_is_the_end_and_an_error() {
        let echo = service_fn(|n: u8| async move { Ok::<_, Infallible>(n) });
        let panics = stream::poll_fn(|_| -> Poll<Option<Result<u8, Infallible>>> {
            panic!("as the stream was told")
        });
        let error = serve(panics, echo).await.unwrap_err();
        assert!(matches!(error, ServeError::Requests(_)));
        let cause = std::error::Error::source(&error).unwrap();
        assert_eq!(cause.to_string(), "panic: as the stream was told");

        struct Unready;
        impl Service<u8> for Unready {
            type Response = ();
            type Error = Infallible;
            type Future = std::future::Ready<Result<(), Infallible>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                panic!("as {} was told", "the service")
            }

            fn call(&mut self, _: u8) -> Self::Future {
                unreachable!("it is never ready")
            }
        }
        let error = serve(stream::pending::<Result<u8, Infallible>>(), Unready).await;
        let error = error.unwrap_err();
        assert!(matches!(error, ServeError::Service(_)));
        let cause = std::error::Error::source(&error).unwrap();
        assert_eq!(cause.to_string(), "panic: as the service was told");
    }

    #[tokio::test]
    async fn serve_ends_with_its_stream_or_an_error() {
        let echo = service_fn(|n: u8| async move { Ok::<_, Infallible>(n) });
        let requests = stream::iter([Ok::<_, Infallible>(1)]);
        serve(requests, echo).await.unwrap();

        let requests = stream::iter([Ok(1), Err("gone")]);
        let error = serve(requests, echo).await.unwrap_err();
        assert!(matches!(error, ServeError::Requests(_)));

        let mut refused = task::spawn(serve(
            stream::iter([Ok::<_, Infallible>(1)]),
            ServiceBuilder::new()
                .map_future(|future| future)
                .service(tower::util::service_fn(|_: u8| async {
                    Err::<(), _>("no")
                })),
        ));
        assert_ready!(refused.poll()).unwrap();
    }
}
