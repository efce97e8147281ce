//! Pairs that are held open, and some of which were not always idle.

use futures::{StreamExt, TryStreamExt, stream};

use tokio::time::Instant;

use super::{
    backend::{Backend, connect},
    control::Control,
    exchange::{Volume, exchange, serve},
    outcome::Outcome,
};

/// How many connect, or move their bytes, at a time.
const PARALLEL: usize = 64;

pub(super) async fn run(
    mut control: Control,
    pairs: usize,
    movers: usize,
    bytes: u64,
) -> anyhow::Result<()> {
    let volume = Volume { up: bytes, down: 0 };
    let backend = Backend::start(move |stream| serve(stream, [volume]))?;
    let target = control.target(backend.addr).await?;
    let mut first = connect(target).await?;
    exchange(&mut first, volume).await?;
    drop(first);
    backend.open(0).await;
    control.warm().await?;

    let begin = Instant::now();
    let mut clients: Vec<_> = stream::iter(0..pairs)
        .map(|_| connect(target))
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await?;
    backend.open(pairs).await;
    for client in clients.iter_mut().take(movers) {
        exchange(client, volume).await?;
    }
    let outcome = Outcome::new(pairs as u64, begin.elapsed());
    control.done(&outcome).await
}
