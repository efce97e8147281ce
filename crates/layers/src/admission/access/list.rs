use couplet_endpoint::Info;

use super::{AccessRule, Networks, NotListed, special};

/// Admits connections by the network of the peer's address, or by the user of a Unix socket.
///
/// 1. An address on the deny list is refused, whatever the allow list says.
/// 2. If there is an allow list, only its addresses are admitted; an empty one admits none.
/// 3. If it is [`public`](Self::public), an address of special purpose is refused that the allow list does
///    not name.
/// 4. All other addresses are admitted.
///
/// A peer of a Unix socket is on a list by its user or group, also where a PROXY header names a client
/// behind that peer. A peer of which nothing is known (within the process) is on no list: it enters
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
    public: bool,
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

    /// Refuses addresses of special purpose (RFC 6890: loopback, private, link-local, multicast and
    /// others), also where NAT64 or 6to4 leads to one: for a dial of targets that strangers ask for. The
    /// exception is an address in a network of the allow list that is of special purpose itself, as
    /// `10.0.0.0/8` is and `0.0.0.0/0` is not.
    ///
    /// ```
    /// use couplet_endpoint::{Dial, Info, Origin};
    /// use couplet_layers::{AccessList, AccessRule};
    ///
    /// let list = AccessList::new().public();
    /// let dial = Dial::to("example.org:80")?.permit(move |addr| {
    ///     let mut target = Info::new(Origin::Dialled);
    ///     target.peer = Some(addr);
    ///     list.check(&target)
    /// });
    /// # Ok::<(), couplet_endpoint::AddressError>(())
    /// ```
    #[must_use]
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }
}

impl AccessRule for AccessList {
    type Error = NotListed;

    fn check(&self, info: &Info) -> Result<(), NotListed> {
        let is_user = info.peer.is_none() && info.unix().is_some();
        if self.deny.contain(info) {
            return Err(match is_user {
                true => NotListed::UserDenied,
                false => NotListed::Denied,
            });
        }
        let is_named = |peer| {
            self.allow
                .as_ref()
                .is_some_and(|allow| allow.name_special(peer))
        };
        let peer = info.peer.map(|peer| peer.ip());
        if self.public && peer.is_some_and(|peer| special::is_special(peer) && !is_named(peer)) {
            return Err(NotListed::Special);
        }
        match &self.allow {
            None => Ok(()),
            Some(allow) if allow.contain(info) => Ok(()),
            Some(_) if is_user => Err(NotListed::UserNotAllowed),
            Some(_) if info.peer.is_some() => Err(NotListed::NotAllowed),
            Some(_) => Err(NotListed::NoAddress),
        }
    }
}
