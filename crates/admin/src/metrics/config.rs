//! The families of a program that can read its configuration again.

use std::{fmt, time::UNIX_EPOCH};

use super::{
    family::{Family, Kind, Tell, Value},
    process::Process,
};
use crate::reload::Told;

pub(super) const FAMILIES: &[Family<Process>] = &[
    Family {
        name: "couplet_config_generation",
        kind: Kind::Gauge,
        help: "How often the configuration has been taken, the first time included",
        read: |process, tell| gauge(process, tell, |told| Value::Gauge(told.generation)),
    },
    Family {
        name: "couplet_config_reloads_total",
        kind: Kind::Counter,
        help: "Reloads by result; one that failed has changed nothing",
        read: |process, tell| {
            let Some(told) = &process.reloads else {
                return Ok(());
            };
            tell(&[("result", "ok")], Value::Count(told.succeeded))?;
            tell(&[("result", "failed")], Value::Count(told.failed))
        },
    },
    Family {
        name: "couplet_config_last_reload_successful",
        kind: Kind::Gauge,
        help: "Whether the last reload was taken",
        read: |process, tell| {
            gauge(process, tell, |told| {
                Value::Gauge(told.failure.is_none().into())
            })
        },
    },
    Family {
        name: "couplet_config_last_reload_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When the last reload was, or the start",
        read: |process, tell| {
            gauge(process, tell, |told| {
                let since = told.last.duration_since(UNIX_EPOCH).unwrap_or_default();
                Value::Measure(since.as_secs_f64())
            })
        },
    },
];

fn gauge(process: &Process, tell: &mut Tell<'_>, of: fn(&Told) -> Value) -> fmt::Result {
    match &process.reloads {
        Some(told) => tell(&[], of(told)),
        None => Ok(()),
    }
}
