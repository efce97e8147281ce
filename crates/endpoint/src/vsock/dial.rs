use std::{error::Error, fmt, io, time::Duration};

use rustix::io::Errno;
use tokio::time::timeout;

use super::{VsockIo, check_local, socket};
use crate::{
    address::VsockAddr,
    conn::{Conn, Origin, VsockPeer},
    dial::dials,
};

/// Dials a port of a machine that shares the host: each [`connect`](Self::connect) is a new connection.
///
/// It is a service and an endpoint as [`Dial`](crate::Dial) is. [`Info::vsock`](crate::Info::vsock) holds the
/// server's address. What a connection of vsock does without a reset, see [`VsockListen`](super::VsockListen).
///
/// The hypervisors Firecracker and cloud-hypervisor, seen from the host, show a machine as a Unix socket
/// instead, with a line that names the port: `VsockConnect` of `couplet-protocols`.
#[derive(Clone, Debug)]
pub struct VsockDial {
    target: VsockAddr,
    connect_timeout: Duration,
}

/// Dialling a port of another machine failed. The source is the [`io::Error`], where there is one.
#[derive(Debug)]
pub struct VsockDialError {
    target: VsockAddr,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Failed(io::Error),
    Deadline(Duration),
}

// ===== impl VsockDial =====

impl VsockDial {
    /// Dials this port.
    pub const fn new(target: VsockAddr) -> Self {
        Self {
            target,
            connect_timeout: Duration::from_secs(10),
        }
    }

    /// The deadline. 10 s by default; the system has one of its own, of 2 s on Linux.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// What it dials.
    pub const fn target(&self) -> &VsockAddr {
        &self.target
    }

    /// Whether this system can dial it at all.
    ///
    /// # Errors
    ///
    /// Where the system has no vsock, or the target is this machine, and it does not reach itself.
    pub fn check(&self) -> io::Result<()> {
        socket()?;
        check_local(&self.target)
    }

    /// Connects. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`VsockDialError`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io and time enabled.
    pub async fn connect(&self) -> Result<Conn<VsockIo>, VsockDialError> {
        let reason = match timeout(self.connect_timeout, self.open()).await {
            Ok(Ok(conn)) => return Ok(conn),
            Ok(Err(error)) => Reason::Failed(error),
            Err(_) => Reason::Deadline(self.connect_timeout),
        };
        Err(VsockDialError {
            target: self.target,
            reason,
        })
    }

    async fn open(&self) -> io::Result<Conn<VsockIo>> {
        check_local(&self.target)?;
        let socket = socket()?;
        match socket.connect(&self.target.sock_addr()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        let mut io = VsockIo::new(socket)?;
        // It becomes writable when it is connected, and when that has failed.
        io.polled().writable().await?;
        if let Some(error) = crate::Io::take_error(&mut io) {
            return Err(error);
        }
        let mut conn = Conn::new(io, Origin::Dialled);
        conn.info.extensions.insert(VsockPeer::new(self.target));
        Ok(conn)
    }
}

dials!(VsockDial, VsockIo, VsockDialError);

// ===== impl VsockDialError =====

impl VsockDialError {
    /// The target of the dial.
    pub const fn target(&self) -> &VsockAddr {
        &self.target
    }

    /// Whether the deadline has passed.
    pub const fn is_timeout(&self) -> bool {
        matches!(self.reason, Reason::Deadline(_))
    }
}

impl fmt::Display for VsockDialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot dial {}", self.target)?;
        let error = match &self.reason {
            Reason::Deadline(after) => return write!(f, ", no answer within {after:?}"),
            Reason::Failed(error) => error,
        };
        f.write_str(match error.raw_os_error().map(Errno::from_raw_os_error) {
            // The machine is there, and refuses.
            Some(Errno::CONNRESET) => ", no program listens there",
            Some(Errno::NODEV | Errno::NETUNREACH) => ", no machine of this number",
            _ => "",
        })
    }
}

impl Error for VsockDialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::Failed(error) => Some(error),
            Reason::Deadline(_) => None,
        }
    }
}
