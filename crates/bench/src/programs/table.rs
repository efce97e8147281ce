use std::collections::BTreeMap;

use super::{Measured, load::Load};
use crate::report::{Stat, align, number};

/// The figures of all relays, and Couplet's in terms of the best peer's.
#[derive(Debug)]
pub(super) struct Table {
    /// Titles, and whether the relay is ours.
    relays: Vec<(&'static str, bool)>,
    figures: BTreeMap<(Load, usize), Vec<Measured>>,
}

/// A kind of figure: its name, its value, and whether more of it is better.
type Kind = (fn(Load) -> String, fn(&Measured) -> Option<f64>, bool);

const KINDS: [Kind; 3] = [
    (
        |load| load.cpu_unit().into(),
        |measured| Some(measured.cpu),
        false,
    ),
    (
        |load| format!("{}/s", load.unit()),
        |measured| Some(measured.rate),
        true,
    ),
    (
        |_| "99th percentile, µs".into(),
        |measured| measured.p99,
        false,
    ),
];

// ===== impl Table =====

impl Table {
    pub(super) fn new(relays: impl Iterator<Item = (&'static str, bool)>) -> Self {
        Self {
            relays: relays.collect(),
            figures: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, load: Load, relay: usize, measured: Measured) {
        self.figures
            .entry((load, relay))
            .or_default()
            .push(measured);
    }

    pub(super) fn text(&self) -> String {
        let ours = || self.relays.iter().filter(|(_, is_ours)| *is_ours);
        let titles = self.relays.iter().map(|(title, _)| (*title).to_owned());
        let ratios = ours().map(|(title, _)| format!("{title} ÷"));
        let mut rows = vec![
            [String::new()]
                .into_iter()
                .chain(titles)
                .chain(ratios)
                .collect(),
        ];
        for load in Load::ALL {
            for kind in KINDS {
                rows.extend(self.row(load, kind));
            }
        }
        align(&rows)
    }

    fn row(&self, load: Load, (unit, value, is_more_better): Kind) -> Option<Vec<String>> {
        let medians: Vec<_> = (0..self.relays.len())
            .map(|relay| {
                let figures = self.figures.get(&(load, relay))?;
                let values: Vec<_> = figures.iter().filter_map(value).collect();
                Some(Stat::of(&values)?.median)
            })
            .collect();
        if medians.iter().all(Option::is_none) {
            return None;
        }
        let of = |is_ours: bool| {
            let all = medians.iter().zip(&self.relays);
            all.filter(move |(_, relay)| relay.1 == is_ours)
                .map(|(median, _)| *median)
        };
        let peers = of(false).flatten();
        let best = match is_more_better {
            true => peers.max_by(f64::total_cmp),
            false => peers.min_by(f64::total_cmp),
        };
        let ratios: Vec<_> = of(true)
            .map(|median| match (median, best) {
                (Some(median), Some(best)) => format!("{:.2}", median / best),
                _ => "–".into(),
            })
            .collect();
        let cells = medians
            .iter()
            .map(|median| median.map_or("–".into(), number));
        let title = format!("{}: {}", load.title(), unit(load));
        Some([title].into_iter().chain(cells).chain(ratios).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_divided_by_the_best_peers() {
        let relays = [("Couplet", true), ("nginx", false), ("HAProxy", false)];
        let mut table = Table::new(relays.into_iter());
        let load = Load::ALL[0];
        for (relay, cpu, rate) in [(0, 1.0, 3.0), (0, 3.0, 5.0), (1, 4.0, 2.0), (2, 5.0, 8.0)] {
            let p99 = None;
            table.add(load, relay, Measured { cpu, rate, p99 });
        }
        let text = table.text();
        let line = |title| text.lines().find(|line| line.contains(title)).unwrap();
        assert!(line("1 stream: s/GiB").contains(" 0.50 "), "{text}");
        assert!(line("1 stream: GiB/s").contains(" 0.50 "), "{text}");
        assert_eq!(text.lines().count(), 4);
    }
}
