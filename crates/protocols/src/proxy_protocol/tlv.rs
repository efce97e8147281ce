use bytes::Bytes;

/// Types of section 2.2 of the specification.
pub(super) mod kind {
    pub(crate) const ALPN: u8 = 0x01;
    pub(crate) const AUTHORITY: u8 = 0x02;
    pub(crate) const CRC32C: u8 = 0x03;
    pub(crate) const UNIQUE_ID: u8 = 0x05;
    pub(crate) const SSL: u8 = 0x20;
    pub(crate) const SSL_VERSION: u8 = 0x21;
    pub(crate) const SSL_CN: u8 = 0x22;
    #[cfg(feature = "tls")]
    pub(crate) const SSL_CIPHER: u8 = 0x23;
}

/// An addition to a header of version 2: a type and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlv {
    pub(super) kind: u8,
    pub(super) value: Bytes,
}

// ===== impl Tlv =====

impl Tlv {
    /// An addition of any type; 0xE0 to 0xEF are for private use.
    pub fn new(kind: u8, value: impl Into<Bytes>) -> Self {
        Self {
            kind,
            value: value.into(),
        }
    }

    /// The host name that the client asked for, such as the server name (SNI) of TLS.
    pub fn authority(name: &str) -> Self {
        Self::new(kind::AUTHORITY, Bytes::copy_from_slice(name.as_bytes()))
    }

    /// The application protocol above TLS (ALPN, RFC 7301): `h2`, `http/1.1`.
    pub fn alpn(protocol: &[u8]) -> Self {
        Self::new(kind::ALPN, Bytes::copy_from_slice(protocol))
    }

    /// What is known of the client's TLS, as the specification has it.
    pub(super) fn tls(value: &[u8]) -> Self {
        Self::new(kind::SSL, Bytes::copy_from_slice(value))
    }

    /// An identifier of the connection across proxies, of at most 128 bytes.
    pub fn unique_id(id: &[u8]) -> Self {
        Self::new(kind::UNIQUE_ID, Bytes::copy_from_slice(id))
    }
}

/// Splits additions apart, up to the end or the first that is not whole.
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

/// An addition is longer than the bytes that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotWhole;
