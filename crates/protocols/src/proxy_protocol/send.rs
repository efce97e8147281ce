use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use couplet_endpoint::{Conn, Info, Io, Side};
use couplet_layers::{DialledFor, Handshake};
use couplet_pairing::Pair;
use futures::{FutureExt, future::BoxFuture};
use proxy_header::{ProxiedAddress, ProxyHeader};
use thiserror::Error;
use tokio::io::AsyncWriteExt;

use super::{Addition, Tlv, unix};

/// The room for additions in a header with IPv6 addresses.
const MAX_TLVS: usize = u16::MAX as usize - 36;

/// Sends a PROXY header: tells a dialled server the client's address. See the [module](super).
///
/// The addresses are [`peer`](couplet_endpoint::Info::peer) and `local` of the client that this
/// connection was [dialled for](couplet_layers::DialledForLayer). A client of a Unix socket is sent in version 2
/// with the family `AF_UNIX`: without a name, as most clients are, and with the path that was connected
/// to. It is `UNKNOWN` in version 1, as is a client without addresses, which is `LOCAL` in version 2.
#[derive(Clone)]
pub struct SendProxyHeader(Version);

/// Sends a PROXY header to one side of a pair before the join. Made by
/// [`SendProxyHeader::before_join`].
#[derive(Clone, Debug)]
pub struct SendProxyHeaderBeforeJoin {
    header: SendProxyHeader,
    to: Side,
}

#[derive(Clone)]
enum Version {
    V1,
    V2(Option<Tlvs>),
}

type Tlvs = Arc<dyn Fn(&Info) -> Vec<Tlv> + Send + Sync>;

/// A PROXY header was not sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendProxyHeaderError {
    /// The client that the connection was dialled for is not known.
    #[error("client of a dialled connection is not known: wrap its dial in `DialledForLayer`")]
    ForNobody,
    /// The additions are longer than 65499 bytes.
    #[error("additions to a PROXY header are longer than 65499 bytes")]
    TooLong,
    /// The connection failed.
    #[error("sending the PROXY header failed")]
    Io(#[from] io::Error),
}

// ===== impl SendProxyHeader =====

impl SendProxyHeader {
    /// Sends version 1, a line of text: `PROXY TCP4 192.0.2.1 192.0.2.7 51234 443`.
    pub const fn v1() -> Self {
        Self(Version::V1)
    }

    /// Sends version 2, which is binary, with the addresses alone.
    pub const fn v2() -> Self {
        Self(Version::V2(None))
    }

    /// Sends version 2 with these additions, as far as they are known of the client. A client without
    /// an address has none.
    pub fn v2_adding(additions: impl Into<Arc<[Addition]>>) -> Self {
        let additions = additions.into();
        Self::v2_with(move |client| {
            let known = additions.iter().filter_map(|addition| addition.of(client));
            known.collect()
        })
    }

    /// Sends version 2 with what a function of your own makes of the client. A client without an
    /// address has no additions.
    pub fn v2_with(tlvs: impl Fn(&Info) -> Vec<Tlv> + Send + Sync + 'static) -> Self {
        Self(Version::V2(Some(Arc::new(tlvs))))
    }

    /// Sends the header to this side of a pair, with the addresses of the other side: a
    /// [handshake](couplet_layers::handshake) of the pair stack, for connections that were not dialled for each
    /// other.
    #[must_use]
    pub fn before_join(self, to: Side) -> SendProxyHeaderBeforeJoin {
        SendProxyHeaderBeforeJoin { header: self, to }
    }

    fn encode(&self, client: &Info) -> Result<Vec<u8>, SendProxyHeaderError> {
        if let (Version::V2(tlvs), None, Some(unix)) = (&self.0, client.peer, client.unix()) {
            let tlvs = tlvs.as_ref().map(|tlvs| tlvs(client)).unwrap_or_default();
            return unix::header(&unix.socket, &tlvs).ok_or(SendProxyHeaderError::TooLong);
        }
        let address = addresses(client);
        let mut header = match address {
            Some(address) => ProxyHeader::with_address(address),
            None => ProxyHeader::with_local(),
        };
        let mut bytes = Vec::with_capacity(128);
        let encoded = match &self.0 {
            Version::V1 => header.encode_v1(&mut bytes),
            Version::V2(tlvs) => {
                let tlvs = tlvs.as_ref().filter(|_| header.proxied_address().is_some());
                let tlvs = tlvs.map(|tlvs| tlvs(client)).unwrap_or_default();
                let len = |tlv: &Tlv| 3 + tlv.value.len();
                if tlvs.iter().map(len).sum::<usize>() > MAX_TLVS {
                    return Err(SendProxyHeaderError::TooLong);
                }
                for Tlv { kind, value } in tlvs {
                    header.append_tlv(proxy_header::Tlv::Custom(kind, (&value[..]).into()));
                }
                header.encode_v2(&mut bytes)
            }
        };
        encoded.expect("the addresses are of one family, and what is too long was refused");
        Ok(bytes)
    }
}

/// A client's two addresses, of one family.
fn addresses(client: &Info) -> Option<ProxiedAddress> {
    let (peer, local) = (canonical(client.peer?), canonical(client.local?));
    if peer.is_ipv4() == local.is_ipv4() {
        Some(ProxiedAddress::stream(peer, local))
    } else {
        Some(ProxiedAddress::stream(mapped(peer), mapped(local)))
    }
}

/// An IPv4 client of a listener for both families has a mapped address.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

fn mapped(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), addr.port()),
        IpAddr::V6(_) => addr,
    }
}

async fn send(io: &mut impl Io, header: &[u8]) -> io::Result<()> {
    io.write_all(header).await?;
    io.flush().await
}

impl<I: Io> Handshake<Conn<I>> for SendProxyHeader {
    type Output = Conn<I>;
    type Error = SendProxyHeaderError;
    type Future = BoxFuture<'static, Result<Conn<I>, SendProxyHeaderError>>;

    fn handshake(&self, mut conn: Conn<I>) -> Self::Future {
        let header = match conn.info.extensions.get() {
            Some(DialledFor(client)) => self.encode(client),
            None => Err(SendProxyHeaderError::ForNobody),
        };
        async move {
            send(&mut conn.io, &header?).await?;
            Ok(conn)
        }
        .boxed()
    }
}

impl fmt::Debug for SendProxyHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Version::V1 => "SendProxyHeader(v1)",
            Version::V2(None) => "SendProxyHeader(v2)",
            Version::V2(Some(_)) => "SendProxyHeader(v2 with additions)",
        })
    }
}

// ===== impl SendProxyHeaderBeforeJoin =====

impl<A: Io, B: Io> Handshake<Pair<A, B>> for SendProxyHeaderBeforeJoin {
    type Output = Pair<A, B>;
    type Error = SendProxyHeaderError;
    type Future = BoxFuture<'static, Result<Pair<A, B>, SendProxyHeaderError>>;

    fn handshake(&self, mut pair: Pair<A, B>) -> Self::Future {
        let header = self.header.encode(pair.session.info(!self.to));
        let to = self.to;
        async move {
            let header = header?;
            match to {
                Side::A => send(&mut pair.a, &header).await?,
                Side::B => send(&mut pair.b, &header).await?,
            }
            Ok(pair)
        }
        .boxed()
    }
}
