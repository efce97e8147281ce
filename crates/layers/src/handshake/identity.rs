use std::sync::Arc;

use couplet_endpoint::{ConnEvent, Info};

/// The proven name of a peer. The layer that authenticates the peer puts it into the extensions of
/// [`Info`](couplet_endpoint::Info), for access decisions and logs.
///
/// `Display` escapes control characters: the peer may have chosen the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, derive_more::Display)]
#[display("{}", _0.escape_debug())]
pub struct Identity(Arc<str>);

// ===== impl Identity =====

impl Identity {
    /// Makes an identity of a name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Puts the identity into a connection's [`Info`], and tells the connection's
    /// [observers](couplet_endpoint::ConnObserver).
    pub fn put_into(self, info: &mut Info) {
        info.extensions.insert(self);
        info.tell(ConnEvent::Learned);
    }

    /// The name, not escaped.
    pub fn name(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_shown_without_control_characters() {
        let identity = Identity::new("a\u{1b}[2Jb\n");
        assert_eq!(identity.to_string(), "a\\u{1b}[2Jb\\n");
        assert_eq!(identity.name(), "a\u{1b}[2Jb\n");
    }
}
