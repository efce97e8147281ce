use couplet_endpoint::Info;
#[cfg(feature = "tls")]
use couplet_endpoint::Origin;

use super::{Proxied, Tlv};
#[cfg(feature = "tls")]
use crate::TlsInfo;
use crate::sniff::Protocol;

/// A detail of a client that can be added to a header of version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Addition {
    /// The host name that the client asked for, as our TLS with the client, its own header ([`Proxied`]) or
    /// its first bytes ([`Protocol`]) tell: PP2_TYPE_AUTHORITY.
    Authority,
    /// The application protocol above TLS, of our TLS with the client or of its own header: PP2_TYPE_ALPN.
    Alpn,
    /// The identifier of the client's own header: PP2_TYPE_UNIQUE_ID.
    UniqueId,
    /// What our TLS with the client has found out, or else its own header says: the version, the cipher
    /// suite, whether the client has shown a certificate, and the certificate's common name: PP2_TYPE_SSL.
    Tls,
}

// ===== impl Addition =====

impl Addition {
    /// All additions.
    pub const ALL: [Self; 4] = [Self::Authority, Self::Alpn, Self::UniqueId, Self::Tls];

    /// The addition for a client, if that much is known of the client.
    pub fn of(self, client: &Info) -> Option<Tlv> {
        let proxied = client.extensions.get::<Proxied>();
        #[cfg(feature = "tls")]
        if let Some(found) = self.of_our_tls(client) {
            return Some(found);
        }
        match self {
            Self::Authority => {
                let sniffed = || client.extensions.get().and_then(Protocol::host);
                let name = proxied.and_then(Proxied::authority).or_else(sniffed);
                name.map(Tlv::authority)
            }
            Self::Alpn => proxied.and_then(Proxied::alpn).map(Tlv::alpn),
            Self::UniqueId => proxied.and_then(Proxied::unique_id).map(Tlv::unique_id),
            Self::Tls => proxied.and_then(Proxied::tls_addition).map(Tlv::tls),
        }
    }

    /// The addition, as far as our TLS with the client knows it.
    #[cfg(feature = "tls")]
    fn of_our_tls(self, client: &Info) -> Option<Tlv> {
        if client.origin != Origin::Accepted {
            return None; // What is known is of a server.
        }
        let tls: &TlsInfo = client.extensions.get()?;
        match self {
            Self::Authority => tls.server_name().map(Tlv::authority),
            Self::Alpn => tls.alpn().map(Tlv::alpn),
            Self::UniqueId => None,
            Self::Tls => Some(super::tls::of(tls)),
        }
    }
}
