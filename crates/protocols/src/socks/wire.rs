//! What both ends of SOCKS5 write.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Range,
};

use couplet_endpoint::{DialAddr, Host, Io, Replay};

use super::read::fill;
use crate::proxy::DialFailure;

pub(super) const VERSION: u8 = 5;

/// The version of the dialogue of RFC 1929.
pub(super) const LOGIN_VERSION: u8 = 1;

/// Methods of authentication.
pub(super) const NO_AUTHENTICATION: u8 = 0;
pub(super) const USER_AND_PASSWORD: u8 = 2;
pub(super) const NO_METHOD: u8 = 0xff;

pub(super) const CONNECT: u8 = 1;

/// Replies.
pub(super) const SUCCEEDED: u8 = 0;
pub(super) const COMMAND_NOT_SUPPORTED: u8 = 7;
pub(super) const ADDRESS_TYPE_NOT_SUPPORTED: u8 = 8;

const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// A request or a reply: the version, a command or a reply's code, a reserved byte, and an address.
pub(super) const HEAD: usize = 3;

/// An address and a port, of which the bytes are within what was read.
#[derive(Debug)]
pub(super) struct Address {
    kind: u8,
    host: Range<usize>,
    /// With the head before it.
    pub(super) len: usize,
}

/// Why there is no address.
#[derive(Debug)]
pub(super) enum NoAddress {
    Ended,
    Kind(u8),
    Io(std::io::Error),
}

/// The host of an address.
#[derive(Debug)]
pub(super) enum Said<'a> {
    Ip(IpAddr),
    Name(&'a [u8]),
}

// ===== impl Address =====

impl Address {
    /// Reads a request or a reply to its end, which is the end of its address, and no further. The head
    /// may be looked at before.
    pub(super) async fn read<I: Io>(io: &mut Replay<I>) -> Result<Self, NoAddress> {
        // The shortest has a name of no byte.
        read(io, HEAD + 2).await?;
        let kind = io.ahead()[HEAD];
        let start = HEAD + 1;
        let host = match kind {
            IPV4 => start..start + 4,
            IPV6 => start..start + 16,
            NAME => start + 1..start + 1 + usize::from(io.ahead()[start]),
            _ => return Err(NoAddress::Kind(kind)),
        };
        let len = host.end + 2;
        read(io, len).await?;
        Ok(Self { kind, host, len })
    }

    pub(super) fn host<'a>(&self, said: &'a [u8]) -> Said<'a> {
        let host = &said[self.host.clone()];
        match self.kind {
            NAME => Said::Name(host),
            _ => match <[u8; 4]>::try_from(host) {
                Ok(ip) => Said::Ip(Ipv4Addr::from(ip).into()),
                Err(_) => {
                    let ip: [u8; 16] = host.try_into().expect("an address of IPv6 has 16 bytes");
                    Said::Ip(Ipv6Addr::from(ip).into())
                }
            },
        }
    }

    pub(super) fn port(&self, said: &[u8]) -> u16 {
        u16::from_be_bytes([said[self.host.end], said[self.host.end + 1]])
    }
}

async fn read<I: Io>(io: &mut Replay<I>, bytes: usize) -> Result<(), NoAddress> {
    match fill(io, bytes).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(NoAddress::Ended),
        Err(error) => Err(NoAddress::Io(error)),
    }
}

/// The request for a connection to this target; `None` where the target holds on this machine alone.
pub(super) fn request(target: &DialAddr) -> Option<Vec<u8>> {
    let mut request = vec![VERSION, CONNECT, 0];
    match target.host() {
        Host::Name(name) => {
            let name = name.as_str().as_bytes();
            // At most 253 bytes, and a dot.
            request.extend([NAME, u8::try_from(name.len()).ok()?]);
            request.extend(name);
        }
        Host::Ip(ip) => match ip.to_canonical() {
            IpAddr::V4(ip) => {
                request.push(IPV4);
                request.extend(ip.octets());
            }
            IpAddr::V6(ip) => {
                request.push(IPV6);
                request.extend(ip.octets());
            }
        },
        _ => return None,
    }
    request.extend(target.port().to_be_bytes());
    Some(request)
}

/// A reply, with no bound address, as most proxies send it.
pub(super) const fn reply(code: u8) -> [u8; 10] {
    [VERSION, code, 0, IPV4, 0, 0, 0, 0, 0, 0]
}

pub(super) const fn code_of(failure: DialFailure) -> u8 {
    match failure {
        DialFailure::Denied => 2,
        DialFailure::Unreachable => 3,
        DialFailure::NotFound => 4,
        DialFailure::Refused => 5,
        DialFailure::TimedOut => 6,
        _ => 1,
    }
}

/// What a reply's code means.
pub(super) fn meaning(code: u8) -> (DialFailure, String) {
    let (failure, words) = match code {
        1 => (DialFailure::Other, "general failure"),
        2 => (DialFailure::Denied, "connection not allowed by its rules"),
        3 => (DialFailure::Unreachable, "network unreachable"),
        4 => (DialFailure::NotFound, "host unreachable, or name not found"),
        5 => (DialFailure::Refused, "connection refused by the target"),
        6 => (
            DialFailure::TimedOut,
            "no answer from the target in time (TTL expired)",
        ),
        COMMAND_NOT_SUPPORTED => (DialFailure::Other, "command not supported"),
        ADDRESS_TYPE_NOT_SUPPORTED => (DialFailure::Other, "type of address not supported"),
        _ => (DialFailure::Other, "unknown reply"),
    };
    (failure, format!("{words} (SOCKS5 reply {code:02x})"))
}
