//! [`SrvDial`]: connects to a server of a domain's service.

mod error;

pub use self::error::SrvDialError;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::timeout;

use self::error::Reason;
use crate::{
    address::{DialAddr, SrvName},
    conn::Conn,
    dial::{Dial, dials},
    io::TcpIo,
    resolve::{Dns, SrvRecord, srv_records},
    targets::{Balance, Target, Targets},
};

/// Dials a server that the DNS names for a service, by SRV records (RFC 2782): `_SERVICE._tcp.DOMAIN`.
///
/// - **Priority:** the servers with the lowest are dialled first, and those of the next when none of them can be
///   reached.
/// - **Weight:** servers of one priority have turns by their weights ([`Balance::RoundRobin`]). One with the weight
///   0 has one turn in a thousand beside the others' lowest; where all have 0, their turns are equal.
/// - **Failover:** if a dial fails, the next server is dialled, each once. A server whose dials fail three times in
///   a row is down, as with [`Targets`]. Each has the [deadline](Dial::connect_timeout) of the dial.
/// - **Changes:** the records are looked up when their time to live ends (see [`Dns`]). While they stay as they
///   are, what is known of their servers stays, too.
/// - **None:** where the target of the only record is `.`, the domain has no such service: an error that says so.
///   Up to 64 records are used; one without a port, or whose target is no host's name, is left out.
///
/// [`Info::target`](crate::Info::target) has the *domain*, with the port of the record, so that TLS checks the
/// certificate for the name that was asked for, and not for one that a forged answer has (RFC 6125, section 6.2.1).
///
/// ```
/// use couplet_endpoint::{Dial, Dns, SrvDial};
///
/// let name = "_imaps._tcp.example.org".parse()?;
/// let each = Dial::to("0.0.0.0:1")?.connect_timeout(std::time::Duration::from_secs(3));
/// let dial = SrvDial::new(name, Dns::system(), each);
/// # Ok::<(), couplet_endpoint::AddressError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SrvDial {
    name: Arc<SrvName>,
    dns: Dns,
    dial: Dial,
    known: Arc<Mutex<Known>>,
}

/// The servers of the last records, by priority.
#[derive(Debug, Default)]
struct Known {
    records: Arc<[SrvRecord]>,
    priorities: Arc<[Targets<Dial>]>,
}

// ===== impl SrvDial =====

impl SrvDial {
    /// Dials the servers of this service, each as `dial` has it, in place of its target.
    pub fn new(name: SrvName, dns: Dns, dial: Dial) -> Self {
        Self {
            name: Arc::new(name),
            dial: dial.dns(dns.clone()),
            dns,
            known: Arc::default(),
        }
    }

    /// The name of the service.
    pub fn name(&self) -> &SrvName {
        &self.name
    }

    /// Connects.
    ///
    /// Cancel-safe: dropping the future drops the dial that is under way; a look-up goes on.
    ///
    /// # Errors
    ///
    /// [`SrvDialError`] where no records were found within the [deadline](Dial::connect_timeout), the domain has no
    /// such service, or no server was reached.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io and time enabled.
    pub async fn connect(&self) -> Result<Conn<TcpIo>, SrvDialError> {
        let failed = |reason| SrvDialError::new(Arc::clone(&self.name), reason);
        let within = self.dial.deadline();
        let looking = srv_records(self.name.name(), &self.dns, self.dial.last_answer_age());
        let found = timeout(within, looking).await;
        let records = found
            .map_err(|_| failed(Reason::Deadline(within)))?
            .map_err(|error| failed(Reason::LookUp(error)))?;
        let mut reason = Reason::NoService;
        for targets in self.priorities(&records).iter() {
            match targets.connect(None).await {
                Ok(mut conn) => {
                    let found = conn.info.target.take();
                    let port = found.map_or(0, |found| found.port());
                    let target = DialAddr::new(self.name.domain().clone(), port);
                    conn.info.target = Some(Arc::new(target));
                    return Ok(conn);
                }
                Err(error) => reason = Reason::Targets(error),
            }
        }
        Err(failed(reason))
    }

    /// The servers of these records: those that are known, where the records are the same.
    fn priorities(&self, records: &Arc<[SrvRecord]>) -> Arc<[Targets<Dial>]> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.records != *records {
            let same = records.chunk_by(|one, other| one.priority == other.priority);
            let targets = same.map(|records| {
                let target = |srv: &SrvRecord| {
                    let dial = self.dial.clone().retarget(srv.target.clone());
                    Target::new(srv.target.to_string(), dial).weight(weight(srv))
                };
                Targets::new(records.iter().map(target)).balance(Balance::RoundRobin)
            });
            *known = Known {
                priorities: targets.collect(),
                records: Arc::clone(records),
            };
        }
        Arc::clone(&known.priorities)
    }
}

dials!(SrvDial, TcpIo, SrvDialError);

/// A weight of 0 is a small one beside others, and is no target that is left out.
fn weight(srv: &SrvRecord) -> u32 {
    (u32::from(srv.weight) * 1000).max(1)
}

#[cfg(test)]
mod tests;
