use couplet_endpoint::Info;

use super::{AccessRule, Networks, NotListed};

/// Admits connections by the network of the peer's address.
///
/// 1. An address on the deny list is refused, whatever the allow list says.
/// 2. If there is an allow list, only its addresses are admitted; an empty one admits none.
/// 3. All other addresses are admitted.
///
/// A peer without an address (on a Unix socket, within the process) is on no list, and is admitted
/// where there is no allow list.
///
/// An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) counts as the IPv4 address.
///
/// ```
/// use couplet_layers::{AccessLayer, AccessList, Networks};
///
/// let list = AccessList::new()
///     .allow("10.0.0.0/8".parse()?)
///     .deny("10.66.0.0/16".parse()?);
/// let layer = AccessLayer::new(list);
/// # Ok::<(), couplet_layers::admission::access::InvalidNetwork>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AccessList {
    allow: Option<Networks>,
    deny: Networks,
}

// ===== impl AccessList =====

impl AccessList {
    /// A list that admits every address.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds these networks to the allow list. Any call makes an allow list, with empty networks too.
    #[must_use]
    pub fn allow(mut self, networks: Networks) -> Self {
        self.allow = Some(self.allow.unwrap_or_default().and(networks));
        self
    }

    /// Adds these networks to the deny list.
    #[must_use]
    pub fn deny(mut self, networks: Networks) -> Self {
        self.deny = self.deny.and(networks);
        self
    }
}

impl AccessRule for AccessList {
    type Error = NotListed;

    fn check(&self, info: &Info) -> Result<(), NotListed> {
        let peer = info.peer.map(|peer| peer.ip());
        if peer.is_some_and(|peer| self.deny.contains(peer)) {
            return Err(NotListed::Denied);
        }
        match (&self.allow, peer) {
            (None, _) => Ok(()),
            (Some(allow), Some(peer)) if allow.contains(peer) => Ok(()),
            (Some(_), Some(_)) => Err(NotListed::NotAllowed),
            (Some(_), None) => Err(NotListed::NoAddress),
        }
    }
}
