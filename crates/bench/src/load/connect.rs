//! Short connections: connect, one echo, close.

use std::{io, net::SocketAddr};

use tokio::{task::JoinSet, time::Instant};

use super::{
    backend::{Backend, answer, ask, connect},
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
    let backend = Backend::start(|stream| answer(stream, SIZE))?;
    let target = control.target(backend.addr).await?;
    all(target, parallel, connections.div_ceil(WARM)).await?;
    backend.open(0).await;
    control.warm().await?;

    let begin = Instant::now();
    let latencies = all(target, parallel, connections).await?;
    let took = begin.elapsed();
    // The ends of the last ones belong to the work.
    backend.open(0).await;
    control.done(&latencies.outcome(took)).await
}

async fn all(target: SocketAddr, parallel: usize, connections: usize) -> anyhow::Result<Latencies> {
    let mut connecting = JoinSet::new();
    for _ in 0..parallel {
        connecting.spawn(connect_often(target, connections));
    }
    let mut latencies = Latencies::with_capacity(parallel * connections);
    while let Some(took) = connecting.join_next().await {
        latencies.extend(took??);
    }
    Ok(latencies)
}

async fn connect_often(target: SocketAddr, connections: usize) -> io::Result<Latencies> {
    let mut message = [0; SIZE];
    let mut latencies = Latencies::with_capacity(connections);
    for _ in 0..connections {
        let begin = Instant::now();
        let mut stream = connect(target).await?;
        ask(&mut stream, &mut message).await?;
        drop(stream);
        latencies.push(begin.elapsed());
    }
    Ok(latencies)
}
