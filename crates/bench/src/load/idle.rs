//! Pairs that are held open, and some of which were not always idle.

use tokio::time::Instant;

use super::{
    backend::Backend,
    control::Control,
    exchange::{Volume, exchange, serve},
    outcome::Outcome,
};

pub(super) async fn run(
    mut control: Control,
    pairs: usize,
    movers: usize,
    bytes: u64,
) -> anyhow::Result<()> {
    let volume = Volume { up: bytes, down: 0 };
    let serve = move |stream| serve(stream, [volume]);
    let backend = Backend::start(&control.setting, serve)?;
    let relay = control.clients(backend.addr).await?;
    let mut first = relay.connect().await?;
    exchange(&mut first, volume).await?;
    drop(first);
    backend.open(0).await;
    control.warm().await?;

    let begin = Instant::now();
    let mut clients = relay.idle(pairs).await?;
    backend.open(pairs).await;
    for client in clients.iter_mut().take(movers) {
        exchange(client, volume).await?;
    }
    let outcome = Outcome::new(pairs as u64, begin.elapsed());
    control.done(&outcome).await
}
