//! Name servers asked directly, by hickory-resolver.

mod files;
#[cfg(test)]
pub(crate) mod testing;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use futures::future::join_all;
use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, Record, RecordType, rdata::SRV},
    },
    system_conf::read_system_conf,
};
use tokio::{task::spawn_blocking, time::timeout};

use self::files::{absolute, hosts, searched};
use super::look_ups::Found;
use crate::address::{DialAddr, HostName};

/// The bounds of the time for which an answer is kept, whatever its name server says: even a time of 0 spares
/// a name server a question for each of many clients, and no mistake lasts for days.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(3600);

/// How many records of an answer are used.
const MOST: usize = 64;

/// How many aliases lead to a service at most.
const ALIASES: usize = 8;

/// The time for each attempt, and their number, with name servers that are given: in all less than a dial has.
const GIVEN: (Duration, usize) = (Duration::from_secs(3), 2);

/// The shortest time for an attempt, as the C library has it, where resolv.conf(5) says 0.
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(1);

/// The deadline of a look-up, which resolv.conf(5) may set to hours.
const DEADLINE: Duration = Duration::from_secs(30);

/// Looks names up by asking name servers, with [hickory-resolver], in place of the system's resolver: for
/// [`Dial::dns`](crate::Dial::dns) and [`SrvDial`](crate::SrvDial).
///
/// - **Times to live:** an answer is used for as long as its name server says (TTL), from a second to an hour, and then
///   looked up again. The system's resolver does not tell the time, so that it is asked for each dial.
/// - **Files:** /etc/hosts comes first. Of /etc/resolv.conf (resolv.conf(5)) the name servers, `search`,
///   `ndots`, `timeout` and `attempts` are used, unless [name servers are given](Self::servers). Both files are
///   read at each look-up. Of nsswitch.conf(5) nothing is: no mDNS, LDAP or local containers.
/// - **Order:** IPv6 addresses first, each family in the order of the answer, up to 64 of each.
/// - **Bounds:** a look-up fails after 30 s. What [the system's look-ups](crate::Dial) share and keep, these do, too.
///
/// Answers are not authenticated (no DNSSEC): a forged one leads a connection elsewhere, so use TLS.
///
/// [hickory-resolver]: https://docs.rs/hickory-resolver
///
/// ```
/// use couplet_endpoint::{Dial, Dns};
///
/// let dial = Dial::to("example.org:443")?.dns(Dns::system());
/// let dial = dial.dns(Dns::servers(["192.0.2.53:53".parse()?]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dns {
    /// `None`: those of the system.
    servers: Option<Arc<[SocketAddr]>>,
}

/// A server of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SrvRecord {
    pub(crate) priority: u16,
    pub(crate) weight: u16,
    pub(crate) target: DialAddr,
}

/// The names to ask for, and the name servers.
struct Asking {
    resolver: TokioResolver,
    /// In this order, until one is found.
    names: Vec<Name>,
}

/// Why there is no answer to use.
enum Failure {
    /// The name servers say so.
    None(ResponseCode),
    /// None has answered well.
    Unanswered(String),
}

// ===== impl Dns =====

impl Dns {
    /// The name servers of /etc/resolv.conf; of the registry on Windows.
    pub const fn system() -> Self {
        Self { servers: None }
    }

    /// Name servers that are given, asked by UDP and, where an answer is too long for that, TCP. Names are taken as they are,
    /// without the domains of `search`.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn servers(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        let servers: Arc<[_]> = servers.into_iter().collect();
        assert!(!servers.is_empty(), "no name servers");
        Self {
            servers: Some(servers),
        }
    }

    pub(super) async fn addrs(&self, name: &HostName) -> io::Result<Found<SocketAddr>> {
        let (dns, name) = (self.clone(), name.clone());
        let (hosts, asking) = read(move || Ok((hosts(&name), dns.asking(&name, true)?))).await?;
        let (ips, ttl) = match hosts.is_empty() {
            false => (hosts, SHORTEST),
            true => {
                let found = asking.ask(&[RecordType::AAAA, RecordType::A]).await;
                let found = found.map_err(|failure| failure.of("address"))?;
                let ips = found.iter().filter_map(|record| record.data.ip_addr());
                (ips.collect(), time_to_live(&found))
            }
        };
        let list = ips.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
        Ok(Found { list, ttl })
    }

    pub(super) async fn srv_records(&self, name: &HostName) -> io::Result<Found<SrvRecord>> {
        let (dns, name) = (self.clone(), name.clone());
        let asking = read(move || dns.asking(&name, false)).await?;
        let found = asking.ask(&[RecordType::SRV]).await;
        let found = found.map_err(|failure| failure.of("SRV record"))?;
        let all = found.iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(srv),
            _ => None,
        });
        // RFC 2782: the target `.` says that the domain has no such service.
        let (none, some): (Vec<_>, Vec<_>) = all.partition(|srv| srv.target.is_root());
        let mut list: Vec<_> = some.into_iter().filter_map(SrvRecord::of).collect();
        if list.is_empty() && none.is_empty() {
            let text = "no SRV record has the name of a host, and a port";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        // Name servers turn the order from answer to answer.
        list.sort_by_cached_key(|srv| (srv.priority, srv.target.to_string(), srv.weight));
        list.dedup();
        Ok(Found {
            list,
            ttl: time_to_live(&found),
        })
    }

    /// Blocks while it reads a file.
    fn asking(&self, name: &HostName, is_host: bool) -> io::Result<Asking> {
        let (config, mut options) = match &self.servers {
            None => read_system_conf()
                .map_err(|error| unanswered(format!("/etc/resolv.conf: {error}")))?,
            Some(servers) => {
                let servers = servers.iter().map(|server| name_server(*server)).collect();
                let config = ResolverConfig::from_parts(None, Vec::new(), servers);
                let mut options = ResolverOpts::default();
                (options.timeout, options.attempts) = GIVEN;
                (config, options)
            }
        };
        bound(&mut options);
        let names = match is_host {
            true => searched(name, &config, options.ndots),
            false => absolute(name).into_iter().collect(),
        };
        // What it has found is kept here, and the file of hosts is read here, by one name.
        (options.cache_size, options.use_hosts_file) = (0, ResolveHosts::Never);
        let provider = TokioRuntimeProvider::default();
        let mut resolver = Resolver::builder_with_config(config, provider);
        *resolver.options_mut() = options;
        let resolver = resolver.build().map_err(unanswered)?;
        Ok(Asking { resolver, names })
    }
}

impl fmt::Display for Dns {
    /// As in the command: the name servers with `+` between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(servers) = &self.servers else {
            return f.write_str("system");
        };
        for (at, server) in servers.iter().enumerate() {
            write!(f, "{}{server}", if at > 0 { "+" } else { "" })?;
        }
        Ok(())
    }
}

// ===== impl SrvRecord =====

impl SrvRecord {
    /// `None` where it leads to no port of a host.
    fn of(srv: &SRV) -> Option<Self> {
        let host = srv.target.to_ascii().to_ascii_lowercase();
        let host = HostName::new(host.trim_end_matches('.')).ok()?;
        (srv.port > 0).then(|| Self {
            priority: srv.priority,
            weight: srv.weight,
            target: DialAddr::new(host, srv.port),
        })
    }
}

// ===== impl Asking =====

impl Asking {
    /// Asks for these kinds of records of each name in turn, until there are some. Where no name server answers,
    /// the next name might be another's.
    async fn ask(&self, kinds: &[RecordType]) -> Result<Vec<Record>, Failure> {
        let asking = async {
            let mut failure = Failure::None(ResponseCode::NXDomain);
            for name in &self.names {
                let each = kinds.iter().map(|kind| self.records(name, *kind));
                match together(join_all(each).await) {
                    Ok(found) => return Ok(found),
                    Err(Failure::None(ResponseCode::NXDomain)) => {}
                    Err(none @ Failure::None(_)) => failure = none,
                    Err(unanswered) => return Err(unanswered),
                }
            }
            Err(failure)
        };
        let late = |_| Failure::Unanswered(format!("no answer within {DEADLINE:?}"));
        timeout(DEADLINE, asking).await.map_err(late)?
    }

    /// Follows aliases itself where it must: hickory-resolver takes the target of an SRV record behind an alias for
    /// one more. It does so for each question, so that the end of the aliases alone is asked for the records.
    async fn records(&self, name: &Name, kind: RecordType) -> Result<Vec<Record>, Failure> {
        let failure = match self.direct(name, kind).await {
            Err(failure @ Failure::None(_)) if kind == RecordType::SRV => failure,
            answered => return answered,
        };
        let mut found = Vec::new();
        let mut end = name.clone();
        while found.len() < ALIASES
            && let Ok(mut alias) = self.direct(&end, RecordType::CNAME).await
            && let Some(RData::CNAME(target)) = alias.first().map(|record| &record.data)
        {
            end = target.0.clone();
            found.extend(alias.drain(..1));
        }
        if found.is_empty() {
            return Err(failure);
        }
        found.extend(self.direct(&end, kind).await?);
        Ok(found)
    }

    async fn direct(&self, name: &Name, kind: RecordType) -> Result<Vec<Record>, Failure> {
        match self.resolver.lookup(name.clone(), kind).await {
            Ok(lookup) => {
                let kinds = [kind, RecordType::CNAME];
                let all = lookup.answers().iter();
                let those = all.filter(|record| kinds.contains(&record.record_type()));
                let those: Vec<_> = those.take(MOST).cloned().collect();
                match those.iter().any(|record| record.record_type() == kind) {
                    true => Ok(those),
                    false => Err(Failure::None(ResponseCode::NoError)),
                }
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                Err(Failure::None(none.response_code))
            }
            Err(error) => Err(Failure::Unanswered(error.to_string())),
        }
    }
}

// ===== impl Failure =====

impl Failure {
    /// The error of a look-up that was to find this.
    fn of(self, what: &str) -> io::Error {
        let text = match self {
            Self::Unanswered(why) => return unanswered(why),
            Self::None(ResponseCode::NXDomain) => "no such name (NXDOMAIN)".to_owned(),
            Self::None(_) => format!("the name has no {what}"),
        };
        io::Error::new(io::ErrorKind::NotFound, text)
    }
}

/// Says so as the C library does.
fn unanswered(why: impl fmt::Display) -> io::Error {
    let why = why.to_string();
    let why = why.escape_debug();
    io::Error::other(format!("Temporary failure in name resolution: {why}"))
}

/// Some of several kinds, if there are any.
fn together(found: Vec<Result<Vec<Record>, Failure>>) -> Result<Vec<Record>, Failure> {
    let mut all = Vec::new();
    let mut failure = None;
    for found in found {
        match found {
            Ok(found) => all.extend(found),
            Err(Failure::None(code)) => {
                failure.get_or_insert(Failure::None(code));
            }
            Err(unanswered) => failure = Some(unanswered),
        }
    }
    match failure {
        Some(failure) if all.is_empty() => Err(failure),
        _ => Ok(all),
    }
}

fn time_to_live(found: &[Record]) -> Duration {
    let seconds = found.iter().map(|record| record.ttl).min();
    Duration::from_secs(seconds.unwrap_or(0).into()).clamp(SHORTEST, LONGEST)
}

/// `options timeout:0 attempts:0` of resolv.conf(5) is one short attempt.
fn bound(options: &mut ResolverOpts) {
    options.timeout = options.timeout.max(SHORTEST_ATTEMPT);
    // Those after the first.
    options.attempts = options.attempts.saturating_sub(1);
}

fn name_server(addr: SocketAddr) -> NameServerConfig {
    let mut ways = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    ways.iter_mut().for_each(|way| way.port = addr.port());
    NameServerConfig::new(addr.ip(), true, ways.into())
}

/// Reads files where that holds up no other task.
async fn read<T: Send + 'static>(
    files: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(files).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
