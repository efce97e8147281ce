//! Measures each relay in each column, in turn, several times.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::TableArgs,
    built::{build, commit, root},
    cell,
    columns::{self, Column},
    descriptors,
    measure::{Machine, today},
    relays::{self, Missing, Relay},
    report::{Asked, Report},
};

/// What the idle column needs: two descriptors for each pair, in the relay and in the generator.
const DESCRIPTORS: u64 = 16_500;

/// A folder for relays' configurations; removed when dropped.
struct Scratch(PathBuf);

pub(crate) fn run(args: &TableArgs) -> anyhow::Result<()> {
    let columns = chosen(
        columns::all(args.seconds(), args.quick),
        &args.columns,
        |column| column.name,
    )?;
    let names = chosen(relays::NAMES.to_vec(), &args.relays, |name| name)?;
    let allowed = descriptors::raise(DESCRIPTORS);
    let needed = columns.iter().map(|column| 2 * column.parallel() as u64);
    let needed = needed.max().unwrap_or(0) + 200;
    ensure!(
        allowed >= needed,
        "{needed} descriptors are needed, and {allowed} allowed: raise the limit (`ulimit -Hn`), \
         or leave columns out (`--columns`)"
    );
    eprintln!("building what is measured");
    let built = build(&args.profile)?;
    let (mut relays, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        match relays::find(name, &built) {
            Ok(relay) => relays.push(relay),
            Err(Missing { name, why }) => {
                eprintln!("{name} is left out: {why}");
                missing.push(Missing { name, why });
            }
        }
    }
    ensure!(!relays.is_empty(), "there is no relay to be measured");
    let asked = Asked {
        machine: Machine::this(),
        date: today(),
        commit: commit(),
        command: command(),
        rounds: args.rounds(),
    };
    let mut report = Report::new(asked, &columns, &relays, missing);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            measured = measure(&columns, &relays, args, &mut report) => measured,
            // What runs is dropped, and so killed.
            interrupted = interrupted() => interrupted,
        }
    })?;
    println!("{}", report.tables());
    let out = args
        .out
        .clone()
        .or_else(|| args.is_whole().then(|| root().join("docs")));
    if let Some(folder) = out {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("performance.md"), report.markdown())?;
        fs::write(folder.join("performance.svg"), report.chart())?;
        eprintln!("performance.md and performance.svg are written");
    }
    match report.failures() {
        0 => Ok(()),
        failures => bail!("{failures} cells could not be measured"),
    }
}

async fn measure(
    columns: &[Column],
    relays: &[Box<dyn Relay>],
    args: &TableArgs,
    report: &mut Report,
) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    // The slowest relay is some ten times slower than the work is made for.
    let limit = Duration::from_secs(30) + Duration::from_secs_f64(args.seconds()) * 30;
    for column in columns {
        for round in 1..=args.rounds() {
            for relay in relays {
                if relay.leaves_out(column).is_some() {
                    continue;
                }
                let measured = cell::measure(&**relay, column, limit, &scratch.0).await;
                eprint!(
                    "{} {round}/{} {}:",
                    column.name,
                    args.rounds(),
                    relay.name()
                );
                match measured {
                    Ok(figures) => {
                        for (metric, value) in &figures {
                            eprint!(" {value:.4} {};", metric.unit());
                        }
                        report.add(column.name, relay.name(), figures);
                    }
                    Err(error) => {
                        eprint!(" {error:#}");
                        report.fail(column.name, relay.name());
                    }
                }
                eprintln!();
            }
        }
    }
    Ok(())
}

async fn interrupted() -> anyhow::Result<()> {
    let mut signals = [
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    ];
    let [interrupt, terminate, hangup] = &mut signals;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    bail!("interrupted")
}

/// Those whose names begin as one of the given ones, or all.
fn chosen<T>(all: Vec<T>, given: &[String], name: impl Fn(&T) -> &str) -> anyhow::Result<Vec<T>> {
    for given in given {
        if !all.iter().any(|one| name(one).starts_with(given)) {
            let names: Vec<_> = all.iter().map(&name).collect();
            bail!("there is no `{given}`; there are {}", names.join(", "));
        }
    }
    let is_chosen = |one: &T| {
        given.is_empty()
            || given
                .iter()
                .any(|given| name(one).starts_with(given.as_str()))
    };
    Ok(all.into_iter().filter(is_chosen).collect())
}

/// How to ask for the same again.
fn command() -> String {
    let args = env::args().skip(1);
    ["cargo run --release -p couplet-bench".to_owned()]
        .into_iter()
        .chain((env::args().len() > 1).then(|| "--".to_owned()))
        .chain(args)
        .collect::<Vec<_>>()
        .join(" ")
}

// ===== impl Scratch =====

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let folder = env::temp_dir().join(format!("couplet-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).context("a folder for temporary files")?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl AsRef<Path> for Scratch {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(given: &[&str]) -> anyhow::Result<Vec<&'static str>> {
        let given: Vec<_> = given.iter().map(|&given| given.to_owned()).collect();
        chosen(vec!["bulk-1", "bulk-16", "idle"], &given, |name| name)
    }

    #[test]
    fn a_beginning_stands_for_all_that_begin_so() {
        assert_eq!(choose(&[]).unwrap(), ["bulk-1", "bulk-16", "idle"]);
        assert_eq!(choose(&["bulk"]).unwrap(), ["bulk-1", "bulk-16"]);
        assert_eq!(choose(&["idle", "bulk-16"]).unwrap(), ["bulk-16", "idle"]);
        let error = choose(&["bluk"]).unwrap_err().to_string();
        assert!(error.contains("bluk") && error.contains("bulk-16"));
    }
}
