use std::{net::SocketAddr, sync::Arc};

/// Marks a connection from another node, which joins its client with a client of this node: in the extensions
/// of [`Info`](couplet_endpoint::Info). The peer's address there is the client's.
///
/// `Display` is the name of the node without control characters: another machine has chosen it.
#[derive(Clone, Debug, PartialEq, Eq, derive_more::Display)]
#[display("{}", node.escape_debug())]
pub struct Forwarded {
    node: Arc<str>,
    addr: Option<SocketAddr>,
}

// ===== impl Forwarded =====

impl Forwarded {
    /// A connection from the node with this name, at this address.
    pub fn new(node: impl Into<Arc<str>>, addr: Option<SocketAddr>) -> Self {
        Self {
            node: node.into(),
            addr,
        }
    }

    /// The name of the node, not escaped.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The node's address.
    pub const fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }
}
