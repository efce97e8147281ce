//! Where the connections of a side come from.

mod open;
mod settings;

use std::{net::IpAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use couplet_connector::{
    SideLayers,
    endpoint::{Address, DialAddr, Family, Host, KeepAlive, PoolWatch, TargetAddr, UnixAddr},
    layers::{AccessList, Replaceable},
    mode::Way,
};

use crate::{
    dialler::Dialler,
    frame::Frame,
    incoming::Incoming,
    redial::Redialler,
    reload::OnReload,
    routes::Routes,
    side::{SideLayerSpec, options::rendezvous},
    targets::TargetsSpec,
    units::Limit,
    via::ProxySpec,
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
    /// Where names are looked up, if not by the system.
    #[cfg(feature = "dns")]
    pub(crate) dns: Option<couplet_connector::endpoint::Dns>,
    /// Which addresses of a name are dialled.
    pub(crate) family: Option<Family>,
    /// How long a name's last addresses are dialled while no name server answers.
    pub(crate) last_answer: Option<Limit<Duration>>,
    /// How many dials of one target may be under way.
    pub(crate) max_per_target: Option<NonZeroUsize>,
    /// How many dialled connections wait to be joined, where it is a pool of them.
    pub(crate) keep: Option<NonZeroUsize>,
    /// The pool is kept at every address of the name.
    pub(crate) keep_each: bool,
    /// How the pool does.
    pub(crate) pool: PoolWatch,
    /// The longest pause before the pool dials again.
    pub(crate) keep_backoff: Option<Duration>,
    pub(crate) routes: Option<Replaceable<Arc<Routes>>>,
    /// How a client of a rendezvous goes to another relay, where it may.
    pub(crate) redial: Option<Redialler>,
    /// The proxies on the way, in their order.
    pub(crate) via: Vec<ProxySpec>,
    /// It speaks in messages.
    pub(crate) frame: Option<Frame>,
    /// Which networks are let in, or may be reached.
    pub(crate) access: Vec<Access>,
    /// What is done at SIGHUP.
    pub(crate) on_reload: Vec<OnReload>,
    /// Of the path of a Unix socket.
    pub(crate) path: PathSpec,
    /// A layer has to know the client of a dialled connection.
    pub(crate) tells_for_whom: bool,
    /// Multipath TCP.
    pub(crate) multipath: bool,
    #[cfg(feature = "quic")]
    pub(crate) quic: crate::quic::QuicSpec,
    /// An option that a Unix socket can't have, and why, where only the start shows which kind it is.
    pub(crate) tcp_only: Option<(&'static str, &'static str)>,
    /// Of several targets, or of one with checks.
    pub(crate) targets: TargetsSpec,
    /// Its connections are carried, many over one.
    #[cfg(feature = "mux")]
    pub(crate) mux: Option<crate::mux::MuxSpec>,
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
            #[cfg(feature = "dns")]
            dns: None,
            family: None,
            last_answer: None,
            max_per_target: None,
            keep: None,
            keep_each: false,
            pool: PoolWatch::default(),
            keep_backoff: None,
            routes: None,
            redial: None,
            via: Vec::new(),
            frame: None,
            access: Vec::new(),
            on_reload: Vec::new(),
            path: PathSpec::default(),
            tells_for_whom: false,
            multipath: false,
            #[cfg(feature = "quic")]
            quic: crate::quic::QuicSpec::default(),
            tcp_only: None,
            targets: TargetsSpec::default(),
            #[cfg(feature = "mux")]
            mux: None,
        }
    }

    /// What a connection meets before its rendezvous, it meets again where it is dialled anew.
    pub(super) fn lead_again_through(&self, layers: &[SideLayerSpec]) {
        let Some(redial) = &self.redial else {
            return;
        };
        let mut above = SideLayers::new();
        for layer in layers
            .iter()
            .take_while(|layer| layer.name != rendezvous::NAME)
        {
            above.append(layer.layers.clone());
        }
        redial.lead_through(above);
    }

    pub(crate) fn is_dialled(&self) -> bool {
        matches!(
            self.address,
            Address::Dial(_)
                | Address::DialAsked
                | Address::DialUnix(_)
                | Address::DialVsock(_)
                | Address::DialQuic(_)
                | Address::DialSrv(_)
                | Address::DialSeveral(_)
                | Address::Stdio
                | Address::Exec(_)
        )
    }

    /// Are its connections carried, many over one?
    pub(crate) fn has_mux(&self) -> bool {
        #[cfg(feature = "mux")]
        return self.mux.is_some();
        #[cfg(not(feature = "mux"))]
        false
    }

    /// Is it a pool of carriers, over which the peer opens connections?
    pub(crate) fn keeps_carriers(&self) -> bool {
        #[cfg(feature = "mux")]
        return self.keep.is_some() && self.mux.as_ref().is_some_and(|mux| !mux.opens());
        #[cfg(not(feature = "mux"))]
        false
    }

    /// Is it standard input and output, of which there is one connection?
    pub(crate) fn is_stdio(&self) -> bool {
        matches!(self.address, Address::Stdio)
    }

    /// Do other relays of the process hand its connections over?
    pub(crate) fn is_handed_over(&self) -> bool {
        matches!(self.address, Address::ListenRoutes)
    }

    /// Is it a program?
    pub(crate) fn is_exec(&self) -> bool {
        matches!(self.address, Address::Exec(_))
    }

    /// Has it TCP's settings?
    pub(crate) fn is_tcp(&self) -> bool {
        match &self.address {
            Address::Listen(_) | Address::Dial(_) | Address::DialSrv(_) | Address::DialAsked => {
                true
            }
            // Or a Unix one: the start shows which.
            Address::ListenSystemd(_) => true,
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

    /// Are all of several targets dialled by TCP?
    pub(crate) fn is_all_tcp(&self) -> bool {
        self.unix_targets().next().is_none()
    }

    /// Is it a port of vsock?
    pub(crate) fn is_vsock(&self) -> bool {
        matches!(
            self.address,
            Address::ListenVsock(_) | Address::DialVsock(_)
        )
    }

    /// Is it QUIC?
    pub(crate) fn is_quic(&self) -> bool {
        matches!(self.address, Address::ListenQuic(_) | Address::DialQuic(_))
    }

    /// Is it a service of the DNS?
    pub(crate) fn is_srv(&self) -> bool {
        matches!(self.address, Address::DialSrv(_))
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
        self.of_family_other_than(from.is_ipv4())
    }

    /// The same, if it is of another family than the only one that is to be dialled.
    pub(super) fn of_another_family(&self) -> Option<&DialAddr> {
        match self.family? {
            Family::Ipv4 => self.of_family_other_than(true),
            Family::Ipv6 => self.of_family_other_than(false),
            _ => None,
        }
    }

    fn of_family_other_than(&self, ipv4: bool) -> Option<&DialAddr> {
        let is_other = |addr: &&DialAddr| match addr.host() {
            Host::Ip(to) => to.is_ipv4() != ipv4,
            Host::Scoped(..) => ipv4,
            _ => false,
        };
        match (self.via.first(), &self.address) {
            (Some(proxy), _) => Some(&proxy.addr).filter(is_other),
            (None, Address::Dial(addr) | Address::DialQuic(addr)) => Some(addr).filter(is_other),
            // A choice is left, unless all are.
            (None, Address::DialSeveral(targets)) => {
                let mut addrs = targets.iter().map(|target| match target {
                    TargetAddr::Tcp(addr) => Some(addr).filter(is_other),
                    TargetAddr::Unix(_) => None,
                });
                let first = addrs.next()??;
                addrs.all(|addr| addr.is_some()).then_some(first)
            }
            _ => None,
        }
    }
}
