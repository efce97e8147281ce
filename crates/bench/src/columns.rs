//! The columns of the table: what each of them has a relay do.

use crate::load::Work;

/// One thing that is measured of each relay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// How it is called on the command line.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Load(Work),
    StartUp,
    Size,
}

const KIB: usize = 1024;
const MIB: u64 = 1 << 20;

/// All columns, each with the work that a fast relay does in about so many seconds on a machine
/// with two cores. Every relay has to do the same.
pub(crate) fn all(seconds: f64, quick: bool) -> Vec<Column> {
    let amount =
        |a_second: usize, parallel: usize| ((a_second as f64 * seconds) as usize / parallel).max(1);
    let exchange = |name, title, connections, duplex: bool| {
        let bytes = amount(2 << 30, connections) as u64;
        let work = match duplex {
            false => (bytes, 0),
            true => (bytes / 2, bytes / 2),
        };
        load(
            name,
            title,
            Work::Exchange {
                connections,
                up: work.0,
                down: work.1,
            },
        )
    };
    let request = |name, title, size, connections, a_second| {
        load(
            name,
            title,
            Work::Request {
                connections,
                size,
                requests: amount(a_second, connections),
            },
        )
    };
    let (idle, movers) = if quick { (200, 20) } else { (5000, 200) };
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
        load(
            "connect-32",
            "connect, echo, close × 32",
            Work::Connect {
                parallel: 32,
                connections: amount(16_000, 32),
            },
        ),
        load(
            "idle",
            "idle pairs",
            Work::Idle {
                pairs: idle,
                movers,
                bytes: MIB,
            },
        ),
        load("stuck", "stuck pairs", Work::Stuck { pairs: 16 }),
        load(
            "pairing-32",
            "listen and listen × 32",
            Work::Pairing {
                parallel: 32,
                pairs: amount(12_000, 32),
            },
        ),
        Column {
            name: "start-up",
            title: "start-up",
            kind: Kind::StartUp,
        },
        Column {
            name: "size",
            title: "size",
            kind: Kind::Size,
        },
    ]
}

fn load(name: &'static str, title: &'static str, work: Work) -> Column {
    Column {
        name,
        title,
        kind: Kind::Load(work),
    }
}

// ===== impl Column =====

impl Column {
    /// Does it need a relay that joins two clients?
    pub(crate) fn is_pairing(&self) -> bool {
        matches!(self.kind, Kind::Load(Work::Pairing { .. }))
    }

    /// How many connections are open at a time.
    pub(crate) fn parallel(&self) -> usize {
        match self.kind {
            Kind::Load(work) => match work {
                Work::Exchange { connections, .. } | Work::Request { connections, .. } => {
                    connections
                }
                Work::Connect { parallel, .. } | Work::Pairing { parallel, .. } => parallel,
                Work::Idle { pairs, .. } | Work::Stuck { pairs } => pairs,
            },
            Kind::StartUp | Kind::Size => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn column_names_differ() {
        let columns = all(1.0, false);
        let names: BTreeSet<_> = columns.iter().map(|column| column.name).collect();
        assert_eq!(names.len(), columns.len());
    }

    #[test]
    fn every_column_has_work() {
        for column in all(0.001, true) {
            match column.kind {
                Kind::Load(Work::Exchange { up, .. }) => assert!(up > 0),
                Kind::Load(Work::Request { requests, .. }) => assert!(requests > 0),
                _ => assert!(column.parallel() > 0),
            }
        }
    }
}
