//! Watches a connection while its partner is dialled.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use couplet_endpoint::{Conn, Io, Pooled, Replay};
use tokio::time::sleep;

/// The time before the watch begins: most partners connect sooner, and then no byte is read ahead.
const UNWATCHED: Duration = Duration::from_millis(250);

/// How often a connection is checked whose io can't wake the task any more.
const SWEEP: Duration = Duration::from_secs(1);

/// The result of the future; `None` if the connection's peer goes away first, which drops the future.
pub(crate) async fn while_alive<F: Future, I: Io>(
    mut future: Pin<&mut F>,
    conn: &mut Conn<Replay<I>>,
    early: usize,
) -> Option<F::Output> {
    let mut death = pin!(death(conn, early));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        death.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Waits until the connection's peer is gone: until a reset, or an end of stream without a byte before
/// it to the partner or to the relay. Up to `early` bytes are read ahead.
async fn death<I: Io>(conn: &mut Conn<Replay<I>>, early: usize) {
    sleep(UNWATCHED).await;
    loop {
        match conn.io.read_ahead(early.max(1)).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => return,
        }
    }
    // The stream has ended, or the bound of bytes is read ahead. A peer that sent bytes before its end
    // wants them delivered; a connection of a pool was dialled ahead, and has given up.
    let ahead = conn.io.ahead().len();
    let is_pooled = conn.info.extensions.get::<Pooled>().is_some();
    if (ahead == 0 && !conn.info.has_spoken) || (is_pooled && ahead < early.max(1)) {
        return;
    }
    while conn.io.take_error().is_none() {
        sleep(SWEEP).await;
    }
}
