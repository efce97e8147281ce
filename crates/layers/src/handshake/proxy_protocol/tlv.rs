use bytes::Bytes;
use couplet_endpoint::Info;

use super::Proxied;
use crate::handshake::sniff::Protocol;

/// The types that the specification gives a meaning, section 2.2.
pub(super) mod kind {
    pub(crate) const ALPN: u8 = 0x01;
    pub(crate) const AUTHORITY: u8 = 0x02;
    pub(crate) const CRC32C: u8 = 0x03;
    pub(crate) const UNIQUE_ID: u8 = 0x05;
    pub(crate) const SSL: u8 = 0x20;
    pub(crate) const SSL_VERSION: u8 = 0x21;
    pub(crate) const SSL_CN: u8 = 0x22;
}

/// An addition to a header of version 2: a type, and a value of some length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlv {
    pub(super) kind: u8,
    pub(super) value: Bytes,
}

// ===== impl Tlv =====

impl Tlv {
    /// One of any type; 0xE0 to 0xEF are for uses of one's own.
    pub fn new(kind: u8, value: impl Into<Bytes>) -> Self {
        Self {
            kind,
            value: value.into(),
        }
    }

    /// The name that the client has asked for, such as the server name of TLS.
    pub fn authority(name: &str) -> Self {
        Self::new(kind::AUTHORITY, Bytes::copy_from_slice(name.as_bytes()))
    }

    /// The protocol that is spoken above TLS, as in RFC 7301: `h2`, `http/1.1`.
    pub fn alpn(protocol: &[u8]) -> Self {
        Self::new(kind::ALPN, Bytes::copy_from_slice(protocol))
    }

    /// What identifies the connection across proxies: at most 128 bytes.
    pub fn unique_id(id: &[u8]) -> Self {
        Self::new(kind::UNIQUE_ID, Bytes::copy_from_slice(id))
    }

    /// What is known of a client and has a type: the name it asked for, as its own header
    /// ([`Proxied`]) or its first bytes ([`Protocol`]) tell, and of its own header also the protocol
    /// and the identifier. For [`SendProxyHeader::v2_with`](super::SendProxyHeader::v2_with).
    pub fn known(client: &Info) -> Vec<Self> {
        let proxied = client.extensions.get::<Proxied>();
        let protocol = client.extensions.get::<Protocol>();
        let authority = proxied
            .and_then(Proxied::authority)
            .or_else(|| protocol.and_then(Protocol::host));
        let known = [
            authority.map(Self::authority),
            proxied.and_then(Proxied::alpn).map(Self::alpn),
            proxied.and_then(Proxied::unique_id).map(Self::unique_id),
        ];
        known.into_iter().flatten().collect()
    }
}

/// Takes the additions apart, until the end or until one is not whole.
pub(super) fn split(mut rest: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), NotWhole>> {
    std::iter::from_fn(move || {
        let (kind, len, behind) = match rest {
            [] => return None,
            [kind, high, low, behind @ ..] => (kind, u16::from_be_bytes([*high, *low]), behind),
            _ => {
                rest = &[];
                return Some(Err(NotWhole));
            }
        };
        let Some((value, next)) = behind.split_at_checked(len.into()) else {
            rest = &[];
            return Some(Err(NotWhole));
        };
        rest = next;
        Some(Ok((*kind, value)))
    })
}

/// An addition is longer than what it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotWhole;
