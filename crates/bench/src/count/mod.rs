//! Counts instructions and allocations under valgrind: figures that are the same each time, on a
//! busy machine too.
//!
//! Each case is run with more and with fewer repetitions; what the former takes beyond the latter
//! is theirs alone, without the start and the end of the process.

mod cases;
mod valgrind;

use std::process::Command;

use anyhow::Context;

pub(crate) use self::cases::{Case, live};

/// A case, and between which numbers of repetitions it is measured.
struct Measured {
    title: &'static str,
    unit: &'static str,
    more: (Case, u64),
    fewer: (Case, u64),
    /// What the difference is divided by.
    units: u64,
}

const WAITING: u64 = 10_000;

const MEASURED: [Measured; 4] = [
    Measured {
        title: "a connection's life: accepted, dialled for, joined, one round trip, closed",
        unit: "connection",
        more: (Case::Life, 1100),
        fewer: (Case::Life, 100),
        units: 1000,
    },
    Measured {
        title: "the same with metrics and an admin endpoint",
        unit: "connection",
        more: (Case::LifeWatched, 1100),
        fewer: (Case::LifeWatched, 100),
        units: 1000,
    },
    Measured {
        title: "a round trip of 64 bytes",
        unit: "round trip",
        more: (Case::RoundTrip, 11_000),
        fewer: (Case::RoundTrip, 1000),
        units: 10_000,
    },
    Measured {
        title: "pairing ten thousand waiting connections with as many that come",
        unit: "pair",
        more: (Case::Rendezvous, WAITING),
        fewer: (Case::Connections, WAITING),
        units: WAITING,
    },
];

/// Counts all cases, and prints what came out.
pub(crate) fn run() -> anyhow::Result<()> {
    valgrind::version()
        .context("valgrind is not installed: it counts (Debian: apt-get install valgrind)")?;
    println!("instructions, allocations: in memory, without the system's");
    for measured in &MEASURED {
        let instructions = measured.each(valgrind::instructions)?;
        let allocations = measured.each(valgrind::allocations)?;
        println!(
            "{instructions:>9.0} {allocations:>5.1} a {:<10}  {}",
            measured.unit, measured.title
        );
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
