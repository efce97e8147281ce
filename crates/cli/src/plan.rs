//! The plan of a relay, made from a command line or a file.

use std::{num::NonZeroUsize, thread, time::Duration};

use anyhow::Context;
use couplet_connector::{
    endpoint::{Address, Side},
    layers::{Capture, FaultSwitch},
    mode::Pairing,
    pairing::Keyed,
};
use couplet_protocols::meet::MeetingKey;

use crate::{
    access_log::AccessLogFile,
    file_error::with_remedy,
    hand_over,
    layer_spec::{Setting, Sourced},
    mistake::Mistake,
    pair::PairLayerSpec,
    reload::OnReload,
    side::{
        EndpointFlags, SideSpec,
        options::{rendezvous, sniff},
    },
    units::Threads,
};

/// What is to be done, as the command line says it, checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) sides: Sides,
    pub(crate) endpoint_flags: EndpointFlags,
    /// Top to bottom, without the timeouts below.
    pub(crate) pair: Vec<PairLayerSpec>,
    pub(crate) wait_timeout: Sourced<Option<Duration>>,
    pub(crate) max_waiting: Sourced<usize>,
    pub(crate) half_close_timeout: Sourced<Option<Duration>>,
    pub(crate) idle_timeout: Sourced<Option<Duration>>,
    pub(crate) max_lifetime: Sourced<Option<Duration>>,
    pub(crate) drain_timeout: Sourced<Option<Duration>>,
    /// How long pairs from before a reload may go on.
    pub(crate) generations: Sourced<Option<Duration>>,
    /// Of a reload that changes the relay.
    pub(crate) on_reload: WaitingAtReload,
    pub(crate) max_pairs: Option<usize>,
    /// Two listening sides that are joined with those of other nodes.
    #[cfg(feature = "meeting")]
    pub(crate) queue: Option<Queue>,
    pub(crate) once: bool,
    pub(crate) exit_when_idle: Option<Duration>,
    pub(crate) reconnect: bool,
    pub(crate) threads: Threads,
    /// To be opened before the first connection comes.
    pub(crate) access_log: Option<AccessLogFile>,
    /// To be started by then, too.
    pub(crate) capture: Option<Capture>,
    /// Where metrics and the admin endpoint are.
    #[cfg(feature = "admin")]
    pub(crate) admin: crate::admin::AdminSpec,
}

/// What becomes of connections that wait for a partner, when a reload changes their relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::ValueEnum)]
pub(crate) enum WaitingAtReload {
    /// Keep them: the changed relay joins them.
    #[default]
    Keep,
    /// Close them.
    LetGo,
}

/// Which sides there are.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one, which is made once"
)]
pub(crate) enum Sides {
    /// Side A and side B.
    Two(SideSpec, SideSpec),
    /// Both connections of a pair come to the same side, and meet by a key.
    Meeting(SideSpec, Meeting),
}

/// How connections meet by a key.
#[derive(Clone, Debug)]
pub(crate) struct Meeting {
    pub(crate) keyed: Keyed<MeetingKey>,
    pub(crate) settings: Vec<Setting>,
    /// How clients of other nodes are met, too.
    #[cfg(feature = "meeting")]
    pub(crate) cluster: Option<crate::cluster::ClusterSpec>,
}

/// The queue of two listening sides, at several nodes.
#[cfg(feature = "meeting")]
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) cluster: crate::cluster::ClusterSpec,
}

/// The name of the capture's layer.
const CAPTURE: &str = "capture";

/// How long the end waits for the disk.
const CAPTURE_PATIENCE: Duration = Duration::from_secs(5);

// ===== impl Plan =====

impl Plan {
    /// What is done at SIGHUP.
    pub(crate) fn on_reload(&self) -> Vec<OnReload> {
        let log = self.access_log.iter().map(|log| log.file.on_reload());
        let sides = self.sides.specs().flat_map(|(_, spec)| {
            let layers = spec.layers.iter().filter_map(|spec| spec.on_reload.clone());
            layers.chain(spec.endpoint.on_reload.iter().cloned())
        });
        #[cfg(feature = "meeting")]
        let sides = sides.chain(self.cluster().into_iter().flat_map(|cluster| {
            let sides = [&cluster.port, cluster.dialled()];
            let layers = sides.into_iter().flat_map(|side| &side.layers);
            let layers = layers.filter_map(|spec| spec.on_reload.clone());
            layers.chain(cluster.port.endpoint.on_reload.iter().cloned())
        }));
        #[cfg(feature = "admin")]
        let sides = sides.chain(self.admin.on_reload());
        log.chain(sides).collect()
    }

    /// How clients of other nodes are met, if they are.
    #[cfg(feature = "meeting")]
    pub(crate) fn cluster(&self) -> Option<&crate::cluster::ClusterSpec> {
        match &self.sides {
            Sides::Meeting(_, meeting) => meeting.cluster.as_ref(),
            Sides::Two(..) => self.queue.as_ref().map(|queue| &queue.cluster),
        }
    }

    /// Where other nodes connect.
    pub(crate) fn cluster_port(&self) -> Option<&Address> {
        #[cfg(feature = "meeting")]
        return self.cluster().map(|cluster| &cluster.port.endpoint.address);
        #[cfg(not(feature = "meeting"))]
        None
    }

    /// Waits until other nodes are told that the clients of this relay are gone, and carriers have delivered
    /// what they were given.
    pub(crate) async fn leave_others(&self) {
        #[cfg(feature = "meeting")]
        if let Some(cluster) = self.cluster() {
            cluster.ended().await;
        }
        #[cfg(feature = "mux")]
        for (_, side) in self.sides.specs() {
            if let Some(mux) = &side.endpoint.mux {
                mux.ended().await;
            }
        }
    }

    /// Opens the files that lines and packets go to, before the first connection comes.
    pub(crate) fn open_logs(&self) -> anyhow::Result<()> {
        if let Some(access_log) = &self.access_log {
            access_log.file.open()?;
        }
        if let Some(capture) = &self.capture {
            let path = capture.path();
            let started = capture.start().map_err(|error| match path {
                Some(path) => with_remedy(error, path, "trace.pcapng"),
                None => error,
            });
            started.with_context(|| match path {
                Some(path) => format!("{} can't be captured to", path.display()),
                None => "standard output can't be captured to".into(),
            })?;
        }
        Ok(())
    }

    /// The same, where a relay before it may be at work: a capture into the same file goes on.
    pub(crate) fn open_logs_beside(&mut self, before: Option<&Self>) -> anyhow::Result<()> {
        let is_same = |one: &Capture, other: &Capture| one.path() == other.path();
        let captures = (
            &self.capture,
            before.and_then(|before| before.capture.as_ref()),
        );
        if let (Some(capture), Some(going_on)) = captures
            && is_same(capture, going_on)
        {
            let going_on_spec = before.and_then(|before| before.capture_spec()).cloned();
            let spec = self.pair.iter_mut().find(|spec| spec.name == CAPTURE);
            if let (Some(spec), Some(going_on_spec)) = (spec, going_on_spec) {
                *spec = going_on_spec;
            }
            self.capture = Some(going_on.clone());
            if let Some(access_log) = &self.access_log {
                access_log.file.open()?;
            }
            return Ok(());
        }
        self.open_logs()
    }

    fn capture_spec(&self) -> Option<&PairLayerSpec> {
        self.pair.iter().find(|spec| spec.name == CAPTURE)
    }

    /// Writes what is left to write. For the end of the program.
    pub(crate) fn finish_logs(&self) {
        if let Some(capture) = &self.capture
            && !capture.finish(CAPTURE_PATIENCE)
        {
            tracing::warn!("the capture is incomplete");
        }
        if let Some(access_log) = &self.access_log {
            let missing = access_log.finish();
            if missing > 0 {
                tracing::warn!(lines = missing, "the access log is incomplete");
            }
        }
    }

    /// Is a side standard input and output?
    pub(crate) fn has_stdio(&self) -> bool {
        self.sides.specs().any(|(_, side)| side.endpoint.is_stdio())
    }

    /// Is there to be one pair, and then an end?
    pub(crate) fn is_one_pair(&self) -> bool {
        let mut sides = self.sides.specs();
        let incoming = sides.any(|(_, side)| side.endpoint.is_incoming());
        self.once || !(incoming || self.reconnect)
    }

    /// The faults of the pair, to be switched off and on.
    pub(crate) fn faults(&self) -> Vec<FaultSwitch> {
        let switches = self.pair.iter().map(|spec| spec.switch.clone());
        switches.flatten().collect()
    }

    /// How many threads move the bytes; any of them goes on with any pair, so that none waits for
    /// one that is busy.
    pub(crate) fn threads(&self) -> NonZeroUsize {
        let incoming = self
            .sides
            .specs()
            .any(|(_, side)| side.endpoint.is_incoming());
        match self.threads {
            // There is one pair at a time.
            _ if self.once || !incoming => NonZeroUsize::MIN,
            Threads::Auto => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            Threads::Count(count) => count,
        }
    }

    /// How the connections find each other, as the connector pairs them.
    pub(crate) fn pairing(&self) -> Pairing {
        match &self.sides {
            Sides::Two(a, b) => Pairing::of(a.endpoint.way(), b.endpoint.way(), self.once),
            Sides::Meeting(..) => Pairing::Keyed,
        }
    }

    /// The plan of a relay that is alone in its process.
    pub(crate) fn alone(self) -> Result<Self, Mistake> {
        self.needs_no_other().map(|()| self)
    }

    /// Routes lead to no other relay of the process, and none leads to this one.
    pub(crate) fn needs_no_other(&self) -> Result<(), Mistake> {
        for (side, spec) in self.sides.specs() {
            let routes = spec.endpoint.routes.as_ref().map(|routes| routes.current());
            let other = routes.iter().find_map(|routes| routes.relays().next());
            let message = match other {
                Some(name) => format!("a route leads to relay `{name}`, and this relay is alone"),
                None if spec.endpoint.is_handed_over() => {
                    "`listen:routes` takes the connections of other relays, and this one is alone"
                        .into()
                }
                None => continue,
            };
            let mistake = Mistake::new(message, "a file of relays, `couplet run FILE`");
            return Err(mistake.in_side(side));
        }
        Ok(())
    }

    /// Clients for which routes choose a relay of the file go there.
    pub(crate) fn hand_over_by_routes(&mut self) {
        let Sides::Two(a, b) = &mut self.sides else {
            return;
        };
        let of = |dialled: &SideSpec| dialled.endpoint.routes.as_ref().map(hand_over::layer);
        let (of_a, of_b) = (of(a), of(b));
        a.layers.extend(of_b);
        b.layers.extend(of_a);
    }

    /// An option that would do nothing here, because of how its side is paired, is a mistake.
    pub(crate) fn refuse_idle_options(&self) -> Result<(), Mistake> {
        let Sides::Two(a, b) = &self.sides else {
            return Ok(());
        };
        let pairing = self.pairing();
        let has = |spec: &SideSpec, name| spec.own_layers().iter().any(|spec| spec.name == name);
        let sniffs = |spec: &SideSpec| has(spec, sniff::NAME);
        let waits = |spec: &SideSpec| has(spec, rendezvous::NAME);
        for (side, spec, other) in [(Side::A, a, b), (Side::B, b, a)] {
            if let Some(keep) = spec
                .endpoint
                .keep
                .filter(|keep| keep.get() > self.max_waiting.value)
            {
                return Err(Mistake::new(
                    format!(
                        "`keep={keep}` is more than may wait, --max-waiting={}",
                        self.max_waiting.value
                    ),
                    format!("--max-waiting={keep}, or a smaller pool"),
                )
                .within(format!("side {side}")));
            }
            let has_pool = spec.endpoint.keep.is_some();
            // It is a listening side that holds its connections up, or their rendezvous.
            let endless = !waits(spec) && other.endpoint.is_dialled() && !waits(other);
            let for_others = (pairing == Pairing::DialFor(side)).then_some(other);
            let is_port = match &other.endpoint.address {
                Address::Listen(addr) => addr.port() != 0 && !other.endpoint.has_mux(),
                _ => false,
            };
            let wrong = match for_others {
                _ if spec.endpoint.targets.closes && !is_port => (
                    "`check.all-down=close` closes the port of the other side, which has none of its own",
                    "`check.all-down=reset`, or `listen:PORT` on the other side, with a port that is not 0",
                ),
                _ if has_pool && endless && !spec.endpoint.keeps_carriers() => (
                    "`keep` would dial without end: each connection of the pool is joined at once, \
                     which makes room for the next",
                    "with `rendezvous` the connections wait for a partner",
                ),
                None if spec.endpoint.tells_for_whom => (
                    "`proxy-protocol` has no client to send the address of: the side is not dialled \
                     for connections of the other side",
                    "leave it out",
                ),
                None if spec.endpoint.routes.is_some() => (
                    "`route` has no client to choose by: the side is not dialled for connections of \
                     the other side",
                    "leave it out",
                ),
                Some(other) if spec.endpoint.routes.is_some() && !sniffs(other) => (
                    "`route` chooses by the client's protocol, which no `sniff` detects",
                    "the other side needs `sniff`",
                ),
                Some(_) if sniffs(spec) => (
                    "`sniff` detects the protocol of the peer that speaks first, and this side is \
                     dialled for such a client",
                    "give the other side `sniff`",
                ),
                _ => continue,
            };
            return Err(Mistake::new(wrong.0, wrong.1).in_side(side));
        }
        Ok(())
    }
}

// ===== impl Sides =====

impl Sides {
    /// Each once.
    pub(crate) fn specs(&self) -> impl Iterator<Item = (Side, &SideSpec)> {
        let (a, b) = match self {
            Self::Two(a, b) => (a, Some(b)),
            Self::Meeting(a, _) => (a, None),
        };
        let b = b.map(|b| (Side::B, b));
        [(Side::A, a)].into_iter().chain(b)
    }

    /// As [`specs`](Self::specs), to be changed.
    pub(crate) fn specs_mut(&mut self) -> impl Iterator<Item = (Side, &mut SideSpec)> {
        let (a, b) = match self {
            Self::Two(a, b) => (a, Some(b)),
            Self::Meeting(a, _) => (a, None),
        };
        let b = b.map(|b| (Side::B, b));
        [(Side::A, a)].into_iter().chain(b)
    }

    /// The side to which the connections of this side come: the same one in a meeting.
    pub(crate) fn get(&self, side: Side) -> &SideSpec {
        match (self, side) {
            (Self::Two(a, _) | Self::Meeting(a, _), Side::A) | (Self::Meeting(a, _), Side::B) => a,
            (Self::Two(_, b), Side::B) => b,
        }
    }
}
