//! The families of what a stack may have, or its end: handshakes, queues, certificates, pools, keys.

use std::time::UNIX_EPOCH;

use couplet_connector::mode::Pairing;

use super::family::{Family, Kind, SIDES, Value};
use crate::{Relay, Step};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "couplet_step_duration_seconds",
        kind: Kind::Histogram,
        help: "Time of each handshake of a side's stack that went through",
        read: |relay, tell| {
            for (side, step) in steps(relay) {
                if let Some(times) = &step.times {
                    let labels = [("side", side), ("step", step.name.as_str())];
                    tell(&labels, Value::Histogram(times.histogram()))?;
                }
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_limit_queued",
        kind: Kind::Gauge,
        help: "Connections over a limit that wait in its queue",
        read: |relay, tell| {
            for (side, step) in steps(relay) {
                if let Some(queue) = &step.queue {
                    let labels = [("side", side), ("limit", step.name.as_str())];
                    tell(&labels, Value::Gauge(queue.waiting()))?;
                }
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_certificate_not_after_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When a certificate that the relay shows to its peers expires, since 1970-01-01T00:00Z",
        read: |relay, tell| {
            for (side, step) in steps(relay) {
                for (file, expires) in step.expiries() {
                    let expires = expires.duration_since(UNIX_EPOCH).unwrap_or_default();
                    let labels = [("side", side), ("certificate", file.as_str())];
                    tell(&labels, Value::Measure(expires.as_secs_f64()))?;
                }
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_pool_wanted",
        kind: Kind::Gauge,
        help: "How many connections a pool keeps ready",
        read: |relay, tell| {
            for (side, name) in SIDES {
                if let Some(pool) = relay.pool_status(side) {
                    tell(&[("side", name)], Value::Gauge(pool.wanted as u64))?;
                }
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_pool_connections",
        kind: Kind::Gauge,
        help: "The connections of a pool: ready, being dialled, or yet to be dialled after a pause",
        read: |relay, tell| {
            for (side, name) in SIDES {
                let Some(pool) = relay.pool_status(side) else {
                    continue;
                };
                for (state, connections) in [
                    ("ready", pool.ready),
                    ("dialling", pool.dialling),
                    ("back_off", pool.undialled()),
                ] {
                    let labels = [("side", name), ("state", state)];
                    tell(&labels, Value::Gauge(connections as u64))?;
                }
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_rendezvous_keys",
        kind: Kind::Gauge,
        help: "Distinct keys with which connections wait",
        read: |relay, tell| match relay.handle().pairing() {
            Pairing::Keyed => tell(&[], Value::Gauge(relay.handle().stats().keys())),
            _ => Ok(()),
        },
    },
];

/// The steps of both sides. Of several with one name, the first.
fn steps(relay: &Relay) -> impl Iterator<Item = (&'static str, &Step)> {
    SIDES.into_iter().flat_map(|(side, name)| {
        let steps = &relay.sides[side as usize];
        let first = steps.iter().enumerate().filter(|(at, step)| {
            let mut before = steps[..*at].iter();
            !before.any(|before| before.name == step.name)
        });
        first.map(move |(_, step)| (name, step))
    })
}
