//! The proxies that a side is dialled through.

use std::{fmt, sync::Arc, time::Duration};

use couplet_connector::{
    endpoint::{BoxError, BoxIo, Conn, Dial, DialAddr, Host, Io},
    layers::{Handshake, Replaceable, Via, ViaError},
};
use couplet_protocols::{HttpConnect, SocksConnect, proxy::Login};
use futures::{FutureExt, future::BoxFuture};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

/// One proxy, as an option of the side says it.
#[derive(Clone, Debug)]
pub(crate) struct ProxySpec {
    pub(crate) scheme: Scheme,
    pub(crate) addr: DialAddr,
    /// Its password may be read again.
    pub(crate) login: Option<Replaceable<Login>>,
    /// What TLS needs, where the scheme has it.
    pub(crate) tls: Option<Tls>,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scheme {
    Socks5,
    Http,
    Https,
}

/// Speaks TLS with a proxy of this name.
#[derive(Clone)]
pub(crate) struct Tls(pub(crate) Arc<dyn Fn(Conn<BoxIo>) -> Shaking + Send + Sync>);

pub(crate) type Shaking = BoxFuture<'static, Result<Conn<BoxIo>, BoxError>>;

/// A chain of proxies, ready to dial targets.
#[derive(Clone, Debug)]
pub(crate) struct Proxies(Via<BoxedDial, Hop>);

type BoxedDial = BoxCloneSyncService<(), Conn<BoxIo>, BoxError>;

/// The handshake with one proxy.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    tls: Option<Tls>,
    scheme: Scheme,
    login: Option<Replaceable<Login>>,
}

// ===== impl Proxies =====

impl Proxies {
    /// Through these proxies in turn. `dial` has the settings of the socket; the deadline is for all.
    pub(crate) fn new(specs: &[ProxySpec], dial: Dial, deadline: Duration) -> Option<Self> {
        let (first, others) = specs.split_first()?;
        let dial = dial.retarget(first.addr.clone()).connect_timeout(deadline);
        let mut via = Via::new(boxed(dial), Hop::new(first)).timeout(deadline);
        for next in others {
            let dial = boxed(via.to(next.addr.clone()));
            via = Via::new(dial, Hop::new(next)).timeout(deadline);
        }
        Some(Self(via))
    }

    pub(crate) fn dial(
        &self,
        target: DialAddr,
    ) -> impl Future<Output = Result<Conn<BoxIo>, ViaError>> + Send + use<> {
        self.0.clone().oneshot(target)
    }
}

/// A dial, its type forgotten.
fn boxed<D, I: Io>(dial: D) -> BoxedDial
where
    D: Service<(), Response = Conn<I>, Error: Into<BoxError>, Future: Send + 'static>,
    D: Clone + Send + Sync + 'static,
{
    BoxCloneSyncService::new(dial.map_response(Conn::boxed).map_err(Into::into))
}

// ===== impl Hop =====

impl Hop {
    fn new(proxy: &ProxySpec) -> Self {
        Self {
            tls: proxy.tls.clone(),
            scheme: proxy.scheme,
            login: proxy.login.clone(),
        }
    }
}

impl Handshake<Conn<BoxIo>> for Hop {
    type Output = Conn<BoxIo>;
    type Error = BoxError;
    type Future = Shaking;

    fn handshake(&self, conn: Conn<BoxIo>) -> Shaking {
        let login = self
            .login
            .as_ref()
            .map(|login| Login::clone(&login.current()));
        let Self { tls, scheme, .. } = self.clone();
        async move {
            let conn = match tls {
                Some(Tls(shake)) => shake(conn).await?,
                None => conn,
            };
            match scheme {
                Scheme::Socks5 => {
                    let asks = SocksConnect::new();
                    let asks = login.into_iter().fold(asks, SocksConnect::login);
                    Ok(asks.handshake(conn).await?.boxed())
                }
                Scheme::Http | Scheme::Https => {
                    let asks = HttpConnect::new();
                    let asks = login.into_iter().fold(asks, HttpConnect::login);
                    Ok(asks.handshake(conn).await?.boxed())
                }
            }
        }
        .boxed()
    }
}

// ===== impl ProxySpec =====

impl ProxySpec {
    /// Would a password be sent in the clear to another machine?
    pub(crate) fn exposes_password(&self) -> bool {
        let is_here = match self.addr.host() {
            Host::Name(name) => name
                .as_str()
                .trim_end_matches('.')
                .eq_ignore_ascii_case("localhost"),
            Host::Ip(ip) => ip.to_canonical().is_loopback(),
            _ => false,
        };
        self.login.is_some() && self.tls.is_none() && !is_here
    }
}

/// As it is written, without a password.
impl fmt::Display for ProxySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(login) = &self.login {
            write!(f, "{}@", login.current().user())?;
        }
        self.addr.fmt(f)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socks5 => "socks5",
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
