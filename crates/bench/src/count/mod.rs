//! Counts instructions and allocations under valgrind, and system calls under strace: figures that
//! are the same each time, on a busy machine too.
//!
//! Each case is run with more and with fewer repetitions; what the former takes beyond the latter
//! is theirs alone, without the start and the end of the process.

mod cases;
mod strace;
mod valgrind;

use std::process::Command;

use anyhow::Context;

pub(crate) use self::cases::{Case, live};
use self::strace::Traced;
use crate::built;

/// A case, and between which numbers of repetitions it is measured.
struct Measured {
    title: String,
    unit: &'static str,
    more: (Case, u64),
    fewer: (Case, u64),
    /// What the difference is divided by.
    units: u64,
}

/// The cases; this many connections wait in that of the pairing.
fn measured(waiting: u64) -> [Measured; 5] {
    [
        Measured {
            title: "a connection's life: accepted, dialled for, joined, one round trip, closed"
                .into(),
            unit: "connection",
            more: (Case::Life, 300),
            fewer: (Case::Life, 100),
            units: 200,
        },
        Measured {
            title: "the same with metrics and an admin endpoint".into(),
            unit: "connection",
            more: (Case::LifeWatched, 300),
            fewer: (Case::LifeWatched, 100),
            units: 200,
        },
        Measured {
            title: "a round trip of 64 bytes".into(),
            unit: "round trip",
            more: (Case::RoundTrip, 3000),
            fewer: (Case::RoundTrip, 1000),
            units: 2000,
        },
        Measured {
            title: "the same with metrics and an admin endpoint".into(),
            unit: "round trip",
            more: (Case::RoundTripWatched, 3000),
            fewer: (Case::RoundTripWatched, 1000),
            units: 2000,
        },
        Measured {
            title: format!("pairing {waiting} waiting connections with as many that come"),
            unit: "pair",
            more: (Case::Rendezvous, waiting),
            fewer: (Case::Connections, waiting),
            units: waiting,
        },
    ]
}

/// Counts all cases, and prints what came out.
pub(crate) fn run(waiting: u64, profile: &str) -> anyhow::Result<()> {
    for tool in ["valgrind", "strace"] {
        let asked = Command::new(tool).arg("--version").output();
        asked.with_context(|| format!("{tool} counts (Debian: apt-get install {tool})"))?;
    }
    println!("instructions, allocations: in memory, without the system's");
    for measured in measured(waiting) {
        let instructions = measured.each(valgrind::instructions)?;
        let allocations = measured.each(valgrind::allocations)?;
        println!(
            "{instructions:>9.0} {allocations:>5.1} a {:<10}  {}",
            measured.unit, measured.title
        );
    }
    println!("system calls: of the command with one thread, through sockets on loopback");
    let couplet = built::build(profile)?.couplet;
    for traced in Traced::ALL {
        let calls = traced.calls(&couplet)?;
        let all: f64 = calls.values().sum();
        let calls: Vec<_> = calls
            .iter()
            .map(|(name, n)| format!("{name} {n}"))
            .collect();
        println!("{all:>9} a {:<18}  {}", traced.unit(), calls.join(", "));
    }
    Ok(())
}

// ===== impl Measured =====

impl Measured {
    fn each(&self, count: fn(&Command) -> anyhow::Result<u64>) -> anyhow::Result<f64> {
        let of = |(case, times): (Case, u64)| {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["live", case.name(), &times.to_string()]);
            count(&command).with_context(|| format!("{} × {times}", case.name()))
        };
        let beyond = of(self.more)?.saturating_sub(of(self.fewer)?);
        Ok(beyond as f64 / self.units as f64)
    }
}
