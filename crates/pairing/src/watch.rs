//! A connection is watched while its partner is awaited.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use couplet_endpoint::{Conn, Io, Pooled, Replay};
use tokio::time::sleep;

/// Most partners are there by then, and no byte of the connection has been touched.
const UNWATCHED: Duration = Duration::from_millis(250);

/// How often a connection is looked at whose io can't wake us any more.
const SWEEP: Duration = Duration::from_secs(1);

/// What the future comes to; `None` if before that the connection's peer goes away, which drops the
/// future.
pub(crate) async fn while_alive<F: Future, I: Io>(
    future: F,
    conn: &mut Conn<Replay<I>>,
    early: usize,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut death = pin!(death(conn, early));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        death.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Returns once the connection's peer has gone away: it has reset the connection, or has ended its
/// stream without having sent a byte. Up to `early` bytes are read ahead.
async fn death<I: Io>(conn: &mut Conn<Replay<I>>, early: usize) {
    sleep(UNWATCHED).await;
    loop {
        match conn.io.read_ahead(early.max(1)).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => return,
        }
    }
    // The stream has ended, or there is as much as may be read ahead. A peer that sent something
    // before its end wants it delivered; one of a pool was dialled before it was needed, and has
    // given up.
    let ahead = conn.io.ahead().len();
    let is_pooled = conn.info.extensions.get::<Pooled>().is_some();
    if ahead == 0 || (is_pooled && ahead < early.max(1)) {
        return;
    }
    while conn.io.take_error().is_none() {
        sleep(SWEEP).await;
    }
}
