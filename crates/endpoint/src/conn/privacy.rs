use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

/// Of the process, as its log is.
static SHORTENED: AtomicBool = AtomicBool::new(false);

/// Shows the addresses of clients shortened from now on, in the whole process: in log lines, access records, errors
/// and lists. An IPv4 address is shown as its network of 24 bits, an IPv6 address as that of 48, and no port:
/// `192.0.2.0:0`, `[2001:db8:7::]:0`.
///
/// Limits, access lists and what is told to servers (a PROXY header) go by the whole address as before.
pub fn shorten_client_addresses() {
    SHORTENED.store(true, Ordering::Relaxed);
}

/// The address of a client as it may be shown: an IPv4 address as one, though a socket or a header calls it
/// `::ffff:192.0.2.1`, and [shortened](shorten_client_addresses) where that is asked for.
pub fn shown_client(client: SocketAddr) -> SocketAddr {
    let port = if is_shortened() { 0 } else { client.port() };
    SocketAddr::new(shown_client_ip(client.ip()), port)
}

/// The same without a port.
pub fn shown_client_ip(client: IpAddr) -> IpAddr {
    match is_shortened() {
        true => network(client.to_canonical()),
        false => client.to_canonical(),
    }
}

fn is_shortened() -> bool {
    SHORTENED.load(Ordering::Relaxed)
}

fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & !0xff).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 80 << 80).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_24_bits_or_48() {
        for (ip, of) in [
            ("192.0.2.200", "192.0.2.0"),
            ("2001:db8:7:8::9", "2001:db8:7::"),
            ("::1", "::"),
        ] {
            let [ip, of]: [IpAddr; 2] = [ip, of].map(|ip| ip.parse().unwrap());
            assert_eq!(network(ip), of);
        }
    }
}
