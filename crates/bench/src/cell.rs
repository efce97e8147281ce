//! One cell of the table, measured once.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::Context;
use tokio::time::{sleep, timeout};

use crate::{
    columns::{Column, Kind},
    generator::Generator,
    load::{Outcome, Setting, Work},
    measure::Usage,
    metric::{Metric, Unit},
    place::Place,
    relays::{Relay, Running, To, free_port, identity},
};

/// What was measured.
pub(crate) type Figures = Vec<(Metric, f64)>;

/// The tasks of the last connections may end after their clients are content.
const TAIL: Duration = Duration::from_millis(50);

/// After that time a pair is idle: what is done once in a connection's first second has been done.
const SETTLED: Duration = Duration::from_secs(2);

/// How long a relay may take to let go of pairs whose clients are gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a relay is started to see how long that takes.
const STARTS: u32 = 10;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Until a relay is given up.
    pub(crate) limit: Duration,
    /// While idle pairs are watched.
    pub(crate) watch: Duration,
}

/// Measures a relay in a column. It is started, warmed up, and killed.
pub(crate) async fn measure(
    relay: &dyn Relay,
    column: &Column,
    times: Times,
    place: &Place,
    folder: &Path,
) -> anyhow::Result<Figures> {
    match column.kind {
        Kind::Load(work) => {
            let setting = setting(column, place, folder);
            let load = load(relay, (&setting, work), times.watch, place, folder);
            timeout(times.limit, load)
                .await
                .context("it took too long")?
        }
        Kind::StartUp => start_up(relay, place, folder),
        Kind::Size => size(relay),
    }
}

/// What the generator is told beside its work.
fn setting(column: &Column, place: &Place, folder: &Path) -> Setting {
    let clients = column.clients;
    Setting {
        ca: clients.tls.then(|| identity::file(folder)),
        fresh: clients.fresh,
        beside: clients.beside,
        backend: place.server,
        namespace: place.server_namespace(),
    }
}

async fn load(
    relay: &dyn Relay,
    (setting, work): (&Setting, Work),
    watch: Duration,
    place: &Place,
    folder: &Path,
) -> anyhow::Result<Figures> {
    let mut generator = Generator::start(place, setting, work)?;
    let backend = generator.backend().await?;
    let second = match work {
        Work::Pairing { .. } => Some(SocketAddr::new(place.relay, free_port()?.port())),
        _ => None,
    };
    let to = second.map_or(To::Backend(backend), To::Listen);
    let relay = Running::start(relay, place, to, folder)?;
    let targets: Vec<_> = [relay.listen].into_iter().chain(second).collect();
    generator.warm(&targets).await?;
    sleep(TAIL).await;

    let before = relay.usage()?;
    let outcome = generator.go().await?;
    sleep(match work {
        Work::Idle { .. } => SETTLED,
        _ => TAIL,
    })
    .await;
    let after = relay.usage()?;
    let mut figures = figures(work, before, after, outcome);
    if let Work::Idle { pairs, .. } = work {
        sleep(watch).await;
        let later = relay.usage()?;
        let cpu = later.cpu.saturating_sub(after.cpu).as_secs_f64();
        figures.push((Metric::IdleCpu, cpu * 1e3 / watch.as_secs_f64()));
        drop(generator);
        timeout(PATIENCE, emptied(&relay, before.descriptors + pairs / 2))
            .await
            .context("it does not let go of its pairs")??;
        // Some allocators give back only later what they do not need.
        sleep(watch).await;
        let kept = relay.usage()?.resident as f64 - before.resident as f64;
        figures.push((Metric::Kept, kept / pairs as f64));
    }
    Ok(figures)
}

/// Waits until a relay has no more descriptors than these: a pair has two, and pipes are kept.
async fn emptied(relay: &Running, descriptors: usize) -> anyhow::Result<()> {
    while relay.usage()?.descriptors > descriptors {
        sleep(TAIL).await;
    }
    Ok(())
}

/// What the counters before and after the work say.
fn figures(work: Work, before: Usage, after: Usage, outcome: Outcome) -> Figures {
    let micros = after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6;
    let units = outcome.units as f64;
    let counted = |unit| {
        [
            (Metric::Cpu(unit), micros / units),
            (Metric::Rate(unit), units / outcome.seconds),
        ]
    };
    let held = |pairs: usize| {
        let resident = after.resident as f64 - before.resident as f64;
        (Metric::Resident, resident / pairs as f64)
    };
    let latencies = [(Metric::P50, outcome.p50), (Metric::P99, outcome.p99)]
        .into_iter()
        .filter_map(|(metric, micros)| Some((metric, micros?)));
    let unit = match work {
        Work::Exchange { .. } => {
            let gib = units / f64::from(1 << 30);
            return vec![
                (Metric::Cpu(Unit::Gib), micros / 1e6 / gib),
                (Metric::Rate(Unit::Gib), gib / outcome.seconds),
            ];
        }
        Work::Idle { pairs, .. } => {
            let descriptors = after.descriptors as f64 - before.descriptors as f64;
            return vec![
                held(pairs),
                (Metric::DescriptorsPerPair, descriptors / pairs as f64),
            ];
        }
        Work::Stuck { pairs } => {
            let taken = units / 1024.0 / pairs as f64;
            return vec![held(pairs), (Metric::Taken, taken)];
        }
        Work::Request { .. } => Unit::Request,
        Work::Connect { .. } => Unit::Connection,
        Work::Pairing { .. } => Unit::Pair,
    };
    counted(unit).into_iter().chain(latencies).collect()
}

/// The shortest of some starts: what it took longer was others' business.
fn start_up(relay: &dyn Relay, place: &Place, folder: &Path) -> anyhow::Result<Figures> {
    let mut shortest = Duration::MAX;
    for _ in 0..STARTS {
        // No program listens there, and no request goes there.
        let to = To::Backend(free_port()?);
        let running = Running::start(relay, place, to, folder)?;
        shortest = shortest.min(running.started_in);
    }
    Ok(vec![(Metric::StartUp, shortest.as_secs_f64() * 1e3)])
}

fn size(relay: &dyn Relay) -> anyhow::Result<Figures> {
    let mut bytes = 0;
    for file in relay.files() {
        bytes += fs::metadata(file)?.len();
    }
    Ok(vec![(Metric::Size, bytes as f64 / f64::from(1 << 20))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(millis: u64, resident: u64, descriptors: usize) -> Usage {
        Usage {
            cpu: Duration::from_millis(millis),
            resident,
            descriptors,
        }
    }

    fn outcome(units: u64, seconds: f64) -> Outcome {
        Outcome {
            units,
            seconds,
            p50: Some(5.0),
            p99: None,
        }
    }

    #[test]
    fn cost_used_is_divided_by_the_work_done() {
        let exchange = Work::Exchange {
            connections: 2,
            up: 1 << 30,
            down: 0,
        };
        assert_eq!(
            figures(
                exchange,
                usage(100, 0, 0),
                usage(500, 0, 0),
                outcome(2 << 30, 4.0)
            ),
            [
                (Metric::Cpu(Unit::Gib), 0.2),
                (Metric::Rate(Unit::Gib), 0.5)
            ]
        );
        let request = Work::Request {
            connections: 2,
            size: 64,
            requests: 500,
        };
        assert_eq!(
            figures(request, usage(1, 0, 0), usage(11, 0, 0), outcome(1000, 0.5)),
            [
                (Metric::Cpu(Unit::Request), 10.0),
                (Metric::Rate(Unit::Request), 2000.0),
                (Metric::P50, 5.0)
            ]
        );
    }

    #[test]
    fn memory_held_is_divided_by_the_pairs() {
        let idle = Work::Idle {
            pairs: 10,
            movers: 1,
            bytes: 1,
        };
        assert_eq!(
            figures(
                idle,
                usage(0, 5000, 7),
                usage(0, 25_000, 27),
                outcome(10, 1.0)
            ),
            [
                (Metric::Resident, 2000.0),
                (Metric::DescriptorsPerPair, 2.0)
            ]
        );
        let stuck = Work::Stuck { pairs: 2 };
        assert_eq!(
            figures(
                stuck,
                usage(0, 9000, 0),
                usage(0, 8000, 0),
                outcome(4096, 1.0)
            ),
            [(Metric::Resident, -500.0), (Metric::Taken, 2.0)]
        );
    }
}
