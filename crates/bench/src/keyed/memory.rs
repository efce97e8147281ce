//! The pairing alone, between ends in memory: on one thread, one partner after the other.

use std::{hint::black_box, time::Duration};

use anyhow::Context;
use couplet_connector::{
    endpoint::{
        Conn, Origin, Side,
        memory::{self, MemoryStream},
    },
    pairing::{Keyed, Policy, WaitSlot, rendezvous_keyed},
};
use futures::StreamExt;
use tokio::time::{Instant, timeout};
use tower_service::Service;

use super::{Measured, Size, scattered};
use crate::{load::Latencies, measure::resident};

/// What a handshake would have found out.
#[derive(Clone, Copy)]
struct Key(u32);

const LIMIT: Duration = Duration::from_secs(300);

pub(super) fn measure(size: Size) -> anyhow::Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        timeout(LIMIT, all(size))
            .await
            .context("it took too long")?
    })
}

async fn all(size: Size) -> anyhow::Result<Measured> {
    let policy = Policy::default().max_waiting(usize::try_from(size.waiting)?);
    let keyed = Keyed::new(|info| info.extensions.get().map(|Key(key)| *key));
    let (mut place, mut pairs) = rendezvous_keyed(policy, keyed);
    let counts = pairs.counts();
    // The streams are there before, and count as no part of it.
    let (ios, peers): (Vec<_>, Vec<_>) = (0..size.waiting).map(|_| memory::connection(64)).unzip();
    let before = resident()?;
    let mut ios = ios.into_iter();
    for (key, io) in (0..size.waiting).zip(&mut ios) {
        enter(&mut place, key, io).await?;
        if key % 1000 == 0 {
            tokio::task::yield_now().await;
        }
    }
    while counts.waiting(Side::A) < size.waiting.into() {
        tokio::task::yield_now().await;
    }
    let after = resident()?;
    drop(ios);

    let mut latencies = Latencies::with_capacity(usize::try_from(size.joins)?);
    let begin = Instant::now();
    for nth in 0..size.joins {
        let (io, peer) = memory::connection(64);
        let begin = Instant::now();
        enter(&mut place, scattered(nth, size.waiting), io).await?;
        let pair = pairs.next().await.context("the pairing has ended")?;
        latencies.push(begin.elapsed());
        drop((black_box(pair), peer));
    }
    let joins = latencies.outcome(begin.elapsed());
    drop(peers);
    Ok(Measured {
        title: "in memory",
        waiting: size.waiting,
        resident: Some(after.saturating_sub(before)),
        joins,
    })
}

async fn enter(
    place: &mut WaitSlot<MemoryStream>,
    key: u32,
    io: MemoryStream,
) -> anyhow::Result<()> {
    let mut conn = Conn::new(io, Origin::Accepted);
    conn.info.extensions.insert(Key(key));
    std::future::poll_fn(|cx| place.poll_ready(cx)).await?;
    place.call(conn).await?;
    Ok(())
}
