use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::Stream;
use pin_project::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tower_service::Service;
use tracing::{debug, warn};

use crate::{
    conn::{Conn, ConnEvent, ConnObserver, Info},
    dial::backoff::{Backoff, Fruitless},
    endpoint::Endpoint,
    error::{BoxError, Chain},
    io::Io,
};

/// Dials whenever the next connection is polled for; a stream without end.
///
/// A failed dial is not an item: it is logged, and repeated after a pause. There is a pause, too,
/// when the next connection is polled for sooner than [`Backoff::reset_after`] after the last dial
/// succeeded, so that a server which closes at once is not dialled without pause. That pause is a
/// first one where the connection was joined and a byte
/// [was delivered](crate::ConnEvent::FirstByte), however the session ended.
///
/// The stream yields no errors; [`Dial::once`](crate::Dial::once) does.
pub fn repeat<D, I>(dial: D, backoff: Backoff) -> Repeat<D>
where
    D: Service<(), Response = Conn<I>>,
{
    Repeat {
        dial,
        backoff,
        failures: 0,
        last: None,
        state: State::Idle,
    }
}

/// One connection after the other; see [`repeat`].
#[pin_project]
#[must_use = "nothing is dialled until it is polled"]
pub struct Repeat<D: Service<()>> {
    dial: D,
    backoff: Backoff,
    /// Failures in a row.
    failures: u32,
    last: Option<Last>,
    #[pin]
    state: State<D::Future>,
}

/// The last dial that has succeeded.
struct Last {
    dialled: Instant,
    was_used: Arc<AtomicBool>,
}

/// Observes a connection of the stream: whether a byte was delivered in its session.
struct Repeated(Arc<AtomicBool>);

#[pin_project(project = StateProjection)]
enum State<F> {
    /// The next connection has not been polled for.
    Idle,
    Pausing(Pin<Box<Sleep>>),
    /// Dials as soon as the service is ready.
    Due,
    Dialling(#[pin] F),
}

// ===== impl Repeat =====

impl<D, I> Stream for Repeat<D>
where
    D: Service<(), Response = Conn<I>>,
    D::Error: Into<BoxError>,
{
    type Item = Result<Conn<I>, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            let result = match this.state.as_mut().project() {
                StateProjection::Idle => {
                    let last = this.last.take();
                    if last.as_ref().is_some_and(Last::was_used) {
                        *this.failures = 0;
                    }
                    match last.map(|last| last.dialled.elapsed()) {
                        Some(lasted) if !this.backoff.is_reset_by(lasted) => {
                            let pause =
                                next_pause(this.backoff, this.failures, Fruitless::Connection);
                            debug!(
                                lasted = lasted.as_secs_f64(),
                                pause = pause.as_secs_f64(),
                                "dials again, after a pause"
                            );
                            this.state.set(State::pausing(pause));
                        }
                        _ => {
                            *this.failures = 0;
                            this.state.set(State::Due);
                        }
                    }
                    continue;
                }
                StateProjection::Pausing(pause) => {
                    ready!(pause.as_mut().poll(cx));
                    this.state.set(State::Due);
                    continue;
                }
                StateProjection::Due => match ready!(this.dial.poll_ready(cx)) {
                    Ok(()) => {
                        let dialling = this.dial.call(());
                        this.state.set(State::Dialling(dialling));
                        continue;
                    }
                    Err(error) => Err(error),
                },
                StateProjection::Dialling(dialling) => ready!(dialling.poll(cx)),
            };
            match result {
                Ok(mut conn) => {
                    let last = Last::new();
                    conn.info.observe(Repeated(Arc::clone(&last.was_used)));
                    *this.last = Some(last);
                    this.state.set(State::Idle);
                    return Poll::Ready(Some(Ok(conn)));
                }
                Err(error) => {
                    let pause = next_pause(this.backoff, this.failures, Fruitless::Dial);
                    let error = error.into();
                    // Repeated failures are logged ever less often.
                    match this.failures.is_power_of_two() {
                        true => {
                            warn!(error = %Chain(&*error), pause = pause.as_secs_f64(), "dialling failed; again after a pause");
                        }
                        false => {
                            debug!(error = %Chain(&*error), pause = pause.as_secs_f64(), "dialling failed, as before")
                        }
                    }
                    this.state.set(State::pausing(pause));
                }
            }
        }
    }
}

impl<D, I> Endpoint for Repeat<D>
where
    D: Service<(), Response = Conn<I>> + Send + 'static,
    D::Error: Into<BoxError>,
    D::Future: Send,
    I: Io,
{
    type Io = I;
    type Error = Infallible;
}

fn next_pause(backoff: &Backoff, failures: &mut u32, why: Fruitless) -> Duration {
    let pause = backoff.pause(*failures, why);
    *failures = failures.saturating_add(1);
    pause
}

// ===== impl Last =====

impl Last {
    fn new() -> Self {
        Self {
            dialled: Instant::now(),
            was_used: Arc::default(),
        }
    }

    fn was_used(&self) -> bool {
        self.was_used.load(Ordering::Relaxed)
    }
}

// ===== impl Repeated =====

impl ConnObserver for Repeated {
    fn on_event(&self, _: &Info, event: ConnEvent) {
        if let ConnEvent::FirstByte(_) = event {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

// ===== impl State =====

impl<F> State<F> {
    fn pausing(pause: Duration) -> Self {
        Self::Pausing(Box::pin(sleep(pause)))
    }
}

impl<D: Service<()>> fmt::Debug for Repeat<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repeat")
            .field("backoff", &self.backoff)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures::StreamExt;
    use tokio::time::advance;

    use super::{super::script::Script, *};
    use crate::conn::{CloseReason, Side};

    const EXACT: Backoff = Backoff::new().jitter(0.0);

    #[tokio::test(start_paused = true)]
    async fn a_failed_dial_is_dialled_again_after_growing_pauses() {
        let script = Script::new([Err(0), Err(100), Err(0), Ok(7)]);
        let mut conns = repeat(script.clone(), EXACT);
        assert_eq!(script.dialled(), [], "not asked for yet");
        conns.next().await.unwrap().unwrap();
        assert_eq!(script.dialled(), [0, 500, 1600, 3600]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_closes_at_once_is_not_hammered() {
        let script = Script::new([]);
        let mut conns = repeat(script.clone(), EXACT);
        for _ in 0..4 {
            conns.next().await.unwrap().unwrap();
        }
        assert_eq!(script.dialled(), [0, 500, 1500, 3500]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_lasted_begins_the_pauses_anew() {
        let script = Script::new([Err(0), Ok(0), Ok(0), Err(0)]);
        let mut conns = repeat(script.clone(), EXACT);
        conns.next().await.unwrap().unwrap();
        advance(Duration::from_millis(9_999)).await;
        conns.next().await.unwrap().unwrap();
        assert_eq!(script.dialled(), [0, 500, 500 + 9_999 + 1000]);
        advance(Duration::from_secs(10)).await;
        conns.next().await.unwrap().unwrap();
        assert_eq!(
            script.dialled()[3..],
            [21_499, 21_999],
            "at once, then a first pause"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_moved_bytes_begins_the_pauses_anew() {
        let script = Script::new([]);
        let mut conns = repeat(script.clone(), EXACT);
        conns.next().await.unwrap().unwrap();
        for _ in 0..3 {
            let conn = conns.next().await.unwrap().unwrap();
            conn.info.tell(ConnEvent::FirstByte(Side::A));
            conn.info
                .tell(ConnEvent::Ended(CloseReason::Reset(Side::A)));
        }
        conns.next().await.unwrap().unwrap();
        conns.next().await.unwrap().unwrap();
        assert_eq!(script.dialled(), [0, 500, 1000, 1500, 2000, 3000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_not_ready_is_a_failed_dial() {
        let script = Script::new([]);
        let mut conns = repeat(FailsFirst(true, script.clone()), EXACT);
        conns.next().await.unwrap().unwrap();
        assert_eq!(script.dialled(), [500]);
    }

    struct FailsFirst(bool, Script);

    impl Service<()> for FailsFirst {
        type Response = Conn<()>;
        type Error = io::Error;
        type Future = <Script as Service<()>>::Future;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            if std::mem::take(&mut self.0) {
                return Poll::Ready(Err(io::ErrorKind::Other.into()));
            }
            self.1.poll_ready(cx)
        }

        fn call(&mut self, (): ()) -> Self::Future {
            self.1.call(())
        }
    }
}
