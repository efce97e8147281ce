//! Measures the rendezvous by key: what each connection holds that waits, and how long it takes
//! until one that comes is joined, while all the others wait.

mod memory;
mod sockets;

use std::env;

use anyhow::ensure;

use crate::{
    built::commit,
    descriptors,
    driver::command,
    load::Outcome,
    measure::{Machine, today},
    report::{align, number},
};

/// How many wait, and how many of them are joined.
#[derive(Clone, Copy, Debug)]
struct Size {
    waiting: u32,
    joins: u32,
}

/// What came out.
#[derive(Clone, Copy, Debug)]
struct Measured {
    size: Size,
    /// Resident bytes, of all that wait.
    resident: u64,
    joins: Outcome,
}

/// What a connection takes that waits, in descriptors: its own, and its peer's.
const ENDS: u64 = 2;

/// What else takes descriptors: the joined until they are closed, and the process itself.
const OTHERS: u64 = 500;

// ===== impl Size =====

impl Size {
    /// Half of them are joined, so that as many still wait at the last join.
    fn new(waiting: u32) -> Self {
        let joins = waiting / 2;
        Self { waiting, joins }
    }
}

/// Measures both, and prints a table.
pub(crate) fn run(quick: bool) -> anyhow::Result<()> {
    let (in_memory, on_loopback) = match quick {
        true => (100, 100),
        false => (100_000, 10_000),
    };
    let on_loopback = allowed(on_loopback)?;
    // The sockets first: what memory they get was nobody's before.
    let on_loopback = sockets::measure(Size::new(on_loopback))?;
    let in_memory = memory::measure(Size::new(in_memory))?;
    println!("{}", table(in_memory, on_loopback));
    let commit = commit().map_or(String::new(), |commit| format!(", at commit {commit}"));
    println!(
        "`{}` on {}{commit}; {}.",
        command(env::args().skip(1)),
        today(),
        Machine::this()
    );
    Ok(())
}

/// As many as are wanted, or as may be open here.
fn allowed(wanted: u32) -> anyhow::Result<u32> {
    let needed = u64::from(wanted) * ENDS + OTHERS;
    let allowed = descriptors::raise(needed);
    ensure!(
        allowed >= 2 * OTHERS,
        "{needed} descriptors are needed, and {allowed} allowed: raise the limit (`ulimit -Hn`)"
    );
    if allowed >= needed {
        return Ok(wanted);
    }
    let fewer = u32::try_from((allowed - OTHERS) / ENDS)?;
    eprintln!("{fewer} sockets wait, and not {wanted}: {allowed} descriptors are allowed");
    Ok(fewer)
}

fn table(in_memory: Measured, on_loopback: Measured) -> String {
    let row = |title: &str, figure: fn(&Measured) -> Option<f64>| {
        let cell = |measured| figure(measured).map_or("–".into(), number);
        vec![title.to_owned(), cell(&in_memory), cell(&on_loopback)]
    };
    align(&[
        vec![String::new(), "in memory".into(), "sockets".into()],
        row("waiting", |measured| Some(measured.size.waiting.into())),
        row("waiting: bytes each", |measured| {
            Some(measured.resident as f64 / f64::from(measured.size.waiting))
        }),
        row("joins/s", |measured| {
            Some(measured.joins.units as f64 / measured.joins.seconds)
        }),
        row("a join: median, µs", |measured| measured.joins.p50),
        row("a join: 99th percentile, µs", |measured| {
            measured.joins.p99
        }),
    ])
}

/// The number of the waiting one that is joined as the `nth`: here and there among them all.
fn scattered(nth: u32, among: u32) -> u32 {
    /// A prime that no number of those who wait is a multiple of, so that each is met once.
    const STEP: u64 = 1_000_003;
    let number = u64::from(nth) * STEP % u64::from(among);
    u32::try_from(number).expect("it is less than `among`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_joined_once() {
        for among in [100, 10_000, 100_000] {
            let mut numbers: Vec<_> = (0..among).map(|nth| scattered(nth, among)).collect();
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..among));
        }
    }
}
