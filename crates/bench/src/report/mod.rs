//! What was measured, as tables and a chart.

mod chart;
mod markdown;
mod numbers;
mod rows;
mod stat;

use std::collections::BTreeMap;

use crate::{
    cell::Figures,
    columns::Column,
    measure::Machine,
    metric::Metric,
    relays::{Missing, Relay},
    subject::Subject,
};

pub(crate) use self::{markdown::align, numbers::number, stat::Stat};

/// What was asked for, and of which machine.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) machine: Machine,
    pub(crate) date: String,
    pub(crate) commit: Option<String>,
    pub(crate) command: String,
    pub(crate) rounds: u32,
}

/// All figures, and what they are figures of.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    subject: Subject,
    /// Through virtual Ethernet between namespaces.
    veth: bool,
    asked: Asked,
    columns: Vec<Column>,
    relays: Vec<About>,
    missing: Vec<Missing>,
    figures: BTreeMap<(&'static str, &'static str, Metric), Vec<f64>>,
    /// The column and the relay of each cell that could not be measured.
    failures: Vec<(&'static str, &'static str)>,
}

/// A relay, as the report needs it.
#[derive(Clone, Debug)]
struct About {
    name: &'static str,
    title: &'static str,
    about: String,
    /// It is what the others are compared with.
    ours: bool,
}

// ===== impl Report =====

impl Report {
    pub(crate) fn new(
        (subject, veth): (Subject, bool),
        asked: Asked,
        columns: &[Column],
        relays: &[Box<dyn Relay>],
        missing: Vec<Missing>,
    ) -> Self {
        let relays = relays.iter().map(|relay| About {
            name: relay.name(),
            title: relay.title(),
            about: relay.about(),
            ours: relay.is_ours(),
        });
        Self {
            subject,
            veth,
            asked,
            columns: columns.to_vec(),
            relays: relays.collect(),
            missing,
            figures: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, column: &'static str, relay: &'static str, figures: Figures) {
        for (metric, value) in figures {
            self.figures
                .entry((column, relay, metric))
                .or_default()
                .push(value);
        }
    }

    pub(crate) fn fail(&mut self, column: &'static str, relay: &'static str) {
        self.failures.push((column, relay));
    }

    pub(crate) fn failures(&self) -> usize {
        self.failures.len()
    }

    fn stat(&self, column: &Column, relay: &About, metric: Metric) -> Option<Stat> {
        let values = self.figures.get(&(column.name, relay.name, metric))?;
        Stat::of(values)
    }

    /// The metrics of a column, of which not every relay needs to have a figure.
    fn metrics(&self, column: &Column) -> Vec<Metric> {
        let mut metrics: Vec<_> = self
            .figures
            .keys()
            .filter(|(name, ..)| *name == column.name)
            .map(|(.., metric)| *metric)
            .collect();
        metrics.sort_unstable();
        metrics.dedup();
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        columns::{self, Amount},
        metric::Unit,
    };

    /// A report of two relays, two columns and two rounds.
    pub(super) fn sample() -> Report {
        let amount = Amount {
            seconds: 1.0,
            quick: false,
        };
        let columns = columns::relays(amount)
            .into_iter()
            .filter(|column| ["bulk-1", "idle"].contains(&column.name));
        let about = |name, title: &'static str, ours| About {
            name,
            title,
            about: format!("{title} 1.0"),
            ours,
        };
        let mut report = Report {
            subject: Subject::Relays,
            veth: false,
            asked: Asked {
                machine: Machine::this(),
                date: "2026-01-31".into(),
                commit: Some("abc1234".into()),
                command: "the-command --rounds 2".into(),
                rounds: 2,
            },
            columns: columns.collect(),
            relays: vec![
                about("couplet", "Couplet", true),
                about("nginx", "nginx", false),
                about("socat", "so<cat", false),
            ],
            missing: vec![Missing {
                name: "haproxy-splice",
                why: "it is not installed".into(),
            }],
            figures: BTreeMap::new(),
            failures: Vec::new(),
        };
        for (ours, theirs) in [(0.1, 0.21), (0.1, 0.19)] {
            let figures = |cpu| {
                vec![
                    (Metric::Cpu(Unit::Gib), cpu),
                    (Metric::Rate(Unit::Gib), 3.0),
                ]
            };
            report.add("bulk-1", "couplet", figures(ours));
            report.add("bulk-1", "nginx", figures(theirs));
            report.add("bulk-1", "socat", figures(1.0));
            report.add("idle", "couplet", vec![(Metric::Resident, 1800.0)]);
            report.add("idle", "nginx", vec![(Metric::Resident, 10_850.0)]);
        }
        report.fail("idle", "socat");
        report
    }

    #[test]
    fn figures_are_found_by_column_relay_and_metric() {
        let report = sample();
        let [bulk, idle] = &report.columns[..] else {
            panic!("there are two");
        };
        assert_eq!(
            report.metrics(bulk),
            [Metric::Cpu(Unit::Gib), Metric::Rate(Unit::Gib)]
        );
        let stat = report.stat(bulk, &report.relays[1], Metric::Cpu(Unit::Gib));
        assert!((stat.unwrap().median - 0.2).abs() < 1e-9);
        let stat = report.stat(idle, &report.relays[2], Metric::Resident);
        assert!(stat.is_none());
        assert_eq!(report.failures(), 1);
    }
}
