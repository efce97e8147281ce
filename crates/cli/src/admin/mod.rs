//! `--admin`: metrics, the admin endpoint and the live page.

pub(crate) mod describe;
pub(crate) mod program;
pub(crate) mod reload;

use couplet_admin::{Access, Admin, AdminAddr, AdminListener, AdminSocket, Relay, Server};

use crate::{incoming::Kept, mistake::Mistake, side::options::secret};

#[derive(Debug, clap::Args)]
pub(crate) struct AdminArgs {
    /// Serve metrics, the admin endpoint and the live page at unix:/PATH, IP:PORT or a port of this machine
    #[arg(long, value_name = "ADDR")]
    admin: Vec<AdminAddr>,

    /// Let requests with this token change something over TCP; without it they only look
    #[arg(long, value_name = "@FILE", requires = "admin")]
    admin_token: Option<String>,
}

/// Where the admin endpoint listens, and what its requests may do.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdminSpec {
    pub(crate) addrs: Vec<AdminAddr>,
    token: Option<String>,
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
    listeners: Vec<(AdminListener, Access)>,
}

// ===== impl AdminArgs =====

impl AdminArgs {
    pub(crate) fn spec(&self) -> Result<AdminSpec, Mistake> {
        let token = self.admin_token.as_deref().map(token).transpose()?;
        let open = self.admin.iter().find(|addr| !addr.is_local());
        if let Some(addr) = open.filter(|_| token.is_none()) {
            return Err(Mistake::new(
                format!("--admin={addr} shows the whole network which clients are connected"),
                "`--admin-token=@FILE`, or an address of this machine",
            )
            .about("--admin"));
        }
        let is_tcp = |addr: &AdminAddr| matches!(addr, AdminAddr::Tcp(_));
        if token.is_some() && !self.admin.iter().any(is_tcp) {
            return Err(Mistake::new(
                "--admin-token would do nothing here: a Unix socket is open to its owner alone",
                "leave it out",
            )
            .about("--admin-token"));
        }
        Ok(AdminSpec {
            addrs: self.admin.clone(),
            token,
        })
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
    /// Listens. Where there is nothing to listen on, nothing is served.
    pub(crate) async fn bind(&self) -> anyhow::Result<AdminEndpoint> {
        self.bind_or_adopt(|_| None).await
    }

    /// The same; sockets that are there already are taken over.
    pub(crate) async fn bind_or_adopt(
        &self,
        mut kept: impl FnMut(&AdminAddr) -> Option<Kept>,
    ) -> anyhow::Result<AdminEndpoint> {
        let mut listeners = Vec::new();
        for addr in &self.addrs {
            let listener = match kept(addr).map(AdminSocket::try_from) {
                Some(socket) => AdminListener::adopt(socket?)?,
                None => AdminListener::bind(addr).await?,
            };
            let access = match (addr, &self.token) {
                (AdminAddr::Tcp(_), Some(token)) => Access::Token(token.clone()),
                (AdminAddr::Tcp(_), None) => Access::Look,
                _ => Access::Everything,
            };
            listeners.push((listener, access));
        }
        Ok(AdminEndpoint { listeners })
    }
}

impl TryFrom<Kept> for AdminSocket {
    type Error = anyhow::Error;

    fn try_from(kept: Kept) -> anyhow::Result<Self> {
        match kept {
            Kept::Tcp(mut sockets) => match sockets.pop() {
                Some(socket) => Ok(Self::Tcp(socket)),
                None => anyhow::bail!("no socket for the admin endpoint"),
            },
            #[cfg(unix)]
            Kept::Unix(socket) => Ok(Self::Unix(socket)),
            Kept::Routes(_) => anyhow::bail!("no socket for the admin endpoint"),
        }
    }
}

// ===== impl AdminEndpoint =====

impl AdminEndpoint {
    /// Answers for these relays from now on, until the runtime ends.
    pub(crate) fn serve(self, relays: impl IntoIterator<Item = Relay>) -> Option<AdminServing> {
        if self.listeners.is_empty() {
            return None;
        }
        let admin = Admin::new().version(env!("CARGO_PKG_VERSION"));
        for relay in relays {
            admin.add(relay);
        }
        let accepting = self.listeners.into_iter().map(|(listener, access)| {
            if let Some(address) = listener.local_addr() {
                tracing::info!(%address, ?access, "admin endpoint");
            }
            tokio::spawn(Server::new(&admin, access).run(listener)).abort_handle()
        });
        let accepting = accepting.collect();
        Some(AdminServing { admin, accepting })
    }

    /// Its sockets, which outlive it, with their addresses.
    #[cfg(unix)]
    pub(crate) fn kept(&self, spec: &AdminSpec) -> std::io::Result<Vec<(AdminAddr, Kept)>> {
        let listeners = self.listeners.iter().zip(&spec.addrs);
        listeners
            .map(|((listener, _), addr)| {
                let kept = match listener.socket()? {
                    AdminSocket::Tcp(socket) => Kept::Tcp(vec![socket]),
                    AdminSocket::Unix(socket) => Kept::Unix(socket),
                    other => return Err(std::io::Error::other(format!("{other:?}"))),
                };
                Ok((addr.clone(), kept))
            })
            .collect()
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
