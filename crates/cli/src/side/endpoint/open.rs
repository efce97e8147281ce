//! A side's endpoint as a listener, a dial or a pool.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::Context;
#[cfg(feature = "dns")]
use couplet_connector::endpoint::{Dns, SrvDial};
#[cfg(unix)]
use couplet_connector::endpoint::{Exec, UnixDial, UnixListen, UnixListenOptions};
#[cfg(target_os = "linux")]
use couplet_connector::endpoint::{VsockDial, VsockListen};
use couplet_connector::{
    endpoint::{
        Address, Backoff, Dial, DialAddr, Info, Listen, ListenOptions, Origin, SocketOptions,
        TargetAddr, UnixAddr, pool, pool_each,
    },
    layers::{AccessList, AccessRule, Replaceable},
};
use tokio::net::TcpSocket;

use super::{Endpoint, EndpointFlags, EndpointSpec};
use crate::{
    dialler::{AnyDial, Dialler, Routed, Several, ViaDial},
    incoming::{Incoming, Kept, RoutesListen},
    own_addresses as own, passed,
    routes::Routes,
    via::Proxies,
};

impl EndpointSpec {
    /// Listens, or gets ready to dial. A socket that is there already is taken over.
    pub(crate) async fn open_or_adopt(
        &self,
        flags: EndpointFlags,
        kept: Option<Kept>,
    ) -> anyhow::Result<Endpoint> {
        let end = self.open_bare(flags, kept).await?;
        #[cfg(feature = "mux")]
        if let Some(mux) = self.mux.as_ref().filter(|mux| !mux.opens())
            && let Endpoint::Incoming(carriers) = end
        {
            let listen = Box::new(mux.listen(carriers));
            return Ok(Endpoint::Incoming(Incoming::Mux(listen)));
        }
        Ok(end)
    }

    async fn open_bare(
        &self,
        flags: EndpointFlags,
        kept: Option<Kept>,
    ) -> anyhow::Result<Endpoint> {
        match &self.address {
            Address::Listen(addr) => {
                let options = self.listen_options(flags);
                let listen = match kept {
                    Some(Kept::Tcp(sockets)) => options.adopt(sockets)?,
                    _ => options.bind(addr.clone()).await?,
                };
                own::add(listen.local_addrs());
                Ok(Endpoint::Incoming(Incoming::Listen(listen)))
            }
            Address::Dial(addr) => {
                self.check_source()?;
                self.may_redial(flags);
                let dial = self.tcp_dial(Some(addr), flags);
                let target = TargetAddr::Tcp(addr.clone());
                Ok(self.dials(self.checked(target, dial), flags))
            }
            Address::DialAsked => {
                self.check_source()?;
                Ok(self.dials(self.tcp_dial(None, flags), flags))
            }
            #[cfg(feature = "dns")]
            Address::DialSrv(name) => {
                self.check_source()?;
                let dns = self.dns.clone().unwrap_or_else(Dns::system);
                let dial = SrvDial::new(name.clone(), dns, self.dial(None, flags));
                Ok(self.dials(AnyDial::Srv(Box::new(dial)), flags))
            }
            Address::DialSeveral(targets) => {
                self.check_source()?;
                self.may_redial(flags);
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
            Address::ListenSystemd(name) => {
                let kept = match kept {
                    Some(kept) => kept,
                    None => passed::open(name)?,
                };
                let incoming = self.adopt(kept, flags).with_context(|| {
                    format!("the socket `{name}` of systemd can't be listened on")
                })?;
                own::add(incoming.addrs().into_iter());
                Ok(Endpoint::Incoming(incoming))
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
                let listen = match kept {
                    Some(Kept::Unix(socket)) => options.adopt(socket)?,
                    _ => options.bind(addr.clone()).await?,
                };
                own::add(std::iter::once(listen.addr().clone()));
                Ok(Endpoint::Incoming(Incoming::Unix(listen)))
            }
            #[cfg(unix)]
            Address::DialUnix(addr) => {
                let dial = AnyDial::Unix(self.dial_unix(addr.clone(), flags));
                let target = TargetAddr::Unix(addr.clone());
                Ok(self.dials(self.checked(target, dial), flags))
            }
            #[cfg(target_os = "linux")]
            Address::ListenVsock(addr) => {
                let listen = match kept {
                    Some(Kept::Vsock(socket)) => VsockListen::adopt(socket)?,
                    _ => VsockListen::bind(*addr)?,
                };
                Ok(Endpoint::Incoming(Incoming::Vsock(listen)))
            }
            #[cfg(target_os = "linux")]
            Address::DialVsock(addr) => {
                let timeout = self.sourced_connect_timeout(flags).value;
                let dial = VsockDial::new(*addr).connect_timeout(timeout);
                dial.check()
                    .with_context(|| format!("{addr} can't be dialled"))?;
                Ok(self.dials(AnyDial::Vsock(dial), flags))
            }
            #[cfg(feature = "quic")]
            Address::ListenQuic(addr) => {
                let kept = match kept {
                    Some(Kept::Quic(listen)) => Some(listen),
                    _ => None,
                };
                let keep_alive = self.sourced_quic_keep_alive(flags).value;
                let listen = self.quic.listen(addr, keep_alive, self.reuse_port, kept);
                let incoming = Incoming::Quic(listen.await?);
                own::add(incoming.addrs().into_iter());
                Ok(Endpoint::Incoming(incoming))
            }
            #[cfg(feature = "quic")]
            Address::DialQuic(addr) => {
                self.check_source()?;
                let keep_alive = self.sourced_quic_keep_alive(flags).value;
                let dial = self.any_dial(flags).permit(own::refuse_quic);
                let dial = self.judged(dial.retarget(addr.clone()));
                let dial = self.quic.dial(dial, keep_alive)?;
                Ok(self.dials(AnyDial::Quic(dial), flags))
            }
            Address::ListenRoutes => {
                let listen = match kept {
                    Some(Kept::Routes(listen)) => listen,
                    _ => RoutesListen::new(),
                };
                Ok(Endpoint::Incoming(Incoming::Routes(listen)))
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

    /// Listens on sockets that systemd has opened.
    fn adopt(&self, kept: Kept, flags: EndpointFlags) -> anyhow::Result<Incoming> {
        match kept {
            Kept::Tcp(sockets) => {
                let listen = self.listen_options(flags).adopt(sockets)?;
                Ok(Incoming::Listen(listen))
            }
            #[cfg(unix)]
            Kept::Unix(socket) => {
                if let Some((option, why)) = self.tcp_only {
                    anyhow::bail!("it is a Unix socket, and `{option}` is for TCP: {why}");
                }
                Ok(Incoming::Unix(UnixListen::options().adopt(socket)?))
            }
            #[cfg(target_os = "linux")]
            Kept::Vsock(socket) => Ok(Incoming::Vsock(VsockListen::adopt(socket)?)),
            #[cfg(feature = "quic")]
            Kept::Quic(listen) => Ok(Incoming::Quic(listen)),
            Kept::Routes(listen) => Ok(Incoming::Routes(listen)),
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

    /// Fails where it is to dial from an address that this machine does not have, or over what it does not have.
    fn check_source(&self) -> anyhow::Result<()> {
        if self.multipath {
            Dial::check_multipath().context("no `mptcp`")?;
        }
        match self.source {
            Some(source) => has_address(source)
                .with_context(|| format!("source={source} is not an address of this machine")),
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
        #[cfg(feature = "mux")]
        let dialler = self.carried(dialler);
        match self.keep {
            None => Endpoint::Dial(Box::new(dialler)),
            Some(slots) if self.keep_each => self.pool_each(dialler, slots.get()),
            Some(slots) => {
                let pool = pool(dialler, slots.get(), self.known_backoff()).watch(&self.pool);
                Endpoint::Incoming(Incoming::Pool(Box::new(pool)))
            }
        }
    }

    /// Where connections are opened over carriers, it is those that are dialled so.
    #[cfg(feature = "mux")]
    fn carried(&self, dialler: Dialler) -> Dialler {
        let Some(mux) = self.mux.as_ref().filter(|mux| mux.opens()) else {
            return dialler;
        };
        let tells_for_whom = dialler.tells_for_whom;
        let carriers = Dialler {
            tells_for_whom: false,
            ..dialler
        };
        Dialler {
            dial: AnyDial::Mux(mux.dial(carriers)),
            routes: None,
            is_asked: false,
            tells_for_whom,
        }
    }

    fn pool_each(&self, dialler: Dialler, slots: usize) -> Endpoint {
        let AnyDial::Tcp(dial) = dialler.dial.clone() else {
            unreachable!("`each` is for a name that is dialled directly");
        };
        let pool = pool_each(dial, slots, self.known_backoff(), move |dial| Dialler {
            dial: AnyDial::Tcp(dial),
            ..dialler.clone()
        })
        .watch(&self.pool);
        Endpoint::Incoming(Incoming::PoolEach(Box::new(pool)))
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
            #[cfg(target_os = "linux")]
            AnyDial::Vsock(_) => self.tcp_dial(None, flags),
            #[cfg(feature = "quic")]
            AnyDial::Quic(_) => self.tcp_dial(None, flags),
            #[cfg(feature = "dns")]
            AnyDial::Srv(_) => self.tcp_dial(None, flags),
            AnyDial::Several(_) => self.tcp_dial(None, flags),
            _ => dial.clone(),
        };
        #[cfg(unix)]
        let unix = {
            let nowhere = UnixAddr::abstract_name("nowhere").expect("it is a name");
            self.dial_unix(nowhere, flags)
        };
        let spec = self.targets.clone();
        Dialler {
            dial,
            is_asked: false,
            routes: Some(Routed {
                routes: routes.clone(),
                tcp,
                #[cfg(unix)]
                unix,
                several: Several::new(move |targets| spec.dial_equals(targets)),
            }),
            tells_for_whom: self.tells_for_whom,
        }
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
            .multipath(self.multipath)
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
        self.judged(dial)
    }

    /// A client of a rendezvous may be sent elsewhere from now on, if it is to go there.
    fn may_redial(&self, flags: EndpointFlags) {
        if let Some(redial) = &self.redial {
            redial.dial_with(self.judged(self.prompt_dial(flags)));
        }
    }

    /// The dial of addresses that pass the lists.
    fn judged(&self, dial: Dial) -> Dial {
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
        self.prompt_dial(flags).defer_options()
    }

    /// The same, which sets all options of a socket at once.
    fn prompt_dial(&self, flags: EndpointFlags) -> Dial {
        self.any_dial(flags).permit(own::refuse)
    }

    /// The same, which may come back to this relay.
    fn any_dial(&self, flags: EndpointFlags) -> Dial {
        let dial = Dial::new(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let dial = match self.last_answer {
            Some(age) => dial.last_answer(age.get().unwrap_or_default()),
            None => dial,
        };
        #[cfg(feature = "dns")]
        let dial = match &self.dns {
            Some(dns) => dial.dns(dns.clone()),
            None => dial,
        };
        dial.family(self.family.unwrap_or_default())
            .socket(self.socket(flags))
            .connect_timeout(self.sourced_connect_timeout(flags).value)
            .source(self.source)
            .multipath(self.multipath)
    }

    fn socket(&self, flags: EndpointFlags) -> SocketOptions {
        SocketOptions::new()
            .keep_alive(self.sourced_keep_alive(flags).value.get())
            .ack_timeout(self.sourced_ack_timeout(flags).value.get())
            .user_timeout(self.sourced_user_timeout(flags).value.get())
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
