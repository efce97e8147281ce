//! Pairs of two that come by themselves: connect to either listener, say something to the one
//! and hear something from the other, close.

use std::{io, net::SocketAddr};

use anyhow::bail;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::Instant,
};

use super::{
    backend::{Backend, connect},
    control::Control,
    latency::Latencies,
};

const SIZE: usize = 64;

/// What part of the work is done before, to warm up.
const WARM: usize = 10;

pub(super) async fn run(mut control: Control, parallel: usize, pairs: usize) -> anyhow::Result<()> {
    // Nothing is behind this relay.
    let nobody = Backend::start(|_| async { Ok(()) })?;
    let [a, b] = control.targets(nobody.addr).await?[..] else {
        bail!("there are to be two targets");
    };
    all(a, b, parallel, pairs.div_ceil(WARM)).await?;
    control.warm().await?;

    let begin = Instant::now();
    let latencies = all(a, b, parallel, pairs).await?;
    control.done(&latencies.outcome(begin.elapsed())).await
}

async fn all(
    a: SocketAddr,
    b: SocketAddr,
    parallel: usize,
    pairs: usize,
) -> anyhow::Result<Latencies> {
    let mut pairing = JoinSet::new();
    for _ in 0..parallel {
        pairing.spawn(pair_often(a, b, pairs));
    }
    let mut latencies = Latencies::with_capacity(parallel * pairs);
    while let Some(took) = pairing.join_next().await {
        latencies.extend(took??);
    }
    Ok(latencies)
}

/// The partner may well be another client's: each of them says as much as each wants to hear.
async fn pair_often(a: SocketAddr, b: SocketAddr, pairs: usize) -> io::Result<Latencies> {
    let mut message = [0; SIZE];
    let mut latencies = Latencies::with_capacity(pairs);
    for _ in 0..pairs {
        let begin = Instant::now();
        let (mut a, mut b) = tokio::try_join!(connect(a), connect(b))?;
        a.write_all(&message).await?;
        b.read_exact(&mut message).await?;
        latencies.push(begin.elapsed());
    }
    Ok(latencies)
}
