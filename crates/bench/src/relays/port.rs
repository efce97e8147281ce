use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::Context;

/// Below those that the system gives to clients, so that none of them takes it in between.
const FIRST: u16 = 20_000;
const PORTS: u16 = 10_000;

/// How far the first ports of two processes are apart whose numbers follow each other.
const APART: u32 = 397;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// An address of this machine on which no program listens, another each time.
pub(crate) fn free_port() -> anyhow::Result<SocketAddr> {
    // Processes that start one after the other are far apart: each takes some dozens.
    let mine = (std::process::id().wrapping_mul(APART) % u32::from(PORTS)) as u16;
    (0..PORTS)
        .map(|_| {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            let port = FIRST + (mine + next % PORTS) % PORTS;
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        })
        .find(|addr| TcpListener::bind(addr).is_ok())
        .context("there is no free port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_differs() {
        let (one, other) = (free_port().unwrap(), free_port().unwrap());
        assert_ne!(one, other);
        assert!(one.ip().is_loopback());
    }
}
