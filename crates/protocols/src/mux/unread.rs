//! What is held for streams that are not read.
//!
//! yamux bounds the bytes of a stream, and not what they cost here: a frame of one byte takes as much memory as
//! one of 64.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use super::frames::Data;

/// What a frame takes beside its bytes, with its place in a queue.
const FRAME: usize = 64;

/// What the carriers of a side may hold. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) most: usize,
    side: Arc<Side>,
}

#[derive(Debug, Default)]
struct Side {
    held: AtomicUsize,
    carriers: AtomicUsize,
}

/// What a carrier holds.
#[derive(Debug)]
pub(super) struct Unread {
    bound: Bound,
    streams: Mutex<Streams>,
}

#[derive(Debug, Default)]
struct Streams {
    held: HashMap<u32, usize>,
    /// Of all.
    total: usize,
    /// The stream that the last data has opened, and what that costs.
    opened: Option<(u32, usize)>,
    /// yamux may hold them still.
    dropped: Vec<u32>,
    /// yamux has ended.
    ended: bool,
}

/// What is held for a stream is counted until it is dropped.
#[derive(Debug)]
pub(super) struct OfStream {
    unread: Arc<Unread>,
    stream: u32,
}

// ===== impl Bound =====

impl Bound {
    pub(super) fn new(most: usize) -> Self {
        let side = Arc::default();
        Self { most, side }
    }
}

// ===== impl Unread =====

impl Unread {
    pub(super) fn new(bound: Bound) -> Self {
        bound.side.carriers.fetch_add(1, Relaxed);
        Self {
            bound,
            streams: Mutex::default(),
        }
    }

    /// Data is about to come.
    ///
    /// # Errors
    ///
    /// Where the side holds too much, and this carrier more than its share.
    pub(super) fn comes(&self, data: Data) -> io::Result<()> {
        if data.len == 0 {
            return Ok(());
        }
        let cost = data.len + FRAME;
        let streams = &mut *self.streams();
        if data.opens {
            // Counted once it is taken, if it ever is.
            streams.opened = Some((data.stream, cost));
            return Ok(());
        }
        // Of others yamux holds nothing.
        let Some(held) = streams.held.get_mut(&data.stream) else {
            return Ok(());
        };
        *held += cost;
        streams.total += cost;
        let side = &self.bound.side;
        let all = side.held.fetch_add(cost, Relaxed) + cost;
        let share = self.bound.most / side.carriers.load(Relaxed).max(1);
        match all > self.bound.most && streams.total > share {
            true => Err(io::Error::other(format!(
                "too much that is not read: {} bytes are held for its streams",
                streams.total
            ))),
            false => Ok(()),
        }
    }

    /// A stream is there from now on.
    pub(super) fn of(self: &Arc<Self>, stream: u32) -> OfStream {
        let mut streams = self.streams();
        let opened = streams.opened.take_if(|(opened, _)| *opened == stream);
        let cost = opened.map_or(0, |(_, cost)| cost);
        *streams.held.entry(stream).or_default() += cost;
        streams.total += cost;
        self.bound.side.held.fetch_add(cost, Relaxed);
        OfStream {
            unread: Arc::clone(self),
            stream,
        }
    }

    /// yamux holds no stream that was dropped.
    pub(super) fn forget_dropped(&self) {
        let mut streams = self.streams();
        for stream in std::mem::take(&mut streams.dropped) {
            self.forget(&mut streams, stream);
        }
    }

    /// yamux holds nothing more; what is left belongs to the streams that are there.
    pub(super) fn end(&self) {
        self.streams().ended = true;
        self.forget_dropped();
    }

    fn forget(&self, streams: &mut Streams, stream: u32) {
        let held = streams.held.remove(&stream).unwrap_or_default();
        streams.total -= held;
        self.bound.side.held.fetch_sub(held, Relaxed);
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        // Nothing in there panics half-way.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let total = self.streams().total;
        self.bound.side.held.fetch_sub(total, Relaxed);
        self.bound.side.carriers.fetch_sub(1, Relaxed);
    }
}

// ===== impl OfStream =====

impl OfStream {
    /// The data of a frame was read.
    pub(super) fn took(&self, len: usize) {
        let streams = &mut *self.unread.streams();
        let Some(held) = streams.held.get_mut(&self.stream) else {
            return;
        };
        let cost = (len + FRAME).min(*held);
        *held -= cost;
        streams.total -= cost;
        self.unread.bound.side.held.fetch_sub(cost, Relaxed);
    }
}

impl Drop for OfStream {
    fn drop(&mut self) {
        let mut streams = self.unread.streams();
        match streams.ended {
            true => self.unread.forget(&mut streams, self.stream),
            false => streams.dropped.push(self.stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use couplet_endpoint::{Conn, memory, memory::MemoryStream};
    use futures::StreamExt;
    use tokio::io::AsyncWriteExt;
    use tower::Service;

    use super::*;
    use crate::{
        mux::{MuxListen, MuxWatch, plain},
        testing::{assert_reset, read_all, read_some},
    };

    const MIB: usize = 1024 * 1024;

    fn bound(most: usize) -> (Bound, [Arc<Unread>; 2]) {
        let bound = Bound::new(most);
        let carriers = [(); 2].map(|()| Arc::new(Unread::new(bound.clone())));
        (bound, carriers)
    }

    fn data(stream: u32, len: usize) -> Data {
        let opens = false;
        Data { stream, opens, len }
    }

    fn held(bound: &Bound) -> usize {
        bound.side.held.load(Relaxed)
    }

    #[test]
    fn what_is_read_or_gone_is_not_held() {
        let (bound, [one, other]) = bound(MIB);
        let opens = true;
        one.comes(Data {
            opens,
            ..data(3, 10)
        })
        .unwrap();
        assert_eq!(held(&bound), 0, "it may be refused");
        let stream = one.of(3);
        one.comes(data(3, 10)).unwrap();
        one.comes(data(5, 10)).unwrap();
        one.comes(data(3, 0)).unwrap();
        assert_eq!(held(&bound), 2 * (10 + FRAME));
        stream.took(10);
        assert_eq!(held(&bound), 10 + FRAME);
        // yamux may not know yet that it was dropped.
        drop(stream);
        one.comes(data(3, 20)).unwrap();
        assert_eq!(held(&bound), 30 + 2 * FRAME);
        one.forget_dropped();
        one.comes(data(3, 20)).unwrap();
        assert_eq!(held(&bound), 0);
        // Of a carrier that has ended what is there can be read.
        let stream = other.of(1);
        other.comes(data(1, 10)).unwrap();
        other.end();
        assert_eq!(held(&bound), 10 + FRAME);
        drop(stream);
        assert_eq!(held(&bound), 0);
        let stream = other.of(7);
        other.comes(data(7, 10)).unwrap();
        drop((stream, other));
        assert_eq!(held(&bound), 0);
    }

    #[test]
    fn a_carrier_that_holds_more_than_its_share_is_the_one_that_fails() {
        let (bound, [one, other]) = bound(MIB);
        let (_large, _small) = (one.of(3), other.of(3));
        for _ in 0..2 {
            one.comes(data(3, MIB / 2 - FRAME)).unwrap();
        }
        other.comes(data(3, MIB / 4)).unwrap();
        assert!(held(&bound) > MIB);
        let error = one.comes(data(3, 1)).unwrap_err();
        assert!(error.to_string().contains("not read"), "{error}");
    }

    /// As yamux frames it.
    async fn say(peer: &mut MemoryStream, opens: bool, stream: u8, data: &[u8]) -> io::Result<()> {
        let len = data.len() as u8;
        let header = [0, 0, 0, opens.into(), 0, 0, 0, stream, 0, 0, 0, len];
        peer.write_all(&[&header, data].concat()).await
    }

    #[tokio::test]
    async fn bytes_that_come_one_by_one_are_held_up_to_the_bound() {
        // With what they cost more than the bound, and alone less than a window.
        const BYTES: u16 = (2 * MIB / FRAME) as u16;
        for reads in [true, false] {
            let (mut dial, carriers) = memory::endpoint();
            let watch = MuxWatch::default();
            let listen = MuxListen::new(carriers, plain::<MemoryStream>);
            let mut listen = listen.unread(MIB).watch(watch.clone());
            let peer = tokio::spawn(async move {
                let mut peer: Conn<MemoryStream> = dial.call(()).await.unwrap();
                let [high, low] = BYTES.to_be_bytes();
                say(&mut peer.io, true, 1, &[2]).await?;
                say(&mut peer.io, true, 3, &[1, high, low]).await?;
                for _ in 0..BYTES {
                    say(&mut peer.io, false, 3, b"x").await?;
                }
                Ok::<_, io::Error>(peer)
            });
            let mut accepted = listen.next().await.unwrap().unwrap().io;
            if reads {
                read_some(&mut accepted, BYTES.into()).await;
                peer.await.unwrap().unwrap();
                assert_eq!(watch.status().failed, 0);
            } else {
                peer.await.unwrap().unwrap_err();
                let (heard, end) = read_all(&mut accepted).await;
                assert!(heard.len() < BYTES.into());
                assert_reset(&end);
                assert_eq!(watch.status().failed, 1);
            }
        }
    }
}
