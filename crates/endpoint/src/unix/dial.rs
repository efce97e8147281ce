use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use tokio::{
    net::UnixStream,
    time::{sleep, timeout},
};

use super::{peer, sock_addr, socket};
use crate::{
    address::{AddressError, UnixAddr},
    conn::{Conn, Origin},
    dial::dials,
};

/// The first pause where the server's queue is full; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(5);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Dials a Unix socket: each [`connect`](Self::connect) is a new connection.
///
/// A server whose queue is full (`EAGAIN`; there is nothing to wait for, see unix(7)) is dialled again,
/// after pauses of 5 ms up to 100 ms, until the [timeout](Self::connect_timeout).
///
/// A service and an endpoint, like [`Dial`](crate::Dial). [`Info::unix`](crate::Info::unix) has the server's
/// credentials. [`UnixListen`](super::UnixListen) says what replaces a reset on a Unix socket.
#[derive(Clone, Debug)]
pub struct UnixDial {
    target: Arc<UnixAddr>,
    connect_timeout: Duration,
}

/// Dialling a Unix socket failed. The source is the [`io::Error`], where there is one.
#[derive(Debug)]
pub struct UnixDialError {
    target: Arc<UnixAddr>,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Failed(io::Error),
    /// The queue was full for this long.
    Full(Duration),
}

// ===== impl UnixDial =====

impl UnixDial {
    /// A dial of this socket.
    pub fn new(target: UnixAddr) -> Self {
        Self {
            target: Arc::new(target),
            connect_timeout: Duration::from_secs(10),
        }
    }

    /// A dial of the socket with this name, as [`UnixAddr`] parses it.
    ///
    /// # Errors
    ///
    /// [`AddressError`] if the text is not the name of a Unix socket.
    pub fn to(target: &str) -> Result<Self, AddressError> {
        target.parse().map(Self::new)
    }

    /// The deadline for a server whose queue is full. 10 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The same dial with another socket.
    #[must_use]
    pub fn retarget(mut self, target: UnixAddr) -> Self {
        self.target = Arc::new(target);
        self
    }

    /// The socket that this dials.
    pub fn target(&self) -> &UnixAddr {
        &self.target
    }

    /// Connects. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`UnixDialError`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with io and time enabled.
    pub async fn connect(&self) -> Result<Conn<UnixStream>, UnixDialError> {
        let reason = match timeout(self.connect_timeout, self.attempts()).await {
            Ok(Ok(conn)) => return Ok(conn),
            Ok(Err(error)) => Reason::Failed(error),
            Err(_) => Reason::Full(self.connect_timeout),
        };
        Err(UnixDialError {
            target: Arc::clone(&self.target),
            reason,
        })
    }

    async fn attempts(&self) -> io::Result<Conn<UnixStream>> {
        let mut pause = PAUSE;
        loop {
            match self.open() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(pause).await,
                done => return done,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Returns at once: the kernel puts a connection into the server's queue, or refuses it.
    fn open(&self) -> io::Result<Conn<UnixStream>> {
        let socket = socket()?;
        socket.connect(&sock_addr(&self.target)?)?;
        let io = UnixStream::from_std(socket.into())?;
        let peer = peer(&io, &self.target)?;
        let mut conn = Conn::new(io, Origin::Dialled);
        conn.info.extensions.insert(peer);
        Ok(conn)
    }
}

dials!(UnixDial, UnixStream, UnixDialError);

// ===== impl UnixDialError =====

impl UnixDialError {
    /// The socket that was dialled.
    pub fn target(&self) -> &UnixAddr {
        &self.target
    }

    /// Whether the server's queue was full until the deadline.
    pub fn is_timeout(&self) -> bool {
        matches!(self.reason, Reason::Full(_))
    }
}

impl fmt::Display for UnixDialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot dial {}", self.target)?;
        let error = match &self.reason {
            Reason::Full(after) => {
                return write!(f, ", whose queue (backlog) was full for {after:?}");
            }
            Reason::Failed(error) => error,
        };
        f.write_str(match error.kind() {
            io::ErrorKind::NotFound => ", no such socket",
            io::ErrorKind::ConnectionRefused => ", no program listens there",
            io::ErrorKind::PermissionDenied => {
                ", no permission: it takes that of writing to the socket, and of searching its directories"
            }
            _ => "",
        })
    }
}

impl Error for UnixDialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::Failed(error) => Some(error),
            Reason::Full(_) => None,
        }
    }
}
