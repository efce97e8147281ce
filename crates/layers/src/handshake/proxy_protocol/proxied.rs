use std::{fmt, net::SocketAddr, str};

use super::tlv::{kind, split};

/// What a connection's PROXY header has said: put into the extensions of
/// [`Info`](couplet_endpoint::Info) by [`ExpectProxyHeader`](super::ExpectProxyHeader).
///
/// The client's addresses are the [`peer`](couplet_endpoint::Info::peer) and
/// [`local`](couplet_endpoint::Info::local) of the `Info` itself. The texts are a sender's own:
/// escape them before they reach a terminal or a log, as `{:?}` does.
#[derive(Clone)]
pub struct Proxied {
    pub(super) transport: (Option<SocketAddr>, Option<SocketAddr>),
    pub(super) addressed: bool,
    /// Each of them whole.
    pub(super) tlvs: Box<[u8]>,
}

// ===== impl Proxied =====

impl Proxied {
    /// The address that the connection really came from: the proxy's.
    pub fn transport_peer(&self) -> Option<SocketAddr> {
        self.transport.0
    }

    /// The address of ours that the proxy has connected to.
    pub fn transport_local(&self) -> Option<SocketAddr> {
        self.transport.1
    }

    /// Did it say the client's addresses? If not (`UNKNOWN`, `LOCAL`, or an address that is not of
    /// TCP), those of the `Info` are still the transport's.
    pub fn is_addressed(&self) -> bool {
        self.addressed
    }

    /// All additions, by type and value, in their order. There are none in version 1.
    pub fn tlvs(&self) -> impl Iterator<Item = (u8, &[u8])> {
        split(&self.tlvs).flatten()
    }

    /// The name that the client has asked for, such as the server name of TLS.
    pub fn authority(&self) -> Option<&str> {
        text(self.first(kind::AUTHORITY)?)
    }

    /// The protocol above TLS that client and proxy agreed on: `h2`.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.first(kind::ALPN)
    }

    /// What identifies the connection across proxies.
    pub fn unique_id(&self) -> Option<&[u8]> {
        self.first(kind::UNIQUE_ID)
    }

    /// The version of TLS that the client speaks with the proxy: `TLSv1.3`.
    pub fn tls_version(&self) -> Option<&str> {
        let (_, tls) = self.tls()?;
        text(first(tls, kind::SSL_VERSION)?)
    }

    /// The common name in the client's certificate, if it showed one that the proxy has verified.
    pub fn common_name(&self) -> Option<&str> {
        let (verified, tls) = self.tls()?;
        text(first(tls, kind::SSL_CN)?).filter(|_| verified)
    }

    /// Has the client shown a certificate that was verified? And the additions to this one.
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

impl fmt::Debug for Proxied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxied")
            .field("transport_peer", &self.transport.0)
            .field("transport_local", &self.transport.1)
            .field("addressed", &self.addressed)
            .field("authority", &self.authority())
            .finish_non_exhaustive()
    }
}
