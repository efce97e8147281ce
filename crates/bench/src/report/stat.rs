/// Several measurements of the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stat {
    pub(crate) median: f64,
    lowest: f64,
    highest: f64,
}

// ===== impl Stat =====

impl Stat {
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (lowest, highest) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len().is_multiple_of(2) {
            true => f64::midpoint(sorted[middle - 1], sorted[middle]),
            false => sorted[middle],
        };
        Some(Self {
            median,
            lowest,
            highest,
        })
    }

    /// Half of what lies between the lowest and the highest, in percent of the median.
    pub(super) fn spread(&self) -> Option<f64> {
        let spread = (self.highest - self.lowest) / 2.0 / self.median.abs() * 100.0;
        spread.is_finite().then_some(spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        for (values, median) in [
            (&[3.0][..], 3.0),
            (&[9.0, 1.0], 5.0),
            (&[9.0, 1.0, 2.0], 2.0),
            (&[4.0, 100.0, 2.0, 1.0], 3.0),
        ] {
            assert_eq!(Stat::of(values).unwrap().median, median);
        }
        assert_eq!(Stat::of(&[]), None);
    }

    #[test]
    fn the_spread_is_half_the_range() {
        let spread = |values: &[f64]| Stat::of(values).unwrap().spread();
        assert_eq!(spread(&[90.0, 100.0, 110.0]), Some(10.0));
        assert_eq!(spread(&[5.0]), Some(0.0));
        assert_eq!(spread(&[0.0]), None);
    }
}
