//! Made-up frames: Ethernet, IP (RFC 791, RFC 8200) and TCP (RFC 9293).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use couplet_endpoint::{Info, Origin, Side, shown_client_ip};
use couplet_pairing::Session;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;

/// The payload of an Ethernet frame.
const MTU: usize = 1500;

const TCP_HEADER: usize = 20;

/// The window that each end offers, scaled, and never full.
const WINDOW: u16 = u16::MAX;
const WINDOW_SCALE: u8 = 7;

/// The two addresses of a conversation, of one family, and not the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    ends: [SocketAddr; 2],
    /// Both peers have this address and port.
    shared: Option<SocketAddr>,
}

/// A TCP segment without its addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) from: Side,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) payload: &'a [u8],
}

// ===== impl Addresses =====

impl Addresses {
    /// The peers' addresses, and made-up ones (RFC 5737, RFC 3849) for peers without.
    pub(super) fn of(session: &Session) -> Self {
        let infos = [Side::A, Side::B].map(|side| session.info(side));
        let known = infos.map(shown);
        let v6 = known.iter().flatten().any(SocketAddr::is_ipv6);
        let mut sides = [1, 2].into_iter();
        Self::distinct(known.map(|known| {
            let side = sides.next().unwrap_or_default();
            let address = known.unwrap_or_else(|| {
                let port = 49152 + (session.id().get() % 16384) as u16;
                match v6 {
                    true => (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, side), port).into(),
                    false => (Ipv4Addr::new(192, 0, 2, side as u8), port).into(),
                }
            });
            match (address.ip(), v6) {
                (IpAddr::V4(ip), true) => (ip.to_ipv6_mapped(), address.port()).into(),
                _ => address,
            }
        }))
    }

    /// No tool can follow a connection from an address and port to the same: B is then shown with
    /// another port.
    fn distinct([a, mut b]: [SocketAddr; 2]) -> Self {
        let shared = (a == b).then_some(b);
        if shared.is_some() {
            b.set_port(b.port() ^ 1);
        }
        Self {
            ends: [a, b],
            shared,
        }
    }

    /// The address and port of both, where they are the same.
    pub(super) const fn shared(&self) -> Option<SocketAddr> {
        self.shared
    }

    /// The most bytes in a segment.
    pub(super) fn mss(&self) -> usize {
        MTU - TCP_HEADER - if self.is_v6() { 40 } else { 20 }
    }

    fn is_v6(&self) -> bool {
        self.ends[0].is_ipv6()
    }

    /// The segment in its frame.
    pub(super) fn frame(&self, segment: Segment<'_>) -> Vec<u8> {
        let tcp = self.tcp(segment);
        let (from, to) = (self.end(segment.from).ip(), self.end(!segment.from).ip());
        let mut frame = Vec::with_capacity(14 + 40 + tcp.len());
        frame.extend(mac(!segment.from));
        frame.extend(mac(segment.from));
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                frame.extend([0x08, 0x00]);
                frame.extend(ipv4(from, to, tcp.len()));
            }
            _ => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                frame.extend((tcp.len() as u16).to_be_bytes());
                frame.extend([6, 64]); // TCP, hop limit
                frame.extend(octets(from));
                frame.extend(octets(to));
            }
        }
        frame.extend(tcp);
        frame
    }

    fn tcp(&self, segment: Segment<'_>) -> Vec<u8> {
        let (from, to) = (self.end(segment.from), self.end(!segment.from));
        let mut options = Vec::new();
        if segment.flags & SYN != 0 {
            options.extend([2, 4]);
            options.extend((self.mss() as u16).to_be_bytes());
            options.extend([1, 3, 3, WINDOW_SCALE]);
        }
        let words = (TCP_HEADER + options.len()) / 4;
        let mut tcp = Vec::with_capacity(words * 4 + segment.payload.len());
        tcp.extend(from.port().to_be_bytes());
        tcp.extend(to.port().to_be_bytes());
        tcp.extend(segment.seq.to_be_bytes());
        tcp.extend(segment.ack.to_be_bytes());
        tcp.extend([(words as u8) << 4, segment.flags]);
        tcp.extend(WINDOW.to_be_bytes());
        tcp.extend([0; 4]); // checksum, urgent pointer
        tcp.extend(options);
        tcp.extend_from_slice(segment.payload);

        // The pseudo-header: the addresses, the length, the protocol.
        let mut pseudo = [octets(from.ip()), octets(to.ip())].concat();
        pseudo.extend((tcp.len() as u32).to_be_bytes());
        pseudo.extend([0, 0, 0, 6]);
        let sum = checksum(&[&pseudo, &tcp]);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        tcp
    }

    pub(super) fn end(&self, side: Side) -> SocketAddr {
        self.ends[side as usize]
    }
}

/// The side that opened the conversation: where one was accepted and one dialled, the accepted.
pub(super) fn opener(session: &Session) -> Side {
    let origins = [Side::A, Side::B].map(|side| session.info(side).origin);
    match origins {
        [Origin::Dialled, Origin::Accepted] => Side::B,
        _ => Side::A,
    }
}

/// The address of a peer; of a client what may be shown of it, with its port, by which tools tell connections apart.
fn shown(info: &Info) -> Option<SocketAddr> {
    let peer = info.peer?;
    Some(match info.origin {
        Origin::Accepted => SocketAddr::new(shown_client_ip(peer.ip()), peer.port()),
        Origin::Dialled => canonical(peer),
    })
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Locally administered, one a side.
fn mac(side: Side) -> [u8; 6] {
    [2, 0, 0, 0, 0, 0x0a + side as u8]
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, payload: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend((20 + payload as u16).to_be_bytes());
    header.extend([0, 0, 0x40, 0]); // don't fragment
    header.extend([64, 6, 0, 0]); // time to live, TCP, checksum
    header.extend(from.octets());
    header.extend(to.octets());
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The internet checksum (RFC 1071) of parts, all but the last of even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u32 = 0;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_an_example() {
        // RFC 1071, section 3.
        let example: [u8; 8] = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&[&example]), !0xddf2);
        assert_eq!(checksum(&[&example[..2], &example[2..]]), !0xddf2);
        assert_eq!(checksum(&[&[1]]), !0x0100);
    }
}
