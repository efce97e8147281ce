//! [`Dial`]: connects to a server.

mod attempt;
mod backoff;
mod by;
mod error;
mod family;
mod modes;
mod per_target;
mod permit;
mod race;
mod stream;

pub use self::{
    backoff::Backoff,
    by::{DialBy, dial_by},
    error::DialError,
    family::Family,
    stream::{Once, Pool, PoolEach, PoolStatus, PoolWatch, Repeat, once, pool, pool_each, repeat},
};

#[cfg(feature = "dns")]
pub(crate) use self::error::look_up_failure;
pub(crate) use self::modes::dials;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::future::{Either, select};
use tokio::time::timeout;

use self::{
    attempt::Attempt,
    error::Reason,
    per_target::{Pending, PerTarget},
    permit::Permits,
    race::{interleave, race},
};
use crate::{
    address::{AddressError, DialAddr},
    conn::{Conn, Info},
    error::BoxError,
    io::{TcpIo, tcp},
    resolve::{LAST_ANSWER, Names, resolve},
    socket::SocketOptions,
};

/// Dials a TCP port: each [`connect`](Self::connect) is a new connection.
///
/// A name is looked up at each dial, and all its addresses are tried: IPv6 and IPv4 in turn,
/// each 250 ms after the one before it or as soon as one fails, until the first has connected
/// (RFC 8305). At most 64 look-ups run at a time in the whole process. The system's resolver looks names up,
/// unless `Dial::dns` (feature `dns`) says otherwise.
///
/// A `Dial` is a [`tower::Service`](tower_service::Service), so tower's retries, timeouts and
/// balancers work on it; the request is ignored, because the target belongs to the dial.
/// [`once`](Self::once), [`repeat`](Self::repeat) and [`pool`](Self::pool) make an endpoint of it, a
/// stream of connections.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), couplet_endpoint::BoxError> {
/// use std::time::Duration;
/// use couplet_endpoint::{Dial, Listen};
///
/// let listen = Listen::bind("127.0.0.1:0").await?;
/// let dial = Dial::new(listen.local_addr()).connect_timeout(Duration::from_secs(3));
/// let conn = dial.connect().await?;
/// assert_eq!(conn.info.peer, Some(listen.local_addr()));
///
/// let error = Dial::to("127.0.0.1:1")?.connect().await.unwrap_err();
/// assert_eq!(error.to_string(), "cannot dial 127.0.0.1:1");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Dial {
    /// Shared with the info of each connection.
    target: Arc<DialAddr>,
    connect_timeout: Duration,
    attempt: Attempt,
    per_target: Option<PerTarget>,
    permits: Permits,
    family: Family,
    names: Names,
    last_answer: Duration,
    /// The only address of the target that is dialled; it is not looked up.
    only: Option<SocketAddr>,
}

// ===== impl Dial =====

impl Dial {
    /// A dial of this address, or this [`SocketAddr`].
    pub fn new(target: impl Into<DialAddr>) -> Self {
        Self {
            target: Arc::new(target.into()),
            connect_timeout: Duration::from_secs(10),
            attempt: Attempt::default(),
            per_target: None,
            permits: Permits::default(),
            family: Family::default(),
            names: Names::default(),
            last_answer: LAST_ANSWER,
            only: None,
        }
    }

    /// A dial of `HOST:PORT`.
    ///
    /// # Errors
    ///
    /// [`AddressError`] where the text is no address. The name is looked up later, by each dial.
    pub fn to(target: &str) -> Result<Self, AddressError> {
        target.parse::<DialAddr>().map(Self::new)
    }

    /// The deadline for the look-up and all attempts together. 10 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Dials from this address of this machine. Only the target's addresses of the same family are
    /// tried; dialling fails where there are none. By default the system chooses the address.
    #[must_use]
    pub fn source(mut self, source: impl Into<Option<IpAddr>>) -> Self {
        self.attempt.source = source.into();
        self
    }

    /// Which addresses of the target are dialled, and which of them first. All by default, as the system
    /// sorts them.
    #[must_use]
    pub fn family(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    /// How long the last known addresses of a name are used while no name server answers (`EAI_AGAIN`).
    /// 1 hour by default, 1 day at most, and 0 for never. An answer that the name does not exist (NXDOMAIN)
    /// counts at once.
    #[must_use]
    pub fn last_answer(mut self, age: Duration) -> Self {
        self.last_answer = age;
        self
    }

    /// Looks names up so, and not by the system's resolver.
    #[cfg(feature = "dns")]
    #[must_use]
    pub fn dns(mut self, dns: crate::Dns) -> Self {
        self.names = Names::Dns(Arc::new(dns));
        self
    }

    /// Dials over Multipath TCP (RFC 8684), which uses several ways to the server at once, or one after the
    /// other, where both systems have them; with a server that has only TCP it is TCP. Off by default. Linux
    /// alone has it, and [`check_multipath`](Self::check_multipath) tells whether it does.
    ///
    /// The system lacks `TCP_USER_TIMEOUT` and the [time for an acknowledgement](SocketOptions::ack_timeout) over it:
    /// leave both off. What is spliced from such a socket is copied by the kernel.
    #[must_use]
    pub fn multipath(mut self, multipath: bool) -> Self {
        self.attempt.multipath = multipath;
        self
    }

    /// Whether this system has Multipath TCP.
    ///
    /// # Errors
    ///
    /// Where it has not, or has it switched off: the sysctl `net.mptcp.enabled`.
    pub fn check_multipath() -> io::Result<()> {
        tcp::check_multipath()
    }

    /// The options of the sockets, set before the sockets connect. [`SocketOptions::new`] by default.
    #[must_use]
    pub fn socket(mut self, options: SocketOptions) -> Self {
        self.attempt.set_options(options);
        self
    }

    /// Leaves [keep-alive](SocketOptions::keep_alive) and the [time for an
    /// acknowledgement](SocketOptions::ack_timeout) to [`LateOptions`], which sets them once a connection
    /// has lived for a second: five system calls less for a short connection. Off by default.
    ///
    /// **For the dials of a [`Connector`], which does so.** Elsewhere wrap the io of each connection that
    /// has [`DeferredOptions`] in its extensions: without that, a peer that vanishes is not noticed.
    ///
    /// The first connection has all options at once, so that options that the system does not take are an
    /// error. Has no effect on Windows.
    ///
    /// [`Connector`]: https://docs.rs/couplet-connector/latest/couplet_connector/struct.Connector.html
    /// [`LateOptions`]: crate::io::LateOptions
    /// [`DeferredOptions`]: crate::io::DeferredOptions
    #[must_use]
    pub fn defer_options(mut self) -> Self {
        self.attempt.defer_options();
        self
    }

    /// Bounds the dials of one target that run at a time, over this dial, its clones and all dials
    /// [retargeted](Self::retarget) from it; a dial beyond the bound fails at once. No bound by default.
    ///
    /// Use it where a dial is retargeted for each client: an unresponsive target then takes no more of
    /// the [dials side by side] than this, and does not hold up the clients of other targets.
    ///
    /// [dials side by side]: https://docs.rs/couplet-pairing/latest/couplet_pairing/struct.Policy.html#method.max_waiting
    ///
    /// # Panics
    ///
    /// If `dials` is 0, with which no dial would ever run.
    #[must_use]
    pub fn max_per_target(mut self, dials: usize) -> Self {
        assert!(
            dials > 0,
            "`max_per_target` is 0: at least one dial has to run"
        );
        self.per_target = Some(PerTarget::new(dials));
        self
    }

    /// The client that this is dialled for: the [bound of its target](Self::max_per_target) is shared fairly
    /// among the clients' addresses, IPv6 by /64. At the bound, the oldest dial of the address with most
    /// gives way to one of an address with fewer. Without a client, a dial never gives way.
    #[must_use]
    pub fn for_client(mut self, client: &Info) -> Self {
        self.per_target = self
            .per_target
            .map(|dials| dials.for_client(client.stranger()));
        self
    }

    /// Asks `rule` before each attempt whether this address of the target may be dialled. A refused
    /// address is skipped, and the rule's error is returned if no other address connects; so of a name
    /// with two addresses the second may be the one dialled. Several rules must all agree. By default
    /// every address may be dialled.
    ///
    /// ```
    /// use couplet_endpoint::Dial;
    ///
    /// let dial = Dial::to("example.org:80")?.permit(|addr| match addr.ip().is_loopback() {
    ///     true => Err("no address of this machine"),
    ///     false => Ok(()),
    /// });
    /// # Ok::<(), couplet_endpoint::AddressError>(())
    /// ```
    #[must_use]
    pub fn permit<F, E>(mut self, rule: F) -> Self
    where
        F: Fn(SocketAddr) -> Result<(), E> + Send + Sync + 'static,
        E: Into<BoxError>,
    {
        self.permits.add(rule);
        self
    }

    /// The same dial with another target.
    #[must_use]
    pub fn retarget(mut self, target: impl Into<DialAddr>) -> Self {
        self.target = Arc::new(target.into());
        self
    }

    /// Dials this address of the target alone, without a look-up. The target stays what TLS checks.
    #[must_use]
    pub fn only(mut self, addr: SocketAddr) -> Self {
        self.only = Some(addr);
        self
    }

    /// Looks up the addresses of the target, in the order in which they are dialled.
    ///
    /// # Errors
    ///
    /// [`DialError`] if no address is found, or the [deadline](Self::connect_timeout) passed.
    pub async fn look_up(&self) -> Result<Vec<SocketAddr>, DialError> {
        let looking = timeout(self.connect_timeout, self.addrs());
        let found = looking
            .await
            .unwrap_or(Err(Reason::Deadline(self.connect_timeout)));
        found.map_err(|reason| DialError::new((*self.target).clone(), reason, Vec::new()))
    }

    /// Looks up the addresses that this may dial: those that [no rule](Self::permit) refuses, the two families in
    /// turn. For a dial over another transport.
    ///
    /// # Errors
    ///
    /// As [`look_up`](Self::look_up), and where every address is refused.
    pub async fn candidates(&self) -> Result<Vec<SocketAddr>, DialError> {
        let mut failed = Vec::new();
        let mut addrs = self.look_up().await?;
        self.refuse(&mut addrs, &mut failed);
        match addrs.is_empty() {
            true => Err(DialError::new(
                (*self.target).clone(),
                Reason::AllFailed,
                failed,
            )),
            false => Ok(interleave(addrs)),
        }
    }

    /// The [deadline](Self::connect_timeout).
    pub const fn deadline(&self) -> Duration {
        self.connect_timeout
    }

    /// How old an [answer](Self::last_answer) may be.
    #[cfg(feature = "dns")]
    pub(crate) const fn last_answer_age(&self) -> Duration {
        self.last_answer
    }

    /// The [source](Self::source).
    pub const fn source_addr(&self) -> Option<IpAddr> {
        self.attempt.source
    }

    /// The address that this dials.
    pub fn target(&self) -> &DialAddr {
        &self.target
    }

    /// Connects.
    ///
    /// Cancel-safe: dropping the future drops all attempts. Only a look-up that has begun goes on until
    /// the system's resolver gives up.
    ///
    /// # Errors
    ///
    /// [`DialError`] where no address was found, none connected, the [deadline](Self::connect_timeout)
    /// passed, or the [bound on dials of the target](Self::max_per_target) is reached.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io and time enabled.
    pub async fn connect(&self) -> Result<Conn<TcpIo>, DialError> {
        let mut failed = Vec::new();
        let per_target = self.per_target.as_ref();
        let begun = per_target
            .map(|dials| dials.begin(&self.target))
            .transpose();
        let pending = begun.map_err(|most| {
            DialError::new((*self.target).clone(), Reason::Busy(most), Vec::new())
        })?;
        let reason = {
            let attempts = pin!(timeout(self.connect_timeout, self.attempts(&mut failed)));
            let gives_way = pin!(Pending::gives_way(pending.as_ref()));
            match select(attempts, gives_way).await {
                Either::Left((Ok(Ok(conn)), _)) => return Ok(conn),
                Either::Left((Ok(Err(reason)), _)) => reason,
                Either::Left((Err(_), _)) => Reason::Deadline(self.connect_timeout),
                Either::Right((most, _)) => Reason::GaveWay(most),
            }
        };
        Err(DialError::new((*self.target).clone(), reason, failed))
    }

    async fn attempts(
        &self,
        failed: &mut Vec<(SocketAddr, io::Error)>,
    ) -> Result<Conn<TcpIo>, Reason> {
        let mut addrs = self.addrs().await?;
        self.refuse(&mut addrs, failed);
        race(interleave(addrs), failed, |addr| {
            self.attempt.connect(addr, &self.target)
        })
        .await
        .ok_or(Reason::AllFailed)
    }

    /// Leaves out the addresses that a rule refuses.
    fn refuse(&self, addrs: &mut Vec<SocketAddr>, failed: &mut Vec<(SocketAddr, io::Error)>) {
        addrs.retain(|addr| match self.permits.check(*addr) {
            Ok(()) => true,
            Err(error) => {
                failed.push((*addr, error));
                false
            }
        });
    }

    async fn addrs(&self) -> Result<Vec<SocketAddr>, Reason> {
        if let Some(only) = self.only {
            return Ok(vec![only]);
        }
        let (host, port) = (self.target.host(), self.target.port());
        let found = resolve(host, port, &self.names, self.last_answer).await;
        let mut addrs = found.map_err(Reason::LookUp)?;
        if addrs.is_empty() {
            return Err(Reason::NoAddress);
        }
        self.family.sort(&mut addrs);
        if addrs.is_empty() {
            return Err(Reason::NoAddressOf(self.family));
        }
        if let Some(source) = self.attempt.source {
            addrs.retain(|addr| addr.is_ipv4() == source.is_ipv4());
            if addrs.is_empty() {
                return Err(Reason::NoAddressFor(source));
            }
        }
        Ok(addrs)
    }
}

dials!(Dial, TcpIo, DialError);

#[cfg(test)]
mod tests;
