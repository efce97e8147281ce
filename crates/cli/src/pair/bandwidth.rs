//! `--bandwidth`, `--bandwidth-per-addr`, `--bandwidth-total`, `--quota`: how many bytes pass in a
//! second, and in all.

use std::num::NonZeroU64;

use bytesize::ByteSize;
use couplet_connector::{
    PairLayers,
    endpoint::Side,
    layers::{BandwidthLayer, ByteRate, QuotaLayer},
};

use super::{PairContext, PairLayerSpec, direction::Directed};
use crate::{
    layer_spec::{LayerSpec, Source},
    mistake::Mistake,
    units::size,
};

#[derive(Debug, clap::Args)]
pub(super) struct BandwidthArgs {
    /// Limit each pair to SIZE bytes a second, as 10MiB/s; a-to-b:10MiB/s limits one direction
    #[arg(long, value_name = "[DIRECTION:]SIZE/s", value_parser = rate)]
    bandwidth: Vec<Directed<ByteSize>>,

    /// Limit all pairs of one client address to SIZE bytes a second
    #[arg(long, value_name = "[DIRECTION:]SIZE/s", value_parser = rate)]
    bandwidth_per_addr: Vec<Directed<ByteSize>>,

    /// Limit all pairs together to SIZE bytes a second
    #[arg(long, value_name = "[DIRECTION:]SIZE/s", value_parser = rate)]
    bandwidth_total: Vec<Directed<ByteSize>>,

    /// End a pair after SIZE bytes, as 1GiB; a-to-b:1GiB counts one direction
    #[arg(long, value_name = "[DIRECTION:]SIZE", value_parser = quota)]
    quota: Vec<Directed<ByteSize>>,
}

// ===== impl BandwidthArgs =====

impl BandwidthArgs {
    pub(super) fn specs(&self, context: PairContext) -> Result<Vec<PairLayerSpec>, Mistake> {
        let sides = [Side::A, Side::B];
        let listening = sides.into_iter().zip(context.listens);
        let listening: Vec<_> = listening.filter(|at| at.1).map(|at| at.0).collect();
        if !self.bandwidth_per_addr.is_empty() && listening.is_empty() {
            return Err(Mistake::new(
                "--bandwidth-per-addr would do nothing here: neither side listens, so no address \
                 connects to us",
                "`--bandwidth` is for each pair, `--bandwidth-total` for all",
            )
            .about("--bandwidth-per-addr"));
        }
        let mut specs = Vec::new();
        for given in &self.bandwidth {
            specs.push(bound("bandwidth", BandwidthLayer::per_pair, given));
        }
        for given in &self.bandwidth_per_addr {
            for &side in &listening {
                let per_address = |rate| BandwidthLayer::per_address(side, rate);
                let spec = bound("bandwidth-per-addr", per_address, given);
                specs.push(spec.set("address of side", side, Source::Default));
            }
        }
        for given in &self.bandwidth_total {
            specs.push(bound("bandwidth-total", BandwidthLayer::shared, given));
        }
        for given in &self.quota {
            let layer = QuotaLayer::new(given.value.as_u64());
            let layer = match given.only {
                Some(from) => layer.only(from),
                None => layer,
            };
            let mut layers = PairLayers::new();
            layers.push(layer);
            let spec = LayerSpec::new("quota", layers);
            specs.push(spec.set(given.direction(), given.value, Source::Flag));
        }
        Ok(specs)
    }
}

fn bound(
    name: &'static str,
    layer: impl FnOnce(ByteRate) -> BandwidthLayer,
    given: &Directed<ByteSize>,
) -> PairLayerSpec {
    let per_second = NonZeroU64::new(given.value.as_u64()).expect("it was read as more than 0");
    let layer = layer(ByteRate::per_second(per_second));
    let layer = match given.only {
        Some(from) => layer.only(from),
        None => layer,
    };
    let mut layers = PairLayers::new();
    layers.push(layer);
    let shown = format!("{}/s", given.value);
    LayerSpec::new(name, layers)
        .set(given.direction(), shown, Source::Flag)
        .exactly(per_second.get())
}

/// `10MiB/s`, or `a-to-b:10MiB/s`.
fn rate(text: &str) -> Result<Directed<ByteSize>, Mistake> {
    Directed::read(text, |text| {
        refuse_direction(text)?;
        let Some(text) = text.strip_suffix("/s") else {
            return Err(Mistake::new(
                format!("`{text}` is not a bandwidth"),
                "bytes a second, like `10MiB/s` or `a-to-b:500kB/s`",
            ));
        };
        size(text).map_err(|mistake| mistake.or("`a-to-b:10MiB/s` for one direction"))
    })
}

/// What stands before a colon is not one of the two.
fn refuse_direction(text: &str) -> Result<(), Mistake> {
    text.split_once(':').map_or(Ok(()), |(way, _)| {
        let message = format!("`{way}` is not a direction");
        Err(Mistake::unknown(message, way, &["a-to-b", "b-to-a"]))
    })
}

/// `1GiB`, or `a-to-b:1GiB`.
fn quota(text: &str) -> Result<Directed<ByteSize>, Mistake> {
    Directed::read(text, |text| {
        refuse_direction(text)?;
        size(text).map_err(|mistake| mistake.or("`a-to-b:1GiB` for one direction"))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        task::JoinSet,
        time::Instant,
    };

    use super::*;
    use crate::pair::testing::{layer, relay};

    const MIB: usize = 1024 * 1024;

    /// Each flag bounds what it says, of two pairs of one client and one of another: by the paused
    /// clock.
    #[tokio::test(start_paused = true)]
    async fn every_bound_on_bandwidth_holds() {
        for (flag, tenths) in [
            ("--bandwidth=1MiB/s", 9),
            ("--bandwidth=a-to-b:1MiB/s", 9),
            ("--bandwidth=b-to-a:1B/s", 0),
            ("--bandwidth-per-addr=1MiB/s", 19),
            ("--bandwidth-total=1MiB/s", 29),
            ("--bandwidth-total=a-to-b:1MiB/s", 29),
            ("--bandwidth-total=b-to-a:1B/s", 0),
        ] {
            let layers = layer(flag);
            let began = Instant::now();
            let mut moving = JoinSet::new();
            for client in ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"] {
                let [mut a, mut b] = relay(&layers, client);
                moving.spawn(async move { a.write_all(&vec![b'x'; MIB]).await.map(|()| a) });
                moving.spawn(async move { b.read_exact(&mut vec![0; MIB]).await.map(|_| b) });
            }
            let ends: Result<Vec<_>, _> = moving.join_all().await.into_iter().collect();
            // All but the burst, a tenth of a second's bytes, and a millisecond a turn.
            let took = began.elapsed();
            let least = Duration::from_millis(100 * tenths);
            let most = least * 11 / 10;
            assert!((least..=most).contains(&took), "{flag}: {took:?}");
            drop(ends.unwrap());
        }
    }

    #[test]
    fn a_bandwidth_has_a_unit_and_may_have_a_direction() {
        let read = |text| rate(text).map(|given| (given.only, given.value.as_u64()));
        assert_eq!(read("10MiB/s"), Ok((None, 10 << 20)));
        assert_eq!(read("10MB/s"), Ok((None, 10_000_000)));
        assert_eq!(read("10M/s"), Ok((None, 10_000_000)));
        assert_eq!(read("a-to-b:1B/s"), Ok((Some(Side::A), 1)));
        assert_eq!(read("b-to-a:2kB/s"), Ok((Some(Side::B), 2000)));
        for (wrong, right) in [
            ("10MiB", "/s"),
            ("10/s", "`10MiB`"),
            ("0B/s", "more than 0"),
            ("a-b:1MiB/s", "a-to-b"),
            ("10Mbit/s", "10MiB/s"),
            ("", "10MiB/s"),
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains(right), "{wrong}: {error}");
        }
        assert!(quota("100").unwrap_err().to_string().contains("`100B`"));
        assert!(quota("a-to-b:0B").is_err());
        let one = Directed {
            only: Some(Side::B),
            value: ByteSize::gib(1),
        };
        assert_eq!(quota("b-to-a:1GiB"), Ok(one));
    }
}
