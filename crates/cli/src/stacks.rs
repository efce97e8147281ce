//! The connector as a plan wants it.

use anyhow::bail;
use couplet_connector::{
    Connector, Handle, PairLayers, SideLayers,
    endpoint::{Backoff, BoxIo},
    layers::{IdleTimeoutLayer, MaxLifetimeLayer},
    mode::{HasSideB, ManyPairs, Mode, Once},
    pairing::Attachment,
    relay::Relay,
    stack::{SideStack, Slot},
};
#[cfg(feature = "meeting")]
use couplet_connector::{
    endpoint::Side,
    pairing::{Keyed, WhenFull},
};
use couplet_protocols::meet::MeetingKey;
use tower::{
    Layer,
    layer::util::{Identity, Stack},
    util::{Either, option_layer},
};

use crate::{
    plan::{Meeting, Plan, WaitingAtReload},
    side::{Endpoint, SideSpec},
};

/// The layers of a side.
type OfSide = Stack<SideLayers, Identity>;

/// The layers of a pair. The idle timeout is no part of the list: many have it, and here it costs
/// no allocation.
type OfPair = Stack<Either<IdleTimeoutLayer, Identity>, Stack<PairLayers, Identity>>;

/// Starts to join the connections of two sides, in place of the relay before.
pub(crate) fn join(
    a: Endpoint,
    b: Endpoint,
    specs: [&SideSpec; 2],
    plan: &Plan,
    before: Option<&Handle>,
) -> Handle {
    let wait_timeout = plan.wait_timeout.value;
    match (a, b) {
        (Endpoint::Incoming(a), Endpoint::Incoming(b)) => {
            let connector = two_sided(Connector::listen_listen(a, b), specs, plan, before);
            start(connector.wait_timeout(wait_timeout), plan)
        }
        (Endpoint::Incoming(a), Endpoint::Dial(b)) => start(
            two_sided(Connector::listen_dial(a, *b), specs, plan, before),
            plan,
        ),
        (Endpoint::Dial(a), Endpoint::Incoming(b)) => {
            let connector = two_sided(Connector::dial_listen(*a, b), specs, plan, before);
            match plan.once {
                true => start(connector.once().wait_timeout(wait_timeout), plan),
                false => start(connector, plan),
            }
        }
        (Endpoint::Dial(a), Endpoint::Dial(b)) => {
            let connector = two_sided(Connector::dial_dial(*a, *b), specs, plan, before);
            match plan.reconnect {
                true => connector.reconnect(Backoff::new()).start(),
                false => connector.start(),
            }
        }
    }
}

/// Starts to join the connections that come to one side, by their keys, and with those of other nodes.
pub(crate) fn meet(
    end: Endpoint,
    spec: &SideSpec,
    meeting: &Meeting,
    attachment: Option<Attachment<BoxIo, MeetingKey>>,
    plan: &Plan,
    before: Option<&Handle>,
) -> anyhow::Result<Handle> {
    let Endpoint::Incoming(listen) = end else {
        bail!("a rendezvous listens: `listen:[HOST:]PORT`");
    };
    let keyed = meeting.keyed.clone();
    let connector = match attachment {
        Some(attachment) => Connector::keyed_with(listen, keyed, attachment),
        None => Connector::keyed(listen, keyed),
    };
    let connector = with_pair(connector.layer_a(spec.stack()), plan, before);
    Ok(start(connector.wait_timeout(plan.wait_timeout.value), plan))
}

/// Starts to join the connections of two sides in the order in which they come, and with those of other nodes.
#[cfg(feature = "meeting")]
pub(crate) fn queue(
    a: Endpoint,
    b: Endpoint,
    specs: [&SideSpec; 2],
    attachment: Attachment<BoxIo, Side, ()>,
    plan: &Plan,
    before: Option<&Handle>,
) -> anyhow::Result<Handle> {
    let (Endpoint::Incoming(a), Endpoint::Incoming(b)) = (a, b) else {
        bail!("a queue is of two listening sides");
    };
    // The node joins them: here no two meet.
    let apart = Keyed::new(|info| info.side)
        .side(|_| Some(()))
        .per_key(plan.max_waiting.value, WhenFull::Refuse);
    let connector = Connector::listen_listen(a, b).by_key_with(apart, attachment);
    let connector = two_sided(connector, specs, plan, before);
    Ok(start(connector.wait_timeout(plan.wait_timeout.value), plan))
}

fn two_sided<M: HasSideB>(
    connector: Connector<M>,
    [a, b]: [&SideSpec; 2],
    plan: &Plan,
    before: Option<&Handle>,
) -> Connector<M, OfSide, OfSide, OfPair> {
    with_pair(
        connector.layer_a(a.stack()).layer_b(b.stack()),
        plan,
        before,
    )
}

/// With the layers of the pair, and the settings that all modes have.
fn with_pair<M, LA, LB>(
    connector: Connector<M, LA, LB>,
    plan: &Plan,
    before: Option<&Handle>,
) -> Connector<M, LA, LB, OfPair> {
    let mut pair = PairLayers::new();
    for spec in &plan.pair {
        pair.append(spec.layers.clone());
    }
    if let Some(lifetime) = plan.max_lifetime.value {
        pair.push(MaxLifetimeLayer::new(lifetime));
    }
    let idle_timeout = plan.idle_timeout.value.map(IdleTimeoutLayer::new);
    let connector = connector
        .layer_pair(pair)
        .layer_pair(option_layer(idle_timeout))
        .max_waiting(plan.max_waiting.value)
        .with_relay(Relay::new().half_close_timeout(plan.half_close_timeout.value));
    let connector = match before {
        Some(before) => match plan.on_reload {
            WaitingAtReload::Keep => connector.succeeds(before),
            WaitingAtReload::LetGo => connector.succeeds(before).lets_waiting_go(),
        },
        None => connector,
    };
    match plan.exit_when_idle {
        Some(idle) => connector.close_when_idle(idle),
        None => connector,
    }
}

/// Starts a connector that joins many pairs, or one.
fn start<M, LA, LB>(mut connector: Connector<M, LA, LB, OfPair>, plan: &Plan) -> Handle
where
    M: ManyPairs + Once<Once: Mode<LA::Service, LB::Service>> + Mode<LA::Service, LB::Service>,
    LA: Layer<Slot, Service: SideStack>,
    LB: Layer<Slot, Service: SideStack>,
{
    if let Some(pairs) = plan.max_pairs {
        connector = connector.max_pairs(pairs);
    }
    match plan.once {
        true => connector.once().start(),
        false => connector.start(),
    }
}
