//! What a whole header says.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use couplet_endpoint::UnixAddr;
use thiserror::Error;

use super::{
    ProxyHeaderRefused,
    crc32c::crc32c,
    tlv::{kind, split},
    unix,
};

/// The beginning of a header of version 2, before its addresses.
const V2_FIXED: usize = 16;

/// The most characters of a header that an error shows.
const SHOWN: usize = 48;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The client's address, and the address that the client has connected to.
    pub(super) addresses: Option<(SocketAddr, SocketAddr)>,
    /// The same of Unix sockets; a client mostly has no name.
    pub(super) unix: [Option<UnixAddr>; 2],
    /// The proxy has connected on its own behalf (`LOCAL`), to check our health.
    pub(super) is_local: bool,
    pub(super) tlvs: Box<[u8]>,
}

/// A PROXY header is malformed: the field, and what is wrong with it.
///
/// `Display` shows at most 48 characters of the header, escaped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {wrong}")]
pub struct MalformedHeader {
    field: &'static str,
    wrong: String,
}

// ===== impl MalformedHeader =====

impl MalformedHeader {
    fn new(field: &'static str, wrong: impl fmt::Display) -> Self {
        let wrong = wrong.to_string();
        Self { field, wrong }
    }

    /// The field of the header, as the error names it: `source port`.
    pub const fn field(&self) -> &'static str {
        self.field
    }
}

// ===== impl Header =====

impl Header {
    /// Parses all bytes of a header.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ProxyHeaderRefused> {
        match bytes.starts_with(b"\r") {
            true => v2(bytes),
            false => Ok(v1(bytes)?),
        }
    }

    fn without_addresses(tlvs: &[u8]) -> Self {
        Self {
            addresses: None,
            unix: [None, None],
            is_local: false,
            tlvs: tlvs.into(),
        }
    }
}

// ===== version 1 =====

/// `PROXY TCP4 192.0.2.1 198.51.100.7 51234 443\r\n`.
fn v1(bytes: &[u8]) -> Result<Header, MalformedHeader> {
    let line = bytes.strip_suffix(b"\r\n").ok_or_else(|| {
        MalformedHeader::new(
            "end of line",
            "a line feed without a carriage return before it",
        )
    })?;
    let mut words = line.split(|byte| *byte == b' ').skip(1);
    let protocol = words.next().unwrap_or_default();
    let is_ipv6 = match protocol {
        b"UNKNOWN" => return Ok(Header::without_addresses(&[])),
        b"TCP4" => false,
        b"TCP6" => true,
        _ => {
            let wrong = format!("{}, not `TCP4`, `TCP6` or `UNKNOWN`", Shown(protocol));
            return Err(MalformedHeader::new("protocol", wrong));
        }
    };
    let mut word = |field| match words.next() {
        Some(word) => Ok((field, word)),
        None => Err(MalformedHeader::new(field, "missing")),
    };
    let (source, destination) = (
        ip(word("source address")?)?,
        ip(word("destination address")?)?,
    );
    // The destination may be of the other family: nginx writes the protocol by the source, and the
    // two differ behind its realip module.
    if source.is_ipv6() != is_ipv6 {
        let wrong = format!(
            "{source} is not of {}",
            if is_ipv6 { "TCP6" } else { "TCP4" }
        );
        return Err(MalformedHeader::new("source address", wrong));
    }
    let (source_port, destination_port) = (
        port(word("source port")?)?,
        port(word("destination port")?)?,
    );
    if let Some(more) = words.next() {
        let wrong = format!("more words behind the ports: {}", Shown(more));
        return Err(MalformedHeader::new("end of line", wrong));
    }
    Ok(Header {
        addresses: Some((
            SocketAddr::new(source, source_port),
            SocketAddr::new(destination, destination_port),
        )),
        unix: [None, None],
        is_local: false,
        tlvs: Box::default(),
    })
}

fn ip((field, word): (&'static str, &[u8])) -> Result<IpAddr, MalformedHeader> {
    let parsed = str::from_utf8(word).ok().and_then(|word| word.parse().ok());
    parsed
        .ok_or_else(|| MalformedHeader::new(field, format!("{} is not an IP address", Shown(word))))
}

fn port((field, word): (&'static str, &[u8])) -> Result<u16, MalformedHeader> {
    let digits = word.iter().all(u8::is_ascii_digit);
    let parsed = str::from_utf8(word)
        .ok()
        .filter(|_| digits)
        .and_then(|word| word.parse().ok());
    parsed.ok_or_else(|| {
        MalformedHeader::new(
            field,
            format!("{} is not a number from 0 to 65535", Shown(word)),
        )
    })
}

// ===== version 2 =====

/// Section 2.2 of the specification.
fn v2(bytes: &[u8]) -> Result<Header, ProxyHeaderRefused> {
    let (version, command) = (bytes[12] >> 4, bytes[12] & 0xf);
    let (family, protocol) = (bytes[13] >> 4, bytes[13] & 0xf);
    if version != 2 {
        return Err(MalformedHeader::new("version", format!("{version}, not 2")).into());
    }
    match command {
        // What follows has no meaning.
        0 => {
            return Ok(Header {
                is_local: true,
                ..Header::without_addresses(&[])
            });
        }
        1 => {}
        _ => {
            let wrong = format!("{command}, neither 0 (LOCAL) nor 1 (PROXY)");
            return Err(MalformedHeader::new("command", wrong).into());
        }
    }
    let (name, len) = match family {
        // `AF_UNSPEC`: how long the addresses are is unknown, and so where additions would begin.
        0 => return Ok(Header::without_addresses(&[])),
        1 => ("IPv4", 12),
        2 => ("IPv6", 36),
        3 => ("Unix", unix::ADDRESSES),
        _ => {
            let wrong = format!("{family}, not 0 (unspecified), 1 (IPv4), 2 (IPv6) or 3 (Unix)");
            return Err(MalformedHeader::new("address family", wrong).into());
        }
    };
    if !matches!(protocol, 1 | 2) {
        let wrong = format!("{protocol}, neither 1 (stream) nor 2 (datagram)");
        return Err(MalformedHeader::new("transport protocol", wrong).into());
    }
    let block = &bytes[V2_FIXED..];
    let Some((addresses, tlvs)) = block.split_at_checked(len) else {
        let wrong = format!("{} bytes, and two {name} addresses take {len}", block.len());
        return Err(MalformedHeader::new("addresses", wrong).into());
    };
    check(bytes, tlvs)?;
    let names = match (family, protocol) {
        (3, 1) => unix::names(addresses),
        _ => [None, None],
    };
    let addresses = match (family, protocol) {
        (1, 1) => Some(pair::<4>(addresses)),
        (2, 1) => Some(pair::<16>(addresses)),
        _ => None,
    };
    Ok(Header {
        addresses,
        unix: names,
        ..Header::without_addresses(tlvs)
    })
}

/// Two addresses of `N` bytes, then two ports.
fn pair<const N: usize>(block: &[u8]) -> (SocketAddr, SocketAddr)
where
    IpAddr: From<[u8; N]>,
{
    let ip = |at: usize| -> [u8; N] { block[at..at + N].try_into().expect("it has this length") };
    let port = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    (
        SocketAddr::new(ip(0).into(), port(2 * N)),
        SocketAddr::new(ip(N).into(), port(2 * N + 2)),
    )
}

/// Each addition (TLV) is whole, and the checksum right.
fn check(header: &[u8], tlvs: &[u8]) -> Result<(), ProxyHeaderRefused> {
    let mut behind = header.len() - tlvs.len();
    for tlv in split(tlvs) {
        let (kind, value) = tlv.map_err(|_| {
            let wrong = format!("longer than the header, at byte {behind}");
            MalformedHeader::new("addition (TLV)", wrong)
        })?;
        let start = behind + 3;
        behind = start + value.len();
        if kind == kind::CRC32C {
            let Ok(said) = value.try_into().map(u32::from_be_bytes) else {
                let wrong = format!("{} bytes, not 4", value.len());
                return Err(MalformedHeader::new("checksum (CRC32C)", wrong).into());
            };
            // As it was when it was computed: with zeros in its own place.
            let sum = crc32c(
                header[..start]
                    .iter()
                    .chain(&[0; 4])
                    .chain(&header[behind..]),
            );
            if sum != said {
                return Err(ProxyHeaderRefused::Checksum);
            }
        }
    }
    Ok(())
}

// ===== showing =====

/// A sender's bytes in quotes, escaped and cut.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN)];
        let more = if shown.len() < self.0.len() {
            "…"
        } else {
            ""
        };
        write!(f, "\"{}{more}\"", shown.escape_ascii())
    }
}
