use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};
use tracing::{debug, info, warn};

use super::accept_error::AcceptError;
use crate::accept_errors::AcceptErrors;

/// The pause before accepting is tried again when descriptors or memory are used up.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepting also pauses after this many failed connections in a row, because an error of the listener
/// itself would spin.
const IN_A_ROW: u32 = 64;

/// Accepts again after errors that pass, such as `EMFILE`.
///
/// One episode of shortage is one warning, however many connections are accepted in between: the
/// episode is over when no connection waits to be accepted.
#[derive(Debug, Default)]
pub(crate) struct AcceptRetry {
    pause: Option<Pin<Box<Sleep>>>,
    short: bool,
    failed_in_a_row: u32,
    pub(crate) errors: AcceptErrors,
}

// ===== impl AcceptRetry =====

impl AcceptRetry {
    /// Polls `accept` until a connection comes, or accepting fails for good.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        local: &dyn fmt::Display,
        mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let error = match accept(cx) {
                Poll::Ready(Ok(accepted)) => {
                    self.failed_in_a_row = 0;
                    return Poll::Ready(Ok(accepted));
                }
                Poll::Pending => {
                    self.failed_in_a_row = 0;
                    if std::mem::take(&mut self.short) {
                        info!(%local, "accepts again");
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => error,
            };
            self.errors.count(&error);
            match AcceptError::of(&error) {
                AcceptError::Listener => return Poll::Ready(Err(error)),
                AcceptError::Connection if self.failed_in_a_row < IN_A_ROW => {
                    debug!(%local, %error, "a connection failed before it was accepted");
                    self.failed_in_a_row += 1;
                }
                AcceptError::Connection | AcceptError::Shortage => {
                    if self.short {
                        debug!(%local, %error, "still can't accept");
                    } else {
                        warn!(%local, %error, "can't accept; tries again every {PAUSE:?}");
                        self.short = true;
                    }
                    self.pause = Some(Box::pin(sleep(PAUSE)));
                }
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{collections::VecDeque, future::poll_fn};

    use rustix::io::Errno;
    use tokio::time::Instant;

    use super::*;

    /// Accepts what the script says, and how long that took.
    async fn accepted(
        patience: &mut AcceptRetry,
        script: &[Result<u8, Errno>],
    ) -> (io::Result<u8>, Duration) {
        let mut script: VecDeque<_> = script.iter().copied().collect();
        let begun = Instant::now();
        let result = poll_fn(|cx| {
            patience.poll(cx, &"127.0.0.1:9", |_| {
                let next = script
                    .pop_front()
                    .expect("accepted more often than it should");
                Poll::Ready(next.map_err(io::Error::from))
            })
        });
        let result = result.await;
        assert!(script.is_empty(), "accepted less often than it should");
        (result, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_one_connection_is_passed_over_at_once() {
        let script = [Err(Errno::CONNABORTED), Err(Errno::INTR), Ok(1)];
        let (result, took) = accepted(&mut AcceptRetry::default(), &script).await;
        assert_eq!((result.unwrap(), took), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shortage_is_waited_out() {
        let patience = &mut AcceptRetry::default();
        let script = [Err(Errno::MFILE), Err(Errno::NOBUFS), Ok(1)];
        let (result, took) = accepted(patience, &script).await;
        // Tokio's timers have a resolution of one millisecond, and fire late rather than early.
        assert_eq!((result.unwrap(), took.as_millis()), (1, 100));
        assert!(patience.short, "others may be waiting to be accepted");
        let nobody =
            poll_fn(|cx| Poll::Ready(patience.poll::<()>(cx, &"127.0.0.1:9", |_| Poll::Pending)));
        assert!(nobody.await.is_pending());
        assert!(!patience.short);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_all_fail_do_not_spin() {
        let mut script = vec![Err(Errno::PERM); IN_A_ROW as usize + 1];
        script.push(Ok(1));
        let (result, took) = accepted(&mut AcceptRetry::default(), &script).await;
        assert!(result.is_ok());
        assert_eq!(took.as_millis(), PAUSE.as_millis());
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_the_listener_is_returned() {
        let (result, _) = accepted(&mut AcceptRetry::default(), &[Err(Errno::BADF)]).await;
        result.unwrap_err();
    }
}
