//! The options of TCP sockets.

use std::{fmt, io, time::Duration};

use socket2::{SockRef, TcpKeepalive};

use crate::conn::Info;

/// Options of TCP sockets, for [`Listen`](crate::Listen) and [`Dial`](crate::Dial).
///
/// | option | default | finds |
/// |---|---|---|
/// | [`keep_alive`](Self::keep_alive) | [`KeepAlive::default`] | a peer that vanished while the connection was idle |
/// | [`ack_timeout`](Self::ack_timeout) | 50 s | a peer that vanished while data was on its way to it |
/// | [`user_timeout`](Self::user_timeout) | off | the same, and a peer that does not read for as long |
/// | [`nodelay`](Self::nodelay) | on | |
///
/// **Urgent data** (`MSG_OOB`, as telnet and FTP send it) stays in the stream, in its place, as an
/// ordinary byte (`SO_OOBINLINE`, see socket(7)): a relay delivers it with all that follows. That it
/// was urgent is not passed on, as RFC 6093 advises.
///
/// ```
/// use std::time::Duration;
/// use couplet_endpoint::{KeepAlive, SocketOptions};
///
/// let options = SocketOptions::new()
///     .keep_alive(KeepAlive::new().idle(Duration::from_secs(20)))
///     .user_timeout(Duration::from_secs(300));
/// let bare = SocketOptions::new().keep_alive(KeepAlive::OFF);
/// assert_ne!(options, bare);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    keep_alive: Option<KeepAlive>,
    nodelay: bool,
    user_timeout: Option<Duration>,
    ack_timeout: Option<AckTimeout>,
}

/// How long sent data may go without any answer from the peer's system, among the
/// [`extensions`](crate::Extensions) of a connection whose system does not see to it by itself: a
/// relay then does. See [`SocketOptions::ack_timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckTimeout(Duration);

/// When an idle connection is probed for a peer that vanished: `SO_KEEPALIVE` of socket(7), and
/// `TCP_KEEPIDLE`, `TCP_KEEPINTVL` and `TCP_KEEPCNT` of tcp(7).
///
/// By default a connection is probed once it has been idle for 60 s, then every 10 s, and is
/// closed when 5 probes went unanswered: a dead peer is found after 110 s (sooner where there is
/// a [`user_timeout`](SocketOptions::user_timeout)). On platforms that can't tune the probes
/// (OpenBSD, Haiku; Solaris in part) only `SO_KEEPALIVE` is set, and the system's times hold.
///
/// Durations are rounded up to whole seconds, at least one. What the system does not take (on
/// Linux: times above 32767 s, a count of 0 or above 127) fails where the options are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    idle: Duration,
    interval: Duration,
    count: u32,
}

// ===== impl SocketOptions =====

impl SocketOptions {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            keep_alive: Some(KeepAlive::new()),
            nodelay: true,
            user_timeout: None,
            ack_timeout: Some(AckTimeout(Duration::from_secs(50))),
        }
    }

    /// Probes idle connections with these times, or not at all: [`KeepAlive::OFF`].
    #[must_use]
    pub fn keep_alive(mut self, keep_alive: impl Into<Option<KeepAlive>>) -> Self {
        self.keep_alive = keep_alive.into();
        self
    }

    /// Sends small writes at once (`TCP_NODELAY`), instead of collecting them while earlier ones
    /// are unacknowledged. On by default.
    #[must_use]
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// About how long sent data may go without any answer from the peer's system before the
    /// connection is closed, or `None` for the system's own time, which is a quarter of an hour on
    /// Linux. 50 s by default; times below 15 s count as 15 s, those above 924 s as 924 s.
    ///
    /// Never cuts a live peer that does not *read*, however long it pauses, because the peer's system
    /// answers. [`KeepAlive`] does not cover this case, as a connection with data on its way is not
    /// idle.
    ///
    /// Since Linux 6.15 it bounds the pause between two retransmissions (`TCP_RTO_MAX_MS` of tcp(7)),
    /// of which there are 15 (`net.ipv4.tcp_retries2`). On an older Linux the connection has an
    /// [`AckTimeout`], and while bytes are unacknowledged a relay asks the system every eighth of that
    /// time (`TCP_INFO`). Elsewhere it has no effect, and [`user_timeout`](Self::user_timeout) is the
    /// remedy.
    #[must_use]
    pub fn ack_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.ack_timeout = timeout.into().map(AckTimeout::new);
        self
    }

    /// How long data may stay unread and unacknowledged before the connection is closed
    /// (`TCP_USER_TIMEOUT`, RFC 5482), or `None`, the default.
    ///
    /// On Linux (since 5.11) it also closes the connection of a peer that is alive and does not
    /// *read* for as long, and what that peer has not read is lost. With 30 s, a reader that pauses
    /// for 31 s was cut off (measured on 6.18), as was one that took 4 kB/s steadily. Set it where
    /// readers must keep up; [`ack_timeout`](Self::ack_timeout) alone finds peers that vanished.
    ///
    /// A timeout below a millisecond counts as one. Has no effect on platforms that don't know the
    /// option, which are all but Linux, Android and Fuchsia. On Linux it also takes the place of the
    /// [`KeepAlive`] count: a connection that has been silent for longer is closed once a single
    /// probe went unanswered.
    #[must_use]
    pub fn user_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.user_timeout = timeout.into();
        self
    }

    pub(crate) fn apply(&self, socket: &SockRef<'_>) -> io::Result<()> {
        self.apply_first(socket)?;
        self.apply_late(socket)
    }

    /// The options that matter only to a connection that lives for more than a second: those by which
    /// a peer that has vanished is noticed.
    pub(crate) fn apply_late(&self, socket: &SockRef<'_>) -> io::Result<()> {
        if let Some(keep_alive) = &self.keep_alive {
            socket.set_tcp_keepalive(&keep_alive.probes())?;
        }
        #[cfg(target_os = "linux")]
        if let Some(timeout) = self.ack_timeout {
            crate::sockopt::set_rto_max(&**socket, timeout.rto_max())?;
        }
        Ok(())
    }

    /// The other options, which have to be set before the first byte.
    pub(crate) fn apply_first(&self, socket: &SockRef<'_>) -> io::Result<()> {
        if self.nodelay {
            socket.set_tcp_nodelay(true)?;
        }
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
        if let Some(timeout) = self.user_timeout {
            // Zero would mean the system's default.
            socket.set_tcp_user_timeout(Some(timeout.max(Duration::from_millis(1))))?;
        }
        match socket.set_out_of_band_inline(true) {
            // Multipath TCP, where urgent data is in line as it is.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
            done => done,
        }
    }

    /// Marks a connection of a socket with these options, if a relay has to see to what the system
    /// does not.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables))]
    pub(crate) fn mark(&self, info: &mut Info) {
        #[cfg(target_os = "linux")]
        if let Some(timeout) = self.ack_timeout
            && crate::sockopt::lacks_rto_max()
        {
            info.extensions.insert(timeout);
        }
    }
}

// ===== impl AckTimeout =====

impl AckTimeout {
    /// A timeout of this length.
    pub const fn new(timeout: Duration) -> Self {
        Self(timeout)
    }

    /// The length of the timeout.
    pub const fn get(self) -> Duration {
        self.0
    }

    #[cfg(target_os = "linux")]
    fn rto_max(self) -> u32 {
        rto_max(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self::new()
    }
}

// ===== impl KeepAlive =====

/// Writes the times as on the command line: `60s/10s/5`.
impl fmt::Display for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}/{}", self.idle, self.interval, self.count)
    }
}

impl KeepAlive {
    /// Idle connections are not probed.
    pub const OFF: Option<Self> = None;

    /// The defaults.
    pub const fn new() -> Self {
        Self {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(10),
            count: 5,
        }
    }

    /// The idle time before the first probe. 60 s by default.
    #[must_use]
    pub const fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// The time between two probes. 10 s by default.
    #[must_use]
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The number of unanswered probes that closes the connection. 5 by default.
    #[must_use]
    pub const fn count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// The [idle](Self::idle) time.
    pub const fn idle_time(&self) -> Duration {
        self.idle
    }

    /// How long a peer is silent until it is given up.
    pub const fn dead_after(&self) -> Duration {
        self.idle
            .saturating_add(self.interval.saturating_mul(self.count))
    }

    #[cfg(any(
        target_os = "android",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "fuchsia",
        target_os = "illumos",
        target_os = "ios",
        target_os = "linux",
        target_os = "macos",
        target_os = "netbsd",
        target_os = "tvos",
        target_os = "visionos",
        target_os = "watchos",
        target_os = "windows",
    ))]
    fn probes(&self) -> TcpKeepalive {
        TcpKeepalive::new()
            .with_time(whole_seconds(self.idle))
            .with_interval(whole_seconds(self.interval))
            .with_retries(self.count)
    }

    #[cfg(not(any(
        target_os = "android",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "fuchsia",
        target_os = "illumos",
        target_os = "ios",
        target_os = "linux",
        target_os = "macos",
        target_os = "netbsd",
        target_os = "tvos",
        target_os = "visionos",
        target_os = "watchos",
        target_os = "windows",
    )))]
    fn probes(&self) -> TcpKeepalive {
        TcpKeepalive::new().with_time(whole_seconds(self.idle))
    }
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self::new()
    }
}

/// The longest pause between two retransmissions for which the system gives a peer up after `timeout`,
/// both in milliseconds, within the bounds of the system.
const fn rto_max(timeout: u64) -> u32 {
    let (mut low, mut high) = (1_000_u32, 120_000);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if given_up_after(middle) <= timeout {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// The time after which Linux gives up: 15 retransmissions, the first after 200 ms and each after twice
/// the time of the one before, up to `rto_max` (`tcp_model_timeout` in net/ipv4/tcp_timer.c).
const fn given_up_after(rto_max: u32) -> u64 {
    const FIRST: u64 = 200;
    const RETRIES: u64 = 15;

    let rto_max = rto_max as u64;
    let doubling = (rto_max / FIRST).ilog2() as u64;
    ((2 << doubling) - 1) * FIRST + (RETRIES - doubling) * rto_max
}

/// The options are in seconds, and a zero is refused.
fn whole_seconds(duration: Duration) -> Duration {
    let rounded_up = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    Duration::from_secs(rounded_up.max(1))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    fn applied(options: SocketOptions) -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        options.apply(&SockRef::from(&socket))?;
        Ok(socket)
    }

    #[test]
    fn the_defaults_reach_the_socket() {
        let socket = applied(SocketOptions::default()).unwrap();
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 60);
        assert_eq!(socket.tcp_keepalive_interval().unwrap().as_secs(), 10);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 5);
        assert!(socket.tcp_nodelay().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), None);
    }

    #[test]
    fn every_option_may_be_off() {
        let off = SocketOptions::new()
            .keep_alive(KeepAlive::OFF)
            .nodelay(false)
            .user_timeout(None);
        let socket = applied(off).unwrap();
        assert!(!socket.keepalive().unwrap());
        assert!(!socket.tcp_nodelay().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), None);
    }

    #[test]
    fn the_user_timeout_follows_the_systems_retransmissions() {
        // The system's own: see tcp_retries2 in the kernel's ip-sysctl.
        assert_eq!(given_up_after(120_000), 924_600);
        for timeout in [15_000, 50_000, 120_000, 900_000] {
            let rto_max = rto_max(timeout);
            let after = given_up_after(rto_max);
            assert!((timeout - 15..=timeout).contains(&after), "{after}");
        }
        assert_eq!(rto_max(0), 1_000);
        assert_eq!(rto_max(u64::MAX), 120_000);
    }

    #[test]
    fn urgent_data_stays_in_the_stream() {
        assert!(
            applied(SocketOptions::new())
                .unwrap()
                .out_of_band_inline()
                .unwrap()
        );
    }

    #[test]
    fn small_times_are_rounded_up() {
        let tiny = KeepAlive::new()
            .idle(Duration::ZERO)
            .interval(Duration::from_millis(1001));
        let options = SocketOptions::new()
            .keep_alive(tiny)
            .user_timeout(Duration::from_micros(1));
        let socket = applied(options).unwrap();
        assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 1);
        assert_eq!(socket.tcp_keepalive_interval().unwrap().as_secs(), 2);
        let timeout = socket.tcp_user_timeout().unwrap();
        assert_eq!(timeout, Some(Duration::from_millis(1)));
    }

    #[test]
    fn a_value_the_system_refuses_is_an_error() {
        let none = KeepAlive::new().count(0);
        applied(SocketOptions::new().keep_alive(none)).unwrap_err();
    }
}
