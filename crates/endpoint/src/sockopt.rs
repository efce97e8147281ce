//! Socket options of Linux that socket2 and rustix do not have: tcp(7), ip(7).

// The macros call each other, and libc, by these names.
use nix::{errno::Errno, getsockopt_impl, libc, setsockopt_impl, sockopt_impl, sys::socket};
use std::{io, os::fd::AsFd, sync::OnceLock, time::Duration};

use socket2::{Domain, Socket, Type};

use crate::io::Unanswered;

sockopt_impl!(
    /// A port that bind(2) leaves open until connect(2) knows the peer, so that connections to
    /// different peers can share it.
    BindAddressNoPort,
    SetOnly,
    libc::IPPROTO_IP,
    libc::IP_BIND_ADDRESS_NO_PORT,
    bool
);

/// Of linux/tcp.h, since Linux 6.15.
const TCP_RTO_MAX_MS: libc::c_int = 44;

sockopt_impl!(
    /// The longest pause between two retransmissions, or two probes of a window of zero.
    RtoMax,
    Both,
    libc::IPPROTO_TCP,
    TCP_RTO_MAX_MS,
    u32
);

/// The beginning of `struct tcp_info` of linux/tcp.h, in words; every kernel knows that much of it.
type Info = [u32; 15];

// Words of it.
const UNACKNOWLEDGED: usize = 6;
const LAST_DATA_SENT: usize = 11;
const LAST_DATA_RECEIVED: usize = 13;
const LAST_ACK_RECEIVED: usize = 14;

sockopt_impl!(TcpInfo, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, Info);

/// As much of it as has `tcpi_notsent_bytes`, since Linux 4.6.
type LongInfo = [u32; NOT_SENT + 1];

const NOT_SENT: usize = 36;

sockopt_impl!(
    TcpLongInfo,
    GetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    LongInfo
);

/// Lets a socket that is bound to an address alone share its port (`IP_BIND_ADDRESS_NO_PORT`, since
/// Linux 4.2). An older kernel goes on without.
pub(crate) fn bind_address_no_port(socket: &impl AsFd) {
    // A port of its own is used up where the kernel does not know the option, and that is all.
    let _ = socket::setsockopt(socket, BindAddressNoPort, &true);
}

/// The longest pause between two retransmissions, in milliseconds (`TCP_RTO_MAX_MS`, since Linux
/// 6.15). An older kernel keeps to 120 s.
pub(crate) fn set_rto_max(socket: &impl AsFd, milliseconds: u32) -> io::Result<()> {
    match socket::setsockopt(socket, RtoMax, &milliseconds) {
        Err(Errno::ENOPROTOOPT) => Ok(()),
        result => Ok(result?),
    }
}

/// Whether [`set_rto_max`] has no effect. Asked of the kernel once.
pub(crate) fn lacks_rto_max() -> bool {
    static LACKS: OnceLock<bool> = OnceLock::new();

    *LACKS.get_or_init(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None);
        socket.is_ok_and(|socket| socket::getsockopt(&socket, RtoMax) == Err(Errno::ENOPROTOOPT))
    })
}

/// How long ago the peer's system was last heard of. `None` where the kernel does not tell.
pub(crate) fn heard_ago(socket: &impl AsFd) -> Option<Duration> {
    let info = socket::getsockopt(socket, TcpInfo).ok()?;
    let milliseconds = info[LAST_DATA_RECEIVED].min(info[LAST_ACK_RECEIVED]);
    Some(Duration::from_millis(milliseconds.into()))
}

/// What the peer's system has left unanswered; `None` where it has answered everything, or the
/// kernel does not tell.
pub(crate) fn unanswered(socket: &impl AsFd) -> Option<Unanswered> {
    let info = socket::getsockopt(socket, TcpInfo).ok()?;
    let [_state, _, retransmits, probes] = info[0].to_ne_bytes();
    // Counts retransmissions, and probes of a window of zero, but no probes of keep-alive.
    let [backoff, ..] = info[1].to_ne_bytes();
    if info[UNACKNOWLEDGED] == 0 && backoff == 0 {
        return None;
    }
    Some(Unanswered {
        heard_ago: Duration::from_millis(info[LAST_ACK_RECEIVED].into()),
        tries: match backoff {
            0 => 0,
            _ => retransmits.max(probes).into(),
        },
    })
}

/// How many written bytes the kernel has not sent yet. `None` where the kernel does not tell.
pub(crate) fn unsent(socket: &impl AsFd) -> Option<u32> {
    Some(socket::getsockopt(socket, TcpLongInfo).ok()?[NOT_SENT])
}

/// How long ago the kernel last sent bytes to the peer and had an acknowledgement: the older of
/// the two. `None` where the kernel does not tell.
pub(crate) fn sent_ago(socket: &impl AsFd) -> Option<Duration> {
    let info = socket::getsockopt(socket, TcpInfo).ok()?;
    let milliseconds = info[LAST_DATA_SENT].max(info[LAST_ACK_RECEIVED]);
    Some(Duration::from_millis(milliseconds.into()))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{Ipv4Addr, TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn a_connection_has_the_longest_pause_of_its_listener() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let before = socket::getsockopt(&listener, RtoMax);
        set_rto_max(&listener, 4000).unwrap();
        if before.is_err() {
            return; // Older than Linux 6.15.
        }
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (io, _) = listener.accept().unwrap();
        assert_eq!(socket::getsockopt(&io, RtoMax).unwrap(), 4000);
    }

    #[test]
    fn acknowledged_bytes_were_sent_just_now() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut io, _) = listener.accept().unwrap();
        io.write_all(b"x").unwrap();
        peer.read_exact(&mut [0]).unwrap();
        let ago = sent_ago(&io).unwrap();
        assert!(ago < Duration::from_secs(60), "{ago:?}");
    }
}
