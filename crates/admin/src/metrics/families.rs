//! The families that every relay has.

use std::{fmt, sync::atomic::Ordering};

use couplet_connector::{Side, endpoint::TargetStatus, layers::observe::stats::Histogram};

use super::family::{Family, Kind, SIDES, Tell, Value};
use crate::Relay;

const WAYS: [(Side, &str); 2] = [(Side::A, "a_to_b"), (Side::B, "b_to_a")];

/// In the order in which they are served.
pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "couplet_ready",
        kind: Kind::Gauge,
        help: "Whether the relay takes connections: 0 when it is paused, drains or has ended",
        read: |relay, tell| tell(&[], Value::Gauge(relay.not_ready().is_none().into())),
    },
    Family {
        name: "couplet_paused",
        kind: Kind::Gauge,
        help: "Whether the relay was told to pause",
        read: |relay, tell| tell(&[], Value::Gauge(relay.handle().is_paused().into())),
    },
    Family {
        name: "couplet_draining",
        kind: Kind::Gauge,
        help: "Whether the relay takes no more connections for good",
        read: |relay, tell| tell(&[], Value::Gauge(relay.handle().is_draining().into())),
    },
    Family {
        name: "couplet_connections_total",
        kind: Kind::Counter,
        help: "Connections accepted, or dialled and made",
        read: |relay, tell| {
            let snapshot = relay.handle().snapshot();
            tell(&[("side", "a")], Value::Count(snapshot.a.connections))?;
            tell(&[("side", "b")], Value::Count(snapshot.b.connections))
        },
    },
    Family {
        name: "couplet_connections_open",
        kind: Kind::Gauge,
        help: "Open connections: in the side's stack, waiting for a partner, or joined",
        read: |relay, tell| {
            let stats = relay.handle().stats();
            let snapshot = stats.snapshot();
            for (side, name) in SIDES {
                let counts = if side == Side::A {
                    snapshot.a
                } else {
                    snapshot.b
                };
                // Where a partner is dialled for it, a waiting connection is still in its stack.
                let in_stack = match relay.dials(!side) {
                    true => stats.arriving(side).saturating_sub(counts.waiting),
                    false => stats.arriving(side),
                };
                for (state, open) in [
                    ("handshake", in_stack),
                    ("waiting", counts.waiting),
                    ("joined", snapshot.live_pairs as u64),
                ] {
                    tell(&[("side", name), ("state", state)], Value::Gauge(open))?;
                }
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_accept_errors_total",
        kind: Kind::Counter,
        help: "Accepts that failed, by kind; accepting goes on",
        read: |relay, tell| {
            for (side, name) in SIDES {
                for (kind, count) in relay.handle().stats().accept_errors(side) {
                    let labels = [("side", name), ("error", kind.label())];
                    tell(&labels, Value::Count(count))?;
                }
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_refused_total",
        kind: Kind::Counter,
        help: "Connections that were not joined, by reason",
        read: |relay, tell| {
            for (side, name) in SIDES {
                for (cause, count) in relay.handle().stats().refusals(side) {
                    let labels = [("side", name), ("reason", cause.label())];
                    tell(&labels, Value::Count(count))?;
                }
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_handshake_duration_seconds",
        kind: Kind::Histogram,
        help: "Time through the side's stack of connections that were paired",
        read: |relay, tell| histograms(tell, |side| relay.handle().stats().handshakes(side)),
    },
    Family {
        name: "couplet_wait_duration_seconds",
        kind: Kind::Histogram,
        help: "Time that paired connections had then waited for their partner to come or to be dialled",
        read: |relay, tell| histograms(tell, |side| relay.handle().stats().waits(side)),
    },
    Family {
        name: "couplet_dials_total",
        kind: Kind::Counter,
        help: "Dials of a partner, by result",
        read: |relay, tell| {
            for (side, name) in SIDES.into_iter().filter(|(side, _)| relay.dials(*side)) {
                for (outcome, count) in relay.handle().stats().dials(side) {
                    let labels = [("side", name), ("result", outcome.label())];
                    tell(&labels, Value::Count(count))?;
                }
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_dial_duration_seconds",
        kind: Kind::Histogram,
        help: "Time of dials of a partner, also of those that failed",
        read: |relay, tell| {
            for (side, name) in SIDES.into_iter().filter(|(side, _)| relay.dials(*side)) {
                let took = relay.handle().stats().dial_durations(side);
                tell(&[("side", name)], Value::Histogram(took))?;
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_target_up",
        kind: Kind::Gauge,
        help: "Whether clients are given to a target, of a side that dials one of several or checks",
        read: |relay, tell| targets(relay, tell, |target| Value::Gauge(target.is_up.into())),
    },
    Family {
        name: "couplet_target_connections",
        kind: Kind::Gauge,
        help: "Live connections to a target, dials under way included",
        read: |relay, tell| targets(relay, tell, |target| Value::Gauge(target.live as u64)),
    },
    Family {
        name: "couplet_target_dials_total",
        kind: Kind::Counter,
        help: "Dials of a target for clients",
        read: |relay, tell| targets(relay, tell, |target| Value::Count(target.dials)),
    },
    Family {
        name: "couplet_target_dial_failures_total",
        kind: Kind::Counter,
        help: "Dials of a target for clients that failed",
        read: |relay, tell| targets(relay, tell, |target| Value::Count(target.failures)),
    },
    Family {
        name: "couplet_pairs_total",
        kind: Kind::Counter,
        help: "Pairs that were made, the live ones included",
        read: |relay, tell| tell(&[], Value::Count(relay.handle().snapshot().total_pairs)),
    },
    Family {
        name: "couplet_pairs_live",
        kind: Kind::Gauge,
        help: "Live pairs, by whether the relay was changed by a reload since they were joined",
        read: |relay, tell| {
            let generations = relay.handle().stats().generations();
            for (generation, live) in ["current", "older"].into_iter().zip(generations) {
                tell(&[("generation", generation)], Value::Gauge(live as u64))?;
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_pairs_ended_total",
        kind: Kind::Counter,
        help: "Pairs that have ended, by the two letters of the access log",
        read: |relay, tell| {
            for (state, count) in relay.handle().stats().ended() {
                tell(&[("state", state)], Value::Count(count))?;
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_pair_duration_seconds",
        kind: Kind::Histogram,
        help: "How long the pairs that have ended had lasted",
        read: |relay, tell| tell(&[], Value::Histogram(relay.handle().stats().durations())),
    },
    Family {
        name: "couplet_pair_bytes_total",
        kind: Kind::Counter,
        help: "Bytes delivered",
        read: |relay, tell| {
            for (from, dir) in WAYS {
                let bytes = relay.handle().stats().moved().bytes(from);
                tell(&[("dir", dir)], Value::Count(bytes))?;
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_pair_spliced_bytes_total",
        kind: Kind::Counter,
        help: "Bytes delivered by splice(2), not by copying",
        read: |relay, tell| {
            for (from, dir) in WAYS {
                let bytes = relay.handle().stats().moved().spliced(from);
                tell(&[("dir", dir)], Value::Count(bytes))?;
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_stalled_seconds_total",
        kind: Kind::Counter,
        help: "Time in which readers held a direction up (back-pressure), all pairs together; a stall counts when it is over",
        read: |relay, tell| {
            for (from, dir) in WAYS {
                let stalled = relay.handle().stats().moved().stalled(from);
                tell(&[("dir", dir)], Value::Seconds(stalled.as_secs_f64()))?;
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_held_bytes",
        kind: Kind::Gauge,
        help: "Bytes that the relay holds in buffers and pipes, because their reader is slow",
        read: |relay, tell| {
            for (from, dir) in WAYS {
                let held = relay.handle().stats().moved().held(from);
                tell(&[("dir", dir)], Value::Gauge(held))?;
            }
            Ok(())
        },
    },
    Family {
        name: "couplet_captures_on",
        kind: Kind::Gauge,
        help: "Pairs that are captured over the admin endpoint now",
        read: |relay, tell| {
            let captures = relay.captures.load(Ordering::Relaxed);
            tell(&[], Value::Gauge(captures))
        },
    },
    Family {
        name: "couplet_faults_on",
        kind: Kind::Gauge,
        help: "Whether the relay's faults are on; 0 where it has none",
        read: |relay, tell| {
            let are_on = relay
                .faults
                .as_ref()
                .is_some_and(|faults| (faults.are_on)());
            tell(&[], Value::Gauge(are_on.into()))
        },
    },
];

fn targets(relay: &Relay, tell: &mut Tell<'_>, of: fn(&TargetStatus) -> Value) -> fmt::Result {
    for (side, name) in SIDES {
        for target in relay.target_status(side) {
            tell(&[("side", name), ("target", &target.name)], of(&target))?;
        }
    }
    Ok(())
}

fn histograms(tell: &mut Tell<'_>, of: impl Fn(Side) -> Histogram) -> fmt::Result {
    for (side, name) in SIDES {
        tell(&[("side", name)], Value::Histogram(of(side)))?;
    }
    Ok(())
}
