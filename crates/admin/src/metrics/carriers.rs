//! The families of a relay whose connections are carried, many over one.

use std::fmt;

use super::family::{Family, Kind, SIDES, Tell, Value};
use crate::{Relay, relay::CarrierStatus};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "couplet_carriers",
        kind: Kind::Gauge,
        help: "Carriers that are there, of a side with mux",
        read: |relay, tell| carriers(relay, tell, |status| Value::Gauge(status.carriers)),
    },
    Family {
        name: "couplet_carriers_total",
        kind: Kind::Counter,
        help: "Carriers that were ever there",
        read: |relay, tell| carriers(relay, tell, |status| Value::Count(status.total_carriers)),
    },
    Family {
        name: "couplet_carrier_streams",
        kind: Kind::Gauge,
        help: "Connections that are carried",
        read: |relay, tell| carriers(relay, tell, |status| Value::Gauge(status.streams)),
    },
    Family {
        name: "couplet_carrier_streams_total",
        kind: Kind::Counter,
        help: "Connections that were ever carried",
        read: |relay, tell| carriers(relay, tell, |status| Value::Count(status.total_streams)),
    },
    Family {
        name: "couplet_carrier_failures_total",
        kind: Kind::Counter,
        help: "Carriers that failed, by reason",
        read: |relay, tell| {
            for (side, name) in SIDES {
                let Some(status) = relay.carrier_status(side) else {
                    continue;
                };
                for (reason, count) in [
                    ("refused", status.refused),
                    ("lost", status.failed),
                    ("silent", status.silent),
                ] {
                    tell(&[("side", name), ("reason", reason)], Value::Count(count))?;
                }
            }
            Ok(())
        },
    },
];

fn carriers(relay: &Relay, tell: &mut Tell<'_>, of: fn(&CarrierStatus) -> Value) -> fmt::Result {
    for (side, name) in SIDES {
        if let Some(status) = relay.carrier_status(side) {
            tell(&[("side", name)], of(&status))?;
        }
    }
    Ok(())
}
