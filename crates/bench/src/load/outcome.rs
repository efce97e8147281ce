use std::{fmt, str::FromStr, time::Duration};

use anyhow::{Context, bail};

/// How the work went, as the generator saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// How much was done: bytes, requests, connections, pairs.
    pub(crate) units: u64,
    pub(crate) seconds: f64,
    /// Microseconds, where each unit has a latency.
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
}

// ===== impl Outcome =====

impl Outcome {
    pub(super) fn new(units: u64, took: Duration) -> Self {
        Self {
            units,
            seconds: took.as_secs_f64(),
            p50: None,
            p99: None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "units={} seconds={}", self.units, self.seconds)?;
        for (key, value) in [("p50", self.p50), ("p99", self.p99)] {
            if let Some(value) = value {
                write!(f, " {key}={value}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Outcome {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> anyhow::Result<Self> {
        let mut outcome = Self::default();
        for field in line.split_whitespace() {
            let (key, value) = field
                .split_once('=')
                .with_context(|| format!("`{field}` is not KEY=VALUE"))?;
            let number = || value.parse().with_context(|| format!("`{field}`"));
            match key {
                "units" => outcome.units = value.parse().with_context(|| format!("`{field}`"))?,
                "seconds" => outcome.seconds = number()?,
                "p50" => outcome.p50 = Some(number()?),
                "p99" => outcome.p99 = Some(number()?),
                _ => bail!("`{key}` is not known"),
            }
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_as_it_is_written() {
        for outcome in [
            Outcome::new(1 << 40, Duration::from_millis(1250)),
            Outcome {
                units: 3,
                seconds: 0.1,
                p50: Some(17.25),
                p99: Some(1e6),
            },
        ] {
            assert_eq!(outcome.to_string().parse::<Outcome>().unwrap(), outcome);
        }
        for wrong in ["units", "units=x", "p95=3"] {
            assert!(wrong.parse::<Outcome>().is_err(), "{wrong}");
        }
    }
}
