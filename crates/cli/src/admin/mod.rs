//! `--admin`: metrics, the admin endpoint and the live page, on a side as any other.

pub(crate) mod describe;
pub(crate) mod program;
pub(crate) mod reload;
mod side;

pub(crate) use self::side::dialled;

use std::io;

use anyhow::Context;
use couplet_admin::{Access, Admin, Relay, Server};
use couplet_connector::{
    BoxError, Conn,
    endpoint::{Address, BoxIo, Chain, Endpoint as _},
    serve,
};
use futures::{FutureExt, TryStreamExt, future::BoxFuture};
use tower::{Layer, Service, ServiceExt, util::BoxCloneService};

use self::side::{AdminSide, REMEDY};
use crate::{
    incoming::{Incoming, Kept},
    mistake::Mistake,
    reload::OnReload,
    side::{SideSpec, SideWords, options::secret},
};

#[derive(Debug, clap::Args)]
pub(crate) struct AdminArgs {
    /// Serve metrics, the admin endpoint and the live page on this side, as unix:PATH, a port of this machine,
    /// or listen:HOST:PORT,option[=value]…
    #[arg(long, value_name = "SIDE")]
    admin: Vec<SideWords>,

    /// Let requests with this token do everything over TCP, and no others
    #[arg(long, value_name = "@FILE", requires = "admin")]
    admin_token: Option<String>,

    /// Accept requests for this host name, beside addresses and localhost
    #[arg(long, value_name = "NAME", requires = "admin", value_parser = host_name)]
    admin_host: Vec<String>,
}

/// Where the admin endpoint listens, and what its requests may do.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdminSpec {
    sides: Vec<AdminSide>,
    token: Option<String>,
    hosts: Vec<String>,
}

/// The endpoint at work.
#[derive(Debug)]
pub(crate) struct AdminServing {
    pub(crate) admin: Admin,
    accepting: Vec<tokio::task::AbortHandle>,
}

/// Sockets that are listened on; nothing is answered yet.
#[derive(Debug)]
pub(crate) struct AdminEndpoint {
    sides: Vec<(AdminSide, Incoming, Access)>,
    hosts: Vec<String>,
}

// ===== impl AdminArgs =====

impl AdminArgs {
    pub(crate) fn spec(&self) -> Result<AdminSpec, Mistake> {
        let token = self.admin_token.as_deref().map(token).transpose()?;
        let sides = self.admin.iter().map(AdminSide::read);
        let sides: Vec<_> = sides.collect::<Result<_, _>>()?;
        let open = sides.iter().find(|side| side.is_open());
        if let Some(side) = open.filter(|_| token.is_none()) {
            return Err(Mistake::new(
                format!(
                    "`{}` shows the whole network which clients are connected",
                    side.spec.endpoint.address
                ),
                REMEDY,
            )
            .within("--admin")
            .about("--admin"));
        }
        if token.is_some() && !sides.iter().any(AdminSide::takes_token) {
            return Err(Mistake::new(
                "--admin-token would do nothing here: only clients that may do everything get in",
                "leave it out",
            )
            .about("--admin-token"));
        }
        Ok(AdminSpec {
            sides,
            token,
            hosts: self.admin_host.clone(),
        })
    }

    /// The sides in place of those that were parsed, which may have been cut at a comma too many.
    pub(crate) fn set_sides(&mut self, sides: Vec<SideWords>) {
        self.admin = sides;
    }
}

/// A name as a browser sends it in `Host`, without the port.
fn host_name(name: &str) -> Result<String, Mistake> {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
    };
    match name.split('.').all(is_label) {
        true => Ok(name.to_owned()),
        false => Err(Mistake::new(
            format!("`{name}` is not the name of a host"),
            "a name without scheme and port: `relay.example.org`",
        )),
    }
}

/// The token of a file.
pub(crate) fn token(given: &str) -> Result<String, Mistake> {
    let read = || {
        let line = secret::line(given, "--admin-token=@FILE")?;
        let token = String::from_utf8(line).ok();
        // As a header carries it.
        let token = token.filter(|token| token.bytes().all(|c| c.is_ascii_graphic()));
        token.ok_or_else(|| {
            Mistake::new(
                format!("`{}` has characters that a header can't carry", &given[1..]),
                "letters, digits and punctuation, as `couplet keygen --kind=secret FILE` makes them",
            )
        })
    };
    read().map_err(|mistake| mistake.within("--admin-token"))
}

// ===== impl AdminSpec =====

impl AdminSpec {
    /// Where it listens, and what stands before it there.
    pub(crate) fn sides(&self) -> impl Iterator<Item = &SideSpec> {
        self.sides.iter().map(|side| &side.spec)
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.sides().map(|side| &side.endpoint.address)
    }

    /// What is done at SIGHUP.
    pub(crate) fn on_reload(&self) -> impl Iterator<Item = OnReload> {
        let layers = self.sides().flat_map(|side| &side.layers);
        layers.filter_map(|spec| spec.on_reload.clone())
    }

    /// Listens. Where there is nothing to listen on, nothing is served.
    pub(crate) async fn bind(&self) -> anyhow::Result<AdminEndpoint> {
        self.bind_or_adopt(|_| None).await
    }

    /// The same; sockets that are there already are taken over.
    pub(crate) async fn bind_or_adopt(
        &self,
        mut kept: impl FnMut(&Address) -> Option<Kept>,
    ) -> anyhow::Result<AdminEndpoint> {
        let mut sides = Vec::new();
        for side in &self.sides {
            let opened = side.open(kept(&side.spec.endpoint.address)).await;
            let incoming = opened.context("the admin endpoint can't listen")?;
            let access = side.access(&incoming, self.token.as_ref())?;
            sides.push((side.clone(), incoming, access));
        }
        Ok(AdminEndpoint {
            sides,
            hosts: self.hosts.clone(),
        })
    }
}

// ===== impl AdminEndpoint =====

impl AdminEndpoint {
    /// Answers for these relays from now on, until the runtime ends.
    pub(crate) fn serve(self, relays: impl IntoIterator<Item = Relay>) -> Option<AdminServing> {
        if self.sides.is_empty() {
            return None;
        }
        let hosts = self.hosts.iter();
        let admin = hosts.fold(
            Admin::new().version(env!("CARGO_PKG_VERSION")),
            |admin, host| admin.host(host),
        );
        for relay in relays {
            admin.add(relay);
        }
        let accepting = self.sides.into_iter().map(|(side, incoming, access)| {
            let address = side::shown(incoming.local_addr());
            tracing::info!(address, ?access, "admin endpoint");
            let stack = stack(&side, Server::new(&admin, access));
            let accepting = serve(incoming.map_ok(Conn::boxed), stack).map(move |ended| {
                if let Err(error) = ended {
                    let error = anyhow::Error::from(error);
                    tracing::error!(address, "the admin endpoint has failed: {error:#}");
                }
            });
            tokio::spawn(accepting).abort_handle()
        });
        let accepting = accepting.collect();
        Some(AdminServing { admin, accepting })
    }

    /// Its sockets, which outlive it, with their addresses.
    #[cfg(unix)]
    pub(crate) fn kept(&self) -> io::Result<Vec<(Address, Kept)>> {
        let mut all = Vec::new();
        for (side, incoming, _) in &self.sides {
            let kept = incoming.kept()?;
            all.extend(kept.map(|kept| (side.spec.endpoint.address.clone(), kept)));
        }
        Ok(all)
    }
}

/// The layers of the side around the server. A client that they refuse is logged.
fn stack(side: &AdminSide, server: Server) -> Refusing {
    let layers = side.spec.stack().layer(server);
    let layers = ServiceExt::<Conn<BoxIo>>::map_err(layers, BoxError::from);
    Refusing(ServiceExt::<Conn<BoxIo>>::boxed_clone(layers))
}

/// Logs what the layers refuse.
#[derive(Debug)]
struct Refusing(BoxCloneService<Conn<BoxIo>, (), BoxError>);

impl Service<Conn<BoxIo>> for Refusing {
    type Response = ();
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<(), BoxError>>;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, conn: Conn<BoxIo>) -> Self::Future {
        let peer = conn.info.peer_name();
        let served = self.0.call(conn);
        async move {
            let served = served.await;
            if let Err(error) = &served {
                let error = Chain(&**error).to_string();
                tracing::info!(%peer, error, "refused by the admin endpoint");
            }
            served
        }
        .boxed()
    }
}

// ===== impl AdminServing =====

impl AdminServing {
    /// Accepts nothing more; requests that are there are answered.
    #[cfg(unix)]
    pub(crate) fn leave(&self) {
        for accepting in &self.accepting {
            accepting.abort();
        }
    }
}
