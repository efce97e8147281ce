//! Requests, each answered before the connection's next.

use std::io;

use tokio::{task::JoinSet, time::Instant};

use super::{
    backend::{Backend, answer, ask},
    client::Client,
    control::Control,
    latency::Latencies,
};

/// What part of the work is done before, to warm up.
const WARM: usize = 10;

/// A connection, and how long each of its requests took.
type Asked = (Client, Latencies);

pub(super) async fn run(
    mut control: Control,
    connections: usize,
    size: usize,
    requests: usize,
) -> anyhow::Result<()> {
    let backend = Backend::start(&control.setting, move |stream| answer(stream, size))?;
    let relay = control.clients(backend.addr).await?;
    let beside = relay.idle(control.setting.beside).await?;
    let clients = relay.idle(connections).await?;
    let (clients, _) = all(clients, size, requests.div_ceil(WARM)).await?;
    control.warm().await?;

    let begin = Instant::now();
    let (clients, latencies) = all(clients, size, requests).await?;
    let outcome = latencies.outcome(begin.elapsed());
    control.done(&outcome).await?;
    drop((clients, beside));
    Ok(())
}

async fn all(
    clients: Vec<Client>,
    size: usize,
    requests: usize,
) -> anyhow::Result<(Vec<Client>, Latencies)> {
    let mut asking = JoinSet::new();
    let expected = clients.len() * requests;
    for client in clients {
        asking.spawn(ask_often(client, size, requests));
    }
    let mut clients = Vec::with_capacity(asking.len());
    let mut latencies = Latencies::with_capacity(expected);
    while let Some(asked) = asking.join_next().await {
        let (client, took) = asked??;
        clients.push(client);
        latencies.extend(took);
    }
    Ok((clients, latencies))
}

async fn ask_often(mut client: Client, size: usize, requests: usize) -> io::Result<Asked> {
    let mut message = vec![0; size];
    let mut latencies = Latencies::with_capacity(requests);
    for _ in 0..requests {
        let begin = Instant::now();
        ask(&mut client, &mut message).await?;
        latencies.push(begin.elapsed());
    }
    Ok((client, latencies))
}
