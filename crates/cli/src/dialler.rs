//! Dials a side: one target, or one for each client.

use std::{
    fmt,
    future::ready,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll},
};

#[cfg(feature = "dns")]
use couplet_connector::endpoint::SrvDial;
#[cfg(target_os = "linux")]
use couplet_connector::endpoint::VsockDial;
#[cfg(unix)]
use couplet_connector::endpoint::{Exec, Stdio, UnixDial};
use couplet_connector::{
    SideHandshake,
    endpoint::{
        BoxError, Conn, Dial, DialAddr, DialError, Host, Info, Origin, TargetAddr, Targets,
        TargetsError, TcpIo, UnixAddr,
    },
    layers::{AccessList, AccessRule, DialledForLayer, Handshake, Identity, Replaceable},
};
#[cfg(feature = "quic")]
use couplet_protocols::quic::QuicDial;
use couplet_protocols::{Protocol, RequestedTarget};
use futures::{
    FutureExt, TryFutureExt,
    future::{BoxFuture, Either, ErrInto, MapOk},
};
use tower::{Layer, Service};

use crate::{
    routes::{Routes, Target},
    stream::Stream,
    via::Proxies,
};

/// Dials a side.
#[derive(Clone, Debug)]
pub(crate) struct Dialler {
    /// Its target is dialled where no route leads elsewhere.
    pub(crate) dial: AnyDial,
    pub(crate) routes: Option<Routed>,
    /// Each client asks for a target, and the dial has none.
    pub(crate) is_asked: bool,
    /// A layer of the side has to know the client.
    pub(crate) tells_for_whom: bool,
}

/// The targets of a side that depend on the client.
#[derive(Clone, Debug)]
pub(crate) struct Routed {
    pub(crate) routes: Replaceable<Arc<Routes>>,
    /// How a TCP target is dialled: it is given the target.
    pub(crate) tcp: AnyDial,
    /// The same of a Unix socket.
    #[cfg(unix)]
    pub(crate) unix: UnixDial,
    /// How one of several targets is dialled.
    pub(crate) several: Several,
}

/// The dials of lines with several targets: what is known of a target stays from client to client.
#[derive(Clone)]
pub(crate) struct Several {
    dial: Arc<dyn Fn(Vec<(TargetAddr, AnyDial)>) -> AnyDial + Send + Sync>,
    known: Arc<Mutex<Known>>,
}

/// Those of one state of the file.
#[derive(Debug, Default)]
struct Known {
    of: Weak<Routes>,
    dials: Vec<(Vec<TargetAddr>, AnyDial)>,
}

/// A dial of any kind.
#[derive(Clone, Debug)]
pub(crate) enum AnyDial {
    Tcp(Dial),
    #[cfg(unix)]
    Unix(UnixDial),
    Via(Box<ViaDial>),
    /// Standard input and output: of one connection.
    #[cfg(unix)]
    Stdio,
    /// One of several.
    Several(Box<SeveralDial>),
    /// Through the layers of the side, too.
    Shaken(Box<ShakenDial>),
    /// A stream over a carrier.
    #[cfg(feature = "mux")]
    Mux(crate::mux::CarriedDial<Dialler>),
    /// Starts a program.
    #[cfg(unix)]
    Exec(Exec),
    #[cfg(target_os = "linux")]
    Vsock(VsockDial),
    #[cfg(feature = "quic")]
    Quic(QuicDial),
    #[cfg(feature = "dns")]
    Srv(Box<SrvDial>),
}

/// A dial, and the layers that a connection goes through then.
#[derive(Clone, Debug)]
pub(crate) struct ShakenDial {
    pub(crate) dial: AnyDial,
    pub(crate) handshake: SideHandshake,
}

/// A dial of one of several targets.
#[derive(Clone, Debug)]
pub(crate) struct SeveralDial {
    targets: Targets<AnyDial>,
    /// For which they are dialled.
    client: Option<IpAddr>,
}

/// A dial through proxies.
#[derive(Clone, Debug)]
pub(crate) struct ViaDial {
    pub(crate) proxies: Proxies,
    /// `None`: each client asks for one.
    pub(crate) target: Option<DialAddr>,
    /// What a target has to pass.
    pub(crate) lists: Vec<Replaceable<AccessList>>,
    /// A client has asked for the target.
    pub(crate) is_asked: bool,
}

/// The variable with the proven identity of the client that a program is started for.
#[cfg(unix)]
const IDENTITY: &str = "COUPLET_IDENTITY";

type Result<T, E = BoxError> = std::result::Result<T, E>;

/// A plain dial is boxed once, by itself.
type Dialling = Either<
    ErrInto<
        MapOk<BoxFuture<'static, Result<Conn<TcpIo>, DialError>>, fn(Conn<TcpIo>) -> Conn<Stream>>,
        BoxError,
    >,
    BoxFuture<'static, Result<Conn<Stream>>>,
>;

// ===== impl Dialler =====

impl Dialler {
    fn choose(&self, client: &Info) -> Result<AnyDial> {
        if self.is_asked {
            let asked = RequestedTarget::of(client).ok_or("the client has asked for no target")?;
            let dial = self.dial.clone().for_client(client);
            return Ok(dial.retarget(asked.addr().clone()));
        }
        let Some(routed) = &self.routes else {
            return Ok(self.dial.clone().for_client(client));
        };
        let routes = routed.routes.current();
        match routes.find(client) {
            Some(Target::Dial(addr)) => {
                let dial = routed.tcp.clone().for_client(client);
                Ok(dial.retarget(addr.clone()))
            }
            Some(Target::Unix(addr)) => routed.unix(addr),
            Some(Target::Several(targets)) => {
                Ok(routed.several(&routes, targets)?.for_client(client))
            }
            Some(Target::Refuse) => {
                let protocol = client.extensions.get().unwrap_or(&Protocol::Unknown);
                Err(format!("the routes refuse `{protocol}`").into())
            }
            // The client's side hands such clients over, unless the line came since, or the relay is alone.
            Some(Target::Relay(name)) => {
                Err(format!("no connection is handed over to relay `{name}` from here").into())
            }
            None => Ok(self.dial.clone().for_client(client)),
        }
    }
}

impl Service<Info> for Dialler {
    type Response = Conn<Stream>;
    type Error = BoxError;
    type Future = Dialling;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, client: Info) -> Dialling {
        match self.choose(&client) {
            Ok(mut dial) if !self.tells_for_whom => dial.call(client),
            Ok(dial) => {
                let dialling = DialledForLayer.layer(dial).call(client);
                dialling.err_into().boxed().right_future()
            }
            Err(error) => ready(Err(error)).boxed().right_future(),
        }
    }
}

/// Where the side is dialled by itself.
impl Service<()> for Dialler {
    type Response = Conn<Stream>;
    type Error = BoxError;
    type Future = Dialling;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Dialling {
        self.dial.call(())
    }
}

// ===== impl Routed =====

impl Routed {
    #[cfg(unix)]
    fn unix(&self, addr: &UnixAddr) -> Result<AnyDial> {
        Ok(AnyDial::Unix(self.unix.clone().retarget(addr.clone())))
    }

    #[cfg(not(unix))]
    fn unix(&self, addr: &UnixAddr) -> Result<AnyDial> {
        Err(format!("no Unix sockets on this system: {addr}").into())
    }

    /// The dial of a line of these routes.
    fn several(&self, routes: &Arc<Routes>, targets: &[TargetAddr]) -> Result<AnyDial> {
        let mut known = self
            .several
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !std::ptr::eq(known.of.as_ptr(), Arc::as_ptr(routes)) {
            // The file was read again: lines that are gone are checked no more.
            known.of = Arc::downgrade(routes);
            known.dials.retain(|(known, _)| routes.leads_to(known));
        }
        if let Some((_, dial)) = known.dials.iter().find(|(known, _)| known == targets) {
            return Ok(dial.clone());
        }
        let dial = |target: &TargetAddr| {
            let dial = match target {
                TargetAddr::Tcp(addr) => self.tcp.clone().retarget(addr.clone()),
                TargetAddr::Unix(addr) => self.unix(addr)?,
            };
            Ok((target.clone(), dial))
        };
        let dials = targets.iter().map(dial).collect::<Result<_>>()?;
        let dial = (self.several.dial)(dials);
        known.dials.push((targets.to_vec(), dial.clone()));
        Ok(dial)
    }
}

impl Several {
    /// Each line's targets are dialled so.
    pub(crate) fn new(
        dial: impl Fn(Vec<(TargetAddr, AnyDial)>) -> AnyDial + Send + Sync + 'static,
    ) -> Self {
        Self {
            dial: Arc::new(dial),
            known: Arc::default(),
        }
    }
}

impl fmt::Debug for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Several").finish_non_exhaustive()
    }
}

// ===== impl AnyDial =====

impl AnyDial {
    /// A program is told of the client that it is started for, and the dials of a target are shared among the
    /// clients.
    fn for_client(self, client: &Info) -> Self {
        match self {
            Self::Tcp(dial) => Self::Tcp(dial.for_client(client)),
            #[cfg(unix)]
            Self::Exec(exec) => {
                let exec = exec.for_client(client);
                match client.extensions.get::<Identity>() {
                    Some(identity) => Self::Exec(exec.env(IDENTITY, identity.name())),
                    None => Self::Exec(exec),
                }
            }
            Self::Several(several) => {
                let client = client.peer.map(|peer| peer.ip());
                Self::Several(Box::new(several.for_client(client)))
            }
            other => other,
        }
    }

    /// Dials another target of TCP.
    fn retarget(self, target: DialAddr) -> Self {
        match self {
            Self::Tcp(dial) => Self::Tcp(dial.retarget(target)),
            #[cfg(unix)]
            Self::Unix(dial) => Self::Unix(dial),
            #[cfg(unix)]
            Self::Stdio => Self::Stdio,
            #[cfg(unix)]
            Self::Exec(exec) => Self::Exec(exec),
            #[cfg(target_os = "linux")]
            Self::Vsock(dial) => Self::Vsock(dial),
            #[cfg(feature = "quic")]
            Self::Quic(dial) => Self::Quic(dial),
            #[cfg(feature = "dns")]
            Self::Srv(dial) => Self::Srv(dial),
            Self::Several(dial) => Self::Several(dial),
            Self::Shaken(dial) => Self::Shaken(dial),
            #[cfg(feature = "mux")]
            Self::Mux(dial) => Self::Mux(dial),
            Self::Via(dial) => Self::Via(Box::new(ViaDial {
                target: Some(target),
                ..*dial
            })),
        }
    }
}

impl<R> Service<R> for AnyDial {
    type Response = Conn<Stream>;
    type Error = BoxError;
    type Future = Dialling;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: R) -> Dialling {
        match self {
            Self::Tcp(dial) => {
                let as_stream: fn(Conn<TcpIo>) -> _ = |conn| conn.map_io(Stream::Tcp);
                dial.call(()).map_ok(as_stream).err_into().left_future()
            }
            #[cfg(unix)]
            Self::Unix(dial) => {
                let dial = dial.clone();
                let dialling = async move {
                    crate::own_addresses::refuse_unix(dial.target())?;
                    Ok(dial.connect().await?.map_io(Stream::Unix))
                };
                dialling.boxed().right_future()
            }
            Self::Via(dial) => dial.dial().right_future(),
            Self::Several(dial) => dial.dial().err_into().boxed().right_future(),
            Self::Shaken(dial) => {
                let ShakenDial { dial, handshake } = ShakenDial::clone(dial);
                // A PROXY header says that there is no client.
                let mut dial = DialledForLayer.layer(dial);
                let dialling = async move {
                    let conn = dial.call(Info::new(Origin::Accepted)).await?;
                    let shaken = handshake.handshake(conn).await?;
                    Ok(shaken.map_io(Stream::Boxed))
                };
                dialling.boxed().right_future()
            }
            #[cfg(feature = "mux")]
            Self::Mux(dial) => {
                let as_stream = |conn: Conn<_>| conn.boxed().map_io(Stream::Boxed);
                dial.call(())
                    .map_ok(as_stream)
                    .err_into()
                    .boxed()
                    .right_future()
            }
            #[cfg(unix)]
            Self::Stdio => {
                let dialling = async {
                    let taken = Stdio::take();
                    let conn = taken.map_err(|error| {
                        format!("standard input and output can't be used: {error}")
                    })?;
                    Ok(conn.map_io(|stdio| Stream::Stdio(Box::new(stdio))))
                };
                dialling.boxed().right_future()
            }
            #[cfg(unix)]
            Self::Exec(exec) => {
                let started = exec.start();
                let conn = started.map(|conn| conn.map_io(|io| Stream::Exec(Box::new(io))));
                ready(conn.map_err(Into::into)).boxed().right_future()
            }
            #[cfg(target_os = "linux")]
            Self::Vsock(dial) => {
                let dial = dial.clone();
                let dialling = async move { Ok(dial.connect().await?.map_io(Stream::Vsock)) };
                dialling.boxed().right_future()
            }
            #[cfg(feature = "quic")]
            Self::Quic(dial) => {
                let dial = dial.clone();
                let dialling = async move {
                    let conn = dial.connect().await?;
                    Ok(conn.map_io(|io| Stream::Quic(Box::new(io))))
                };
                dialling.boxed().right_future()
            }
            #[cfg(feature = "dns")]
            Self::Srv(dial) => {
                let dial = dial.clone();
                let dialling = async move { Ok(dial.connect().await?.map_io(Stream::Tcp)) };
                dialling.boxed().right_future()
            }
        }
    }
}

// ===== impl SeveralDial =====

impl SeveralDial {
    pub(crate) fn new(targets: Targets<AnyDial>) -> Self {
        Self {
            targets,
            client: None,
        }
    }

    fn for_client(self, client: Option<IpAddr>) -> Self {
        Self { client, ..self }
    }

    fn dial(&self) -> impl Future<Output = Result<Conn<Stream>, TargetsError>> + Send + use<> {
        let Self { targets, client } = self.clone();
        async move { targets.connect(client).await }
    }
}

// ===== impl ViaDial =====

impl ViaDial {
    fn dial(&self) -> BoxFuture<'static, Result<Conn<Stream>>> {
        match self.checked() {
            Ok(target) => {
                let dialling = self.proxies.dial(target);
                let as_stream = dialling.map_ok(|conn| conn.map_io(Stream::Boxed));
                as_stream.err_into().boxed()
            }
            Err(error) => ready(Err(error)).boxed(),
        }
    }

    /// The target, which has passed the lists. They judge addresses, so that they refuse a name that only
    /// the proxy can resolve.
    fn checked(&self) -> Result<DialAddr> {
        let target = self.target.clone().ok_or("there is no target")?;
        let has_lists = self.lists.len() > usize::from(self.is_asked);
        match target.host() {
            Host::Ip(ip) => self.judge(SocketAddr::new(*ip, target.port()))?,
            Host::Name(_) if has_lists => {
                return Err(denied(
                    "the proxy resolves the name, which no list can judge",
                ));
            }
            Host::Name(name) if self.is_asked && is_localhost(name.as_str()) => {
                return Err(denied("the proxy's own machine is asked for"));
            }
            _ => {}
        }
        Ok(target)
    }

    fn judge(&self, addr: SocketAddr) -> Result<()> {
        let mut info = Info::new(Origin::Dialled);
        info.peer = Some(addr);
        let mut lists = self.lists.iter();
        lists.try_for_each(|list| list.check(&info)).map_err(denied)
    }
}

/// `localhost`, or a name below it (RFC 6761, section 6.3).
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn denied(error: impl Into<BoxError>) -> BoxError {
    io::Error::new(io::ErrorKind::PermissionDenied, error).into()
}
