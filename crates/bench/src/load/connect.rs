//! Short connections: connect, one echo, close.

use std::{io, sync::Arc};

use tokio::{task::JoinSet, time::Instant};

use super::{
    backend::{Backend, answer, ask},
    client::Clients,
    control::Control,
    latency::Latencies,
};

const SIZE: usize = 64;

/// What part of the work is done before, to warm up.
const WARM: usize = 10;

pub(super) async fn run(
    mut control: Control,
    parallel: usize,
    connections: usize,
) -> anyhow::Result<()> {
    let backend = Backend::start(&control.setting, |stream| answer(stream, SIZE))?;
    let relay = control.clients(backend.addr).await?;
    let beside = relay.idle(control.setting.beside).await?;
    // Each client goes on to resume its own sessions.
    let clients: Vec<_> = (0..parallel).map(|_| Arc::new(relay.clone())).collect();
    all(&clients, connections.div_ceil(WARM)).await?;
    backend.open(beside.len()).await;
    control.warm().await?;

    let begin = Instant::now();
    let latencies = all(&clients, connections).await?;
    let took = begin.elapsed();
    // The ends of the last ones belong to the work.
    backend.open(beside.len()).await;
    control.done(&latencies.outcome(took)).await
}

async fn all(clients: &[Arc<Clients>], connections: usize) -> anyhow::Result<Latencies> {
    let mut connecting = JoinSet::new();
    for client in clients {
        connecting.spawn(connect_often(Arc::clone(client), connections));
    }
    let mut latencies = Latencies::with_capacity(clients.len() * connections);
    while let Some(took) = connecting.join_next().await {
        latencies.extend(took??);
    }
    Ok(latencies)
}

async fn connect_often(client: Arc<Clients>, connections: usize) -> io::Result<Latencies> {
    let mut message = [0; SIZE];
    let mut latencies = Latencies::with_capacity(connections);
    for _ in 0..connections {
        let begin = Instant::now();
        let mut stream = client.connect().await?;
        ask(&mut stream, &mut message).await?;
        drop(stream);
        latencies.push(begin.elapsed());
    }
    Ok(latencies)
}
