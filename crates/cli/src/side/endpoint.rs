use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;

#[cfg(unix)]
use couplet_connector::endpoint::{Exec, UnixDial, UnixListen, UnixListenOptions};
use couplet_connector::{
    endpoint::{
        Address, Backoff, Dial, DialAddr, Host, Info, KeepAlive, Listen, ListenOptions, Origin,
        SocketOptions, TargetAddr, UnixAddr, pool,
    },
    layers::{AccessList, AccessRule, Replaceable},
    mode::Way,
};
use tokio::net::TcpSocket;

use crate::{
    dialler::{AnyDial, Dialler, Routed, ViaDial},
    frame::Frame,
    incoming::Incoming,
    layer_spec::{Setting, Source, Sourced},
    own_addresses as own,
    reload::OnReload,
    routes::Routes,
    targets::TargetsSpec,
    units::{Limit, PLACES},
    via::{Proxies, ProxySpec},
};

/// Where a side comes from, and how its sockets are set. What is `None` was not said.
#[derive(Clone, Debug)]
pub(crate) struct EndpointSpec {
    pub(crate) address: Address,
    pub(crate) keep_alive: Option<Limit<KeepAlive>>,
    pub(crate) ack_timeout: Option<Limit<Duration>>,
    pub(crate) user_timeout: Option<Limit<Duration>>,
    pub(crate) reuse_port: bool,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) source: Option<IpAddr>,
    /// How many dials of one target may be under way.
    pub(crate) max_per_target: Option<NonZeroUsize>,
    /// How many dialled connections wait to be joined, where it is a pool of them.
    pub(crate) keep: Option<NonZeroUsize>,
    /// The longest pause before the pool dials again.
    pub(crate) keep_backoff: Option<Duration>,
    pub(crate) routes: Option<Replaceable<Arc<Routes>>>,
    /// The proxies on the way, in their order.
    pub(crate) via: Vec<ProxySpec>,
    /// It speaks in messages.
    pub(crate) frame: Option<Frame>,
    /// Which networks are let in, or may be reached.
    pub(crate) access: Vec<Access>,
    /// What is done at SIGHUP.
    pub(crate) on_reload: Option<OnReload>,
    /// Of the path of a Unix socket.
    pub(crate) path: PathSpec,
    /// A layer has to know the client of a dialled connection.
    pub(crate) tells_for_whom: bool,
    /// Of several targets, or of one with checks.
    pub(crate) targets: TargetsSpec,
}

/// The permissions and the owner of a listening Unix socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathSpec {
    pub(crate) mode: Option<u32>,
    pub(crate) user: Option<u32>,
    pub(crate) group: Option<u32>,
}

/// A list of networks, as one option has it.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// The option's name.
    pub(crate) name: &'static str,
    pub(crate) list: Replaceable<AccessList>,
    /// How it is read again, where it is a file's.
    pub(crate) on_reload: Option<OnReload>,
}

/// What the flags say of every side's endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EndpointFlags {
    pub(crate) keep_alive: Option<Limit<KeepAlive>>,
    pub(crate) ack_timeout: Option<Limit<Duration>>,
    pub(crate) user_timeout: Option<Limit<Duration>>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) max_waiting: Option<NonZeroUsize>,
}

/// A side that is ready to be joined.
#[derive(Debug)]
pub(crate) enum Endpoint {
    /// Its connections come by themselves.
    Incoming(Incoming),
    /// For those of the other side, or for one pair after the other.
    Dial(Box<Dialler>),
}

// ===== impl EndpointSpec =====

impl EndpointSpec {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            keep_alive: None,
            ack_timeout: None,
            user_timeout: None,
            reuse_port: false,
            connect_timeout: None,
            source: None,
            max_per_target: None,
            keep: None,
            keep_backoff: None,
            routes: None,
            via: Vec::new(),
            frame: None,
            access: Vec::new(),
            on_reload: None,
            path: PathSpec::default(),
            tells_for_whom: false,
            targets: TargetsSpec::default(),
        }
    }

    pub(crate) fn is_dialled(&self) -> bool {
        matches!(
            self.address,
            Address::Dial(_)
                | Address::DialAsked
                | Address::DialUnix(_)
                | Address::DialSeveral(_)
                | Address::Stdio
                | Address::Exec(_)
        )
    }

    /// Is it standard input and output, of which there is one connection?
    pub(crate) fn is_stdio(&self) -> bool {
        matches!(self.address, Address::Stdio)
    }

    /// Is it a program?
    pub(crate) fn is_exec(&self) -> bool {
        matches!(self.address, Address::Exec(_))
    }

    /// Has it TCP's settings?
    pub(crate) fn is_tcp(&self) -> bool {
        match &self.address {
            Address::Listen(_) | Address::Dial(_) | Address::DialAsked => true,
            Address::DialSeveral(targets) => {
                let mut targets = targets.iter();
                targets.any(|target| matches!(target, TargetAddr::Tcp(_)))
            }
            _ => false,
        }
    }

    /// The address, without what may be secret.
    #[cfg(feature = "admin")]
    pub(crate) fn shown(&self) -> String {
        match &self.address {
            Address::Exec(addr) => format!("exec:{}", addr.program()),
            address => address.to_string(),
        }
    }

    /// The Unix sockets among several targets.
    pub(super) fn unix_targets(&self) -> impl Iterator<Item = &UnixAddr> {
        let several = match &self.address {
            Address::DialSeveral(targets) => &**targets,
            _ => &[],
        };
        several.iter().filter_map(|target| match target {
            TargetAddr::Unix(addr) => Some(addr),
            TargetAddr::Tcp(_) => None,
        })
    }

    /// Is it a Unix socket?
    pub(crate) fn is_unix(&self) -> bool {
        matches!(self.address, Address::ListenUnix(_) | Address::DialUnix(_))
    }

    /// Is it a Unix socket without a path?
    pub(crate) fn is_abstract(&self) -> bool {
        match &self.address {
            Address::ListenUnix(addr) | Address::DialUnix(addr) => addr.as_path().is_none(),
            _ => false,
        }
    }

    /// Do its connections come by themselves?
    pub(crate) fn is_incoming(&self) -> bool {
        !self.is_dialled() || self.keep.is_some()
    }

    /// Which way round its connections come.
    pub(crate) fn way(&self) -> Way {
        match self.is_incoming() {
            true => Way::Comes,
            false => Way::Dialled,
        }
    }

    /// What is to be dialled, if that is an address of another family than its source.
    pub(super) fn out_of_reach(&self) -> Option<&DialAddr> {
        let from = self.source?;
        let addr = match (self.via.first(), &self.address) {
            (Some(proxy), _) => &proxy.addr,
            (None, Address::Dial(addr)) => addr,
            _ => return None,
        };
        let is_ipv4 = match addr.host() {
            Host::Ip(to) => to.is_ipv4(),
            Host::Scoped(..) => false,
            _ => return None,
        };
        (is_ipv4 != from.is_ipv4()).then_some(addr)
    }

    /// Listens, or gets ready to dial.
    pub(crate) async fn open(&self, flags: EndpointFlags) -> anyhow::Result<Endpoint> {
        match &self.address {
            Address::Listen(addr) => {
                let options = self.listen_options(flags);
                let listen = options.bind(addr.clone()).await?;
                own::add(listen.local_addrs());
                Ok(Endpoint::Incoming(Incoming::Listen(listen)))
            }
            Address::Dial(addr) => {
                self.check_source()?;
                let dial = self.tcp_dial(Some(addr), flags);
                let target = TargetAddr::Tcp(addr.clone());
                Ok(self.dials(self.checked(target, dial), flags))
            }
            Address::DialAsked => {
                self.check_source()?;
                Ok(self.dials(self.tcp_dial(None, flags), flags))
            }
            Address::DialSeveral(targets) => {
                self.check_source()?;
                let dial = |target: &TargetAddr| {
                    let dial = match target {
                        TargetAddr::Tcp(addr) => self.tcp_dial(Some(addr), flags),
                        #[cfg(unix)]
                        TargetAddr::Unix(addr) => {
                            AnyDial::Unix(self.dial_unix(addr.clone(), flags))
                        }
                        #[cfg(not(unix))]
                        TargetAddr::Unix(addr) => {
                            anyhow::bail!("no Unix sockets on this system: {addr}")
                        }
                    };
                    Ok((target.clone(), dial))
                };
                let targets = targets.iter().map(dial).collect::<anyhow::Result<_>>()?;
                Ok(self.dials(self.targets.dial(targets), flags))
            }
            #[cfg(unix)]
            Address::ListenUnix(addr) => {
                let options = UnixListen::options();
                let options = self
                    .path
                    .mode
                    .into_iter()
                    .fold(options, UnixListenOptions::mode);
                let options = self
                    .path
                    .user
                    .into_iter()
                    .fold(options, UnixListenOptions::user);
                let options = self
                    .path
                    .group
                    .into_iter()
                    .fold(options, UnixListenOptions::group);
                let listen = options.bind(addr.clone()).await?;
                own::add(std::iter::once(listen.addr().clone()));
                Ok(Endpoint::Incoming(Incoming::Unix(listen)))
            }
            #[cfg(unix)]
            Address::DialUnix(addr) => {
                let dial = AnyDial::Unix(self.dial_unix(addr.clone(), flags));
                let target = TargetAddr::Unix(addr.clone());
                Ok(self.dials(self.checked(target, dial), flags))
            }
            #[cfg(unix)]
            Address::Stdio => Ok(self.dials(AnyDial::Stdio, flags)),
            #[cfg(unix)]
            Address::Exec(addr) => {
                let exec = Exec::new(addr.clone());
                exec.check()?;
                Ok(self.dials(AnyDial::Exec(exec), flags))
            }
            other => anyhow::bail!("`{other}` is an address of a kind that a side can't have"),
        }
    }

    /// Fails where the side can dial nothing but what this relay listens on.
    pub(crate) fn refuse_itself(&self) -> anyhow::Result<()> {
        match &self.address {
            Address::Dial(addr) if self.via.is_empty() && self.routes.is_none() => {
                own::refuse_at_start(addr)
            }
            #[cfg(unix)]
            Address::DialUnix(addr) if self.routes.is_none() => {
                own::refuse_unix(addr).map_err(anyhow::Error::msg)
            }
            _ => Ok(()),
        }
    }

    /// Fails where it is to dial from an address that this machine does not have.
    fn check_source(&self) -> anyhow::Result<()> {
        match self.source {
            Some(source) => {
                has_address(source).with_context(|| format!("source={source} is not ours"))
            }
            None => Ok(()),
        }
    }

    /// The dial of an only target, with checks where they are wanted.
    fn checked(&self, target: TargetAddr, dial: AnyDial) -> AnyDial {
        match self.targets.check {
            Some(_) => self.targets.dial(vec![(target, dial)]),
            None => dial,
        }
    }

    /// Dials so, or where its routes lead.
    fn dials(&self, dial: AnyDial, flags: EndpointFlags) -> Endpoint {
        let dialler = match &self.routes {
            None => Dialler {
                dial,
                routes: None,
                is_asked: matches!(self.address, Address::DialAsked),
                tells_for_whom: self.tells_for_whom,
            },
            Some(routes) => self.dialler_by_routes(dial, routes, flags),
        };
        match self.keep {
            None => Endpoint::Dial(Box::new(dialler)),
            Some(slots) => {
                let pool = pool(dialler, slots.get(), self.known_backoff());
                Endpoint::Incoming(Incoming::Pool(Box::new(pool)))
            }
        }
    }

    fn dialler_by_routes(
        &self,
        dial: AnyDial,
        routes: &Replaceable<Arc<Routes>>,
        flags: EndpointFlags,
    ) -> Dialler {
        let tcp = match &dial {
            #[cfg(unix)]
            AnyDial::Unix(_) | AnyDial::Stdio | AnyDial::Exec(_) => self.tcp_dial(None, flags),
            AnyDial::Several(_) => self.tcp_dial(None, flags),
            _ => dial.clone(),
        };
        #[cfg(unix)]
        let unix = {
            let nowhere = UnixAddr::abstract_name("nowhere").expect("it is a name");
            self.dial_unix(nowhere, flags)
        };
        Dialler {
            dial,
            is_asked: false,
            routes: Some(Routed {
                routes: routes.clone(),
                tcp,
                #[cfg(unix)]
                unix,
            }),
            tells_for_whom: self.tells_for_whom,
        }
    }

    /// What is in effect, for `explain`.
    pub(crate) fn settings(&self, flags: EndpointFlags) -> Vec<Setting> {
        let mut settings = match self.is_tcp() {
            false => self.path.settings(),
            true => {
                let keep_alive = self.sourced_keep_alive(flags);
                let ack_timeout = self.sourced_ack_timeout(flags);
                let user_timeout = self.sourced_user_timeout(flags);
                vec![
                    Setting::new("keep-alive", keep_alive.value, keep_alive.from),
                    Setting::new("ack-timeout", ack_timeout.value, ack_timeout.from),
                    Setting::new("user-timeout", user_timeout.value, user_timeout.from),
                ]
            }
        };
        if self.is_dialled() && !self.is_stdio() && !self.is_exec() {
            let timeout = self.sourced_connect_timeout(flags);
            let shown = Limit::At(timeout.value);
            settings.push(Setting::new("connect-timeout", shown, timeout.from));
        }
        if let Some(source) = self.source {
            settings.push(Setting::new("source", source, Source::Side));
        }
        if let Some(most) = self.sourced_max_per_target(flags) {
            settings.push(Setting::new("max-per-target", most.value, most.from));
        }
        if let Some(keep) = self.keep {
            settings.push(Setting::new("keep", keep, Source::Side));
        }
        if let Some(backoff) = self.keep_backoff {
            settings.push(Setting::new(
                "keep.backoff",
                Limit::At(backoff),
                Source::Side,
            ));
        }
        if let Some(routes) = &self.routes {
            settings.push(Setting::new("route", routes.current(), Source::Side));
        }
        settings.extend_from_slice(self.targets.settings());
        for proxy in &self.via {
            settings.push(Setting::new("via", proxy, Source::Side));
        }
        if self.reuse_port {
            settings.push(Setting::new("reuse-port", "on", Source::Side));
        }
        settings
    }

    fn known_backoff(&self) -> Backoff {
        match self.keep_backoff {
            Some(longest) => Backoff::new().max(longest).dial_max(longest),
            None => Backoff::new(),
        }
    }

    fn listen_options(&self, flags: EndpointFlags) -> ListenOptions {
        Listen::options()
            .reuse_port(self.reuse_port)
            .socket(self.socket(flags))
    }

    /// Dials a target of TCP, or one that is yet to be said: directly, or through the side's proxies.
    fn tcp_dial(&self, target: Option<&DialAddr>, flags: EndpointFlags) -> AnyDial {
        let target = target.cloned();
        let deadline = self.sourced_connect_timeout(flags).value;
        match Proxies::new(&self.via, self.bare_dial(flags), deadline) {
            Some(proxies) => AnyDial::Via(Box::new(ViaDial {
                proxies,
                target,
                lists: self.lists(),
                is_asked: matches!(self.address, Address::DialAsked),
            })),
            None => AnyDial::Tcp(self.dial(target, flags)),
        }
    }

    fn dial(&self, target: Option<DialAddr>, flags: EndpointFlags) -> Dial {
        let mut dial = self.bare_dial(flags);
        if let Some(most) = self.sourced_max_per_target(flags) {
            dial = dial.max_per_target(most.value);
        }
        if let Some(target) = target {
            dial = dial.retarget(target);
        }
        self.lists().into_iter().fold(dial, |dial, list| {
            dial.permit(move |addr| {
                let mut info = Info::new(Origin::Dialled);
                info.peer = Some(addr);
                list.check(&info)
            })
        })
    }

    #[cfg(unix)]
    fn dial_unix(&self, addr: UnixAddr, flags: EndpointFlags) -> UnixDial {
        let timeout = self.sourced_connect_timeout(flags).value;
        UnixDial::new(addr).connect_timeout(timeout)
    }

    /// The lists that a target has to pass.
    fn lists(&self) -> Vec<Replaceable<AccessList>> {
        let lists = self.access.iter().map(|access| access.list.clone());
        let public = || Replaceable::new(AccessList::new().public());
        // An allow list is public itself where it has to be.
        let has_allow_list = self.access.iter().any(|access| access.name == "allow");
        let is_asked = matches!(self.address, Address::DialAsked);
        let public = (is_asked && !has_allow_list).then(public);
        lists.chain(public).collect()
    }

    /// A dial with the settings of this side and a target that is yet to be said: no port 0 can be dialled.
    fn bare_dial(&self, flags: EndpointFlags) -> Dial {
        Dial::new(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
            .socket(self.socket(flags))
            .connect_timeout(self.sourced_connect_timeout(flags).value)
            .source(self.source)
            .defer_options()
            .permit(own::refuse)
    }

    fn socket(&self, flags: EndpointFlags) -> SocketOptions {
        SocketOptions::new()
            .keep_alive(self.sourced_keep_alive(flags).value.get())
            .ack_timeout(self.sourced_ack_timeout(flags).value.get())
            .user_timeout(self.sourced_user_timeout(flags).value.get())
    }

    fn sourced_keep_alive(&self, flags: EndpointFlags) -> Sourced<Limit<KeepAlive>> {
        Sourced::flag(flags.keep_alive, Limit::At(KeepAlive::new())).unless(self.keep_alive)
    }

    fn sourced_ack_timeout(&self, flags: EndpointFlags) -> Sourced<Limit<Duration>> {
        Sourced::flag(flags.ack_timeout, Limit::At(ACK_TIMEOUT)).unless(self.ack_timeout)
    }

    fn sourced_user_timeout(&self, flags: EndpointFlags) -> Sourced<Limit<Duration>> {
        Sourced::flag(flags.user_timeout, Limit::Off).unless(self.user_timeout)
    }

    /// Where a side has several targets, one of them in a black hole takes no more than a quarter of the
    /// dials that run side by side, and leaves the others to the other targets.
    fn sourced_max_per_target(&self, flags: EndpointFlags) -> Option<Sourced<usize>> {
        let has_several = self.routes.is_some() || matches!(self.address, Address::DialAsked);
        let most = flags.max_waiting.map_or(PLACES, NonZeroUsize::get);
        let quarter = Sourced::flag(None, (most / 4).max(1));
        let given = self.max_per_target.map(NonZeroUsize::get);
        (has_several || given.is_some()).then(|| quarter.unless(given))
    }

    fn sourced_connect_timeout(&self, flags: EndpointFlags) -> Sourced<Duration> {
        Sourced::flag(flags.connect_timeout, CONNECT_TIMEOUT).unless(self.connect_timeout)
    }
}

// ===== impl PathSpec =====

impl PathSpec {
    fn settings(&self) -> Vec<Setting> {
        let mode = self.mode.map(|mode| format!("{mode:04o}"));
        let user = self.user.map(|uid| uid.to_string());
        let group = self.group.map(|gid| gid.to_string());
        let given = [("mode", mode), ("user", user), ("group", group)];
        let settings = given
            .into_iter()
            .filter_map(|(name, value)| Some(Setting::new(name, value?, Source::Side)));
        settings.collect()
    }
}

/// Fails where this machine has no such address.
fn has_address(ip: IpAddr) -> io::Result<()> {
    let socket = match ip {
        IpAddr::V4(_) => TcpSocket::new_v4(),
        IpAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.bind(SocketAddr::new(ip, 0))
}

/// The library's default.
const ACK_TIMEOUT: Duration = Duration::from_secs(50);

/// The library's default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
