//! A side of the admin endpoint: a listening side as any other, and what its clients may do.

#[cfg(unix)]
use std::os::unix::fs::MetadataExt;

use anyhow::bail;
use couplet_admin::Access;
use couplet_connector::endpoint::{Address, Host, ListenAddr, LocalAddr};

use crate::{
    handshakes::Handshakes,
    incoming::{Incoming, Kept},
    mistake::{Mistake, first},
    own_addresses as own,
    side::{DialledFor, Endpoint, EndpointFlags, SideSpec, SideWords},
};

/// Where an admin endpoint listens, and what its connections go through before they are answered.
#[derive(Clone, Debug)]
pub(crate) struct AdminSide {
    pub(crate) spec: SideSpec,
    /// A client that gets through has proven its identity, or that it has a secret.
    is_proven: bool,
    /// Or its address has been looked at.
    is_chosen: bool,
}

/// Options that have no meaning where no partner is dialled or waited for, and why.
const FOREIGN: &[(&str, &str)] = &[
    ("sniff", "it speaks HTTP alone"),
    ("frame", "HTTP is no protocol of messages"),
    ("socks5", "it dials nothing for its clients"),
    ("connect", "it dials nothing for its clients"),
    ("rendezvous", "its clients are not joined"),
];

/// Options whose layers let no stranger through.
const PROVE: &[&str] = &["token", "signed-token", "challenge", "noise"];

// ===== impl AdminSide =====

impl AdminSide {
    /// Reads it; `listen:` may be left out.
    pub(super) fn read(given: &SideWords) -> Result<Self, Mistake> {
        let words = of_kind(given, "listen:");
        let handshakes = Handshakes::flags(None, None);
        let spec = SideSpec::read(&words, handshakes, DialledFor::Other).map_err(|wrong| {
            let wrong = words.hide_secrets(first(wrong));
            wrong.within("--admin").about("--admin")
        })?;
        Self::of(spec, &words).map_err(|mistake| mistake.within("--admin").about("--admin"))
    }

    fn of(mut spec: SideSpec, words: &SideWords) -> Result<Self, Mistake> {
        if !matches!(
            spec.endpoint.address,
            Address::Listen(_) | Address::ListenUnix(_) | Address::ListenSystemd(_)
        ) {
            return Err(Mistake::new(
                format!(
                    "clients connect to the admin endpoint, and `{}` is no place for that",
                    spec.endpoint.shown()
                ),
                "`--admin=9180`, `--admin=listen:HOST:PORT,…` or `--admin=unix:PATH`",
            ));
        }
        let has = |name: &str| words.parts().skip(1).any(|part| name_of(part) == name);
        let foreign = FOREIGN.iter().find(|(name, _)| has(name));
        if let Some((name, why)) = foreign {
            return Err(Mistake::new(
                format!("`{name}` is not for the admin endpoint: {why}"),
                "leave it out",
            ));
        }
        // The owner alone, unless it is said otherwise.
        if spec.endpoint.is_unix() && !spec.endpoint.is_abstract() {
            spec.endpoint.path.mode.get_or_insert(0o600);
        }
        let certificate =
            has("tls.client-ca") && !words.parts().any(|part| part == "tls.client=want");
        Ok(Self {
            is_proven: certificate || PROVE.iter().any(|name| has(name)),
            is_chosen: has("allow"),
            spec,
        })
    }

    /// Would any client be let in that can reach it? Then a token is needed.
    pub(super) fn is_open(&self) -> bool {
        let is_reached = match &self.spec.endpoint.address {
            Address::Listen(addr) => !is_loopback(addr),
            _ => false,
        };
        is_reached && !self.is_proven && !self.is_chosen
    }

    /// Would the token of `--admin-token` be asked for here?
    pub(super) fn takes_token(&self) -> bool {
        let endpoint = &self.spec.endpoint;
        !self.is_proven && (!endpoint.is_unix() || endpoint.is_abstract())
    }

    /// Listens, or goes on with a socket that is there already.
    pub(super) async fn open(&self, kept: Option<Kept>) -> anyhow::Result<Incoming> {
        let flags = EndpointFlags::default();
        let end = self.spec.endpoint.open_or_adopt(flags, kept).await?;
        let Endpoint::Incoming(incoming) = end else {
            bail!("the admin endpoint listens: `--admin=listen:HOST:PORT`");
        };
        // A relay may dial it: that brings no other connection.
        own::remove(&incoming.addrs());
        Ok(incoming)
    }

    /// What requests may do that come in here.
    pub(super) fn access(
        &self,
        incoming: &Incoming,
        token: Option<&String>,
    ) -> anyhow::Result<Access> {
        if self.is_proven || is_owners(&self.spec.endpoint.address, incoming) {
            return Ok(Access::Everything);
        }
        if let Some(token) = token {
            return Ok(Access::Token(token.clone()));
        }
        let mut tcp = incoming.addrs().into_iter().filter_map(|addr| addr.tcp());
        if !self.is_chosen
            && let Some(addr) = tcp.find(|addr| !addr.ip().is_loopback())
        {
            bail!(
                "the admin endpoint at {addr} shows the whole network which clients are connected: {REMEDY}"
            );
        }
        Ok(Access::Look)
    }
}

/// What an address that others reach needs.
pub(super) const REMEDY: &str = "`tls=…` and `tls.client-ca=…`, `--admin-token=@FILE`, `allow=NETWORK`, or an address of this machine";

/// Does the system let the owner alone connect, or the users that the mode of the path names?
fn is_owners(address: &Address, incoming: &Incoming) -> bool {
    match (address, incoming) {
        // An abstract one has neither owner nor mode.
        #[cfg(unix)]
        (Address::ListenUnix(addr), _) => addr.as_path().is_some(),
        // systemd's default is a socket for all users.
        #[cfg(unix)]
        (Address::ListenSystemd(_), Incoming::Unix(listen)) => {
            let metadata = listen.addr().as_path().map(std::fs::metadata);
            metadata.is_some_and(|found| found.is_ok_and(|found| found.mode() & 0o002 == 0))
        }
        _ => false,
    }
}

fn is_loopback(addr: &ListenAddr) -> bool {
    match addr.host() {
        Some(Host::Ip(ip)) => ip.is_loopback(),
        Some(Host::Name(name)) => name.as_str().eq_ignore_ascii_case("localhost"),
        _ => false,
    }
}

fn name_of(part: &str) -> &str {
    part.split('=').next().unwrap_or_default()
}

/// The side with the kind of its address before it, where that was left out.
fn of_kind(given: &SideWords, kind: &str) -> SideWords {
    let is_whole = |word: &str| {
        ["listen:", "dial:", "exec:", "stdio"]
            .iter()
            .any(|kind| word.starts_with(kind))
    };
    let parts = given
        .parts()
        .enumerate()
        .map(|(number, part)| match number {
            0 if !is_whole(part) => format!("{kind}{part}"),
            _ => part.to_owned(),
        });
    SideWords::of_parts(parts)
}

/// Where another process has its admin endpoint; `dial:` may be left out, and the host of a bare port.
pub(crate) fn dialled(given: &SideWords) -> Result<SideSpec, Mistake> {
    let is_port = given.address().parse::<u16>().is_ok();
    let words = of_kind(given, if is_port { "dial:localhost:" } else { "dial:" });
    let handshakes = Handshakes::flags(None, None);
    let spec = SideSpec::read(&words, handshakes, DialledFor::Itself)
        .map_err(|wrong| words.hide_secrets(first(wrong)))
        .and_then(|spec| match &spec.endpoint.address {
            Address::Dial(_) | Address::DialUnix(_) if !spec.endpoint.is_incoming() => Ok(spec),
            address => Err(Mistake::new(
                format!("the admin endpoint is dialled, and `{address}` is no place for that"),
                "`unix:PATH`, `HOST:PORT`, or `dial:HOST:PORT,tls,…`",
            )),
        });
    spec.map_err(|mistake| mistake.within("--admin"))
}

/// As messages and the next process call it.
pub(super) fn shown(addr: Option<LocalAddr>) -> String {
    addr.map_or_else(|| "?".to_owned(), |addr| addr.to_string())
}
