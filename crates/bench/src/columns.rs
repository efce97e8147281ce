//! The columns of the table: what each of them has a relay do.

use crate::load::Work;

/// One thing that is measured of each relay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// How it is called on the command line.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    pub(crate) clients: Clients,
}

/// How the clients come, and what there is beside them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clients {
    /// They speak TLS.
    pub(crate) tls: bool,
    /// They resume no session of it.
    pub(crate) fresh: bool,
    /// This many pairs are open and idle.
    pub(crate) beside: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Load(Work),
    StartUp,
    Size,
}

const KIB: usize = 1024;
const MIB: u64 = 1 << 20;

/// How many clients make short connections side by side.
const PARALLEL: usize = 32;

/// How much work there is: what a fast relay does in about this many seconds on a machine with two cores.
/// Every relay has to do the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    pub(crate) seconds: f64,
    /// A smoke test: few pairs.
    pub(crate) quick: bool,
}

/// Work of every kind, in the clear.
pub(crate) fn relays(amount: Amount) -> Vec<Column> {
    let exchange = |name, title, connections, duplex| {
        let work = amount.exchange(2 << 30, connections, duplex);
        Column::load(name, title, work)
    };
    let request = |name, title, size, connections, a_second| {
        Column::load(name, title, amount.request(size, connections, a_second))
    };
    vec![
        exchange("bulk-1", "bulk, 1 connection", 1, false),
        exchange("bulk-16", "bulk, 16 connections", 16, false),
        exchange("duplex-1", "both ways, 1 connection", 1, true),
        exchange("duplex-16", "both ways, 16 connections", 16, true),
        request(
            "request-64b-1",
            "64 B requests, 1 connection",
            64,
            1,
            20_000,
        ),
        request("request-64b-64", "64 B requests × 64", 64, 64, 100_000),
        request("request-64b-512", "64 B requests × 512", 64, 512, 90_000),
        request("request-4k-64", "4 KiB requests × 64", 4 * KIB, 64, 70_000),
        request(
            "request-32k-64",
            "32 KiB requests × 64",
            32 * KIB,
            64,
            30_000,
        ),
        Column::load(
            "connect-32",
            "connect, echo, close × 32",
            amount.connect(16_000),
        ),
        Column::load("idle", "idle pairs", amount.idle(5000, 200)),
        Column::load("stuck", "stuck pairs", Work::Stuck { pairs: 16 }),
        Column::load(
            "pairing-32",
            "listen and listen × 32",
            amount.pairing(12_000),
        ),
        Column::of("start-up", "start-up", Kind::StartUp),
        Column::of("size", "size", Kind::Size),
    ]
}

/// Clients that speak TLS, before a backend that does not.
pub(crate) fn tls(amount: Amount) -> Vec<Column> {
    let bytes = amount.of(600 << 20, 1) as u64;
    let one_way = |up, down| Work::Exchange {
        connections: 1,
        up,
        down,
    };
    let all = [
        Column::load("up", "from clients, 1 connection", one_way(bytes, 0)),
        Column::load("down", "to clients, 1 connection", one_way(0, bytes)),
        Column::load(
            "request-64b-64",
            "64 B requests × 64",
            amount.request(64, 64, 60_000),
        ),
        Column::load("full-32", "full handshakes × 32", amount.connect(1500)).fresh(),
        Column::load("resumed-32", "resumed sessions × 32", amount.connect(3000)),
        Column::load("idle", "idle pairs", amount.idle(2000, 20)),
    ];
    all.map(Column::tls).into()
}

/// Work beside more and more idle pairs.
pub(crate) fn growth(amount: Amount) -> Vec<Column> {
    let beside = |pairs: usize| if amount.quick { pairs / 50 } else { pairs };
    let request = amount.request(64, 64, 100_000);
    let connect = amount.connect(16_000);
    let pairing = amount.pairing(12_000);
    [
        (
            "request-100",
            "64 B requests × 64, beside 100",
            request,
            100,
        ),
        (
            "request-1k",
            "64 B requests × 64, beside 1,000",
            request,
            1000,
        ),
        (
            "request-9k",
            "64 B requests × 64, beside 9,000",
            request,
            9000,
        ),
        (
            "connect-100",
            "connect, echo, close × 32, beside 100",
            connect,
            100,
        ),
        (
            "connect-1k",
            "connect, echo, close × 32, beside 1,000",
            connect,
            1000,
        ),
        (
            "connect-9k",
            "connect, echo, close × 32, beside 9,000",
            connect,
            9000,
        ),
        (
            "join-100",
            "listen and listen × 32, beside 100",
            pairing,
            100,
        ),
        (
            "join-1k",
            "listen and listen × 32, beside 1,000",
            pairing,
            1000,
        ),
        (
            "join-9k",
            "listen and listen × 32, beside 9,000",
            pairing,
            9000,
        ),
    ]
    .map(|(name, title, work, pairs)| Column::load(name, title, work).beside(beside(pairs)))
    .into()
}

/// What layers may cost.
pub(crate) fn layers(amount: Amount) -> Vec<Column> {
    let of = ["bulk-1", "request-64b-64", "connect-32", "idle"];
    let mut all = relays(amount);
    all.retain(|column| of.contains(&column.name));
    all
}

/// A thousand pairs between two relays.
pub(crate) fn mux(amount: Amount) -> Vec<Column> {
    let pairs = if amount.quick { 40 } else { 1000 };
    vec![
        Column::load(
            "bulk-1000",
            "bulk, 1,000 connections",
            amount.exchange(500 << 20, pairs, false),
        ),
        Column::load(
            "duplex-1000",
            "both ways, 1,000 connections",
            amount.exchange(500 << 20, pairs, true),
        ),
        Column::load(
            "request-64b-64",
            "64 B requests × 64",
            amount.request(64, 64, 40_000),
        ),
        Column::load(
            "connect-32",
            "connect, echo, close × 32",
            amount.connect(2000),
        ),
        Column::load("idle", "idle pairs", amount.idle(1000, 20)),
    ]
}

// ===== impl Amount =====

impl Amount {
    fn of(self, a_second: usize, parallel: usize) -> usize {
        ((a_second as f64 * self.seconds) as usize / parallel).max(1)
    }

    fn exchange(self, a_second: usize, connections: usize, duplex: bool) -> Work {
        let bytes = self.of(a_second, connections) as u64;
        let (up, down) = match duplex {
            false => (bytes, 0),
            true => (bytes / 2, bytes / 2),
        };
        Work::Exchange {
            connections,
            up,
            down,
        }
    }

    fn request(self, size: usize, connections: usize, a_second: usize) -> Work {
        Work::Request {
            connections,
            size,
            requests: self.of(a_second, connections),
        }
    }

    fn connect(self, a_second: usize) -> Work {
        Work::Connect {
            parallel: PARALLEL,
            connections: self.of(a_second, PARALLEL),
        }
    }

    fn pairing(self, a_second: usize) -> Work {
        Work::Pairing {
            parallel: PARALLEL,
            pairs: self.of(a_second, PARALLEL),
        }
    }

    fn idle(self, pairs: usize, movers: usize) -> Work {
        let (pairs, movers) = match self.quick {
            true => (pairs / 25, movers / 10),
            false => (pairs, movers),
        };
        Work::Idle {
            pairs,
            movers,
            bytes: MIB,
        }
    }
}

// ===== impl Column =====

impl Column {
    fn of(name: &'static str, title: &'static str, kind: Kind) -> Self {
        Self {
            name,
            title,
            kind,
            clients: Clients::default(),
        }
    }

    fn load(name: &'static str, title: &'static str, work: Work) -> Self {
        Self::of(name, title, Kind::Load(work))
    }

    fn tls(mut self) -> Self {
        self.clients.tls = true;
        self
    }

    fn fresh(mut self) -> Self {
        self.clients.fresh = true;
        self
    }

    fn beside(mut self, pairs: usize) -> Self {
        self.clients.beside = pairs;
        self
    }

    /// Does it need a relay that joins two clients?
    pub(crate) fn is_pairing(&self) -> bool {
        matches!(self.kind, Kind::Load(Work::Pairing { .. }))
    }

    /// How many connections are open at a time.
    pub(crate) fn parallel(&self) -> usize {
        let working = match self.kind {
            Kind::Load(work) => match work {
                Work::Exchange { connections, .. } | Work::Request { connections, .. } => {
                    connections
                }
                Work::Connect { parallel, .. } | Work::Pairing { parallel, .. } => parallel,
                Work::Idle { pairs, .. } | Work::Stuck { pairs } => pairs,
            },
            Kind::StartUp | Kind::Size => 1,
        };
        working + self.clients.beside
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TABLES: [fn(Amount) -> Vec<Column>; 5] = [relays, tls, growth, layers, mux];

    #[test]
    fn column_names_differ() {
        let amount = Amount {
            seconds: 1.0,
            quick: false,
        };
        for table in TABLES {
            let columns = table(amount);
            let names: BTreeSet<_> = columns.iter().map(|column| column.name).collect();
            assert_eq!(names.len(), columns.len());
        }
    }

    #[test]
    fn every_column_has_work() {
        let amount = Amount {
            seconds: 0.001,
            quick: true,
        };
        for column in TABLES.iter().flat_map(|table| table(amount)) {
            match column.kind {
                Kind::Load(Work::Exchange { up, down, .. }) => assert!(up + down > 0),
                Kind::Load(Work::Request { requests, .. }) => assert!(requests > 0),
                _ => assert!(column.parallel() > 0),
            }
        }
    }
}
