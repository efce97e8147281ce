//! The connector as a plan wants it.

use couplet_connector::{
    Connector, Handle, Mode, PairLayers, SideLayers,
    endpoint::Backoff,
    layers::{IdleTimeoutLayer, MaxLifetimeLayer},
    pairing::Policy,
    relay::Relay,
};
use tower::{
    layer::util::{Identity, Stack},
    util::option_layer,
};

use crate::plan::Plan;

/// The layers of a side.
pub(crate) type Layers = Stack<SideLayers, Identity>;

/// Gives the connector its stacks and settings, and starts it.
pub(crate) fn start<M>(connector: Connector<M>, plan: &Plan) -> Handle
where
    M: Mode<Layers, Layers>,
{
    let mut pair = PairLayers::new();
    for step in &plan.pair {
        pair.append(step.layers.clone());
    }
    if let Some(lifetime) = plan.max_lifetime.value {
        pair.push(MaxLifetimeLayer::new(lifetime));
    }
    let mut policy = Policy::default().wait(plan.wait_timeout.value);
    if let Some(meeting) = &plan.meeting {
        policy = policy.places(meeting.places);
    }
    let mut connector = connector
        .side_a(plan.a.layers())
        .side_b(plan.b.layers())
        .pair(pair)
        // No part of the list: many have it, and here it costs no allocation.
        .pair(option_layer(
            plan.idle_timeout.value.map(IdleTimeoutLayer::new),
        ))
        .policy(policy)
        .relay(Relay::new().half_close_timeout(plan.half_close_timeout.value));
    if let Some(pairs) = plan.max_pairs {
        connector = connector.max_pairs(pairs);
    }
    if plan.once {
        connector = connector.once();
    }
    if let Some(idle) = plan.exit_when_idle {
        connector = connector.close_when_idle(idle);
    }
    if plan.reconnect {
        connector = connector.reconnect(Backoff::new());
    }
    connector.start()
}
