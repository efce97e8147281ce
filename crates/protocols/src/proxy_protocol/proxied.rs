use std::{net::SocketAddr, str};

use couplet_endpoint::UnixAddr;

use super::tlv::{kind, split};

/// The content of a connection's PROXY header. [`ExpectProxyHeader`](super::ExpectProxyHeader) puts it
/// into the extensions of [`Info`](couplet_endpoint::Info).
///
/// The client's addresses are [`peer`](couplet_endpoint::Info::peer) and
/// [`local`](couplet_endpoint::Info::local) of the `Info`. The texts are the sender's: escape them
/// before they reach a terminal or a log, as `{:?}` does.
#[derive(Clone, derive_more::Debug)]
pub struct Proxied {
    pub(super) transport: (Option<SocketAddr>, Option<SocketAddr>),
    pub(super) addressed: bool,
    pub(super) unix: [Option<UnixAddr>; 2],
    /// Each addition is whole.
    #[debug("{:?}", self.authority())]
    pub(super) tlvs: Box<[u8]>,
}

// ===== impl Proxied =====

impl Proxied {
    /// The proxy's address.
    pub fn transport_peer(&self) -> Option<SocketAddr> {
        self.transport.0
    }

    /// Our address, which the proxy has connected to.
    pub fn transport_local(&self) -> Option<SocketAddr> {
        self.transport.1
    }

    /// Whether the header has the client's addresses. If not (`UNKNOWN`, `LOCAL`, `AF_UNSPEC`, or a
    /// family other than TCP), those of the `Info` are the transport's.
    pub fn is_addressed(&self) -> bool {
        self.addressed
    }

    /// Of a client that has connected to the proxy over a Unix socket: the name of that socket.
    pub fn unix_socket(&self) -> Option<&UnixAddr> {
        self.unix[1].as_ref()
    }

    /// Of a client that has connected to the proxy over a Unix socket: the client's own name. Most
    /// have none.
    pub fn unix_client(&self) -> Option<&UnixAddr> {
        self.unix[0].as_ref()
    }

    /// All additions in their order, by type and value. Version 1 has none.
    pub fn tlvs(&self) -> impl Iterator<Item = (u8, &[u8])> {
        split(&self.tlvs).flatten()
    }

    /// The host name that the client asked for, such as the server name (SNI) of TLS.
    pub fn authority(&self) -> Option<&str> {
        text(self.first(kind::AUTHORITY)?)
    }

    /// The application protocol (ALPN) that client and proxy agreed on: `h2`.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.first(kind::ALPN)
    }

    /// The identifier of the connection across proxies.
    pub fn unique_id(&self) -> Option<&[u8]> {
        self.first(kind::UNIQUE_ID)
    }

    /// The TLS version between client and proxy: `TLSv1.3`.
    pub fn tls_version(&self) -> Option<&str> {
        let (_, tls) = self.tls()?;
        text(first(tls, kind::SSL_VERSION)?)
    }

    /// The common name of the client's certificate, if the proxy has verified one.
    pub fn common_name(&self) -> Option<&str> {
        let (verified, tls) = self.tls()?;
        text(first(tls, kind::SSL_CN)?).filter(|_| verified)
    }

    /// All that the proxy says of TLS.
    pub(super) fn tls_addition(&self) -> Option<&[u8]> {
        self.first(kind::SSL)
    }

    /// Whether the proxy has verified a client certificate, and the additions within this one.
    fn tls(&self) -> Option<(bool, &[u8])> {
        // PP2_CLIENT_CERT_CONN and PP2_CLIENT_CERT_SESS.
        const CERTIFICATE: u8 = 0x02 | 0x04;
        let (head, tls) = self.first(kind::SSL)?.split_first_chunk::<5>()?;
        let [client, verify @ ..] = head;
        Some((client & CERTIFICATE != 0 && *verify == [0; 4], tls))
    }

    fn first(&self, kind: u8) -> Option<&[u8]> {
        first(&self.tlvs, kind)
    }
}

fn first(tlvs: &[u8], kind: u8) -> Option<&[u8]> {
    let mut tlvs = split(tlvs).map_while(Result::ok);
    tlvs.find_map(|(is, value)| (is == kind).then_some(value))
}

fn text(value: &[u8]) -> Option<&str> {
    str::from_utf8(value).ok()
}
