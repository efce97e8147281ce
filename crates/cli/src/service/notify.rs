//! Notifies systemd: sd_notify(3).

use std::{env, time::Duration};

use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often the status is told, where no watchdog asks for more.
const STATUS: Duration = Duration::from_secs(10);

/// How much longer systemd waits for the end of a drain, each time.
const EXTEND: Duration = Duration::from_secs(60);

/// Tells systemd, or whatever listens at `NOTIFY_SOCKET`. Without it, nothing.
#[derive(Debug)]
pub(super) struct Notifier {
    #[cfg(unix)]
    socket: Option<std::os::unix::net::UnixDatagram>,
    /// How often a sign of life is due.
    watchdog: Option<Duration>,
}

// ===== impl Notifier =====

impl Notifier {
    pub(super) fn from_env() -> Self {
        Self {
            #[cfg(unix)]
            socket: socket(),
            watchdog: watchdog(),
        }
    }

    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    /// Until the next [`ready`](Self::ready).
    pub(super) fn reloading(&self) {
        // systemd tells by the time whether this is the reload that it has asked for.
        #[cfg(unix)]
        {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let micros = now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000;
            self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
        }
    }

    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
        self.extend();
    }

    /// Another process is the service from now on, and this one has nothing more to say.
    pub(super) fn main_is(&mut self, pid: Option<u32>) {
        if let Some(pid) = pid {
            self.send(&format!("MAINPID={pid}"));
        }
        #[cfg(unix)]
        {
            self.socket = None;
        }
    }

    /// The drain takes its time.
    pub(super) fn extend(&self) {
        self.send(&format!(
            "EXTEND_TIMEOUT_USEC={}\nWATCHDOG=1",
            EXTEND.as_micros()
        ));
    }

    /// A sign of life, and how it stands.
    pub(super) fn tick(&self, status: &str) {
        self.send(&format!("WATCHDOG=1\nSTATUS={status}"));
    }

    /// When the next sign of life is due.
    pub(super) fn ticks(&self) -> Interval {
        let every = self
            .watchdog
            .map_or(STATUS, |watchdog| watchdog.min(STATUS));
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    #[cfg(unix)]
    fn send(&self, text: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(text.as_bytes())
        {
            tracing::debug!(%error, "systemd can't be told");
        }
    }

    #[cfg(not(unix))]
    fn send(&self, _: &str) {}
}

#[cfg(unix)]
fn socket() -> Option<std::os::unix::net::UnixDatagram> {
    let name = env::var("NOTIFY_SOCKET").ok()?;
    let connect = || {
        let socket = std::os::unix::net::UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        match name.strip_prefix('@') {
            #[cfg(target_os = "linux")]
            Some(name) => {
                use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};

                socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
            }
            _ => socket.connect(&name)?,
        }
        Ok::<_, std::io::Error>(socket)
    };
    match connect() {
        Ok(socket) => Some(socket),
        Err(error) => {
            tracing::warn!(%error, "NOTIFY_SOCKET can't be told");
            None
        }
    }
}

/// Half the time after which systemd takes the process for dead.
fn watchdog() -> Option<Duration> {
    let is_for_us =
        env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    let micros: u64 = env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (is_for_us && micros > 1).then(|| Duration::from_micros(micros / 2))
}
