//! Addresses as people write them: `listen:[HOST:]PORT`, `dial:HOST:PORT`, `dial:unix:PATH`.

mod dial;
mod error;
mod exec;
mod host;
mod kind;
mod listen;
mod name;
mod parse;
mod service;
mod socket_name;
mod srv;
mod target;
mod unix;
mod vsock;

pub use self::{
    dial::DialAddr,
    error::AddressError,
    exec::ExecAddr,
    host::{Host, HostName},
    listen::ListenAddr,
    socket_name::SocketName,
    srv::SrvName,
    target::TargetAddr,
    unix::UnixAddr,
    vsock::VsockAddr,
};

use std::{fmt, str::FromStr};

/// One end of a relay, as a person writes it.
///
/// ```text
/// address   = "listen:" [ here ":" ] port
///           | "dial:" host ":" port
///           | ( "listen:" | "dial:" ) "unix:" ( path | "@" name )
///           | "listen:systemd:" name
///           | "listen:vsock:" [ cid ":" ] number | "dial:vsock:" cid ":" number
///           | "listen:quic:" [ here ":" ] port | "dial:quic:" host ":" port
///           | "dial:srv:_" service "._tcp." name
///           | "dial:" target "|" target { "|" target }
///           | "dial:asked"
///           | "listen:routes"
///           | "stdio"
///           | "exec:" program { " " argument }
/// here      = "*" | host
/// target    = host ":" port | "unix:" ( path | "@" name )
/// cid       = number | "host" | "local" | "hypervisor"
/// host      = name | IPv4 | "[" IPv6 [ "%" interface ] "]"
/// port      = 0 … 65535 | service
/// ```
///
/// | written | means |
/// |---|---|
/// | `listen:9000` | port 9000, for this machine alone: `listen:localhost:9000` |
/// | `listen:*:9000` | port 9000 of all interfaces, over IPv6 and IPv4 |
/// | `listen:192.0.2.1:0` | any free port of this interface |
/// | `listen:[::1]:9000` | an IPv6 address is in brackets |
/// | `dial:example.org:ssh` | a service's name, as in services(5): the port is looked up when the address is read |
/// | `dial:example.org:22` | the name is looked up whenever it is dialled |
/// | `listen:unix:/run/app.sock` | a Unix socket in the file system |
/// | `dial:unix:@app` | a Unix socket in Linux's abstract namespace |
/// | `listen:systemd:web` | the sockets that systemd passes with this name: see [`SocketName`] |
/// | `listen:vsock:5000`, `dial:vsock:host:5000` | between virtual machines and their host: see [`VsockAddr`] |
/// | `listen:quic:9000`, `dial:quic:example.org:9000` | streams of QUIC, over UDP |
/// | `dial:srv:_imaps._tcp.example.org` | a server of the service, as the DNS says: see [`SrvName`] |
/// | `dial:a:80|b:80` | one of several targets |
/// | `dial:asked` | the target that each client asks for, as of a proxy |
/// | `listen:routes` | the connections that the routes of other relays of the process lead here |
/// | `stdio` | standard input and output |
/// | `exec:tail -f log` | the standard input and output of a program: see [`ExecAddr`] |
///
/// [`Display`](fmt::Display) writes the canonical form, which parses to an equal address: the
/// host is always written, IP addresses follow RFC 5952, ports have no leading zeros.
///
/// ```
/// use couplet_endpoint::Address;
///
/// let address: Address = "listen:9000".parse()?;
/// assert_eq!(address.to_string(), "listen:localhost:9000");
///
/// let error = "dial:9000".parse::<Address>().unwrap_err();
/// assert_eq!(format!("{error:#}"), "\
/// a dialled address needs a host: `dial:HOST:PORT`
///   dial:9000
///        ^^^^");
/// # Ok::<(), couplet_endpoint::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An address to listen on.
    Listen(ListenAddr),
    /// An address to dial.
    Dial(DialAddr),
    /// Others connect to us over a Unix socket.
    ListenUnix(UnixAddr),
    /// Others connect to us over a socket that the process was started with.
    ListenSystemd(SocketName),
    /// We connect to a Unix socket.
    DialUnix(UnixAddr),
    /// Others connect to us over vsock.
    ListenVsock(VsockAddr),
    /// We connect to a port of vsock.
    DialVsock(VsockAddr),
    /// Others open streams of QUIC to us.
    ListenQuic(ListenAddr),
    /// We open streams of QUIC to a server.
    DialQuic(DialAddr),
    /// We connect to a server that the DNS names for this service.
    DialSrv(SrvName),
    /// We connect to one of these.
    DialSeveral(Box<[TargetAddr]>),
    /// We connect to what each client asks for.
    DialAsked,
    /// Other relays of the process hand their connections over.
    ListenRoutes,
    /// Standard input and output of the process.
    Stdio,
    /// Standard input and output of a program that is started for each connection.
    Exec(ExecAddr),
}

// ===== impl Address =====

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(input: &str) -> Result<Self, AddressError> {
        kind::address(input)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(addr) => write!(f, "listen:{addr}"),
            Self::Dial(addr) => write!(f, "dial:{addr}"),
            Self::ListenUnix(addr) => write!(f, "listen:{addr}"),
            Self::ListenSystemd(name) => write!(f, "listen:{}{name}", kind::SYSTEMD),
            Self::DialUnix(addr) => write!(f, "dial:{addr}"),
            Self::ListenVsock(addr) => write!(f, "listen:{addr}"),
            Self::DialVsock(addr) => write!(f, "dial:{addr}"),
            Self::ListenQuic(addr) => write!(f, "listen:{}{addr}", parse::QUIC),
            Self::DialQuic(addr) => write!(f, "dial:{}{addr}", parse::QUIC),
            Self::DialSrv(name) => write!(f, "dial:{}{name}", srv::KIND),
            Self::DialSeveral(targets) => {
                let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
                write!(f, "dial:{}", targets.join(&target::SEPARATOR.to_string()))
            }
            Self::DialAsked => write!(f, "dial:{}", kind::ASKED),
            Self::ListenRoutes => write!(f, "listen:{}", kind::ROUTES),
            Self::Stdio => f.write_str("stdio"),
            Self::Exec(addr) => addr.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
