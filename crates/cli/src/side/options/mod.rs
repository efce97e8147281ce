//! The options of a side: one table, from which they are read, listed in the help and explained.
//!
//! To add one: a file beside this one with its [`SideOption`], a line in [`ALL`], a line in
//! docs/command.md.

mod access;
mod attempts;
mod balance;
mod challenge;
#[cfg(feature = "compress")]
mod compress;
pub(crate) mod frame;
mod limits;
#[cfg(feature = "mux")]
pub(crate) mod mux;
mod names;
#[cfg(feature = "noise")]
mod noise;
pub(crate) mod proxy;
mod proxy_protocol;
#[cfg(feature = "quic")]
mod quic;
pub(crate) mod rendezvous;
pub(crate) mod secret;
mod signed_token;
pub(crate) mod sniff;
mod socket;
mod starttls;
#[cfg(feature = "tls")]
mod tls;
mod token;
mod unix;
pub(crate) mod via;
mod via_env;
mod vsock;
#[cfg(feature = "ws")]
mod ws;

use std::time::Duration;

use couplet_connector::{SideLayers, layers::Replaceable};

use super::{DialledFor, EndpointSpec, Given, Word};
use crate::{
    handshakes::Handshakes,
    layer_spec::{LayerSpec, Setting, Source, Sourced},
    mistake::Mistake,
    reload::OnReload,
    units::{Limit, duration},
};

/// All there are, in the order in which the help shows them.
pub(crate) static ALL: &[&SideOption] = &[
    &socket::KEEP_ALIVE,
    &socket::ACK_TIMEOUT,
    &socket::USER_TIMEOUT,
    &socket::REUSE_PORT,
    &socket::MPTCP,
    #[cfg(feature = "quic")]
    &quic::STREAMS,
    #[cfg(feature = "quic")]
    &quic::WINDOW,
    &socket::CONNECT_TIMEOUT,
    &socket::SOURCE,
    #[cfg(feature = "dns")]
    &names::DNS,
    &names::FAMILY,
    &names::LAST_ANSWER,
    &socket::MAX_PER_TARGET,
    &socket::KEEP,
    &socket::EACH,
    &unix::MODE,
    &unix::USER,
    &unix::GROUP,
    &access::ALLOW,
    &access::DENY,
    &limits::MAX_PER_ADDR,
    &limits::MAX_CONNS,
    &limits::RATE_PER_ADDR,
    &limits::RATE_ALL,
    &sniff::ROUTE,
    &balance::BALANCE,
    &balance::CHECK,
    &via::VIA,
    &proxy_protocol::PROXY_PROTOCOL,
    &vsock::VSOCK_CONNECT,
    &starttls::STARTTLS,
    &sniff::SNIFF,
    &attempts::ATTEMPTS,
    #[cfg(feature = "tls")]
    &tls::TLS,
    #[cfg(feature = "noise")]
    &noise::NOISE,
    #[cfg(feature = "ws")]
    &ws::WS,
    #[cfg(feature = "mux")]
    &mux::MUX,
    &token::TOKEN,
    &signed_token::SIGNED_TOKEN,
    &challenge::CHALLENGE,
    &rendezvous::RENDEZVOUS,
    &proxy::SOCKS5,
    &proxy::CONNECT,
    #[cfg(feature = "compress")]
    &compress::COMPRESS,
    &frame::FRAME,
];

/// Those that this program was built without, by the features of their names.
pub(crate) static LEFT_OUT: &[&str] = &[
    #[cfg(not(feature = "tls"))]
    "tls",
    #[cfg(not(feature = "noise"))]
    "noise",
    #[cfg(not(feature = "compress"))]
    "compress",
    #[cfg(not(feature = "ws"))]
    "ws",
    #[cfg(not(feature = "mux"))]
    "mux",
    // Of an address, and what goes with it.
    #[cfg(not(feature = "quic"))]
    "quic",
    #[cfg(not(feature = "dns"))]
    "dns",
];

/// An option of a side: `name`, or `name=value`, and its settings behind it, `name.setting=value`.
#[derive(Debug)]
pub(crate) struct SideOption {
    pub(crate) name: &'static str,
    pub(crate) on: On,
    /// How its value looks.
    pub(crate) value: Value,
    /// One line.
    pub(crate) help: &'static str,
    pub(crate) settings: &'static [SideSetting],
    pub(crate) does: Does,
}

/// A setting of an option. It always has a value.
#[derive(Debug)]
pub(crate) struct SideSetting {
    pub(crate) name: &'static str,
    pub(crate) value: &'static str,
    pub(crate) help: &'static str,
    /// It may stand there more than once.
    pub(crate) many: bool,
}

/// Of an option whose first line is a secret: it may stand before `tls` or `noise`.
const IN_CLEAR: SideSetting = SideSetting {
    name: super::in_clear::CLEAR,
    value: super::in_clear::ALLOW,
    help: "permit the secret unencrypted, before `tls` or `noise`",
    many: false,
};

/// Which sides may have it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum On {
    Either,
    Listen,
    /// A listening side that is a Unix socket.
    ListenUnix,
    Dial,
}

/// Those of sockets: standard input and output, and a program, have none of them.
pub(crate) static SOCKET_ONLY: &[&str] = &[
    "keep-alive",
    "ack-timeout",
    "user-timeout",
    "connect-timeout",
    "source",
    "dns",
    "family",
    "last-answer",
    "mptcp",
    "keep",
    "each",
    "allow",
    "deny",
    "balance",
    "check",
    "via",
];

/// Those that standard input and output do not have either: they are there already, and once.
pub(crate) static NOT_STDIO: &[&str] = &["route", "proxy-protocol", "mux"];

/// That of the Unix socket of a hypervisor.
pub(crate) static DIAL_UNIX_ONLY: &str = vsock::NAME;

/// Those of a listening socket: connections that are handed over have one that is another relay's.
pub(crate) static NOT_HANDED_OVER: &[&str] = &[
    "keep-alive",
    "ack-timeout",
    "user-timeout",
    "reuse-port",
    "mptcp",
];

/// Those of TCP: a Unix socket has none of them, and why.
pub(crate) static TCP_ONLY: &[(&str, &str)] = &[
    ("keep-alive", "the system knows when a local peer has gone"),
    ("ack-timeout", "no data of a local peer is unacknowledged"),
    ("user-timeout", "no data of a local peer is unacknowledged"),
    ("reuse-port", "one program alone has a path"),
    ("mptcp", "there is one way to a local peer"),
    ("via", "a proxy dials no path"),
    ("source", "the client has no address"),
    ("dns", "a path has no address"),
    ("family", "a path has no address"),
    ("last-answer", "a path has no address"),
    ("each", "a path has no address"),
    (
        "attempts",
        "it counts by address, and a local peer has none",
    ),
];

/// Those that a port of vsock does not have beside: its peers have no address of a network.
pub(crate) static NOT_VSOCK: &[&str] = &[
    "allow",
    "deny",
    "max-per-addr",
    "rate-per-addr",
    "balance",
    "check",
];

/// Those that QUIC alone has.
pub(crate) static QUIC_ONLY: &[&str] = &["streams", "window"];

/// Those that QUIC does not have, and why.
pub(crate) static NOT_QUIC: &[(&str, &str)] = &[
    ("ack-timeout", "`keep-alive` finds a peer that has vanished"),
    (
        "user-timeout",
        "`keep-alive` finds a peer that has vanished",
    ),
    ("mptcp", "QUIC itself moves from one network to another"),
    ("via", "no proxy of TCP carries UDP"),
    ("max-per-target", "its connections share one of UDP"),
    ("each", "a pool is kept at one address"),
    ("balance", "it is for targets of TCP"),
    ("check", "it is for targets of TCP"),
];

/// Those that a service of the DNS does not have, and why.
pub(crate) static NOT_SRV: &[(&str, &str)] = &[
    ("via", "a proxy looks up no SRV records"),
    ("check", "its servers are left out while their dials fail"),
    (
        "max-per-target",
        "its servers are left out while their dials fail",
    ),
];

#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    None,
    Needed(&'static str),
    /// It may be left out.
    Optional(&'static str),
}

/// What an option does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    /// It sets something of the endpoint or its sockets.
    Set(Set),
    /// It puts a layer on the side's stack, below those that stand before it.
    Layer(MakeLayer),
    /// Both.
    Both(Set, MakeLayer),
}

type Set = fn(&mut EndpointSpec, &Given<'_>) -> Result<(), Mistake>;

type MakeLayer = fn(&Given<'_>, &Context<'_>) -> Result<SideLayerSpec, Mistake>;

/// A layer of a side stack.
pub(crate) type SideLayerSpec = LayerSpec<SideLayers>;

/// What an option may have to know.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// The side's endpoint.
    pub(crate) endpoint: &'a EndpointSpec,
    /// The bounds of each handshake.
    pub(crate) handshakes: Handshakes,
    /// Where it is dialled and keeps no pool.
    pub(crate) dialled_for: DialledFor,
}

/// A part of a layer that is made of what the file of `@FILE` says, and anew at each SIGHUP.
fn of_file<T: Send + Sync + 'static>(
    file: Word<'_>,
    make: impl Fn(&str) -> Result<T, Mistake> + Send + Sync + 'static,
) -> Result<(Replaceable<T>, OnReload), Mistake> {
    let part = Replaceable::new(file.parse(&make)?);
    let value = file.text.to_owned();
    let again = OnReload::replace(part.clone(), &file.text[1..], move || make(&value));
    Ok((part, again))
}

/// The same, where the file is a list, an entry a line.
fn of_list<T: Send + Sync + 'static>(
    file: Word<'_>,
    make: impl Fn(&str) -> Result<T, Mistake> + Send + Sync + 'static,
) -> Result<(Replaceable<T>, OnReload), Mistake> {
    let part = Replaceable::new(file.parse(&make)?);
    let value = file.text.to_owned();
    let again = OnReload::replace_list(part.clone(), &file.text[1..], move || make(&value));
    Ok((part, again))
}

// ===== impl SideOption =====

impl SideOption {
    /// May it stand there more than once?
    pub(super) fn is_many(&self) -> bool {
        self.name == via::NAME
    }

    pub(super) const fn is_layer(&self) -> bool {
        matches!(self.does, Does::Layer(_) | Does::Both(..))
    }
}

// ===== impl Context =====

impl Context<'_> {
    /// Is it dialled, and not for a connection that is there already?
    fn is_dialled_by_itself(&self) -> bool {
        self.endpoint.keep.is_some() || self.dialled_for != DialledFor::Other
    }

    /// How long a handshake waits for a peer that may say nothing, and then goes on: that has to be
    /// before its deadline, which ends the connection.
    fn wait(
        &self,
        given: &Given<'_>,
        value: Option<Word<'_>>,
        default: Duration,
    ) -> Result<Sourced<Duration>, Mistake> {
        let said = value.map(|value| value.parse(duration)).transpose()?;
        let wait = Sourced {
            value: default,
            from: Source::Default,
        }
        .unless(said);
        match self.handshakes.timeout.value {
            Some(deadline) if deadline <= wait.value => {
                let message = format!(
                    "a wait of {} is not shorter than --handshake-timeout={}",
                    Limit::At(wait.value),
                    Limit::At(deadline)
                );
                let hint = "a shorter wait, or a longer --handshake-timeout";
                Err(value.unwrap_or(given.name).wrong(message, hint))
            }
            _ => Ok(wait),
        }
    }
}

// ===== impl SideLayerSpec =====

impl SideLayerSpec {
    /// A handshake, and its bounds.
    pub(crate) fn bounded(self, context: &Context<'_>) -> Self {
        context.handshakes.explain(self)
    }

    /// Explains what was given for a setting, if it did not say so itself.
    pub(super) fn explain<'a>(
        &mut self,
        name: &'static str,
        given: impl Iterator<Item = Word<'a>>,
    ) {
        if self.settings.iter().all(|setting| setting.name != name) {
            let given = given.map(|word| Setting::new(name, word.text, Source::Side));
            self.settings.extend(given);
        }
    }
}
