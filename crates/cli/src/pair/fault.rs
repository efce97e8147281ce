//! `--fault`: a bad network on purpose, switched off and on by SIGUSR1.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

use couplet_connector::{
    PairLayers,
    layers::{Fault, FaultLayer},
};

use super::{PairLayerSpec, direction::Directed};
use crate::{
    layer_spec::{LayerSpec, Source},
    mistake::Mistake,
    units::{duration, size},
};

#[derive(Debug, clap::Args)]
pub(super) struct FaultArgs {
    /// Simulate a bad network: latency:TIME[±TIME], slow:SIZE/s, slice:SIZE[/TIME],
    /// slow-close:TIME, timeout:TIME, reset:SIZE, limit:SIZE or blackhole; a-to-b:… for one direction
    /// alone, …,probability=10% for some pairs. SIGUSR1 switches all off, and on again
    #[arg(long, value_name = "[DIRECTION:]FAULT", value_parser = fault)]
    fault: Vec<Directed<Chosen>>,

    /// The seed of random choices in faults: the same number makes the same faults [default: 0]
    #[arg(long, value_name = "NUMBER", requires = "fault")]
    fault_seed: Option<u64>,
}

/// A fault, and how likely a pair has it.
#[derive(Clone, Debug, PartialEq)]
struct Chosen {
    fault: Fault,
    probability: f64,
    /// As it was given.
    text: String,
}

// ===== impl FaultArgs =====

impl FaultArgs {
    /// From top to bottom as they were given.
    pub(super) fn specs(&self) -> impl Iterator<Item = PairLayerSpec> {
        self.fault.iter().enumerate().map(|(at, given)| {
            // Each its own chance: of two with the same probability, not always both.
            let seed = self.fault_seed.unwrap_or(0).wrapping_add(at as u64);
            let chosen = &given.value;
            let layer = FaultLayer::new(chosen.fault)
                .probability(chosen.probability)
                .seed(seed);
            let layer = match given.only {
                Some(from) => layer.only(from),
                None => layer,
            };
            let switch = layer.switch();
            let mut layers = PairLayers::new();
            layers.push(layer);
            let mut spec = LayerSpec::new("fault", layers).copies(given.only).set(
                given.direction(),
                &chosen.text,
                Source::Flag,
            );
            spec.switch = Some(switch);
            match self.fault_seed {
                Some(seed) => spec.set("seed", seed, Source::Flag),
                None => spec.set("seed", 0, Source::Default),
            }
        })
    }
}

/// `latency:200ms±50ms`, `b-to-a:reset:10kB,probability=10%`.
fn fault(text: &str) -> Result<Directed<Chosen>, Mistake> {
    Directed::read(text, |text| {
        let (kind, probability) = match text.split_once(',') {
            None => (text, 1.0),
            Some((kind, option)) => (kind, probability(option)?),
        };
        Ok(Chosen {
            fault: read(kind)?,
            probability,
            text: text.to_owned(),
        })
    })
}

fn read(text: &str) -> Result<Fault, Mistake> {
    let (kind, value) = match text.split_once(':') {
        None => (text, None),
        Some((kind, value)) => (kind, Some(value)),
    };
    let needed = |form: &str| {
        value.ok_or_else(|| {
            Mistake::new(
                format!("`{kind}` needs a value"),
                format!("`{kind}:{form}`"),
            )
        })
    };
    Ok(match kind {
        "latency" => {
            let value = needed("200ms±50ms")?;
            let parts = value.split_once('±').or_else(|| value.split_once("+-"));
            let (delay, jitter) = match parts {
                None => (duration(value)?, Duration::ZERO),
                Some((delay, jitter)) => (duration(delay)?, duration(jitter)?),
            };
            if jitter > delay {
                return Err(Mistake::new(
                    format!("the jitter of `{text}` is more than the latency"),
                    "`latency:200ms±50ms`",
                ));
            }
            Fault::Latency { delay, jitter }
        }
        "slow" => {
            let value = needed("10kB/s")?;
            let Some(value) = value.strip_suffix("/s") else {
                return Err(Mistake::new(
                    format!("`{text}` does not say how slow"),
                    "bytes a second, like `slow:10kB/s`",
                ));
            };
            let bytes_per_second = NonZeroU64::new(bytes(value)?).unwrap_or(NonZeroU64::MIN);
            Fault::Slow { bytes_per_second }
        }
        "slice" => {
            let value = needed("100B/10ms")?;
            let (piece, pause) = match value.split_once('/') {
                None => (value, Duration::ZERO),
                Some((piece, pause)) => (piece, duration(pause)?),
            };
            let piece = usize::try_from(bytes(piece)?).unwrap_or(usize::MAX);
            let size = NonZeroUsize::new(piece).unwrap_or(NonZeroUsize::MIN);
            Fault::Slice { size, pause }
        }
        "slow-close" => Fault::SlowClose {
            delay: duration(needed("5s")?)?,
        },
        "timeout" => Fault::Timeout {
            after: duration(needed("30s")?)?,
        },
        "reset" => Fault::Reset {
            after: bytes(needed("10kB")?)?,
        },
        "limit" => Fault::Limit {
            bytes: bytes(needed("10kB")?)?,
        },
        "blackhole" => match value {
            None => Fault::Blackhole,
            Some(_) => return Err(Mistake::new("`blackhole` takes no value", "`blackhole`")),
        },
        _ => {
            let message = format!("`{kind}` is not a fault");
            return Err(Mistake::unknown(message, kind, &KINDS)
                .or("one of them behind `a-to-b:` or `b-to-a:`"));
        }
    })
}

const KINDS: [&str; 8] = [
    "latency",
    "slow",
    "slice",
    "slow-close",
    "timeout",
    "reset",
    "limit",
    "blackhole",
];

/// More than 0.
fn bytes(text: &str) -> Result<u64, Mistake> {
    size(text).map(|size| size.as_u64())
}

fn probability(text: &str) -> Result<f64, Mistake> {
    let percent = text
        .strip_prefix("probability=")
        .and_then(|text| text.strip_suffix('%'))
        .and_then(|text| text.parse::<f64>().ok());
    match percent {
        Some(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent / 100.0),
        _ => Err(Mistake::new(
            format!("`{text}` is not the probability of a fault"),
            "`probability=10%`, or another part of 100%",
        )),
    }
}

#[cfg(test)]
mod tests {
    use couplet_connector::Side;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::Instant,
    };

    use super::*;
    use crate::pair::testing::{layer, relay};

    #[tokio::test(start_paused = true)]
    async fn latency_delays_the_bytes_of_its_direction() {
        for (flag, to_b, to_a) in [
            ("--fault=latency:200ms", 200, 200),
            ("--fault=a-to-b:latency:200ms", 200, 0),
            ("--fault=b-to-a:latency:1s", 0, 1000),
        ] {
            let [mut a, mut b] = relay(&layer(flag), "192.0.2.1:1");
            let began = Instant::now();
            a.write_all(b"x").await.unwrap();
            b.read_u8().await.unwrap();
            assert_eq!(began.elapsed(), Duration::from_millis(to_b), "{flag}");
            let began = Instant::now();
            b.write_all(b"x").await.unwrap();
            a.read_u8().await.unwrap();
            assert_eq!(began.elapsed(), Duration::from_millis(to_a), "{flag}");
        }
    }

    #[test]
    fn a_fault_is_read_with_its_units() {
        let ms = Duration::from_millis;
        let latency = |delay, jitter| Fault::Latency { delay, jitter };
        for (text, only, fault_is, probability) in [
            ("latency:200ms", None, latency(ms(200), ms(0)), 1.0),
            ("latency:200ms±50ms", None, latency(ms(200), ms(50)), 1.0),
            (
                "a-to-b:latency:1s+-1s",
                Some(Side::A),
                latency(ms(1000), ms(1000)),
                1.0,
            ),
            (
                "reset:10kB,probability=25%",
                None,
                Fault::Reset { after: 10_000 },
                0.25,
            ),
            (
                "b-to-a:limit:1B",
                Some(Side::B),
                Fault::Limit { bytes: 1 },
                1.0,
            ),
            (
                "slow-close:1s",
                None,
                Fault::SlowClose { delay: ms(1000) },
                1.0,
            ),
            ("timeout:1s", None, Fault::Timeout { after: ms(1000) }, 1.0),
            ("blackhole", None, Fault::Blackhole, 1.0),
        ] {
            let given = fault(text).unwrap();
            assert_eq!(given.only, only, "{text}");
            assert_eq!(given.value.fault, fault_is, "{text}");
            assert_eq!(given.value.probability, probability, "{text}");
        }
        assert!(fault("slow:1kB/s").is_ok());
        assert!(fault("slice:10B").is_ok());
        assert!(fault("slice:10B/1ms").is_ok());
    }

    #[test]
    fn mistakes_in_a_fault_are_named() {
        for (text, right) in [
            ("", "`latency`, `slow`"),
            ("flood", "`latency`, `slow`"),
            ("latncy:1s", "did you mean `latency`?"),
            ("up:latency:1s", "a-to-b:"),
            ("latency", "latency:200ms±50ms"),
            ("latency:200", "`200ms`"),
            ("latency:1s±2s", "more than the latency"),
            ("slow:10kB", "slow:10kB/s"),
            ("slice:0B", "more than 0"),
            ("reset:100", "`100B`"),
            ("blackhole:1s", "takes no value"),
            ("blackhole,10%", "probability=10%"),
            ("blackhole,probability=0%", "probability=10%"),
            ("blackhole,probability=101%", "probability=10%"),
            ("blackhole,probability=NaN%", "probability=10%"),
        ] {
            let error = fault(text).unwrap_err();
            assert!(error.to_string().contains(right), "{text}: {error}");
        }
    }
}
