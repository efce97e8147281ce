//! The command, over loopback: `couplet rendezvous` accepts, hears the key, joins, and tells both.
//!
//! Relay and clients are processes of their own, so what the relay's holds is the relay's, and each
//! end of a connection counts among its own process's descriptors.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::ensure;
use tokio::time::Instant;

use super::{Measured, Size, scattered};
use crate::{
    built::Built,
    load::{Latencies, Outcome},
    measure::Usage,
    relays::{Running, free_port},
    scratch::Scratch,
};

/// How many clients come at a time, and whether their partners have just come, too.
const CLIENTS: [(u32, bool, &str); 6] = [
    (1, false, "sockets, one client"),
    (8, false, "sockets, 8 clients"),
    (64, false, "sockets, 64 clients"),
    (1, true, "both new, one client"),
    (8, true, "both new, 8 clients"),
    (64, true, "both new, 64 clients"),
];

const LIMIT: Duration = Duration::from_secs(60);

/// A relay that has done nothing for this long has nothing to do.
const REST: Duration = Duration::from_millis(200);

/// A peer that has been silent for this long is probed before the join.
const SILENCE: Duration = Duration::from_secs(1);

const OK: &[u8] = b"ok\n";

/// Joins one after the other, by some clients at a time, and by many: with those that wait, all of which have
/// been silent for long, and with partners that come just before.
pub(super) fn measure(size: Size, built: &Built) -> anyhow::Result<Vec<Measured>> {
    let scratch = Scratch::new()?;
    let addr = free_port()?;
    let mut command = Command::new(&built.couplet);
    command
        .arg("rendezvous")
        .arg(format!("listen:{addr}"))
        .arg(format!("--max-waiting={}", size.waiting))
        .args(["--wait-timeout=never", "-q"]);
    let relay = Running::listening(command, &[addr], &scratch.0)?;
    // The first of them costs what is there once.
    let first = [come(addr, u32::MAX)?, come(addr, u32::MAX)?];
    is_joined(&first[0])?;
    drop(first);

    let mut waiting = Vec::with_capacity(usize::try_from(size.waiting)?);
    let before = at_rest(&relay, 0)?;
    for key in 0..size.waiting {
        waiting.push(come(addr, key)?);
    }
    let after = at_rest(&relay, before.descriptors + waiting.len())?;

    thread::sleep(SILENCE);
    let share = size.joins / CLIENTS.len() as u32;
    let mut measured = Vec::new();
    for (nth, (clients, new, title)) in (0..).zip(CLIENTS) {
        let joins = nth * share..(nth + 1) * share;
        let waiting = (!new).then_some(&*waiting);
        measured.push(Measured {
            title,
            waiting: size.waiting,
            resident: Some(after.resident.saturating_sub(before.resident)),
            joins: join_all(addr, waiting, joins, clients)?,
        });
    }
    Ok(measured)
}

/// Waits until it has this many descriptors at least, and nothing to do any more.
fn at_rest(relay: &Running, descriptors: usize) -> anyhow::Result<Usage> {
    let begin = Instant::now();
    let mut before = relay.usage()?;
    loop {
        ensure!(begin.elapsed() < LIMIT, "not all of them wait");
        thread::sleep(REST);
        let now = relay.usage()?;
        if now.descriptors >= descriptors && now.cpu == before.cpu {
            return Ok(now);
        }
        before = now;
    }
}

/// Comes with this key.
fn come(addr: SocketAddr, key: u32) -> anyhow::Result<TcpStream> {
    let mut client = TcpStream::connect(addr)?;
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(LIMIT))?;
    client.write_all(format!("couplet/1 {key:032x}\n").as_bytes())?;
    Ok(client)
}

fn is_joined(mut client: &TcpStream) -> anyhow::Result<()> {
    let mut heard = [0; OK.len()];
    client.read_exact(&mut heard)?;
    ensure!(heard == OK, "it was not joined");
    Ok(())
}

/// This many clients at a time come as the partners of those, or of new ones with keys of their own.
fn join_all(
    addr: SocketAddr,
    waiting: Option<&[TcpStream]>,
    joins: std::ops::Range<u32>,
    clients: u32,
) -> anyhow::Result<Outcome> {
    let begin = Instant::now();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|first| {
                let share = joins.clone().skip(first as usize).step_by(clients as usize);
                scope.spawn(move || join(addr, waiting, share))
            })
            .collect();
        let mut latencies = Latencies::default();
        for client in clients {
            let joined = client.join();
            latencies.extend(joined.expect("a client does not panic")?);
        }
        Ok(latencies.outcome(begin.elapsed()))
    })
}

/// Comes as the partner of those, one after the other.
fn join(
    addr: SocketAddr,
    waiting: Option<&[TcpStream]>,
    share: impl Iterator<Item = u32>,
) -> anyhow::Result<Latencies> {
    let mut latencies = Latencies::default();
    for nth in share {
        let Some(waiting) = waiting else {
            // No key of those that wait.
            let key = u32::MAX - nth;
            let _partner = come(addr, key)?;
            latencies.push(join_one(addr, key)?);
            continue;
        };
        let key = scattered(nth, u32::try_from(waiting.len())?);
        latencies.push(join_one(addr, key)?);
        // The relay is to have no more of them open than at the beginning.
        waiting[key as usize].shutdown(Shutdown::Both)?;
    }
    Ok(latencies)
}

fn join_one(addr: SocketAddr, key: u32) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    is_joined(&come(addr, key)?)?;
    Ok(begin.elapsed())
}
