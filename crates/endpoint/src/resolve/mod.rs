//! Looking up names.

#[cfg(feature = "dns")]
mod dns;
mod look_ups;

#[cfg(feature = "dns")]
pub use self::dns::Dns;
#[cfg(feature = "dns")]
pub(crate) use self::dns::SrvRecord;
#[cfg(all(feature = "dns", test))]
pub(crate) use self::dns::testing;
pub(crate) use self::look_ups::no_server_answered;

use std::{
    io,
    net::{SocketAddr, SocketAddrV6},
    sync::LazyLock,
    time::Duration,
};

use tokio::net::lookup_host;

use self::look_ups::{Found, LookUps};
use crate::address::{Host, HostName};

/// The bound on look-ups at a time, in the whole process. Each holds one of the runtime's blocking
/// threads (512 by default) for as long as the system's resolver takes.
const LOOK_UPS: usize = 64;

/// How many look-ups more may run that have taken longer than a second: they take the place of no
/// other. A client that may choose names can choose names whose DNS is silent.
const SLOW_LOOK_UPS: usize = 256;

/// How old an answer may be that is used again, by default.
pub(crate) const LAST_ANSWER: Duration = Duration::from_secs(3600);

/// Where names are looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Names {
    /// By the system's resolver, getaddrinfo(3).
    #[default]
    System,
    #[cfg(feature = "dns")]
    Dns(std::sync::Arc<Dns>),
}

/// The addresses of a host, in the order of the resolver; at once where the host is an address.
///
/// One look-up of a name runs at a time, and all callers share its answer. So a name whose DNS server
/// is silent holds up no other name. Nor do many such names: a slow look-up gives its place in line to
/// the next. Where none is free for a second, or no name server answers, a name that was found within
/// `last_answer` has the answer that it had then. The system's resolver does not say for how long an
/// answer is good, so that each call asks it.
///
/// Has no deadline. Cancel-safe, but a look-up that has begun can't be stopped, and counts until the
/// resolver is done.
pub(crate) async fn resolve(
    host: &Host,
    port: u16,
    names: &Names,
    last_answer: Duration,
) -> io::Result<Vec<SocketAddr>> {
    static LOOK_UPS_RUNNING: LazyLock<LookUps<(Names, HostName), SocketAddr>> =
        LazyLock::new(|| LookUps::new(LOOK_UPS, SLOW_LOOK_UPS));

    match host {
        Host::Name(name) => {
            let question = (names.clone(), name.clone());
            let addrs = LOOK_UPS_RUNNING.shared(&question, last_answer, look_up);
            let mut addrs = addrs.await?.to_vec();
            addrs.iter_mut().for_each(|addr| addr.set_port(port));
            Ok(addrs)
        }
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, port)]),
        Host::Scoped(ip, scope) => Ok(vec![SocketAddrV6::new(*ip, port, 0, scope.get()).into()]),
    }
}

async fn look_up((names, name): (Names, HostName)) -> io::Result<Found<SocketAddr>> {
    match names {
        Names::System => Ok(Found {
            list: lookup_host((name.as_str(), 0)).await?.collect(),
            ttl: Duration::ZERO,
        }),
        #[cfg(feature = "dns")]
        Names::Dns(dns) => dns.addrs(&name).await,
    }
}

/// The SRV records of a name (RFC 2782), sorted; none where they say that there is no such service. They are
/// looked up and kept as addresses are.
#[cfg(feature = "dns")]
pub(crate) async fn srv_records(
    name: &HostName,
    dns: &Dns,
    last_answer: Duration,
) -> io::Result<std::sync::Arc<[SrvRecord]>> {
    static LOOK_UPS_RUNNING: LazyLock<LookUps<(Dns, HostName), SrvRecord>> =
        LazyLock::new(|| LookUps::new(LOOK_UPS, SLOW_LOOK_UPS));

    let question = (dns.clone(), name.clone());
    let look_up = async |(dns, name): (Dns, HostName)| dns.srv_records(&name).await;
    LOOK_UPS_RUNNING
        .shared(&question, last_answer, look_up)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        for text in ["192.0.2.1:22", "[2001:db8::1]:22", "[fe80::1%3]:22"] {
            let addr: SocketAddr = text.parse().unwrap();
            let found = resolve(&addr.into(), 22, &Names::System, LAST_ANSWER).await;
            assert_eq!(found.unwrap(), [addr]);
        }
    }
}
