//! Hands connections over from one relay of the process to another, through a queue.
//!
//! So the first bytes of a client can choose the relay that serves it, with a stack of its own: the relay
//! that listens has a `HandOverLayer` of `couplet-layers`, and each of the others has a [`Listen`] for an
//! endpoint. A connection moves as it is, with its `Info`, its observers and its permits; its bytes are not
//! copied, and what was read ahead is read again.
//!
//! As an accept queue the queue is bounded, and a client that leaves is noticed once its connection is
//! taken.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::Stream;
use thiserror::Error;
use tokio::sync::{
    Semaphore,
    mpsc::{self, error::TrySendError},
};

use crate::{
    conn::Conn,
    endpoint::Endpoint,
    io::{BoxIo, Io},
};

/// A queue that holds up to `places` connections until they are taken.
///
/// # Panics
///
/// If `places` is 0: no connection could be handed over.
pub fn queue(places: usize) -> (HandOver, Listen) {
    assert!(places > 0, "a queue has at least one place");
    let (give, take) = mpsc::channel(places.min(Semaphore::MAX_PERMITS));
    (HandOver(give), Listen(Arc::new(Mutex::new(take))))
}

/// Hands connections over to a [`Listen`]. Clones hand over to the same.
#[derive(Clone)]
pub struct HandOver(mpsc::Sender<Conn<BoxIo>>);

/// Takes the connections that are handed over: an [`Endpoint`]. Clones take from the same queue, so that
/// a relay can take the place of another; what a clone leaves the other finds.
#[derive(Clone)]
pub struct Listen(Arc<Mutex<mpsc::Receiver<Conn<BoxIo>>>>);

/// A connection was not handed over. It is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandOverError {
    /// The relay that takes the connections is too slow, or at a limit of its own.
    #[error("queue of {0} connections to another relay is full")]
    Full(usize),
    /// Every [`Listen`] of the queue was dropped.
    #[error("relay to which connections are handed over has ended")]
    Ended,
}

// ===== impl HandOver =====

impl HandOver {
    /// Hands a connection over, at once or not at all.
    ///
    /// # Errors
    ///
    /// [`HandOverError`]; the connection is dropped.
    pub fn hand_over<I: Io>(&self, conn: Conn<I>) -> Result<(), HandOverError> {
        self.0.try_send(conn.boxed()).map_err(|error| match error {
            TrySendError::Full(_) => HandOverError::Full(self.0.max_capacity()),
            TrySendError::Closed(_) => HandOverError::Ended,
        })
    }
}

impl fmt::Debug for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOver").finish_non_exhaustive()
    }
}

// ===== impl Listen =====

impl Stream for Listen {
    type Item = Result<Conn<BoxIo>, HandOverError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Also after a panic the queue is whole.
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.poll_recv(cx).map(|conn| conn.map(Ok))
    }
}

impl Endpoint for Listen {
    type Io = BoxIo;
    type Error = HandOverError;
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listen").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_test::task;

    use super::*;
    use crate::{conn::Origin, memory};

    fn conn() -> (memory::MemoryStream, Conn<memory::MemoryStream>) {
        let (peer, io) = memory::connection(64);
        (peer, Conn::new(io, Origin::Accepted))
    }

    #[tokio::test]
    async fn a_connection_moves_with_its_info() {
        let (give, mut take) = queue(1);
        let (mut peer, mut conn) = conn();
        conn.info.extensions.insert("learned");
        let id = conn.info.id;
        give.hand_over(conn).unwrap();
        let mut taken = take.next().await.unwrap().unwrap();
        assert_eq!(taken.info.id, id);
        assert_eq!(taken.info.extensions.get(), Some(&"learned"));
        peer.write_all(b"x").await.unwrap();
        assert_eq!(taken.io.read_u8().await.unwrap(), b'x');
    }

    #[tokio::test]
    async fn a_full_queue_and_one_that_has_ended_take_no_connection() {
        let (give, take) = queue(1);
        let [first, second, third] = [(), (), ()].map(|()| conn().1);
        give.hand_over(first).unwrap();
        assert_eq!(give.hand_over(second), Err(HandOverError::Full(1)));
        drop(take);
        assert_eq!(give.hand_over(third), Err(HandOverError::Ended));
    }

    #[tokio::test]
    async fn the_next_relay_takes_what_the_one_before_has_left() {
        let (give, mut before) = queue(8);
        let mut after = before.clone();
        let mut waits = task::spawn(before.next());
        assert!(waits.poll().is_pending());
        drop(waits);
        give.hand_over(conn().1).unwrap();
        drop(before);
        assert!(task::spawn(after.next()).poll().is_ready());
        let mut waits = task::spawn(after.next());
        assert!(waits.poll().is_pending());
        give.hand_over(conn().1).unwrap();
        assert!(waits.is_woken());
    }
}
