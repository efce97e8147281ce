use std::sync::Arc;

use super::Info;
use crate::address::UnixAddr;

/// The credentials of the peer of a Unix socket: see [`Info::unix`].
///
/// The credentials (`SO_PEERCRED`, see unix(7)) are those the client's process had when it connected,
/// or the server's process when it began to listen: a program that the process has started since, or
/// that was handed the socket, has the same. They need no proof: the system vouches for them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnixPeer {
    /// The name of the socket that the client connected to: ours for an accepted connection, the
    /// peer's for a dialled one.
    pub socket: Arc<UnixAddr>,
    /// The user.
    pub uid: u32,
    /// The user's group: the process's effective one, not its supplementary groups.
    pub gid: u32,
    /// The process, where the system tells. It may have ended, and another have its number.
    pub pid: Option<u32>,
}

// ===== impl UnixPeer =====

impl UnixPeer {
    /// For an endpoint of your own, which puts it into the [`extensions`](Info::extensions): the socket
    /// that was connected to, and the peer's credentials.
    pub fn new(
        socket: impl Into<Arc<UnixAddr>>,
        uid: u32,
        gid: u32,
        pid: impl Into<Option<u32>>,
    ) -> Self {
        Self {
            socket: socket.into(),
            uid,
            gid,
            pid: pid.into(),
        }
    }
}

// ===== impl Info =====

impl Info {
    /// The credentials of the peer of a Unix socket, which has no address; `None` for any other peer. The
    /// endpoint has put it into the [`extensions`](Self::extensions).
    pub fn unix(&self) -> Option<&UnixPeer> {
        self.extensions.get()
    }
}
