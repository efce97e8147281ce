//! The three stages by hand, with a layer of one's own on the pair stack.
//!
//! ```text
//!  Listen ──serve──▶ side stack A ─┐
//!                                  ├─▶ rendezvous ──serve──▶ timeout ▶ Toll ▶ Relay
//!  Listen ──serve──▶ side stack B ─┘
//! ```
//!
//! ```sh
//! cargo run -p couplet-examples --example own_layer
//! ncat 127.0.0.1 9000     # in a second terminal
//! ncat 127.0.0.1 8000     # in a third: five lines are free, the sixth ends it
//! ```

use std::{
    env,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use couplet_connector::{
    endpoint::{BoxError, Listen, Side},
    pairing::{CloseReason, Pair, Policy, Session, rendezvous},
    relay::Relay,
    serve,
};
use tokio::time::{Interval, interval};
use tower::{Layer, Service, ServiceBuilder};

/// Ends a session once it has cost too much. It watches the session's meter, so it touches no byte.
#[derive(Clone, Debug)]
struct TollLayer {
    free: u64,
}

#[derive(Clone, Debug)]
struct Toll<S> {
    free: u64,
    inner: S,
}

struct TollFuture<F> {
    inner: F,
    session: Session,
    free: u64,
    look: Interval,
}

impl<S> Layer<S> for TollLayer {
    type Service = Toll<S>;

    fn layer(&self, inner: S) -> Toll<S> {
        Toll {
            free: self.free,
            inner,
        }
    }
}

impl<A, B, S> Service<Pair<A, B>> for Toll<S>
where
    S: Service<Pair<A, B>, Future: Unpin>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TollFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, pair: Pair<A, B>) -> Self::Future {
        TollFuture {
            session: pair.session.handle(),
            free: self.free,
            look: interval(Duration::from_millis(100)),
            inner: self.inner.call(pair),
        }
    }
}

impl<F: Future + Unpin> Future for TollFuture<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        while self.look.poll_tick(cx).is_ready() {
            let meter = self.session.meter();
            if meter.bytes(Side::A) + meter.bytes(Side::B) > self.free {
                println!(
                    "session {} has used up its {} bytes",
                    self.session.id(),
                    self.free
                );
                self.session.close(CloseReason::Closed);
            }
        }
        Pin::new(&mut self.inner).poll(cx)
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let a = args.next().unwrap_or_else(|| "127.0.0.1:9000".into());
    let b = args.next().unwrap_or_else(|| "127.0.0.1:8000".into());
    let (a, b) = (
        Listen::bind(a.as_str()).await?,
        Listen::bind(b.as_str()).await?,
    );
    println!("A listens on {}", a.local_addr());
    println!("B listens on {}", b.local_addr());

    let (place_a, place_b, pairs) = rendezvous(Policy::default());
    let pair_stack = ServiceBuilder::new()
        .timeout(Duration::from_secs(24 * 3600)) // tower's own
        .layer(TollLayer { free: 50 })
        .service(Relay::new());

    tokio::spawn(serve(a, place_a));
    tokio::spawn(serve(b, place_b));
    Ok(tokio::spawn(serve(pairs, pair_stack)).await??)
}
