//! The whole of a relay, over loopback: accepted, the key said, joined, told so.
//!
//! The clients are sockets of this process and nothing more, so that what it holds is the relay's.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context, ensure};
use couplet_connector::{
    Connector, Handle,
    endpoint::{BoxError, BoxIo, Conn, Listen, Replay, Side},
    layers::{AnnounceJoin, HandshakeLayer, take_line},
    pairing::{Keyed, Policy},
};
use tokio::time::Instant;

use super::{Measured, Size, scattered};
use crate::{load::Latencies, measure::resident};

struct Key(u32);

/// How many clients come at a time.
const PARALLEL: u32 = 8;

const LIMIT: Duration = Duration::from_secs(60);

const OK: &[u8] = b"ok\n";

pub(super) fn measure(size: Size) -> anyhow::Result<Measured> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let relay = runtime.block_on(relay(size))?;
    let addr = relay.local_addr(Side::A).context("it listens")?;
    // The first of them costs what is there once.
    let first = [come(addr, 0)?, come(addr, 0)?];
    is_joined(&first[0])?;

    let mut waiting = Vec::with_capacity(usize::try_from(size.waiting)?);
    let before = resident()?;
    for key in 0..size.waiting {
        waiting.push(come(addr, key)?);
    }
    wait_for(&relay, size.waiting)?;
    let after = resident()?;

    let begin = Instant::now();
    let joins = thread::scope(|scope| {
        let share = |first: u32| (first..size.joins).step_by(PARALLEL as usize);
        let clients: Vec<_> = (0..PARALLEL)
            .map(|first| {
                let waiting = &waiting;
                scope.spawn(move || join(addr, waiting, share(first)))
            })
            .collect();
        let mut latencies = Latencies::default();
        for client in clients {
            let joined = client.join();
            latencies.extend(joined.expect("a client does not panic")?);
        }
        anyhow::Ok(latencies.outcome(begin.elapsed()))
    })?;
    Ok(Measured {
        size,
        resident: after.saturating_sub(before),
        joins,
    })
}

async fn relay(size: Size) -> anyhow::Result<Handle> {
    let keyed = Keyed::new(|info| info.extensions.get().map(|Key(key)| *key));
    let places = usize::try_from(size.waiting)?;
    Ok(
        Connector::rendezvous(Listen::bind("127.0.0.1:0").await?, keyed)
            .side_a(HandshakeLayer::new(first_line))
            .before_join(AnnounceJoin::new(OK))
            .policy(Policy::default().places(places).wait(None))
            .start(),
    )
}

async fn first_line(conn: Conn<BoxIo>) -> Result<Conn<Replay<BoxIo>>, BoxError> {
    let mut conn = conn.map_io(Replay::new);
    let line = take_line(&mut conn.io, 16).await?;
    let key = Key(str::from_utf8(&line)?.parse()?);
    conn.info.extensions.insert(key);
    Ok(conn)
}

/// Comes with this key.
fn come(addr: SocketAddr, key: u32) -> anyhow::Result<TcpStream> {
    let mut client = TcpStream::connect(addr)?;
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(LIMIT))?;
    client.write_all(format!("{key}\n").as_bytes())?;
    Ok(client)
}

fn is_joined(mut client: &TcpStream) -> anyhow::Result<()> {
    let mut heard = [0; OK.len()];
    client.read_exact(&mut heard)?;
    ensure!(heard == OK, "it was not joined");
    Ok(())
}

/// Comes as the partner of those, one after the other.
fn join(
    addr: SocketAddr,
    waiting: &[TcpStream],
    share: impl Iterator<Item = u32>,
) -> anyhow::Result<Latencies> {
    let mut latencies = Latencies::default();
    let among = u32::try_from(waiting.len())?;
    for nth in share {
        let key = scattered(nth, among);
        let begin = Instant::now();
        let client = come(addr, key)?;
        is_joined(&client)?;
        latencies.push(begin.elapsed());
        // The relay is to have no more of them open than at the beginning.
        waiting[key as usize].shutdown(Shutdown::Both)?;
    }
    Ok(latencies)
}

fn wait_for(relay: &Handle, waiting: u32) -> anyhow::Result<()> {
    let begin = Instant::now();
    while relay.waiting(Side::A) < waiting.into() {
        ensure!(begin.elapsed() < LIMIT, "not all of them wait");
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
