//! A figure of all relays, side by side.

use super::{About, Report, stat::Stat};
use crate::{
    columns::Column,
    metric::{Better, Metric},
};

/// One line of a table: a metric of a column, and its figure of each relay.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    pub(super) column: &'a Column,
    pub(super) metric: Metric,
    /// In the order of the relays.
    pub(super) stats: Vec<Option<Stat>>,
    /// Which relay does best, if that can be said.
    pub(super) best: Option<usize>,
    /// Which of the relays that are not ours does.
    pub(super) best_peer: Option<usize>,
}

// ===== impl Report =====

impl Report {
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.columns.iter().flat_map(move |column| {
            self.metrics(column)
                .into_iter()
                .map(move |metric| self.row(column, metric))
        })
    }

    fn row<'a>(&'a self, column: &'a Column, metric: Metric) -> Row<'a> {
        let stats: Vec<_> = self
            .relays
            .iter()
            .map(|relay| self.stat(column, relay, metric))
            .collect();
        let best_of = |counts: fn(&About) -> bool| {
            let candidates = stats
                .iter()
                .zip(&self.relays)
                .enumerate()
                .filter(|(_, (_, relay))| counts(relay))
                .filter_map(|(index, (stat, _))| Some((index, (*stat)?.median)));
            let by_median = |a: &(usize, f64), b: &(usize, f64)| a.1.total_cmp(&b.1);
            let best = match metric.better() {
                Better::Less => candidates.min_by(by_median),
                Better::More => candidates.max_by(by_median),
                Better::Neither => None,
            };
            best.map(|(index, _)| index)
        };
        Row {
            column,
            metric,
            best: best_of(|_| true),
            best_peer: best_of(|relay| !relay.ours),
            stats,
        }
    }
}

// ===== impl Row =====

impl Row<'_> {
    /// A relay's figure in terms of the best peer's.
    pub(super) fn ratio(&self, relay: usize) -> Option<f64> {
        let best = self.stats[self.best_peer?]?.median;
        let own = self.stats[relay]?.median;
        (best > 0.0 && own > 0.0).then(|| own / best)
    }
}

#[cfg(test)]
mod tests {
    use crate::report::tests::sample;

    #[test]
    fn figures_are_compared_with_the_best_peers() {
        let report = sample();
        let rows: Vec<_> = report.rows().collect();
        let [cpu, rate, resident] = &rows[..] else {
            panic!("there are three");
        };
        assert_eq!((cpu.best, cpu.best_peer), (Some(0), Some(1)));
        assert!((cpu.ratio(0).unwrap() - 0.5).abs() < 1e-9);
        assert!((cpu.ratio(2).unwrap() - 5.0).abs() < 1e-9);
        assert_eq!(rate.ratio(0), Some(1.0));
        assert_eq!(resident.best_peer, Some(1));
        assert_eq!(resident.ratio(2), None);
    }
}
