//! Measures each relay in each column, in turn, several times.

use std::{env, fs, time::Duration};

use anyhow::{anyhow, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::TableArgs,
    built::{build, commit, root},
    cell::{self, Times},
    columns::{Amount, Column},
    descriptors,
    measure::{Machine, today},
    place::Place,
    relays::{self, Missing, Relay, identity},
    report::{Asked, Report},
    scratch::Scratch,
};

/// What the most pairs need: two descriptors each, in the relay and in the generator.
const DESCRIPTORS: u64 = 19_500;

pub(crate) fn run(args: &TableArgs) -> anyhow::Result<()> {
    let amount = Amount {
        seconds: args.seconds(),
        quick: args.quick,
    };
    let columns = chosen(args.table.columns(amount), &args.columns, |column| {
        column.name
    })?;
    let names = chosen(args.table.relays().to_vec(), &args.relays, |name| name)?;
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
    let place = Place::new(args.veth)?;
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
        command: command(env::args().skip(1)),
        rounds: args.rounds(),
    };
    let mut report = Report::new((args.table, args.veth), asked, &columns, &relays, missing);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            measured = measure(&columns, &relays, args, &place, &mut report) => measured,
            // What runs is dropped, and so killed.
            interrupted = interrupted() => Err(interrupted),
        }
    })?;
    println!("{}", report.tables());
    let out = args
        .out
        .clone()
        .or_else(|| args.is_whole().then(|| root().join("docs")));
    if let Some(folder) = out {
        fs::create_dir_all(&folder)?;
        let file = folder.join(args.table.file(args.veth));
        fs::write(file.with_extension("md"), report.markdown())?;
        fs::write(file.with_extension("svg"), report.chart())?;
        eprintln!(
            "{} and .svg are written",
            file.with_extension("md").display()
        );
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
    place: &Place,
    report: &mut Report,
) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    identity::make(&scratch.0)?;
    let times = Times {
        // The slowest relay is some ten times slower than the work is made for.
        limit: Duration::from_secs(30) + Duration::from_secs_f64(args.seconds()) * 30,
        watch: Duration::from_millis(if args.quick { 200 } else { 2000 }),
    };
    for column in columns {
        for round in 1..=args.rounds() {
            for relay in relays {
                if relay.leaves_out(column).is_some() {
                    continue;
                }
                let measured = cell::measure(&**relay, column, times, place, &scratch.0).await;
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

/// Waits for a signal that asks to end.
pub(crate) async fn interrupted() -> anyhow::Error {
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    let signals = kinds.map(|kind| async move {
        match signal(kind) {
            Ok(mut signal) => {
                signal.recv().await;
                anyhow!("interrupted")
            }
            Err(error) => error.into(),
        }
    });
    let [interrupt, terminate, hangup] = signals;
    tokio::select! {
        error = interrupt => error,
        error = terminate => error,
        error = hangup => error,
    }
}

/// Those that are called as one of the given names, or begin so if none is called so; or all.
pub(crate) fn chosen<T>(
    all: Vec<T>,
    given: &[String],
    name: impl Fn(&T) -> &str,
) -> anyhow::Result<Vec<T>> {
    let names: Vec<_> = all.iter().map(|one| name(one).to_owned()).collect();
    for given in given {
        if !names.iter().any(|name| name.starts_with(given)) {
            bail!("there is no `{given}`; there are {}", names.join(", "));
        }
    }
    let is_meant = |given: &String, one: &str| match names.contains(given) {
        true => one == given,
        false => one.starts_with(given.as_str()),
    };
    let is_chosen =
        |one: &T| given.is_empty() || given.iter().any(|given| is_meant(given, name(one)));
    Ok(all.into_iter().filter(is_chosen).collect())
}

/// How to ask for the same again, without the place that it is written to.
pub(crate) fn command(args: impl Iterator<Item = String>) -> String {
    let mut command = String::from("cargo run --release -p couplet-bench");
    let mut args = args.peekable();
    if args.peek().is_some() {
        command.push_str(" --");
    }
    while let Some(arg) = args.next() {
        if arg == "--out" {
            args.next();
        } else if !arg.starts_with("--out=") {
            command.push(' ');
            command.push_str(&arg);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(given: &[&str]) -> anyhow::Result<Vec<&'static str>> {
        let given: Vec<_> = given.iter().map(|&given| given.to_owned()).collect();
        chosen(vec!["bulk-1", "bulk-16", "idle"], &given, |name| name)
    }

    #[test]
    fn a_prefix_selects_every_name_that_begins_with_it() {
        assert_eq!(choose(&[]).unwrap(), ["bulk-1", "bulk-16", "idle"]);
        assert_eq!(choose(&["bulk"]).unwrap(), ["bulk-1", "bulk-16"]);
        assert_eq!(choose(&["bulk-1"]).unwrap(), ["bulk-1"]);
        assert_eq!(choose(&["idle", "bulk-16"]).unwrap(), ["bulk-16", "idle"]);
        let error = choose(&["bluk"]).unwrap_err().to_string();
        assert!(error.contains("bluk") && error.contains("bulk-16"));
    }

    #[test]
    fn the_printed_command_leaves_out_where_results_go() {
        let command = |line: &str| command(line.split_whitespace().map(str::to_owned));
        let plain = "cargo run --release -p couplet-bench";
        assert_eq!(command(""), plain);
        assert_eq!(
            command("--rounds 2 --out /here --out=there --quick"),
            format!("{plain} -- --rounds 2 --quick")
        );
    }
}
