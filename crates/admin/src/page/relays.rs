//! Each relay: its stacks as boxes in the order in which a connection and a pair meet them.

use std::{fmt::Write, time::Duration};

use couplet_connector::{
    Side,
    layers::{RefusalCause, observe::stats::Histogram},
    mode::Pairing,
};

use super::parts::{Escaped, bytes, short};
use crate::{Admin, Relay};

pub(super) fn relays(admin: &Admin, may_change: bool) -> String {
    let relays = admin.relays();
    if relays.is_empty() {
        return "<p>No relay runs.</p>".to_owned();
    }
    relays
        .iter()
        .map(|known| relay(known, may_change))
        .collect()
}

fn relay(relay: &Relay, may_change: bool) -> String {
    let state = relay.not_ready();
    let name = relay.name();
    let mut html = format!(
        "<article><h3>{name} <b class=\"{}\">{}</b>",
        if state.is_some() { "bad" } else { "ok" },
        state.unwrap_or("ready"),
    );
    if may_change && !matches!(state, Some("ended" | "draining")) {
        let (verb, word) = match state {
            Some(_) => ("resume", "Resume"),
            None => ("pause", "Pause"),
        };
        let _ = write!(
            html,
            "<button class=\"js\" hidden data-post=\"v1/relays/{name}/{verb}\" data-key=\"pause-{name}\">{word}</button>"
        );
    }
    html += "</h3><ol class=\"flow\">";
    side(&mut html, relay, Side::A);
    middle(&mut html, relay);
    // Of a rendezvous by key both come to side A.
    if relay.handle().pairing() != Pairing::Keyed {
        side(&mut html, relay, Side::B);
    }
    html + "</ol></article>"
}

/// A side's boxes: for side B in the order from the pair to the server.
fn side(html: &mut String, relay: &Relay, side: Side) {
    let stats = relay.handle().stats();
    let snapshot = stats.snapshot();
    let counts = if side == Side::A {
        snapshot.a
    } else {
        snapshot.b
    };
    let mut refusals: Vec<_> = stats.refusals(side);
    refusals.retain(|(_, count)| *count > 0);
    let mut passed = counts.connections;
    let mut steps = Vec::new();
    for step in &relay.sides[side as usize] {
        let causes = causes(&step.name);
        let mut refused = 0;
        refusals.retain(|(cause, count)| {
            let is_its = causes.contains(cause);
            refused += if is_its { *count } else { 0 };
            !is_its
        });
        passed = passed.saturating_sub(refused);
        let took = step
            .times
            .as_ref()
            .and_then(|times| average(&times.histogram()));
        let took = took.map(|took| format!(", {} each", Escaped(&short(took))));
        let took = took.unwrap_or_default();
        let told = format!("{passed} passed{took}{}", refused_text(refused));
        steps.push(one(&Escaped(&step.name), &Escaped(&step.about), &told));
    }
    // What no box of the stack tells.
    let refused: u64 = refusals.iter().map(|(_, count)| count).sum();
    let mut told = match counts.connections {
        1 => "1 connection".to_owned(),
        many => format!("{many} connections"),
    };
    let _ = match relay.dials(side) {
        true => write!(told, ", {} dials failed", failed_dials(relay, side)),
        false => Ok(()),
    };
    let through = stats.handshakes(side);
    if let Some(average) = average(&through)
        && !steps.is_empty()
    {
        let _ = write!(told, ", {} through the stack", Escaped(&short(average)));
    }
    told += &refused_text(refused);
    let end = relay.end(side);
    let end = one(&format_args!("side {side}"), &Escaped(&end), &told);
    let boxes: Vec<_> = match side {
        Side::A => std::iter::once(end).chain(steps).collect(),
        Side::B => steps.into_iter().rev().chain([end]).collect(),
    };
    html.extend(boxes);
}

fn average(times: &Histogram) -> Option<Duration> {
    let count = u32::try_from(times.count()).ok()?;
    times.sum.checked_div(count)
}

fn failed_dials(relay: &Relay, side: Side) -> u64 {
    let dials = relay.handle().stats().dials(side);
    let failed = dials.iter().filter(|(outcome, _)| outcome.label() != "ok");
    failed.map(|(_, count)| count).sum()
}

fn middle(html: &mut String, relay: &Relay) {
    let stats = relay.handle().stats();
    let snapshot = stats.snapshot();
    let waiting = snapshot.a.waiting + snapshot.b.waiting;
    let mut told = format!("{waiting} waiting");
    if let Some(average) = average(&stats.waits(Side::A)) {
        let _ = write!(told, ", {} on average", Escaped(&short(average)));
    }
    *html += &one(&relay.pairing(), &"pairing", &told);
    for step in &relay.pair {
        *html += &one(&Escaped(&step.name), &Escaped(&step.about), "");
    }
    let moved = stats.moved();
    let (total, spliced) = [Side::A, Side::B]
        .iter()
        .fold((0, 0), |(total, spliced), from| {
            (total + moved.bytes(*from), spliced + moved.spliced(*from))
        });
    let share = spliced as f64 * 100.0 / (total.max(1)) as f64;
    let told = format!(
        "{} live, {} in all; {}, {share:.0} % spliced",
        snapshot.live_pairs,
        snapshot.total_pairs,
        bytes(total as f64)
    );
    *html += &one(&"relay", &Escaped(&moves(relay)), &told);
}

/// How the bytes are moved, and why.
fn moves(relay: &Relay) -> String {
    match &relay.moves {
        [Some(forth), Some(back)] if forth == back => forth.clone(),
        [Some(forth), Some(back)] => format!("A to B {forth}; B to A {back}"),
        _ => "moves the bytes".to_owned(),
    }
}

fn refused_text(count: u64) -> String {
    match count {
        0 => String::new(),
        count => format!(" <b class=\"bad\">{count} refused</b>"),
    }
}

fn one(name: &dyn std::fmt::Display, about: &dyn std::fmt::Display, told: &str) -> String {
    format!("<li><b>{name}</b><span>{about}</span><em>{told}</em></li>")
}

/// The causes that a layer tells, by its name as an option of the command.
fn causes(step: &str) -> &'static [RefusalCause] {
    use RefusalCause as Cause;

    match step {
        "allow" | "deny" | "access" => &[Cause::Network, Cause::Rule],
        "max-per-addr" => &[Cause::LimitAddress],
        "max-conns" => &[Cause::LimitAll],
        "rate-per-addr" => &[Cause::RateAddress],
        "rate" => &[Cause::RateAll],
        "attempts" => &[Cause::Attempts],
        "proxy-protocol" => &[Cause::ProxyHeader, Cause::HealthCheck],
        "tls" => &[Cause::Tls],
        "noise" => &[Cause::Noise],
        "ws" => &[Cause::WebSocket],
        "token" | "signed-token" => &[Cause::Token],
        "challenge" => &[Cause::Challenge],
        "rendezvous" => &[Cause::Meeting, Cause::UnknownKey],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_tells_its_own_refusals() {
        assert_eq!(causes("token"), [RefusalCause::Token]);
        assert!(causes("compress").is_empty());
    }
}
