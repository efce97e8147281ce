//! What limits know of clients goes from a relay to the one in its place.

use crate::{layer_spec::LayerSpec, plan::Plan};

/// The layers of a side that know something of clients from before.
const OF_SIDE: &[&str] = &[
    "attempts",
    "max-conns",
    "max-per-addr",
    "rate",
    "rate-per-addr",
];

/// The same of a pair.
const OF_PAIR: &[&str] = &["bandwidth-per-addr", "bandwidth-total"];

/// A limit that is as it was counts on.
pub(super) fn keep(plan: &mut Plan, before: &Plan) {
    for (side, spec) in plan.sides.specs_mut() {
        let mut sides = before.sides.specs();
        if let Some((_, before)) = sides.find(|(other, _)| *other == side) {
            count_on(&spec.layers, &before.layers);
            keep_those(OF_SIDE, &mut spec.layers, &before.layers);
        }
    }
    keep_those(OF_PAIR, &mut plan.pair, &before.pair);
}

fn keep_those<L: Clone>(names: &[&str], layers: &mut [LayerSpec<L>], before: &[LayerSpec<L>]) {
    for layer in layers
        .iter_mut()
        .filter(|layer| names.contains(&layer.name))
    {
        if let Some(same) = before.iter().find(|before| is_same(before, layer)) {
            layer.layers = same.layers.clone();
            layer.watch = same.watch.clone();
        }
    }
}

/// The counters of handshakes go on, whatever has changed in them.
fn count_on<L>(layers: &[LayerSpec<L>], before: &[LayerSpec<L>]) {
    for layer in layers {
        let mut before = before.iter();
        if let Some(before) = before.find(|before| before.name == layer.name) {
            layer.watch.continues(&before.watch);
        }
    }
}

fn is_same<L>(one: &LayerSpec<L>, other: &LayerSpec<L>) -> bool {
    let settings = |spec: &LayerSpec<L>| -> Vec<(&'static str, String)> {
        let settings = spec.settings.iter();
        settings
            .map(|setting| (setting.name, setting.value.clone()))
            .collect()
    };
    one.name == other.name && one.exact == other.exact && settings(one) == settings(other)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;
    use couplet_connector::PairLayers;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::Instant,
    };

    use super::*;
    use crate::{args::Args, pair::testing::relay};

    const MIB: usize = 1024 * 1024;

    fn plan(flag: &str) -> Plan {
        let args = Args::try_parse_from(["couplet", "listen:1", "dial:h:2", flag]).unwrap();
        args.relay.plan().unwrap()
    }

    /// Moves a mebibyte from a client of this address.
    async fn moves(layers: PairLayers, client: &str) {
        let [mut a, mut b] = relay(&layers, client);
        let mut heard = vec![0; MIB];
        let sends = a.write_all(&[b'x'; MIB]);
        let (sent, read) = tokio::join!(sends, b.read_exact(&mut heard));
        sent.unwrap();
        read.unwrap();
    }

    /// By the paused clock: a pair of the relay before, and one of the relay after.
    #[tokio::test(start_paused = true)]
    async fn a_bandwidth_that_is_as_it_was_is_for_the_pairs_of_both() {
        const CLIENT: &str = "192.0.2.1:1";
        for (before, after, other, tenths) in [
            ("total=1MiB/s", "total=1MiB/s", "192.0.2.2:1", 19),
            ("per-addr=1MiB/s", "per-addr=1MiB/s", "192.0.2.1:2", 19),
            ("per-addr=1MiB/s", "per-addr=1MiB/s", "192.0.2.2:1", 9),
            ("total=1MiB/s", "total=1048577B/s", "192.0.2.2:1", 9),
            ("total=1MiB/s", "total=a-to-b:1MiB/s", "192.0.2.2:1", 9),
        ] {
            let [before, mut after] = [before, after].map(|it| plan(&format!("--bandwidth-{it}")));
            keep(&mut after, &before);
            let layers = |plan: &Plan| plan.pair[0].layers.clone();
            let began = Instant::now();
            tokio::join!(moves(layers(&before), CLIENT), moves(layers(&after), other));
            // All but the burst, a tenth of a second's bytes.
            let (took, least) = (began.elapsed(), Duration::from_millis(100 * tenths));
            assert!(
                (least..=least * 11 / 10).contains(&took),
                "{took:?}, {least:?}"
            );
        }
    }
}
