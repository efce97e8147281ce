//! What the admin endpoint and the page tell of the relay's stacks.

use couplet_admin::{Relay, Step};
use couplet_connector::{Handle, endpoint::Side};

use crate::{layer_spec::LayerSpec, plan::Plan};

/// A relay with its stacks, as `explain` tells them.
pub(crate) fn relay(plan: &Plan, handle: &Handle) -> Relay {
    let timeouts = [
        ("max-lifetime", plan.max_lifetime.value),
        ("idle-timeout", plan.idle_timeout.value),
    ];
    let timeouts = timeouts.into_iter().filter_map(|(name, time)| {
        let time = crate::units::Limit::At(time?);
        Some(Step::new(name, time.to_string()))
    });
    let mut relay =
        Relay::new(&plan.name, handle).pair(steps(&plan.pair).into_iter().chain(timeouts));
    for side in [Side::A, Side::B] {
        let spec = plan.sides.specs().find(|(known, _)| *known == side);
        if let Some((_, spec)) = spec {
            let end = handle
                .local_addr(side)
                .map_or_else(|_| spec.endpoint.shown(), |addr| format!("listen:{addr}"));
            relay = relay.side(side, &end, steps(&spec.layers));
            if let Some(targets) = spec.endpoint.targets.watch() {
                relay = relay.targets(side, targets.clone());
            }
        }
    }
    relay
}

fn steps<L>(specs: &[LayerSpec<L>]) -> Vec<Step> {
    let step = |spec: &LayerSpec<L>| {
        let settings = spec.settings.iter();
        let settings = settings.map(|setting| format!("{} {}", setting.name, setting.value));
        Step::new(spec.name, settings.collect::<Vec<_>>().join(", "))
    };
    specs.iter().map(step).collect()
}
