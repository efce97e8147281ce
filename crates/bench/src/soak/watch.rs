//! What the relays hold, at intervals: memory, descriptors, tasks.

use std::time::Duration;

use tokio::time::Instant;

use super::setups::Setup;
use crate::{measure::Usage, report};

/// What all relays hold at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) connections: u64,
    /// Resident bytes.
    pub(super) resident: u64,
    pub(super) descriptors: u64,
    /// Of the relay that can be asked.
    pub(super) tasks: u64,
}

/// Looks at the relays.
pub(super) struct Watch<'a> {
    setups: &'a [Setup],
    /// What each held before it was used.
    idle: Vec<Held>,
    pub(super) samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    usage: Usage,
    tasks: u64,
}

/// How many rows a table has at most.
const ROWS: usize = 20;

/// Growth of less than this is not told from noise: a part, and a number.
const NOISE: f64 = 0.05;
const NOISE_BYTES: f64 = 4.0 * 1024.0 * 1024.0;
const NOISE_NUMBER: f64 = 40.0;

/// Sockets that the kernel closes a little later, a pool that is being filled.
const A_FEW: u64 = 4;

/// The descriptors of the empty pipes that a worker thread of a relay keeps at most: eight pipes.
const KEPT_BY_A_THREAD: usize = 16;

// ===== impl Watch =====

impl<'a> Watch<'a> {
    pub(super) fn new(setups: &'a [Setup]) -> Self {
        let idle = setups.iter().map(|setup| held(setup).unwrap_or_default());
        Self {
            setups,
            idle: idle.collect(),
            samples: Vec::new(),
        }
    }

    pub(super) fn sample(&mut self, at: Duration, connections: u64) -> anyhow::Result<()> {
        let mut sample = Sample {
            at,
            connections,
            resident: 0,
            descriptors: 0,
            tasks: 0,
        };
        for setup in self.setups {
            let held = held(setup)?;
            sample.resident += held.usage.resident;
            sample.descriptors += held.usage.descriptors as u64;
            sample.tasks += held.tasks;
        }
        self.samples.push(sample);
        Ok(())
    }

    /// Waits until the relays hold no more descriptors and tasks than before they were used; what is
    /// left after that time.
    pub(super) async fn wait_for_quiet(&self, limit: Duration) -> anyhow::Result<Vec<String>> {
        let begin = Instant::now();
        let threads = std::thread::available_parallelism()?.get();
        loop {
            let mut left = Vec::new();
            for (setup, idle) in self.setups.iter().zip(&self.idle) {
                let now = held(setup)?;
                let pipes = setup.relays.len() * threads * KEPT_BY_A_THREAD;
                for (what, now, idle) in [
                    (
                        "descriptors",
                        now.usage.descriptors as u64,
                        (idle.usage.descriptors + pipes) as u64,
                    ),
                    ("tasks", now.tasks, idle.tasks),
                ] {
                    if now > idle + A_FEW {
                        left.push(format!("{}: {now} {what}, and {idle} before", setup.name));
                    }
                }
            }
            if left.is_empty() || begin.elapsed() > limit {
                return Ok(left);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn held(setup: &Setup) -> anyhow::Result<Held> {
    let mut held = Held::default();
    for relay in &setup.relays {
        let usage = relay.group.usage()?;
        held.usage.resident += usage.resident;
        held.usage.descriptors += usage.descriptors;
        held.tasks += relay.tasks().unwrap_or(0);
    }
    Ok(held)
}

/// Some of the samples, evenly spread.
pub(super) fn table(samples: &[Sample]) -> String {
    let head = [
        "minute",
        "connections",
        "memory, MiB",
        "descriptors",
        "tasks of the library",
    ];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    let step = samples.len().div_ceil(ROWS).max(1);
    let last = samples.len().saturating_sub(1);
    for (_, sample) in samples
        .iter()
        .enumerate()
        .filter(|(at, _)| at % step == 0 || *at == last)
    {
        lines.push(vec![
            format!("{:.1}", sample.at.as_secs_f64() / 60.0),
            super::whole(sample.connections),
            report::number(sample.resident as f64 / f64::from(1 << 20)),
            super::whole(sample.descriptors),
            super::whole(sample.tasks),
        ]);
    }
    report::align(&lines)
}

/// What has grown after the first tenth: the last quarter against what follows the first tenth.
pub(super) fn growth(samples: &[Sample]) -> Vec<String> {
    let len = samples.len();
    let (early, late) = (&samples[len / 10..len * 7 / 20], &samples[len * 3 / 4..]);
    let figures: [(&str, fn(&Sample) -> u64, f64); 3] = [
        ("memory", |sample| sample.resident, NOISE_BYTES),
        ("descriptors", |sample| sample.descriptors, NOISE_NUMBER),
        ("tasks", |sample| sample.tasks, NOISE_NUMBER),
    ];
    let mut grown = Vec::new();
    for (what, figure, noise) in figures {
        let median = |samples: &[Sample]| {
            let mut figures: Vec<_> = samples.iter().map(figure).collect();
            figures.sort_unstable();
            figures
                .get(figures.len() / 2)
                .map_or(0.0, |figure| *figure as f64)
        };
        let (early, late) = (median(early), median(late));
        if late > early * (1.0 + NOISE) + noise {
            grown.push(format!("{what} has grown from {early} to {late}"));
        }
    }
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(resident: impl Fn(u64) -> u64) -> Vec<Sample> {
        let sample = |at| Sample {
            at: Duration::from_secs(at),
            connections: at * 100,
            resident: resident(at) << 20,
            descriptors: 100 + at % 7,
            tasks: 50,
        };
        (0..100).map(sample).collect()
    }

    #[test]
    fn growth_is_told_from_noise() {
        assert!(growth(&samples(|_| 50)).is_empty());
        // The first tenth may do as it likes.
        assert!(growth(&samples(|at| at.min(10) * 5)).is_empty());
        assert!(growth(&samples(|at| 50 + at % 5)).is_empty());
        let grown = growth(&samples(|at| 50 + at / 4));
        assert_eq!(grown.len(), 1);
        assert!(grown[0].starts_with("memory has grown"), "{grown:?}");
        assert!(growth(&[]).is_empty());
    }

    #[test]
    fn a_table_is_short() {
        let table = table(&samples(|_| 50));
        assert!(table.lines().count() <= ROWS + 3, "{table}");
        assert!(
            table.contains("9\u{202f}900"),
            "the last one is there: {table}"
        );
    }
}
