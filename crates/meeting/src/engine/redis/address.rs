//! What the address of a match-maker leads to.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, io::tcp::TcpSettings};

use super::server_error::ServerError;

/// Where a sentinel listens unless it is said.
const SENTINEL_PORT: u16 = 26379;

/// What an address leads to.
#[derive(Clone)]
pub(super) enum Place {
    One(ConnectionInfo),
    /// Some servers of a Redis Cluster: the others are learned from them.
    Cluster(Vec<ConnectionInfo>),
    /// The master of this name, whose address the sentinels know. The login is that of the master.
    Sentinel(Vec<ConnectionInfo>, String),
}

// ===== impl Place =====

impl Place {
    /// `redis://`, `redis+unix://`, `redis+cluster://HOST,HOST…`, `redis+sentinel://HOST,HOST…/MASTER`; `valkey`
    /// in place of `redis` is the same, and `rediss` and `valkeys` are by TLS.
    pub(super) fn parse(url: &str) -> Result<Self, ServerError> {
        let malformed = |why: &str| ServerError::Malformed(why.to_owned());
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| malformed("it has no scheme"))?;
        let Some((base, kind)) = scheme.split_once('+') else {
            return one(url).map(Self::One);
        };
        match kind {
            "cluster" => hosts(base, rest, None).map(Self::Cluster),
            "sentinel" => {
                let (hosts_of, path) = rest.split_once('/').unwrap_or((rest, ""));
                let (master, db) = path.split_once('/').unwrap_or((path, "0"));
                if master.is_empty() {
                    return Err(ServerError::NoMaster);
                }
                let rest = format!("{hosts_of}/{db}");
                let sentinels = hosts(base, &rest, Some(SENTINEL_PORT))?;
                Ok(Self::Sentinel(sentinels, master.to_owned()))
            }
            _ => one(url).map(Self::One),
        }
    }

    /// All that the address names.
    pub(super) fn infos(&self) -> &[ConnectionInfo] {
        match self {
            Self::One(info) => std::slice::from_ref(info),
            Self::Cluster(infos) | Self::Sentinel(infos, _) => infos,
        }
    }

    pub(super) fn map(self, change: impl Fn(ConnectionInfo) -> ConnectionInfo) -> Self {
        let each = |infos: Vec<_>| infos.into_iter().map(&change).collect();
        match self {
            Self::One(info) => Self::One(change(info)),
            Self::Cluster(infos) => Self::Cluster(each(infos)),
            Self::Sentinel(infos, master) => Self::Sentinel(each(infos), master),
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        let mut infos = self.infos().iter();
        infos.any(|info| matches!(info.addr(), ConnectionAddr::TcpTls { .. }))
    }

    /// The address without secrets.
    pub(super) fn name(&self) -> String {
        let hosts: Vec<_> = self.infos().iter().map(|info| host(info.addr())).collect();
        let hosts = hosts.join(",");
        let scheme = if self.is_tls() { "rediss" } else { "redis" };
        let db = self.infos()[0].redis_settings().db();
        match self {
            Self::One(info) => match info.addr() {
                ConnectionAddr::Unix(path) => format!("redis+unix://{}", path.display()),
                _ => format!("{scheme}://{hosts}/{db}"),
            },
            Self::Cluster(_) => format!("{scheme}+cluster://{hosts}"),
            Self::Sentinel(_, master) => format!("{scheme}+sentinel://{hosts}/{master}/{db}"),
        }
    }
}

/// `[USER[:PASSWORD]@]HOST[:PORT],HOST[:PORT]…[/DATABASE]`.
fn hosts(scheme: &str, rest: &str, port: Option<u16>) -> Result<Vec<ConnectionInfo>, ServerError> {
    let (login, rest) = match rest.rsplit_once('@') {
        Some((login, rest)) => (format!("{login}@"), rest),
        None => (String::new(), rest),
    };
    let (hosts, db) = rest.split_once('/').unwrap_or((rest, ""));
    let with_port = |host: &str| match (port, host.rsplit_once(']').unwrap_or(("", host))) {
        (Some(port), (_, behind)) if !behind.contains(':') => format!("{host}:{port}"),
        _ => host.to_owned(),
    };
    let url = |host| one(&format!("{scheme}://{login}{}/{db}", with_port(host)));
    hosts.split(',').map(url).collect()
}

fn one(url: &str) -> Result<ConnectionInfo, ServerError> {
    let is_tls = url.starts_with("rediss:") || url.starts_with("valkeys:");
    if is_tls && cfg!(not(feature = "redis-tls")) {
        return Err(ServerError::BuiltWithoutTls);
    }
    // A fragment would turn the check of certificates off.
    if url.contains('#') {
        return Err(ServerError::Malformed("it has a `#`".to_owned()));
    }
    let info = url.into_connection_info();
    // What the crate says of a malformed address never has the password in it.
    let info = info.map_err(|error| ServerError::Malformed(error.category().to_owned()))?;
    // The crate leaves Nagle's algorithm on.
    let tcp = TcpSettings::default().set_nodelay(true);
    Ok(info.set_tcp_settings(tcp))
}

fn host(addr: &ConnectionAddr) -> String {
    match addr {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            match host.contains(':') {
                true => format!("[{host}]:{port}"),
                false => format!("{host}:{port}"),
            }
        }
        other => other.to_string(),
    }
}
