//! Pairs of two that come by themselves: connect to either listener, say something to the one
//! and hear something from the other, close.

use std::{io, sync::Arc};

use anyhow::bail;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::Instant,
};

use super::{
    backend::Backend,
    client::{Client, Clients},
    control::Control,
    latency::Latencies,
};

const SIZE: usize = 64;

/// What part of the work is done before, to warm up.
const WARM: usize = 10;

pub(super) async fn run(mut control: Control, parallel: usize, pairs: usize) -> anyhow::Result<()> {
    // Nothing is behind this relay.
    let nobody = Backend::start(&control.setting, |_| async { Ok(()) })?;
    let [a, b] = control.targets(nobody.addr).await?[..] else {
        bail!("there are to be two targets");
    };
    let relay = Arc::new([
        Clients::new(a, &control.setting)?,
        Clients::new(b, &control.setting)?,
    ]);
    let beside = beside(&relay, control.setting.beside).await?;
    all(&relay, parallel, pairs.div_ceil(WARM)).await?;
    control.warm().await?;

    let begin = Instant::now();
    let latencies = all(&relay, parallel, pairs).await?;
    control.done(&latencies.outcome(begin.elapsed())).await?;
    drop(beside);
    Ok(())
}

/// Pairs that are open meanwhile. Each has moved a byte, so that it is known to be one.
async fn beside(relay: &[Clients; 2], pairs: usize) -> io::Result<Vec<(Client, Client)>> {
    let mut open = Vec::with_capacity(pairs);
    for _ in 0..pairs {
        let (mut a, mut b) = tokio::try_join!(relay[0].connect(), relay[1].connect())?;
        a.write_all(&[0]).await?;
        b.read_exact(&mut [0]).await?;
        open.push((a, b));
    }
    Ok(open)
}

async fn all(
    relay: &Arc<[Clients; 2]>,
    parallel: usize,
    pairs: usize,
) -> anyhow::Result<Latencies> {
    let mut pairing = JoinSet::new();
    for _ in 0..parallel {
        pairing.spawn(pair_often(Arc::clone(relay), pairs));
    }
    let mut latencies = Latencies::with_capacity(parallel * pairs);
    while let Some(took) = pairing.join_next().await {
        latencies.extend(took??);
    }
    Ok(latencies)
}

/// The partner may well be another client's: each of them says as much as each wants to hear.
async fn pair_often(relay: Arc<[Clients; 2]>, pairs: usize) -> io::Result<Latencies> {
    let mut message = [0; SIZE];
    let mut latencies = Latencies::with_capacity(pairs);
    for _ in 0..pairs {
        let begin = Instant::now();
        let (mut a, mut b) = tokio::try_join!(relay[0].connect(), relay[1].connect())?;
        a.write_all(&message).await?;
        b.read_exact(&mut message).await?;
        latencies.push(begin.elapsed());
    }
    Ok(latencies)
}
