use super::Info;
use crate::address::VsockAddr;

/// The other end of a connection of vsock, among the [`extensions`](Info::extensions): the client's address, or
/// that of the server that was dialled. See [`Info::vsock`].
///
/// The machine's number (CID) needs no proof: the hypervisor vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VsockPeer(VsockAddr);

impl VsockPeer {
    /// For an endpoint of your own.
    pub const fn new(addr: VsockAddr) -> Self {
        Self(addr)
    }
}

impl Info {
    /// The peer's address over vsock; `None` for any other. The endpoint has put it into the
    /// [`extensions`](Self::extensions).
    pub fn vsock(&self) -> Option<&VsockAddr> {
        self.extensions.get().map(|VsockPeer(addr)| addr)
    }
}
