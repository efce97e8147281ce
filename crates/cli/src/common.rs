//! The flags that a relay of two sides and a rendezvous both have.

use std::{num::NonZeroUsize, time::Duration};

use couplet_connector::endpoint::{KeepAlive, Side};

use crate::{
    access_log::{AccessLogArgs, AccessLogSpecs},
    announce::announce,
    capture::{CaptureArgs, CaptureSpec},
    frame,
    handshakes::Handshakes,
    layer_spec::Sourced,
    log::LogArgs,
    mistake::{Mistake, Mistakes},
    pair::{PairArgs, PairContext, PairLayerSpec},
    plan::{Plan, Sides, WaitingAtReload},
    relay_name::{UNNAMED, is_name},
    side::{EndpointFlags, EndpointSpec},
    units::{
        Limit, PLACES, Threads, ack_timeout, count, duration, keep_alive, limit, threads,
        user_timeout,
    },
};

#[derive(Debug, clap::Args)]
pub(crate) struct CommonArgs {
    /// The name of the relay in metrics and on the page [default: relay]
    #[arg(long, value_name = "NAME", value_parser = relay_name)]
    name: Option<String>,

    /// Probe idle connections: IDLE/INTERVAL/COUNT or off [default: 60s/10s/5]
    #[arg(long, value_name = "PROBES", value_parser = keep_alive)]
    keep_alive: Option<Limit<KeepAlive>>,

    /// Drop a peer whose system acknowledges nothing for TIME, 15s to 15m, or off [default: 50s]
    #[arg(long, value_name = "TIME", value_parser = ack_timeout)]
    ack_timeout: Option<Limit<Duration>>,

    /// Drop a peer that acknowledges no data for TIME, or off [default: off]
    #[arg(long, value_name = "TIME", value_parser = user_timeout)]
    user_timeout: Option<Limit<Duration>>,

    /// How long each handshake of a side may take, or never [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    pub(crate) handshake_timeout: Option<Limit<Duration>>,

    /// At most NUMBER connections of a side in each handshake; beyond that, the quietest one of the address with
    /// the most gives way [default: 1024]
    #[arg(long, value_name = "NUMBER", value_parser = count)]
    pub(crate) max_handshakes: Option<NonZeroUsize>,

    /// At most NUMBER connections of a side that wait for a partner, or for its dial; beyond that, the oldest one
    /// of the address with the most gives way [default: 1024]
    #[arg(long, value_name = "NUMBER", value_parser = count)]
    pub(crate) max_waiting: Option<NonZeroUsize>,

    /// How long a connection waits for its partner, or never [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    pub(crate) wait_timeout: Option<Limit<Duration>>,

    /// End a half-closed pair whose other direction is idle for TIME, or never [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    half_close_timeout: Option<Limit<Duration>>,

    /// End a pair that is idle for TIME, or never [default: never]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    idle_timeout: Option<Limit<Duration>>,

    /// End a pair after TIME, or never [default: never]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    max_lifetime: Option<Limit<Duration>>,

    /// After SIGTERM, give live pairs TIME to end, or never end them [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    pub(crate) drain_timeout: Option<Limit<Duration>>,

    /// After a reload that has changed the relay, end its pairs from before after TIME, or never
    /// [default: never]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    generations: Option<Limit<Duration>>,

    /// At a reload that changes the relay, keep the connections that wait for a partner, or let them go [default: keep]
    #[arg(long, value_name = "keep|let-go")]
    on_reload: Option<WaitingAtReload>,

    /// Join at most NUMBER pairs at a time [default: any number]
    #[arg(long, value_name = "NUMBER", value_parser = count)]
    pub(crate) max_pairs: Option<NonZeroUsize>,

    /// Exit after TIME without a live pair
    #[arg(long, value_name = "TIME", value_parser = duration)]
    exit_when_idle: Option<Duration>,

    /// How many threads move bytes, or auto: one for each core
    #[arg(long, value_name = "NUMBER", value_parser = threads, default_value = "auto")]
    pub(crate) threads: Threads,

    #[command(flatten)]
    pub(crate) pair: PairArgs,

    #[command(flatten)]
    access_log: AccessLogArgs,

    #[command(flatten)]
    capture: CaptureArgs,

    #[cfg(feature = "admin")]
    #[command(flatten)]
    pub(crate) admin: crate::admin::AdminArgs,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

// ===== impl CommonArgs =====

impl CommonArgs {
    /// The plan of a relay of these sides.
    pub(crate) fn plan(&self, mut sides: Sides) -> Result<Plan, Mistakes> {
        let mut wrong = Mistakes::new();
        wrong.extend(self.refuse_idle_flags(&sides).err());
        let access_log = self.access_log.specs();
        let capture = self.capture.spec().unwrap_or_else(|mistake| {
            wrong.push(mistake);
            None
        });
        let pair = self.pair_stack(&sides, access_log.as_ref(), capture.as_ref());
        let pair = pair.unwrap_or_else(|mistake| {
            wrong.push(mistake);
            Vec::new()
        });
        #[cfg(feature = "admin")]
        let admin = self.admin.spec().unwrap_or_else(|mistake| {
            wrong.push(mistake);
            crate::admin::AdminSpec::default()
        });
        if !wrong.is_empty() {
            return Err(wrong);
        }
        if let Some(access_log) = &access_log {
            for (side, spec) in sides.specs_mut() {
                spec.put_on_top(access_log.side(side));
            }
        }
        Ok(Plan {
            name: self.name.clone().unwrap_or_else(|| UNNAMED.to_owned()),
            sides,
            endpoint_flags: EndpointFlags {
                keep_alive: self.keep_alive,
                ack_timeout: self.ack_timeout,
                user_timeout: self.user_timeout,
                connect_timeout: None,
                max_waiting: self.max_waiting,
            },
            pair,
            wait_timeout: timeout(self.wait_timeout, Some(5 * 60)),
            max_waiting: Sourced::flag(self.max_waiting.map(NonZeroUsize::get), PLACES),
            half_close_timeout: timeout(self.half_close_timeout, Some(60)),
            idle_timeout: timeout(self.idle_timeout, None),
            max_lifetime: timeout(self.max_lifetime, None),
            drain_timeout: timeout(self.drain_timeout, Some(30)),
            generations: timeout(self.generations, None),
            on_reload: self.on_reload.unwrap_or_default(),
            max_pairs: self.max_pairs.map(NonZeroUsize::get),
            #[cfg(feature = "meeting")]
            queue: None,
            once: false,
            exit_when_idle: self.exit_when_idle,
            reconnect: false,
            threads: self.threads,
            access_log: access_log.map(|access_log| access_log.file),
            capture: capture.map(|capture| capture.capture),
            #[cfg(feature = "admin")]
            admin,
        })
    }

    /// The layers of the pair, top to bottom. The access log sees all that happens below it.
    fn pair_stack(
        &self,
        sides: &Sides,
        access_log: Option<&AccessLogSpecs>,
        capture: Option<&CaptureSpec>,
    ) -> Result<Vec<PairLayerSpec>, Mistake> {
        let mut pair: Vec<_> = access_log.map(AccessLogSpecs::pair).into_iter().collect();
        if let Sides::Meeting(..) = sides {
            pair.push(announce(self.handshakes()));
        }
        pair.extend(capture.map(|capture| capture.spec.clone()));
        let listens = |side: Side| !sides.get(side).endpoint.is_dialled();
        pair.extend(self.pair.specs(PairContext {
            log_format: self.log.log_format,
            listens: [listens(Side::A), listens(Side::B)],
        })?);
        let frame = |side: Side| sides.get(side).endpoint.frame.as_ref();
        pair.extend(frame::spec(frame(Side::A), frame(Side::B)));
        Ok(pair)
    }

    /// A flag that would do nothing here, or undo another, is a mistake.
    fn refuse_idle_flags(&self, sides: &Sides) -> Result<(), Mistake> {
        if self.capture.is_to_stdout() && self.access_log.is_to_stdout() {
            return Err(Mistake::new(
                "--capture=- and --access-log=- would be mixed on standard output",
                "give one of them a file",
            )
            .about("--capture"));
        }
        let has_stdio = sides.specs().any(|(_, side)| side.endpoint.is_stdio());
        if has_stdio && (self.capture.is_to_stdout() || self.access_log.is_to_stdout()) {
            return Err(Mistake::new(
                "standard output is a side here, and `-` would write into its stream",
                "a file",
            ));
        }
        let all =
            |has: fn(&EndpointSpec) -> bool| sides.specs().all(|(_, side)| has(&side.endpoint));
        let idle_flags = [
            (
                "--keep-alive",
                self.keep_alive.is_some()
                    && all(|side| side.keep_alive.is_some() || !side.is_tcp()),
            ),
            (
                "--ack-timeout",
                self.ack_timeout.is_some() && all(|side| side.ack_timeout.is_some()),
            ),
            (
                "--user-timeout",
                self.user_timeout.is_some()
                    && all(|side| side.user_timeout.is_some() || !side.is_tcp()),
            ),
        ];
        match idle_flags.iter().find(|(_, idle)| *idle) {
            Some((flag, _)) => {
                let why = match all(|side| !side.is_tcp()) {
                    true => "no side is TCP",
                    false => "each TCP side has its own",
                };
                Err(Mistake::new(
                    format!("{flag} would do nothing here: {why}"),
                    "leave it out",
                )
                .about(flag))
            }
            None => Ok(()),
        }
    }

    /// How long live pairs may take to end.
    pub(crate) fn drain_timeout(&self) -> Option<Duration> {
        timeout(self.drain_timeout, Some(30)).value
    }

    /// Fails where a flag is about reloads of a file, and there is none.
    pub(crate) fn refuse_file_flags(&self) -> Result<(), Mistake> {
        let flags = [
            ("--generations", self.generations.is_some()),
            ("--on-reload", self.on_reload.is_some()),
        ];
        match flags.into_iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => Err(Mistake::new(
                format!(
                    "{flag} would do nothing here: only a relay of a file is changed by a reload"
                ),
                "a key of the file of `couplet run`",
            )
            .about(flag)),
            None => Ok(()),
        }
    }

    /// Does the flag ask for several?
    pub(crate) fn wants_threads(&self) -> bool {
        matches!(self.threads, Threads::Count(count) if count > NonZeroUsize::MIN)
    }

    pub(crate) fn handshakes(&self) -> Handshakes {
        Handshakes::flags(self.handshake_timeout, self.max_handshakes)
    }
}

/// A name that may be a label, a part of a path and a heading.
fn relay_name(name: &str) -> Result<String, Mistake> {
    match is_name(name) {
        true => Ok(name.to_owned()),
        false => Err(Mistake::new(
            format!("`{name}` is not the name of a relay"),
            "a lower-case letter, then lower-case letters, digits and hyphens, at most 41",
        )),
    }
}

/// What a flag says, or else this many seconds.
fn timeout(given: Option<Limit<Duration>>, default: Option<u64>) -> Sourced<Option<Duration>> {
    Sourced::flag(given.map(Limit::get), default.map(Duration::from_secs))
}
