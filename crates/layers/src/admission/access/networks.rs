use std::{fs, net::IpAddr, path::Path, str::FromStr};

use couplet_endpoint::Info;
use ipnet::{IpNet, Ipv4Net};

use super::{InvalidNetwork, NetworksError, special};

/// The most characters of a wrong text that an error shows.
const SHOWN: usize = 64;

/// A set of networks, each written as in RFC 4632: `10.0.0.0/8`, `2001:db8::/32`, or one address; and of
/// users.
///
/// An address within a network (`10.0.0.7/8`) is an error, because it may mean the address or the
/// network. An IPv4 network may be written as an IPv6 one (`::ffff:10.0.0.0/104`); any other IPv6
/// network holds IPv6 addresses alone, so all addresses are `0.0.0.0/0` and `::/0`.
///
/// Peers of Unix sockets are written by their user or group, `uid:1000` or `gid:100`: see
/// [`UnixPeer`](couplet_endpoint::UnixPeer).
///
/// A look-up takes logarithmic time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// Disjoint, in the order of their addresses.
    networks: Vec<IpNet>,
    /// In ascending order, each once.
    uids: Vec<u32>,
    gids: Vec<u32>,
    /// Those that were written as networks of special purpose, likewise.
    special: Vec<IpNet>,
}

/// What is on a list.
enum Entry {
    Network(IpNet),
    Uid(u32),
    Gid(u32),
}

// ===== impl Networks =====

impl Networks {
    /// Reads a file: one network a line, and comments from `#` to the line's end.
    ///
    /// Blocks the thread, so call it before a relay starts.
    ///
    /// # Errors
    ///
    /// If the file can't be read, or a line is wrong: the error names the file, the line and the
    /// column.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, NetworksError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|source| NetworksError::Read {
            path: path.into(),
            source,
        })?;
        let mut entries = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let entry = parse_line(line).map_err(|(at, source)| NetworksError::Line {
                path: path.into(),
                line: number,
                column: line[..at].chars().count() + 1,
                source,
            })?;
            entries.extend(entry);
        }
        Ok(entries.into_iter().collect())
    }

    /// Whether one of the networks has this address. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        contains(&self.networks, address.to_canonical())
    }

    /// Is the address in a network that lies within a block of special purpose? The whole internet,
    /// `0.0.0.0/0`, does not.
    pub(super) fn name_special(&self, address: IpAddr) -> bool {
        contains(&self.special, address.to_canonical())
    }

    /// Whether the peer is in one of the networks, by its address, or, over a Unix socket, by its user or
    /// group.
    pub fn contain(&self, info: &Info) -> bool {
        let by_address = info.peer.is_some_and(|peer| self.contains(peer.ip()));
        by_address
            || info.unix().is_some_and(|unix| {
                self.uids.binary_search(&unix.uid).is_ok()
                    || self.gids.binary_search(&unix.gid).is_ok()
            })
    }

    pub(super) fn and(self, other: Self) -> Self {
        self.entries().chain(other.entries()).collect()
    }

    fn entries(self) -> impl Iterator<Item = Entry> {
        let networks = self.networks.into_iter().map(Entry::Network);
        let special = self.special.into_iter().map(Entry::Network);
        let uids = self.uids.into_iter().map(Entry::Uid);
        networks
            .chain(special)
            .chain(uids)
            .chain(self.gids.into_iter().map(Entry::Gid))
    }
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    let behind = networks.partition_point(|network| network.network() <= address);
    behind > 0 && networks[behind - 1].contains(&address)
}

fn aggregated(networks: &[IpNet]) -> Vec<IpNet> {
    let mut networks = IpNet::aggregate(&networks.to_vec());
    networks.sort_unstable();
    networks
}

/// Of an address within a network, such as `10.0.0.7/8`, the network is taken.
impl FromIterator<IpNet> for Networks {
    fn from_iter<T: IntoIterator<Item = IpNet>>(networks: T) -> Self {
        let networks: Vec<_> = networks.into_iter().map(canonical).collect();
        let special = networks.iter().filter(|network| special::holds(network));
        let special: Vec<_> = special.copied().collect();
        Self {
            networks: aggregated(&networks),
            special: aggregated(&special),
            ..Self::default()
        }
    }
}

impl FromIterator<Entry> for Networks {
    fn from_iter<T: IntoIterator<Item = Entry>>(entries: T) -> Self {
        let (mut networks, mut uids, mut gids) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            match entry {
                Entry::Network(network) => networks.push(network),
                Entry::Uid(uid) => uids.push(uid),
                Entry::Gid(gid) => gids.push(gid),
            }
        }
        for numbers in [&mut uids, &mut gids] {
            numbers.sort_unstable();
            numbers.dedup();
        }
        Self {
            uids,
            gids,
            ..networks.into_iter().collect()
        }
    }
}

/// One network, or several joined by `+`: `10.0.0.0/8+192.168.0.0/16`, `uid:0+gid:100`.
impl FromStr for Networks {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        text.split('+').map(parse).collect()
    }
}

/// The entry on a line, if there is one; the error has its byte.
fn parse_line(line: &str) -> Result<Option<Entry>, (usize, InvalidNetwork)> {
    let content = line.split('#').next().unwrap_or_default();
    let mut words = content.split_whitespace();
    let at = |word: &str| word.as_ptr() as usize - line.as_ptr() as usize;
    let Some(word) = words.next() else {
        return Ok(None);
    };
    let network = parse(word).map_err(|wrong| (at(word), wrong))?;
    match words.next() {
        None => Ok(Some(network)),
        Some(word) => Err((at(word), InvalidNetwork::Surplus(shown(word)))),
    }
}

fn parse(text: &str) -> Result<Entry, InvalidNetwork> {
    if let Some((kind @ ("uid" | "gid"), number)) = text.split_once(':') {
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().ok().filter(|_| digits);
        let number = number.ok_or_else(|| InvalidNetwork::User(shown(text)))?;
        return Ok(match kind {
            "uid" => Entry::Uid(number),
            _ => Entry::Gid(number),
        });
    }
    // Not by ipnet's own parser, which takes `010.0.0.0` for `10.0.0.0`.
    let network = match text.split_once('/') {
        None => text.parse::<IpAddr>().ok().map(IpNet::from),
        Some((address, prefix)) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
            let new = |address| IpNet::new(address, prefix.parse().ok()?).ok();
            address.parse().ok().and_then(new)
        }
        Some(_) => None,
    };
    match network {
        None => Err(InvalidNetwork::Syntax(shown(text))),
        Some(network) if network.addr() != network.network() => Err(InvalidNetwork::HostBits {
            text: shown(text),
            network: network.trunc(),
            host: network.addr(),
        }),
        Some(network) => Ok(Entry::Network(canonical(network))),
    }
}

/// The IPv4 network of an IPv4-mapped IPv6 one (RFC 4291, section 2.5.5.2).
fn canonical(network: IpNet) -> IpNet {
    let network = network.trunc();
    match (network.addr().to_canonical(), network.prefix_len()) {
        (IpAddr::V4(address), prefix) if network.addr().is_ipv6() && prefix >= 96 => {
            let network = Ipv4Net::new(address, prefix - 96);
            network.expect("32 bits are left of 128").into()
        }
        _ => network,
    }
}

/// A wrong text, cut and escaped for a terminal.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(SHOWN).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{}{more}", start.escape_debug())
}
