//! The check by programs that are not ours: iperf3, redis-benchmark and wrk send their load through each
//! relay in turn, on loopback or from one network namespace into another.

mod load;
mod table;

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};

use self::{
    load::{Done, Load},
    table::Table,
};
use crate::{
    args::ProgramsArgs,
    built::{build, commit},
    driver::{chosen, command},
    measure::{Machine, today},
    place::Place,
    relays::{self, Missing, Relay, Running, To, free_port},
    scratch::Scratch,
};

/// How often a program is started again that was refused: its server may still be busy with the
/// connection by which it, or the relay, was found to listen.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

/// The relays that are compared, if none are named.
const NAMES: [&str; 5] = [
    "couplet",
    "couplet-one-thread",
    "haproxy-splice",
    "haproxy-copy",
    "nginx",
];

/// Measures all of it, and prints a table.
pub(crate) fn run(args: &ProgramsArgs) -> anyhow::Result<()> {
    let names = match args.relays.is_empty() {
        true => NAMES.to_vec(),
        false => chosen(relays::PLAIN.to_vec(), &args.relays, |name| name)?,
    };
    let loads = chosen(Load::ALL.to_vec(), &args.loads, |load| load.name())?;
    for load in &loads {
        for program in load.programs() {
            let asked = Command::new(program).arg("--version").output();
            asked.with_context(|| format!("`{program}` can't be started"))?;
        }
    }
    eprintln!("building what is measured");
    let built = build(&args.profile)?;
    let mut relays = Vec::new();
    for name in names {
        match relays::find(name, &built) {
            Ok(relay) => relays.push(relay),
            Err(Missing { name, why }) => eprintln!("{name} is left out: {why}"),
        }
    }
    let place = Place::new(args.veth)?;
    let scratch = Scratch::new()?;
    let mut table = Table::new(relays.iter().map(|relay| (relay.title(), relay.is_ours())));
    for load in loads {
        for round in 1..=args.rounds {
            for (column, relay) in relays.iter().enumerate() {
                let measured = measure(load, &**relay, &place, args.seconds, &scratch.0);
                let measured =
                    measured.with_context(|| format!("{} {}", load.name(), relay.name()))?;
                eprintln!(
                    "{} {round}/{} {}: {:.4} {}; {:.4} {}/s",
                    load.name(),
                    args.rounds,
                    relay.name(),
                    measured.cpu,
                    load.cpu_unit(),
                    measured.rate,
                    load.unit()
                );
                table.add(load, column, measured);
            }
        }
    }
    println!("{}", table.text());
    let commit = commit().map_or(String::new(), |commit| format!(", at commit {commit}"));
    println!(
        "`{}` on {}{commit}; {}.",
        command(env::args().skip(1)),
        today(),
        Machine::this()
    );
    Ok(())
}

/// What a relay used for a load.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// In the unit of [`Load::cpu_unit`].
    cpu: f64,
    /// Units a second.
    rate: f64,
    /// Microseconds.
    p99: Option<f64>,
}

fn measure(
    load: Load,
    relay: &dyn Relay,
    place: &Place,
    seconds: u32,
    folder: &Path,
) -> anyhow::Result<Measured> {
    let server = (place.server, free_port()?.port()).into();
    let servers = folder.join("server");
    fs::create_dir_all(&servers)?;
    let command = place.at_server(&load.server(server, &servers)?);
    // It listens before a client comes: redis-benchmark never ends where one of its connections is refused.
    let _server = Running::listening(command, &[server], &servers).context("the server")?;
    let listen = (place.relay, free_port()?.port()).into();
    let command = relay.command(listen, To::Backend(server), folder)?;
    let relay = Running::listening(command, &[listen], folder)?;
    let client = |seconds| {
        let mut command = place.at_client(&load.client(listen, seconds));
        let output = command.stdin(Stdio::null()).output()?;
        load.done(&String::from_utf8_lossy(&output.stdout))
    };
    let mut warm = client(1);
    for _ in 1..TRIES {
        if warm.is_ok() {
            break;
        }
        thread::sleep(PAUSE);
        warm = client(1);
    }
    if let Err(error) = warm {
        bail!("the program gets nothing through: {error:#}");
    }
    let before = relay.usage()?.cpu;
    let Done {
        units,
        seconds,
        p99,
    } = client(seconds)?;
    let cpu = relay.usage()?.cpu.saturating_sub(before);
    Ok(Measured {
        cpu: load.cpu(cpu, units),
        rate: units / seconds,
        p99,
    })
}
