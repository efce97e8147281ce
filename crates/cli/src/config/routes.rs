//! Routes that lead from one relay of a file to another.

use couplet_connector::endpoint::Side;

use super::RelayConfig;
use crate::{
    mistake::{Mistake, nearest},
    plan::Plan,
    side::SideSpec,
};

/// A mistake in a side of the relay of this number.
pub(super) type Wrong = (usize, Side, Mistake);

/// Every route leads to a relay that takes its connections, and every such relay has a route to it.
pub(super) fn check(relays: &[RelayConfig]) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    for (number, relay) in relays.iter().enumerate() {
        for (side, name) in led_to(&relay.plan) {
            if let Some(mistake) = lost(relays, &name) {
                wrong.push((number, side, mistake));
            } else if leads_to(relays, &name, &relay.name) {
                let message = format!("the route to `{name}` leads back to `{}`", relay.name);
                let mistake = Mistake::new(message, "routes without a circle");
                wrong.push((number, side, mistake));
            }
        }
        let mut taking = relay.plan.sides.specs().filter(|(_, spec)| takes(spec));
        let first = taking.next().map(|(side, _)| side);
        if let Some((side, _)) = taking.next() {
            let mistake = Mistake::new("both sides are `listen:routes`", "one of them");
            wrong.push((number, side, mistake));
        }
        let is_led_to =
            |other: &RelayConfig| led_to(&other.plan).any(|(_, name)| name == relay.name);
        if let Some(side) = first.filter(|_| !relays.iter().any(is_led_to)) {
            let message = format!("no route leads to relay `{}`", relay.name);
            let hint = format!(
                "a line like `tls:example.org relay:{}` of a `route=@FILE`",
                relay.name
            );
            wrong.push((number, side, Mistake::new(message, hint)));
        }
    }
    wrong
}

/// Where the routes of each side lead.
fn led_to(plan: &Plan) -> impl Iterator<Item = (Side, String)> {
    plan.sides.specs().flat_map(|(side, spec)| {
        let routes = spec.endpoint.routes.as_ref().map(|routes| routes.current());
        let names: Vec<_> = routes
            .iter()
            .flat_map(|routes| routes.relays().map(str::to_owned))
            .collect();
        names.into_iter().map(move |name| (side, name))
    })
}

fn takes(spec: &SideSpec) -> bool {
    spec.endpoint.is_handed_over()
}

/// Why no connection can be handed over to a relay of this name.
fn lost(relays: &[RelayConfig], name: &str) -> Option<Mistake> {
    let takes = |relay: &RelayConfig| relay.plan.sides.specs().any(|(_, spec)| takes(spec));
    match relays.iter().find(|relay| relay.name == name) {
        Some(relay) if takes(relay) => None,
        Some(_) => Some(Mistake::new(
            format!("`{name}` takes no connections of routes"),
            format!("`a = \"listen:routes\"` in `[relay.{name}]`"),
        )),
        None => {
            let message = format!("there is no relay `{name}`, to which a route leads");
            let names = relays.iter().map(|relay| &*relay.name);
            Some(match nearest(name, names) {
                Some(near) => Mistake::new(message, format!("did you mean `{near}`?")),
                None => Mistake::new(
                    message,
                    format!("`[relay.{name}]`, with `a = \"listen:routes\"`"),
                ),
            })
        }
    }
}

/// Do routes lead from this relay to the other?
fn leads_to(relays: &[RelayConfig], from: &str, to: &str) -> bool {
    let (mut seen, mut next) = (Vec::new(), vec![from.to_owned()]);
    while let Some(name) = next.pop() {
        if name == to {
            return true;
        }
        if seen.contains(&name) {
            continue;
        }
        let relay = relays.iter().find(|relay| relay.name == name);
        next.extend(
            relay
                .into_iter()
                .flat_map(|relay| led_to(&relay.plan))
                .map(|(_, name)| name),
        );
        seen.push(name);
    }
    false
}
