//! The addresses that this process listens on: a relay that dialled one of them would be its own
//! client, and each connection would bring the next one until no descriptor is left.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{PoisonError, RwLock},
};

use anyhow::bail;
use couplet_connector::endpoint::{DialAddr, Host, LocalAddr, UnixAddr};

static LISTENING: RwLock<Vec<LocalAddr>> = RwLock::new(Vec::new());

/// From now on these may not be dialled.
pub(crate) fn add<A: Into<LocalAddr>>(addrs: impl Iterator<Item = A>) {
    let mut listening = LISTENING.write().unwrap_or_else(PoisonError::into_inner);
    listening.extend(addrs.map(Into::into));
}

/// From now on these may be dialled.
#[cfg(feature = "admin")]
pub(crate) fn remove(addrs: &[LocalAddr]) {
    let mut listening = LISTENING.write().unwrap_or_else(PoisonError::into_inner);
    listening.retain(|own| !addrs.contains(own));
}

/// From now on these may not be dialled, and all others may.
pub(crate) fn set(addrs: Vec<LocalAddr>) {
    *LISTENING.write().unwrap_or_else(PoisonError::into_inner) = addrs;
}

/// Fails where a dial would come back to this process.
pub(crate) fn refuse(target: SocketAddr) -> Result<(), &'static str> {
    let listening = LISTENING.read().unwrap_or_else(PoisonError::into_inner);
    let mut own = listening.iter().filter_map(LocalAddr::tcp);
    match own.any(|own| is_same(own, target)) {
        true => Err(ITSELF),
        false => Ok(()),
    }
}

/// The same of a dial over QUIC.
#[cfg(feature = "quic")]
pub(crate) fn refuse_quic(target: SocketAddr) -> Result<(), &'static str> {
    let listening = LISTENING.read().unwrap_or_else(PoisonError::into_inner);
    let mut own = listening.iter().filter_map(|own| match own {
        LocalAddr::Quic(own) => Some(*own),
        _ => None,
    });
    match own.any(|own| is_same(own, target)) {
        true => Err(ITSELF),
        false => Ok(()),
    }
}

/// Fails where a target leads back to this process for certain, which is known without a look-up of an
/// address and of `localhost`: no client would ever be served.
pub(crate) fn refuse_at_start(target: &DialAddr) -> anyhow::Result<()> {
    let ips = match target.host() {
        Host::Ip(ip) => vec![*ip],
        Host::Name(name) if name.as_str().eq_ignore_ascii_case("localhost") => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        _ => return Ok(()),
    };
    for ip in ips {
        let addr = SocketAddr::new(ip, target.port());
        if let Err(itself) = refuse(addr) {
            bail!("cannot dial {target}: {itself}, on {addr}; dial another port");
        }
    }
    Ok(())
}

/// The same of a Unix socket.
#[cfg(unix)]
pub(crate) fn refuse_unix(target: &UnixAddr) -> Result<(), String> {
    let listening = LISTENING.read().unwrap_or_else(PoisonError::into_inner);
    let mut own = listening.iter().filter_map(LocalAddr::unix);
    match own.any(|own| own == target || is_same_file(own, target)) {
        true => Err(format!("cannot dial {target}: {ITSELF}")),
        false => Ok(()),
    }
}

const ITSELF: &str = "this relay listens there itself";

/// Do two paths lead to one socket?
#[cfg(unix)]
fn is_same_file(own: &UnixAddr, target: &UnixAddr) -> bool {
    use std::os::unix::fs::MetadataExt;

    let file = |addr: &UnixAddr| {
        let file = std::fs::metadata(addr.as_path()?).ok()?;
        Some((file.dev(), file.ino()))
    };
    let target = file(target);
    target.is_some() && file(own) == target
}

fn is_same(own: SocketAddr, target: SocketAddr) -> bool {
    let (own_ip, ip) = (own.ip().to_canonical(), target.ip().to_canonical());
    own.port() == target.port() && (own_ip == ip || (own_ip.is_unspecified() && is_local(ip)))
}

/// Is it an address of this machine? Only that can be bound.
fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(own: &str, target: &str) -> bool {
        is_same(own.parse().unwrap(), target.parse().unwrap())
    }

    #[test]
    fn own_addresses_are_recognised_in_every_form() {
        assert!(same("127.0.0.1:9", "127.0.0.1:9"));
        assert!(same("127.0.0.1:9", "[::ffff:127.0.0.1]:9"));
        assert!(same("0.0.0.0:9", "127.0.0.1:9"));
        assert!(same("[::]:9", "127.0.0.1:9"));
        assert!(!same("127.0.0.1:9", "127.0.0.1:10"));
        assert!(!same("127.0.0.1:9", "127.0.0.2:9"));
        // Of no machine: RFC 5737.
        assert!(!same("[::]:9", "192.0.2.1:9"));
    }
}
