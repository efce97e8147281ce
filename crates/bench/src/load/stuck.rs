//! Pairs whose client sends as much as goes, and whose backend reads nothing.

use std::{
    future, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::try_join_all;
use tokio::time::{Instant, timeout};

use super::{
    backend::Backend,
    bytes::send,
    client::Client,
    control::Control,
    exchange::{Volume, exchange, serve},
    outcome::Outcome,
};

/// A client that could not send for this long is stuck.
const PATIENCE: Duration = Duration::from_millis(400);

/// What the one that goes before them moves, to warm up.
const WARM: Volume = Volume {
    up: 4 << 20,
    down: 0,
};

pub(super) async fn run(mut control: Control, pairs: usize) -> anyhow::Result<()> {
    let deaf = Arc::<AtomicBool>::default();
    let backend = Backend::start(&control.setting, {
        let deaf = Arc::clone(&deaf);
        move |stream| {
            let deaf = deaf.load(Ordering::Relaxed);
            async move {
                match deaf {
                    true => future::pending().await,
                    false => serve(stream, [WARM]).await,
                }
            }
        }
    })?;
    let relay = control.clients(backend.addr).await?;
    let mut first = relay.connect().await?;
    exchange(&mut first, WARM).await?;
    drop(first);
    backend.open(0).await;
    deaf.store(true, Ordering::Relaxed);
    control.warm().await?;

    let begin = Instant::now();
    let mut clients = Vec::with_capacity(pairs);
    for _ in 0..pairs {
        clients.push(relay.connect().await?);
    }
    let sent: u64 = try_join_all(clients.iter().map(fill)).await?.iter().sum();
    let outcome = Outcome::new(sent, begin.elapsed());
    control.done(&outcome).await
}

/// Sends until nothing goes any more, and says how much went.
async fn fill(client: &Client) -> io::Result<u64> {
    let Client::Plain(stream) = client else {
        return Err(io::Error::other("only a connection in the clear is filled"));
    };
    const STEP: u64 = 1024;
    let mut sent = 0;
    while let Ok(step) = timeout(PATIENCE, send(stream, STEP)).await {
        step?;
        sent += STEP;
    }
    Ok(sent)
}
