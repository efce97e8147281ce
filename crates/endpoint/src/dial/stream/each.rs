use std::{
    convert::Infallible,
    fmt,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, Stream, StreamExt, future::BoxFuture};
use tokio::time::{Sleep, sleep};
use tower_service::Service;
use tracing::{debug, info, warn};

use super::pool::{Pool, PoolWatch, pool};
use crate::{
    conn::Conn,
    dial::{Backoff, Dial, DialError},
    endpoint::Endpoint,
    error::{BoxError, Chain},
    io::Io,
};

/// How long an answer holds; where an address fails, or the look-up has.
const AGAIN: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(5);

/// How many addresses of a name have a pool at most.
const MOST: usize = 64;

/// A [pool] at every address of the target: `n` connections wait at each, so that a client which comes to any
/// of them finds one. A stream without end.
///
/// The name is looked up again every 30 s, and 5 s after something has failed. An address that is new gets a
/// pool; one that is gone is dialled no more, while its connections that wait are still joined, and those that
/// are joined go on. Where the look-up fails, all goes on as before. A name has 64 addresses at most; of more,
/// the others are left out.
///
/// `make` makes the service of each pool, of the dial of its address; that dial itself is one.
///
/// # Panics
///
/// If `n` is 0, once an address is found.
///
/// ```
/// use couplet_endpoint::{Backoff, Dial, pool_each};
///
/// let relays = Dial::to("relay.example.org:4000")?;
/// let conns = pool_each(relays, 8, Backoff::new(), |relay| relay);
/// # Ok::<(), couplet_endpoint::AddressError>(())
/// ```
pub fn pool_each<D, I>(
    dial: Dial,
    n: usize,
    backoff: Backoff,
    make: impl Fn(Dial) -> D + Send + 'static,
) -> PoolEach<D>
where
    D: Service<(), Response = Conn<I>>,
{
    PoolEach {
        dial,
        n,
        backoff,
        make: Box::new(make),
        pools: Vec::new(),
        watch: PoolWatch::default(),
        next: 0,
        look_up: LookUp::Due,
    }
}

/// A pool at every address of a name; see [`pool_each`].
#[must_use = "nothing is dialled until it is polled"]
pub struct PoolEach<D: Service<()>> {
    dial: Dial,
    n: usize,
    backoff: Backoff,
    make: Box<dyn Fn(Dial) -> D + Send>,
    pools: Vec<(SocketAddr, Pool<D>)>,
    watch: PoolWatch,
    /// The pool that is asked first, so that none is forgotten.
    next: usize,
    look_up: LookUp,
}

enum LookUp {
    Due,
    Running(BoxFuture<'static, Result<Vec<SocketAddr>, DialError>>),
    Done(Pin<Box<Sleep>>),
}

// ===== impl PoolEach =====

impl<D: Service<()>> Unpin for PoolEach<D> {}

impl<D, I> Stream for PoolEach<D>
where
    D: Service<(), Response = Conn<I>>,
    D::Error: Into<BoxError>,
{
    type Item = Result<Conn<I>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_look_up(cx);
        let pools = self.pools.len();
        for turn in 0..pools {
            let at = (self.next + turn) % pools;
            if let Poll::Ready(Some(conn)) = self.pools[at].1.poll_next_unpin(cx) {
                self.next = at + 1;
                return Poll::Ready(Some(conn));
            }
        }
        Poll::Pending
    }
}

impl<D, I> Endpoint for PoolEach<D>
where
    D: Service<(), Response = Conn<I>> + Send + 'static,
    D::Error: Into<BoxError>,
    D::Future: Send,
    I: Io,
{
    type Io = I;
    type Error = Infallible;
}

impl<D, I> PoolEach<D>
where
    D: Service<(), Response = Conn<I>>,
{
    /// Adds its pools to those that are watched there, from now on.
    pub fn watch(mut self, watch: &PoolWatch) -> Self {
        self.watch = watch.clone();
        self
    }

    /// Looks the name up when it is time, until there is something to wait for.
    fn poll_look_up(&mut self, cx: &mut Context<'_>) {
        loop {
            match &mut self.look_up {
                LookUp::Due => {
                    let dial = self.dial.clone();
                    let looking = async move { dial.look_up().await };
                    self.look_up = LookUp::Running(looking.boxed());
                }
                LookUp::Running(looking) => {
                    let Poll::Ready(found) = looking.poll_unpin(cx) else {
                        return;
                    };
                    let pause = match found {
                        Ok(addrs) => {
                            self.is_at(addrs);
                            AGAIN
                        }
                        Err(error) => {
                            let error = Chain(&error).to_string();
                            match self.pools.is_empty() {
                                true => warn!(error, "looking up failed; again after a pause"),
                                false => debug!(error, "looking up failed, the addresses stay"),
                            }
                            SOON
                        }
                    };
                    self.look_up = LookUp::Done(Box::pin(sleep(pause)));
                }
                LookUp::Done(pause) => {
                    let is_failing = self.pools.iter().any(|(_, pool)| pool.is_failing());
                    let soon = tokio::time::Instant::now() + SOON;
                    if is_failing && pause.deadline() > soon {
                        pause.as_mut().reset(soon);
                    }
                    if pause.poll_unpin(cx).is_pending() {
                        return;
                    }
                    self.look_up = LookUp::Due;
                }
            }
        }
    }

    /// The target has these addresses.
    fn is_at(&mut self, mut addrs: Vec<SocketAddr>) {
        addrs.sort_unstable();
        addrs.dedup();
        if addrs.len() > MOST {
            warn!(
                addresses = addrs.len(),
                most = MOST,
                "name has more addresses than are dialled"
            );
            addrs.truncate(MOST);
        }
        self.pools.retain(|(addr, _)| {
            let is_there = addrs.contains(addr);
            if !is_there {
                info!(address = %addr, "address is gone: dialled no more");
            }
            is_there
        });
        for addr in addrs {
            if self.pools.iter().all(|(known, _)| *known != addr) {
                info!(address = %addr, connections = self.n, "address is new: a pool is kept there");
                let dial = (self.make)(self.dial.clone().only(addr));
                let pool = pool(dial, self.n, self.backoff).watch(&self.watch);
                self.pools.push((addr, pool));
            }
        }
    }
}

impl<D: Service<()>> fmt::Debug for PoolEach<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolEach")
            .field("target", self.dial.target())
            .field("pools", &self.pools.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::script::Script, *};

    fn addr(last: u8) -> SocketAddr {
        ([10, 0, 0, last], 4000).into()
    }

    fn each(script: &Script) -> PoolEach<Script> {
        let script = script.clone();
        let dial = Dial::to("10.0.0.1:4000").unwrap();
        pool_each(dial, 2, Backoff::new().jitter(0.0), move |_| script.clone())
    }

    /// The connections that are ready now.
    async fn ready(conns: &mut PoolEach<Script>) -> Vec<Conn<()>> {
        let mut ready = Vec::new();
        while let Some(Some(Ok(conn))) = conns.next().now_or_never() {
            ready.push(conn);
        }
        ready
    }

    #[tokio::test(start_paused = true)]
    async fn each_address_has_a_pool_and_differences_are_drained() {
        let script = Script::new([]);
        let mut conns = each(&script);
        let waiting = ready(&mut conns).await;
        assert_eq!(waiting.len(), 2, "that of the target");
        conns.is_at(vec![addr(1), addr(2), addr(2)]);
        let more = ready(&mut conns).await;
        assert_eq!(
            more.len(),
            2,
            "at the new address, and no more at the old one"
        );
        conns.is_at(vec![addr(2)]);
        // Those of the address that is gone are not renewed; the others are.
        drop(waiting);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert!(ready(&mut conns).await.is_empty());
        drop(more);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(ready(&mut conns).await.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_looked_up_again_and_sooner_after_a_failure() {
        let script = Script::new([]);
        let mut conns = each(&script);
        let waiting = ready(&mut conns).await;
        conns.is_at(vec![addr(7)]);
        tokio::time::advance(AGAIN - Duration::from_secs(1)).await;
        ready(&mut conns).await;
        assert_eq!(conns.pools[0].0, addr(7));
        tokio::time::advance(Duration::from_secs(1)).await;
        ready(&mut conns).await;
        assert_eq!(conns.pools[0].0, addr(1));
        drop(waiting);
        // Lost at once: a failure.
        drop(ready(&mut conns).await);
        ready(&mut conns).await;
        conns.is_at(vec![addr(1), addr(7)]);
        tokio::time::advance(SOON).await;
        ready(&mut conns).await;
        let known: Vec<_> = conns.pools.iter().map(|(addr, _)| *addr).collect();
        assert_eq!(known, [addr(1)]);
    }

    #[test]
    fn of_too_many_addresses_some_are_left_out() {
        let mut conns = each(&Script::new([]));
        conns.is_at((0..200).map(addr).collect());
        assert_eq!(conns.pools.len(), MOST);
    }
}
