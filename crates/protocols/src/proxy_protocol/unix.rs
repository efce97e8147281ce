//! The family of Unix sockets in a header of version 2: two addresses of 108 bytes.

use couplet_endpoint::UnixAddr;

use super::{Tlv, frame::V2};

/// How long an address is: `sun_path`.
const ADDRESS: usize = 108;

/// Two of them.
pub(super) const ADDRESSES: usize = 2 * ADDRESS;

/// `PROXY` of version 2.
const PROXY: u8 = 0x21;

/// `AF_UNIX`, a stream.
const UNIX_STREAM: u8 = 0x31;

/// The header of a client without a name that has connected to this socket. `None` where the additions
/// are too long.
pub(super) fn header(socket: &UnixAddr, tlvs: &[Tlv]) -> Option<Vec<u8>> {
    let additions: usize = tlvs.iter().map(|tlv| 3 + tlv.value.len()).sum();
    let length = u16::try_from(ADDRESSES + additions).ok()?;
    let mut header = [V2, &[PROXY, UNIX_STREAM], &length.to_be_bytes()].concat();
    let start = header.len();
    header.resize(start + ADDRESS, 0);
    header.extend(socket.to_bytes());
    header.resize(start + ADDRESSES, 0);
    for Tlv { kind, value } in tlvs {
        let length = u16::try_from(value.len()).ok()?;
        header.push(*kind);
        header.extend(length.to_be_bytes());
        header.extend(value);
    }
    Some(header)
}

/// The client's name, where it has one, and that of the socket.
pub(super) fn names(addresses: &[u8]) -> [Option<UnixAddr>; 2] {
    let (client, socket) = addresses.split_at(ADDRESS);
    [client, socket].map(name)
}

#[cfg(unix)]
fn name(address: &[u8]) -> Option<UnixAddr> {
    UnixAddr::from_bytes(address)
}

#[cfg(not(unix))]
fn name(_: &[u8]) -> Option<UnixAddr> {
    None
}
