//! The tiles, each with two minutes of curve.

use std::fmt::Write;

use super::parts::bytes;
use crate::{Admin, history::Sample};

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 28.0;

/// From the left to the right.
const SECONDS: f64 = 120.0;

pub(super) fn tiles(admin: &Admin) -> String {
    let samples = admin.0.history.samples();
    let now = Sample::take(&admin.0.relays);
    let level = |of: fn(&Sample) -> u64| -> Vec<f64> {
        samples.iter().map(|sample| of(sample) as f64).collect()
    };
    let rate = |of: fn(&Sample) -> u64| -> Vec<f64> {
        let steps = samples.windows(2);
        let steps = steps.map(|pair| of(&pair[1]).saturating_sub(of(&pair[0])) as f64);
        steps.collect()
    };
    let count = |value: f64| format!("{value:.0}");
    let speed = |value: f64| format!("{}/s", bytes(value));
    let last = |rates: &[f64]| rates.last().copied().unwrap_or(0.0);
    let mut html = String::new();
    let mut tile = |name: &str, shown: String, about: String, curve: &[f64]| {
        let _ = write!(
            html,
            "<div class=\"tile\"><h2>{name}</h2><p class=\"value\">{shown}</p><p class=\"about\">{about}</p>{}</div>",
            if curve.is_empty() {
                String::new()
            } else {
                svg(name, curve)
            }
        );
    };
    tile(
        "Live pairs",
        count(now.live as f64),
        format!("{} in all", now.joined),
        &level(|s| s.live),
    );
    tile(
        "Waiting",
        count(now.waiting as f64),
        "connections".into(),
        &level(|s| s.waiting),
    );
    let joins = rate(|s| s.joined);
    tile(
        "Joins",
        format!("{}/s", count(last(&joins))),
        "pairs".into(),
        &joins,
    );
    for (name, of, total) in [
        ("A to B", (|s| s.a_to_b) as fn(&Sample) -> u64, now.a_to_b),
        ("B to A", |s| s.b_to_a, now.b_to_a),
    ] {
        let rates = rate(of);
        tile(
            name,
            speed(last(&rates)),
            format!("{} in all", bytes(total as f64)),
            &rates,
        );
    }
    let refused = rate(|s| s.refused);
    tile(
        "Refused",
        format!("{}/s", count(last(&refused))),
        format!("{} in all", now.refused),
        &refused,
    );
    if let Some((open, most)) = descriptors() {
        let about = most.map_or_else(|| "open".to_owned(), |most| format!("of {most}"));
        tile("Descriptors", open.to_string(), about, &[]);
    }
    html
}

/// How many descriptors are open, of how many.
#[cfg(target_os = "linux")]
fn descriptors() -> Option<(u64, Option<u64>)> {
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    Some((crate::metrics::open_fds()?, most))
}

#[cfg(not(target_os = "linux"))]
fn descriptors() -> Option<(u64, Option<u64>)> {
    None
}

/// A curve from the left to the right, its highest point at the top.
fn svg(name: &str, values: &[f64]) -> String {
    let top = values.iter().copied().fold(1.0, f64::max);
    let step = WIDTH / SECONDS;
    // The last value is at the right, from the first second on.
    let first = WIDTH - values.len().saturating_sub(1) as f64 * step;
    // Filled down to the lower edge: the corners of that are beyond what is shown.
    let (below, beyond) = (HEIGHT + 2.0, WIDTH + 2.0);
    let mut points = format!("{first:.1},{below} ");
    let mut y = below;
    for (n, value) in values.iter().enumerate() {
        let x = first + n as f64 * step;
        y = HEIGHT - value / top * (HEIGHT - 2.0) - 1.0;
        let _ = write!(points, "{x:.1},{y:.1} ");
    }
    let _ = write!(points, "{beyond},{y:.1} {beyond},{below}");
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{name}, two \
         minutes\"><polyline points=\"{points}\"/></svg>"
    )
}
