//! The system calls of the command, by strace, through real sockets: one client at a time, which waits
//! for each answer.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context, bail, ensure};

use crate::{
    relays::{Running, free_port},
    scratch::Scratch,
};

const SIZE: usize = 64;

/// A connection that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many are counted, and how many are left out with the start and the end.
const TIMES: u32 = 100;
const FIRST: u32 = 20;

/// How often it is counted until two counts agree.
const TRIES: u32 = 8;

/// How many waits, wake-ups and pages there are depends on when things happen; `fcntl` is a check of
/// the standard library in a build without optimization.
const LEFT_OUT: [&str; 9] = [
    "brk",
    "epoll_pwait",
    "epoll_wait",
    "fcntl",
    "futex",
    "madvise",
    "mmap",
    "munmap",
    "write", // to the runtime's own event descriptor: sockets are sent to
];

/// What is traced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Traced {
    /// Connections one after the other: one round trip each.
    Life,
    /// Round trips through one connection.
    RoundTrip,
    /// Pairs of two clients that both connect, with one round trip.
    Join,
}

/// How often each system call was made.
type Calls = BTreeMap<String, f64>;

// ===== impl Traced =====

impl Traced {
    pub(super) const ALL: [Self; 3] = [Self::Life, Self::RoundTrip, Self::Join];

    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Life => "connection",
            Self::RoundTrip => "round trip",
            Self::Join => "pair that connects",
        }
    }

    /// The system calls that one of them takes: what comes out twice. Where a machine is so busy that a
    /// client waits for a second, the relay asks whether that is there, and there are others.
    pub(super) fn calls(self, couplet: &Path) -> anyhow::Result<Calls> {
        let mut seen = Vec::new();
        for _ in 0..TRIES {
            let calls = self.once(couplet)?;
            if seen.contains(&calls) {
                return Ok(calls);
            }
            seen.push(calls);
        }
        bail!("it is different each time: {seen:?}")
    }

    /// Each is rounded: what happens now and then is none.
    fn once(self, couplet: &Path) -> anyhow::Result<Calls> {
        let more = self.count(couplet, FIRST + TIMES)?;
        let fewer = self.count(couplet, FIRST)?;
        let each = more.into_iter().map(|(name, n)| {
            let n = n - fewer.get(&name).unwrap_or(&0.0);
            (name, (n / f64::from(TIMES)).round())
        });
        Ok(each.filter(|(_, n)| *n != 0.0).collect())
    }

    fn count(self, couplet: &Path, times: u32) -> anyhow::Result<Calls> {
        let folder = Scratch::new()?;
        let said = folder.0.join("calls");
        let backend = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let listen = free_port()?;
        let (b, ports) = match self {
            Self::Life | Self::RoundTrip => {
                (format!("dial:{}", backend.local_addr()?), vec![listen])
            }
            Self::Join => {
                let other = free_port()?;
                (format!("listen:{other}"), vec![listen, other])
            }
        };
        let mut command = Command::new("strace");
        command
            .args(["-f", "-c", "-U", "calls,name", "-o"])
            .arg(&said)
            .arg(couplet)
            .args([format!("listen:{listen}"), b])
            .args(["--idle-timeout=1h", "--threads=1", "-q"]);
        let relay = Running::listening(command, &ports, &folder.0)?;
        let ends = Ends { backend, ports };
        ends.first(self)?;
        match self {
            Self::Life | Self::Join => {
                for _ in 0..times {
                    ends.connected()?.live(1)?;
                }
            }
            Self::RoundTrip => ends.connected()?.live(times)?,
        }
        relay.finish()?;
        parse(&fs::read_to_string(said)?)
    }
}

/// Both ends of the relay's connections.
struct Ends {
    backend: TcpListener,
    ports: Vec<SocketAddr>,
}

/// Both ends of a pair.
struct Connected {
    client: TcpStream,
    server: TcpStream,
}

// ===== impl Ends =====

impl Ends {
    /// Takes the connection by which it was seen that the relay listens.
    fn first(&self, traced: Traced) -> anyhow::Result<()> {
        if let Traced::Life | Traced::RoundTrip = traced {
            drop(self.backend.accept()?);
        }
        Ok(())
    }

    fn connected(&self) -> anyhow::Result<Connected> {
        let client = bounded(TcpStream::connect(self.ports[0])?)?;
        let server = match self.ports.get(1) {
            Some(other) => TcpStream::connect(other)?,
            None => self.backend.accept()?.0,
        };
        Ok(Connected {
            client,
            server: bounded(server)?,
        })
    }
}

// ===== impl Connected =====

impl Connected {
    fn live(mut self, round_trips: u32) -> anyhow::Result<()> {
        let mut message = [0; SIZE];
        for _ in 0..round_trips {
            self.client.write_all(&message)?;
            self.server.read_exact(&mut message)?;
            self.server.write_all(&message)?;
            self.client.read_exact(&mut message)?;
        }
        drop(self.client);
        ensure!(self.server.read(&mut message)? == 0, "it is not the end");
        Ok(())
    }
}

fn bounded(stream: TcpStream) -> anyhow::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads strace's table, without what is left out.
fn parse(said: &str) -> anyhow::Result<Calls> {
    let lines = said.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let n: f64 = words.next()?.parse().ok()?;
        Some((words.next()?.to_owned(), n))
    });
    let mut calls: Calls = lines.collect();
    calls
        .remove("total")
        .with_context(|| format!("strace did not say how many calls there were: {said}"))?;
    calls.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_strace_is_read() {
        let said = "    calls syscall\n--------- ----------------\n      204 recvfrom\n        7 futex\n\
                    --------- ----------------\n      211 total\n";
        let calls = parse(said).unwrap();
        assert_eq!(calls, Calls::from([("recvfrom".to_owned(), 204.0)]));
        parse("strace: couplet: no such file").unwrap_err();
    }
}
