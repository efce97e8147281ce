//! What is counted: the facade and the pairing at work, between ends in memory.

use std::{hint::black_box, time::Duration};

use anyhow::Context;
use clap::ValueEnum;
use couplet_admin::Admin;
use couplet_connector::{
    Connector, Handle,
    endpoint::{Conn, Origin, Side, memory},
    layers::IdleTimeoutLayer,
    pairing::{Policy, rendezvous},
    serve,
};
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SIZE: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Case {
    /// This many connections, one after the other: accepted, dialled for, joined, one round trip,
    /// closed.
    Life,
    /// The same, with an admin endpoint without requests.
    LifeWatched,
    /// This many round trips through one pair.
    RoundTrip,
    /// The same, with an admin endpoint without requests.
    RoundTripWatched,
    /// This many connections wait, and as many come that are joined with them.
    Rendezvous,
    /// As many connections as that are made, and let go.
    Connections,
}

// ===== impl Case =====

impl Case {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Life => "life",
            Self::LifeWatched => "life-watched",
            Self::RoundTrip => "round-trip",
            Self::RoundTripWatched => "round-trip-watched",
            Self::Rendezvous => "rendezvous",
            Self::Connections => "connections",
        }
    }
}

/// Lives a case through, this many times.
pub(crate) fn live(case: Case, times: u64) -> anyhow::Result<()> {
    // One thread: with more, the count would depend on the thread that gets each task.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match case {
            Case::Life => life(times, false).await,
            Case::LifeWatched => life(times, true).await,
            Case::RoundTrip => round_trip(times, false).await,
            Case::RoundTripWatched => round_trip(times, true).await,
            Case::Rendezvous => pair(times).await,
            Case::Connections => {
                black_box([connections(times), connections(times)]);
                Ok(())
            }
        }
    })
}

/// A relay as the command runs it, but for its sockets.
fn relay() -> (memory::Dial, memory::Listen, Handle) {
    let (clients, listen) = memory::endpoint();
    let (dial, backend) = memory::endpoint();
    let handle = Connector::listen_dial(listen, dial)
        .layer_pair(IdleTimeoutLayer::new(Duration::from_secs(3600)))
        .start();
    (clients, backend, handle)
}

async fn life(times: u64, is_watched: bool) -> anyhow::Result<()> {
    let (clients, mut backend, handle) = relay();
    let admin = is_watched.then(|| Admin::new().relay("relay", &handle));
    let router = admin.as_ref().map(Admin::router);
    let mut message = [0; SIZE];
    for _ in 0..times {
        let mut client = clients.connect().await?;
        let mut server = accept(&mut backend).await?;
        there_and_back(&mut client, &mut server, &mut message).await?;
        drop(client);
        anyhow::ensure!(server.read(&mut message).await? == 0, "it is not the end");
    }
    drop((clients, router));
    handle.done().await?;
    Ok(())
}

async fn round_trip(times: u64, is_watched: bool) -> anyhow::Result<()> {
    let (clients, mut backend, handle) = relay();
    let admin = is_watched.then(|| Admin::new().relay("relay", &handle));
    let router = admin.as_ref().map(Admin::router);
    let mut client = clients.connect().await?;
    let mut server = accept(&mut backend).await?;
    let mut message = [0; SIZE];
    for _ in 0..times {
        there_and_back(&mut client, &mut server, &mut message).await?;
    }
    drop(router);
    handle.close().await;
    Ok(())
}

async fn pair(times: u64) -> anyhow::Result<()> {
    let places = usize::try_from(times)?;
    let (a, b, mut pairs) = rendezvous(Policy::default().max_waiting(places).wait(None));
    let counts = pairs.counts();
    let (waiting, waiting_peers) = connections(times);
    let (coming, coming_peers) = connections(times);
    let all =
        |conns: Vec<_>| stream::iter(conns.into_iter().map(anyhow::Ok)).chain(stream::pending());
    let first = tokio::spawn(serve(all(waiting), a));
    while counts.waiting(Side::A) < times {
        tokio::task::yield_now().await;
    }
    let second = tokio::spawn(serve(all(coming), b));
    for _ in 0..times {
        let Some(Ok(pair)) = pairs.next().await else {
            anyhow::bail!("the pairing has ended");
        };
        drop(pair);
    }
    first.abort();
    second.abort();
    drop((waiting_peers, coming_peers));
    Ok(())
}

/// This many connections, and their peers.
fn connections(times: u64) -> (Vec<Conn<memory::MemoryStream>>, Vec<memory::MemoryStream>) {
    (0..times)
        .map(|_| {
            let (io, peer) = memory::connection(SIZE);
            (Conn::new(io, Origin::Accepted), peer)
        })
        .unzip()
}

async fn accept(backend: &mut memory::Listen) -> anyhow::Result<memory::MemoryStream> {
    let conn = backend.next().await.context("the relay dials")??;
    Ok(conn.io)
}

async fn there_and_back(
    client: &mut memory::MemoryStream,
    server: &mut memory::MemoryStream,
    message: &mut [u8],
) -> anyhow::Result<()> {
    client.write_all(message).await?;
    server.read_exact(message).await?;
    server.write_all(message).await?;
    client.read_exact(message).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_runs_to_its_end() {
        for case in Case::value_variants() {
            live(*case, 3).unwrap_or_else(|error| panic!("{case:?}: {error:#}"));
            let name = case.to_possible_value().unwrap();
            assert_eq!(name.get_name(), case.name());
        }
    }
}
