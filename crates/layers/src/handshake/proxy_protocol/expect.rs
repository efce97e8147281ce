use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use couplet_endpoint::{Conn, ConnEvent, Info, Io, Replay};
use futures::{FutureExt, future::BoxFuture};
use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Proxied,
    crc32c::crc32c,
    frame::{Frame, MAX_HEADER, frame},
    tlv::{kind, split},
};
use crate::{admission::access::Networks, handshake::Handshake};

/// Reads a PROXY header, of either version, and takes the addresses it says for the connection's
/// own. See the [module](super).
///
/// It reads at most 4096 bytes for the header. It has no deadline of its own: the
/// [`HandshakeLayer`](crate::HandshakeLayer) has.
#[derive(Clone, Debug)]
pub struct ExpectProxyHeader {
    trusted: Arc<Networks>,
    otherwise: Otherwise,
}

/// What becomes of a connection without a header that may be believed.
#[derive(Clone, Copy, Debug)]
enum Otherwise {
    Refuse,
    /// It goes on as it is, at the latest after this time.
    GoOn(Duration),
}

/// A connection did not begin with a PROXY header as it should.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProxyHeaderRefused {
    /// It comes from elsewhere than the listed networks.
    #[error("it does not come from a proxy that is trusted")]
    Untrusted,
    /// It begins with something else.
    #[error("it does not begin with a PROXY header")]
    Missing,
    /// Its header is longer than 107 bytes in version 1, 4096 bytes in version 2.
    #[error("its PROXY header is too long")]
    TooLong,
    /// Its header breaks the rules.
    #[error("its PROXY header is malformed")]
    Malformed,
    /// Its header is not what was sent.
    #[error("the checksum of its PROXY header is wrong")]
    Checksum,
    /// It ended before its header did.
    #[error("it ended before its PROXY header did")]
    Ended,
    /// It failed.
    #[error("reading its PROXY header failed")]
    Io(#[from] io::Error),
}

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    /// The client's address, and the one it has connected to.
    addresses: Option<(SocketAddr, SocketAddr)>,
    tlvs: Box<[u8]>,
}

// ===== impl ExpectProxyHeader =====

impl ExpectProxyHeader {
    /// Lets those pass who come from these networks and begin with a header, and nobody else.
    pub fn required(trusted: Networks) -> Self {
        Self {
            trusted: trusted.into(),
            otherwise: Otherwise::Refuse,
        }
    }

    /// Lets everybody pass; a header from these networks is believed.
    ///
    /// One from these networks that has not sent a header's first bytes (6 in version 1, 12 in
    /// version 2) [in time](Self::wait), nor anything else, may be waiting for our side to speak
    /// first, and goes on without; if a header comes later, it is part of the stream and nothing
    /// else. What has begun as a header has to be one: otherwise it is refused.
    pub fn accepted(trusted: Networks) -> Self {
        Self {
            trusted: trusted.into(),
            // A lost segment is sent again after a second: section 2 of the specification.
            otherwise: Otherwise::GoOn(Duration::from_secs(3)),
        }
    }

    /// How long one that need not send a header is waited for. 3 s by default; to be shorter than
    /// the deadline of the [`HandshakeLayer`](crate::HandshakeLayer), which refuses. Without effect
    /// where a header is required.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        if let Otherwise::GoOn(_) = self.otherwise {
            self.otherwise = Otherwise::GoOn(wait);
        }
        self
    }

    fn trusts(&self, info: &Info) -> bool {
        info.peer
            .is_some_and(|peer| self.trusted.contains(peer.ip()))
    }
}

impl<I: Io> Handshake<Conn<I>> for ExpectProxyHeader {
    type Output = Conn<Replay<I>>;
    type Error = ProxyHeaderRefused;
    type Future = BoxFuture<'static, Result<Self::Output, ProxyHeaderRefused>>;

    fn handshake(&self, conn: Conn<I>) -> Self::Future {
        let trusted = self.trusts(&conn.info);
        let otherwise = self.otherwise;
        async move {
            let mut conn = conn.map_io(Replay::new);
            let len = match (trusted, otherwise) {
                (true, Otherwise::Refuse) => read_header(&mut conn.io, None).await?,
                (true, Otherwise::GoOn(wait)) => {
                    // As a sleep has it: beyond what the clock can say is as good as never.
                    let until = sleep(wait).deadline();
                    read_header(&mut conn.io, Some(until)).await?
                }
                (false, Otherwise::Refuse) => return Err(ProxyHeaderRefused::Untrusted),
                (false, Otherwise::GoOn(_)) => None,
            };
            match (len, otherwise) {
                (Some(len), _) => {
                    let header = Header::parse(&conn.io.ahead()[..len])?;
                    conn.io.consume(len);
                    header.apply(&mut conn.info);
                    conn.info.tell(ConnEvent::Learned);
                    Ok(conn)
                }
                (None, Otherwise::GoOn(_)) => Ok(conn),
                (None, Otherwise::Refuse) => Err(ProxyHeaderRefused::Missing),
            }
        }
        .boxed()
    }
}

/// Reads ahead until there is a header, and returns how long it is; or until it is clear, or late,
/// that there is none.
async fn read_header<I: Io>(
    io: &mut Replay<I>,
    until: Option<Instant>,
) -> Result<Option<usize>, ProxyHeaderRefused> {
    loop {
        let begun = match frame(io.ahead()) {
            Frame::Whole(len) => return Ok(Some(len)),
            Frame::TooLong => return Err(ProxyHeaderRefused::TooLong),
            Frame::None => return Ok(None),
            Frame::Partial => true,
            Frame::Perhaps => false,
        };
        let reading = io.read_ahead(MAX_HEADER);
        let read = match until {
            Some(until) if !begun => match timeout_at(until, reading).await {
                Ok(read) => read?,
                Err(_) => return Ok(None),
            },
            _ => reading.await?,
        };
        if read == 0 {
            return match until {
                Some(_) if !begun => Ok(None),
                _ => Err(ProxyHeaderRefused::Ended),
            };
        }
    }
}

// ===== impl Header =====

impl Header {
    /// Of all its bytes and no more.
    fn parse(bytes: &[u8]) -> Result<Self, ProxyHeaderRefused> {
        const V2_LOCAL: u8 = 0x20;
        let is_v2 = bytes.starts_with(b"\r");
        if is_v2 && bytes.get(12) == Some(&V2_LOCAL) {
            // Whatever else there is has no meaning: section 2.2.
            return Ok(Self {
                addresses: None,
                tlvs: Box::default(),
            });
        }
        let header = match ProxyHeader::parse(bytes, ParseConfig::default()) {
            Ok((header, len)) if len == bytes.len() => header,
            _ => return Err(ProxyHeaderRefused::Malformed),
        };
        let addresses = header
            .proxied_address()
            .filter(|address| address.protocol == Protocol::Stream)
            .map(|address| (address.source, address.destination));
        let tlvs = if is_v2 { tlvs(bytes)? } else { &[] };
        Ok(Self {
            addresses,
            tlvs: tlvs.into(),
        })
    }

    fn apply(self, info: &mut Info) {
        info.extensions.insert(Proxied {
            transport: (info.peer, info.local),
            addressed: self.addresses.is_some(),
            tlvs: self.tlvs,
        });
        if let Some((peer, local)) = self.addresses {
            info.peer = Some(peer);
            info.local = Some(local);
        }
    }
}

/// What is behind the addresses of a header that has been parsed: each addition whole, and the
/// checksum right.
fn tlvs(header: &[u8]) -> Result<&[u8], ProxyHeaderRefused> {
    let addresses = match header[13] >> 4 {
        0 => 0,
        1 => 12,
        2 => 36,
        _ => 216,
    };
    let tlvs = &header[16 + addresses..];
    let mut behind = header.len() - tlvs.len();
    for tlv in split(tlvs) {
        let (kind, value) = tlv.map_err(|_| ProxyHeaderRefused::Malformed)?;
        let start = behind + 3;
        behind = start + value.len();
        if kind == kind::CRC32C {
            let Ok(said) = value.try_into().map(u32::from_be_bytes) else {
                return Err(ProxyHeaderRefused::Malformed);
            };
            // As it was when it was computed: with zeros in its own place.
            let sum = crc32c(
                header[..start]
                    .iter()
                    .chain(&[0; 4])
                    .chain(&header[behind..]),
            );
            if sum != said {
                return Err(ProxyHeaderRefused::Checksum);
            }
        }
    }
    Ok(tlvs)
}
