//! Measures the rendezvous by key: what each connection holds that waits, and how long it takes
//! until one that comes is joined, while all the others wait.

mod memory;
mod sockets;

use std::env;

use anyhow::ensure;

use crate::{
    built::{build, commit},
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
    title: &'static str,
    waiting: u32,
    /// Bytes, of all that wait; nothing where an earlier crowd has left its memory behind.
    resident: Option<u64>,
    joins: Outcome,
}

/// What else takes descriptors, in the relay as in the clients' process: the joined until they are
/// closed, and the process itself.
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
pub(crate) fn run(quick: bool, profile: &str) -> anyhow::Result<()> {
    let (in_memory, on_loopback) = match quick {
        true => ([200, 100], 100),
        false => ([100_000, 1_000], 10_000),
    };
    let allowed = descriptors::raise(needed(on_loopback));
    let (on_loopback, short) = possible(on_loopback, allowed)?;
    eprintln!("building what is measured");
    let built = build(profile)?;
    let on_loopback = sockets::measure(Size::new(on_loopback), &built)?;
    // The many first: the memory that they get was not in use before.
    let [many, few] = in_memory.map(|waiting| memory::measure(Size::new(waiting)));
    let few = Measured {
        resident: None,
        ..few?
    };
    let measured: Vec<_> = [few, many?].into_iter().chain(on_loopback).collect();
    println!("{}", table(&measured));
    if let Some(short) = short {
        println!("{short}\n");
    }
    let commit = commit().map_or(String::new(), |commit| format!(", at commit {commit}"));
    println!(
        "`{}` on {}{commit}; {}.",
        command(env::args().skip(1)),
        today(),
        Machine::this()
    );
    Ok(())
}

/// As many as are wanted, or as may be with this many descriptors, and then what could not be.
fn possible(wanted: u32, allowed: u64) -> anyhow::Result<(u32, Option<String>)> {
    let needed = needed(wanted);
    if allowed >= needed {
        return Ok((wanted, None));
    }
    let fewer = u32::try_from(allowed.saturating_sub(OTHERS))?;
    ensure!(
        fewer >= 100,
        "{needed} descriptors are needed, and {allowed} allowed: raise the limit (`ulimit -Hn`)"
    );
    let short = format!(
        "Only {fewer} sockets waited, and not {wanted}, as a process may have {allowed} descriptors."
    );
    Ok((fewer, Some(short)))
}

fn needed(waiting: u32) -> u64 {
    u64::from(waiting) + OTHERS
}

fn table(measured: &[Measured]) -> String {
    let row = |title: &str, figure: fn(&Measured) -> Option<f64>| {
        let cells = measured.iter().map(figure);
        let cells = cells.map(|figure| figure.map_or("–".into(), number));
        [title.to_owned()].into_iter().chain(cells).collect()
    };
    let titles = measured.iter().map(|measured| measured.title.to_owned());
    align(&[
        [String::new()].into_iter().chain(titles).collect(),
        row("waiting", |measured| Some(measured.waiting.into())),
        row("waiting: bytes each", |measured| {
            Some(measured.resident? as f64 / f64::from(measured.waiting))
        }),
        row("joins", |measured| Some(measured.joins.units as f64)),
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
    /// A prime that divides no number of waiting connections, so that each is met once.
    const STEP: u64 = 1_000_003;
    let number = u64::from(nth) * STEP % u64::from(among);
    u32::try_from(number).expect("it is less than `among`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_bound_on_waiting_is_reported() {
        assert_eq!(possible(10_000, 10_500).unwrap(), (10_000, None));
        let (fewer, said) = possible(10_000, 10_499).unwrap();
        assert_eq!(fewer, 9_999);
        assert!(
            said.unwrap()
                .starts_with("Only 9999 sockets waited, and not 10000")
        );
        let error = possible(10_000, 500).unwrap_err().to_string();
        assert!(error.starts_with("10500 descriptors are needed, and 500 allowed"));
    }

    #[test]
    fn every_connection_is_joined_once() {
        for among in [100, 10_000, 100_000] {
            let mut numbers: Vec<_> = (0..among).map(|nth| scattered(nth, among)).collect();
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..among));
        }
    }
}
