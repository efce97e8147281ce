//! `couplet explain`: the stacks that a plan makes, and how bytes move through them.

use std::io::{self, Write};

use couplet_connector::{endpoint::Side, mode::Pairing};

use crate::{
    config::{Config, command_line},
    layer_spec::{LayerSpec, Setting, Source, Sourced},
    plan::{Plan, Sides},
    relay_name::UNNAMED,
    splice::Bytes,
    units::{Limit, Threads},
};

/// Writes it of each relay of a file, with the command line that is the same.
pub(crate) fn write_all(config: &Config, to: &mut dyn Write) -> io::Result<()> {
    for (number, relay) in config.relays.iter().enumerate() {
        if number > 0 {
            writeln!(to)?;
        }
        writeln!(to, "{} {}", relay.words.kind.name(), relay.name)?;
        if relay.plan.needs_no_other().is_ok() {
            writeln!(to, "  {}", command_line(&relay.name, &relay.words))?;
        }
        write(&relay.plan, to)?;
    }
    #[cfg(feature = "admin")]
    if let Ok(spec) = config.process.common.admin.spec() {
        admin(&spec, to)?;
    }
    Ok(())
}

/// Writes it, top to bottom: the order in which a connection, and then a pair, meets the layers.
pub(crate) fn write(plan: &Plan, to: &mut dyn Write) -> io::Result<()> {
    for (side, spec) in plan.sides.specs() {
        writeln!(to, "side {side}: {}", spec.endpoint.address)?;
        line(to, "sockets", &spec.endpoint.settings(plan.endpoint_flags))?;
        let resets = match &spec.endpoint {
            endpoint if endpoint.is_unix() => Some(NO_RESET),
            endpoint if endpoint.is_vsock() => Some(NO_RESET_OF_VSOCK),
            endpoint if endpoint.is_stdio() => Some(NO_RESET_OF_STDIO),
            endpoint if endpoint.is_exec() => Some(RESETS_OF_PROGRAM),
            _ => None,
        };
        if let Some(resets) = resets {
            writeln!(to, "  {:16}  {resets}", "resets")?;
        }
        if !spec.endpoint.via.is_empty() {
            writeln!(to, "  {:16}  {HALF_CLOSE}", "half-close")?;
        }
        specs(to, &spec.layers)?;
    }
    writeln!(to, "pairing")?;
    let wait = time("wait-timeout", plan.wait_timeout);
    let max = Setting::new("max-waiting", plan.max_waiting.value, plan.max_waiting.from);
    match &plan.sides {
        Sides::Meeting(_, meeting) => {
            line(to, "by-key", &[&[wait, max], &*meeting.settings].concat())?;
            #[cfg(feature = "meeting")]
            if let Some(of) = &meeting.cluster {
                cluster(to, of, plan)?;
            }
        }
        Sides::Two(..) if plan.pairing() == Pairing::Rendezvous => {
            #[cfg(feature = "meeting")]
            let queue = plan.queue.as_ref().map(|queue| {
                let name = Setting::new("queue", &queue.name, Source::Flag);
                (name, &queue.cluster)
            });
            #[cfg(feature = "meeting")]
            let named = queue.iter().map(|(name, _)| name.clone());
            #[cfg(not(feature = "meeting"))]
            let named = std::iter::empty();
            line(
                to,
                "rendezvous",
                &[wait, max].into_iter().chain(named).collect::<Vec<_>>(),
            )?;
            #[cfg(feature = "meeting")]
            if let Some((_, of)) = queue {
                cluster(to, of, plan)?;
            }
        }
        Sides::Two(..) => line(to, "dial-for", &[max])?,
    }
    writeln!(to, "pair")?;
    specs(to, &plan.pair)?;
    for (name, timeout) in [
        ("max-lifetime", plan.max_lifetime),
        ("generations", plan.generations),
        ("idle-timeout", plan.idle_timeout),
    ] {
        if timeout.value.is_some() {
            line(to, name, &[time("time", timeout)])?;
        }
    }
    line(
        to,
        "relay",
        &[time("half-close-timeout", plan.half_close_timeout)],
    )?;
    writeln!(to, "threads")?;
    writeln!(to, "  {}", plan.threads())?;
    writeln!(to, "run")?;
    line(to, "settings", &run(plan))?;
    #[cfg(feature = "admin")]
    admin(&plan.admin, to)?;
    writeln!(to, "bytes")?;
    for from in [Side::A, Side::B] {
        writeln!(to, "  {from} to {}: {}", !from, movement(plan, from))?;
    }
    Ok(())
}

/// How clients of other nodes are met.
#[cfg(feature = "meeting")]
fn cluster(
    to: &mut dyn Write,
    cluster: &crate::cluster::ClusterSpec,
    plan: &Plan,
) -> io::Result<()> {
    line(to, "cluster", &cluster.settings())?;
    writeln!(to, "cluster: {}", cluster.port.endpoint.address)?;
    line(
        to,
        "sockets",
        &cluster.port.endpoint.settings(plan.endpoint_flags),
    )?;
    specs(to, &cluster.port.layers)?;
    writeln!(to, "cluster, dialled")?;
    specs(to, &cluster.dialled().layers)
}

/// The sides of the admin endpoint.
#[cfg(feature = "admin")]
fn admin(admin: &crate::admin::AdminSpec, to: &mut dyn Write) -> io::Result<()> {
    for side in admin.sides() {
        writeln!(to, "admin: {}", side.endpoint.address)?;
        let sockets = side
            .endpoint
            .settings(crate::side::EndpointFlags::default());
        line(to, "sockets", &sockets)?;
        specs(to, &side.layers)?;
    }
    Ok(())
}

/// What a Unix socket costs.
const NO_RESET: &str =
    "come in; none goes out: the peer reads an end of stream where TCP would reset";

/// What proxies make of a client that ends its stream, as measured.
const HALF_CLOSE: &str = "the proxy decides: ssh -D, dante and couplet deliver what the server then sends; \
                          microsocks, tinyproxy, squid, pproxy and proxy.py lose it";
/// The same of standard output.
const NO_RESET_OF_STDIO: &str = "come in from a socket; none goes out: the reader sees an end, and the exit status says how it was";

/// The same of vsock.
const NO_RESET_OF_VSOCK: &str =
    "none come in, and none go out: a connection that is cut reads as one that has ended";

/// The same of a program.
const RESETS_OF_PROGRAM: &str =
    "come in where a signal kills the program; one that goes out is SIGTERM to its process group";

/// What is not of a side or a pair.
fn run(plan: &Plan) -> Vec<Setting> {
    let threads = match plan.threads {
        Threads::Auto => Setting::new("threads", "auto", Source::Default),
        Threads::Count(count) => Setting::new("threads", count, Source::Flag),
    };
    let flag = |name, value: Option<String>| Some(Setting::new(name, value?, Source::Flag));
    let on = |is_on: bool| is_on.then(|| "on".to_owned());
    let max_pairs = plan.max_pairs.map(|pairs| pairs.to_string());
    let idle = plan.exit_when_idle.map(|idle| Limit::At(idle).to_string());
    let name = (plan.name != UNNAMED).then(|| plan.name.clone());
    let given = [
        flag("name", name),
        flag("max-pairs", max_pairs),
        flag("once", on(plan.once)),
        flag("exit-when-idle", idle),
        flag("reconnect", on(plan.reconnect)),
    ];
    let always = [threads, time("drain-timeout", plan.drain_timeout)];
    always
        .into_iter()
        .chain(given.into_iter().flatten())
        .collect()
}

fn specs<L>(to: &mut dyn Write, specs: &[LayerSpec<L>]) -> io::Result<()> {
    for spec in specs {
        line(to, spec.name, &spec.settings)?;
    }
    Ok(())
}

fn line(to: &mut dyn Write, name: &str, settings: &[Setting]) -> io::Result<()> {
    let settings: Vec<_> = settings.iter().map(ToString::to_string).collect();
    let line = format!("  {name:16}  {}", settings.join(", "));
    writeln!(to, "{}", line.trim_end())
}

fn time(name: &'static str, timeout: Sourced<Option<std::time::Duration>>) -> Setting {
    let shown = timeout.value.map_or(Limit::Off, Limit::At);
    Setting::new(name, shown, timeout.from)
}

/// How the bytes that come from this side move, and why.
pub(crate) fn movement(plan: &Plan, from: Side) -> String {
    if !cfg!(target_os = "linux") {
        return "by copy: splice(2) is Linux's".into();
    }
    let (source, sink, way) = (plan.sides.get(from), plan.sides.get(!from), from as usize);
    let read = source
        .layers
        .iter()
        .map(|spec| (spec.name, spec.bytes()[0]));
    let on_pair = plan.pair.iter().map(|spec| (spec.name, spec.bytes()[way]));
    let written = sink.layers.iter().map(|spec| (spec.name, spec.bytes()[1]));
    let carried = [source, sink]
        .into_iter()
        .filter(|side| side.endpoint.is_quic());
    let carried = carried.map(|_| ("quic", Bytes::Copied)).take(1);
    let all: Vec<_> = carried.chain(read).chain(on_pair).chain(written).collect();
    let copy: Vec<_> = all
        .iter()
        .filter(|(_, bytes)| *bytes == Bytes::Copied)
        .map(|(name, _)| *name)
        .collect();
    if !copy.is_empty() {
        return format!("by copy, because of {}", copy.join(" and "));
    }
    let waits = !matches!(plan.pairing(), Pairing::DialFor(_));
    match waits || all.iter().any(|(_, bytes)| *bytes == Bytes::ReadAhead) {
        true => "by splice where much moves, once what was read ahead is delivered".into(),
        false => "by splice where much moves".into(),
    }
}
