//! Describes the stacks of a relay for the admin endpoint and the page.

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
            if spec.endpoint.keep.is_some() {
                relay = relay.pool(side, spec.endpoint.pool.clone());
            }
            #[cfg(feature = "mux")]
            if let Some(mux) = &spec.endpoint.mux {
                relay = relay.carriers(side, carriers(mux.watch.clone()));
            }
        }
    }
    for from in [Side::A, Side::B] {
        relay = relay.moves(from, &crate::explain::movement(plan, from));
    }
    let faults = plan.faults();
    if let Some(first) = faults.first().cloned() {
        relay = relay.faults(couplet_admin::Faults {
            are_on: Box::new(move || first.is_on()),
            set: Box::new(move |on| {
                for fault in &faults {
                    match on {
                        true => fault.on(),
                        false => fault.off(),
                    }
                }
            }),
        });
    }
    #[cfg(feature = "meeting")]
    if let Some(cluster) = plan.cluster().and_then(|cluster| cluster.running()) {
        relay = relay.meeting(meeting(cluster));
    }
    relay
}

/// The carriers of a side.
#[cfg(feature = "mux")]
fn carriers(watch: couplet_protocols::mux::MuxWatch) -> couplet_admin::Carriers {
    couplet_admin::Carriers {
        status: Box::new(move || {
            let status = watch.status();
            couplet_admin::CarrierStatus {
                carriers: status.carriers,
                total_carriers: status.total_carriers,
                streams: status.streams,
                total_streams: status.total_streams,
                refused: status.refused,
                failed: status.failed,
                silent: status.silent,
            }
        }),
    }
}

/// How clients of other nodes are met.
#[cfg(feature = "meeting")]
fn meeting(cluster: &couplet_meeting::Cluster) -> couplet_admin::Meeting {
    let (connected, offered, counts) = (cluster.clone(), cluster.clone(), cluster.counts());
    couplet_admin::Meeting {
        is_connected: Box::new(move || connected.is_connected()),
        offered: Box::new(move || offered.offered() as u64),
        events: Box::new(move || {
            let all = couplet_meeting::Count::ALL.iter();
            all.map(|count| (count.name(), counts.get(*count)))
                .collect()
        }),
    }
}

fn steps<L>(specs: &[LayerSpec<L>]) -> Vec<Step> {
    let step = |spec: &LayerSpec<L>| {
        let settings = spec.settings.iter();
        let settings = settings.map(|setting| format!("{} {}", setting.name, setting.value));
        let expiries = spec.watch.expiries.clone();
        Step::new(spec.name, settings.collect::<Vec<_>>().join(", "))
            .times(spec.watch.times.clone())
            .queue(spec.watch.queue.clone())
            .certificates(move || expiries.get())
    };
    specs.iter().map(step).collect()
}
