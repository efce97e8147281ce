//! The three stages joined by hand, with a layer of your own on the pair stack.
//!
//! ```text
//!  Listen ──serve──▶ place A ─┐
//!                             ├─▶ rendezvous ──serve──▶ timeout ▶ LatestOnly ▶ Relay
//!  Listen ──serve──▶ place B ─┘
//! ```
//!
//! ```sh
//! cargo run -p couplet-examples --example own_layer
//! ncat 127.0.0.1 9000     # in a second terminal
//! ncat 127.0.0.1 8000     # in a third; the next such pair ends this one
//! ```

use std::{
    env,
    net::IpAddr,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use couplet_connector::{
    BoxError, Listen, Side,
    pairing::{CloseReason, Pair, Policy, Session, rendezvous},
    relay::Relay,
    serve,
};
use tower::{Service, ServiceBuilder, layer::layer_fn};

/// One session for each client address of side A: a new session ends the older one.
///
/// The layer watches sessions and wraps no io, so the bytes are still spliced.
#[derive(Clone, Debug)]
struct LatestOnly<S> {
    live: Arc<Mutex<Vec<Session>>>,
    inner: S,
}

fn client(session: &Session) -> Option<IpAddr> {
    Some(session.info(Side::A).peer?.ip())
}

impl<A, B, S: Service<Pair<A, B>>> Service<Pair<A, B>> for LatestOnly<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, pair: Pair<A, B>) -> S::Future {
        let new = pair.session.handle();
        let mut live = self.live.lock().expect("nothing panics while it is locked");
        live.retain(|session| session.end_reason().is_none());
        for old in live.iter().filter(|old| client(old) == client(&new)) {
            println!("session {} gives way to session {}", old.id(), new.id());
            old.close(CloseReason::Closed);
        }
        live.push(new);
        drop(live);
        self.inner.call(pair)
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let mut arg = |default: &str| args.next().unwrap_or_else(|| default.into());
    let a = Listen::bind(&*arg("127.0.0.1:9000")).await?;
    let b = Listen::bind(&*arg("127.0.0.1:8000")).await?;
    println!("A listens on {}", a.local_addr());
    println!("B listens on {}", b.local_addr());

    let live = Arc::default();
    let (place_a, place_b, pairs) = rendezvous(Policy::default());
    let pair_stack = ServiceBuilder::new()
        .timeout(Duration::from_secs(24 * 3600)) // tower's own
        .layer(layer_fn(|inner| LatestOnly {
            live: Arc::clone(&live),
            inner,
        }))
        .service(Relay::new());

    tokio::spawn(serve(a, place_a));
    tokio::spawn(serve(b, place_b));
    Ok(tokio::spawn(serve(pairs, pair_stack)).await??)
}
