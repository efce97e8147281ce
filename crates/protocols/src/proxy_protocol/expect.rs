use std::{io, sync::Arc, time::Duration};

use couplet_endpoint::{Conn, ConnEvent, Info, Io, Replay};
use couplet_layers::{HealthCheck, Networks, boxed_handshake};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    MalformedHeader, Proxied,
    frame::{Frame, MAX_HEADER, frame},
    parse::Header,
};

/// How long a proxy that has connected on its own behalf is waited for. A health check that only
/// connects has closed by then; one that expects the server to speak goes on.
const CHECK: Duration = Duration::from_secs(1);

/// Reads a PROXY header of either version, and takes its addresses for the connection's own. See the
/// [module](super).
///
/// Reads at most 4096 bytes for the header. Has no deadline of its own: the
/// [`HandshakeLayer`](couplet_layers::HandshakeLayer) has.
#[derive(Clone, Debug)]
pub struct ExpectProxyHeader {
    trusted: Arc<Networks>,
    otherwise: Otherwise,
}

/// What happens to a connection without a header that may be believed.
#[derive(Clone, Copy, Debug)]
enum Otherwise {
    Refuse,
    /// The connection goes on as it is, at the latest after this time.
    GoOn(Duration),
}

/// A connection has no PROXY header that may be believed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProxyHeaderRefused {
    /// The connection comes from an address outside the trusted networks.
    #[error("PROXY header not read: the peer is not a trusted proxy")]
    Untrusted,
    /// The connection begins with something else.
    #[error("PROXY header missing: the connection begins with something else")]
    Missing,
    /// The header is longer than 107 bytes in version 1, 4096 bytes in version 2.
    #[error("PROXY header too long: at most 107 bytes in version 1, 4096 bytes in version 2")]
    TooLong,
    /// The header is malformed.
    #[error("invalid PROXY header")]
    Malformed(#[from] MalformedHeader),
    /// The header was changed on the way.
    #[error("invalid PROXY header: wrong checksum (CRC32C)")]
    Checksum,
    /// The connection ended in the middle of the header.
    #[error("connection ended within the PROXY header")]
    Ended,
    /// A proxy checked our health: it connected on its own behalf (`LOCAL`) and closed.
    #[error("PROXY header of a health check")]
    HealthCheck(#[from] HealthCheck),
    /// The connection failed.
    #[error("reading the PROXY header failed")]
    Io(#[from] io::Error),
}

// ===== impl ExpectProxyHeader =====

impl ExpectProxyHeader {
    /// Accepts connections from these networks that begin with a header, and refuses all others.
    pub fn required(trusted: Networks) -> Self {
        Self {
            trusted: trusted.into(),
            otherwise: Otherwise::Refuse,
        }
    }

    /// Accepts all connections; headers from these networks are believed.
    ///
    /// A connection from these networks that has not sent a header's first bytes (6 in version 1, 12
    /// in version 2) nor anything else [in time](Self::wait) may wait for our side to speak first, and
    /// goes on without a header; a header that comes later is a part of the stream. A connection that
    /// has begun a header must finish it.
    pub fn accepted(trusted: Networks) -> Self {
        Self {
            trusted: trusted.into(),
            // A lost segment is sent again after a second: section 2 of the specification.
            otherwise: Otherwise::GoOn(Duration::from_secs(3)),
        }
    }

    /// Waits this long for a header that is optional. 3 s by default; less than the deadline of the
    /// [`HandshakeLayer`](couplet_layers::HandshakeLayer), which refuses. No effect where a header is required.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        if let Otherwise::GoOn(_) = self.otherwise {
            self.otherwise = Otherwise::GoOn(wait);
        }
        self
    }

    fn trusts(&self, info: &Info) -> bool {
        self.trusted.contain(info)
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<Replay<I>>, ProxyHeaderRefused> {
        let trusted = self.trusts(&conn.info);
        let mut conn = conn.map_io(Replay::new);
        let len = match (trusted, self.otherwise) {
            (true, Otherwise::Refuse) => read_header(&mut conn.io, None).await?,
            (true, Otherwise::GoOn(wait)) => {
                // A time beyond the clock's range is as good as never, as for a sleep.
                let until = sleep(wait).deadline();
                read_header(&mut conn.io, Some(until)).await?
            }
            (false, Otherwise::Refuse) => return Err(ProxyHeaderRefused::Untrusted),
            (false, Otherwise::GoOn(_)) => None,
        };
        match (len, self.otherwise) {
            (Some(len), _) => {
                let header = Header::parse(&conn.io.ahead()[..len])?;
                conn.io.consume(len);
                if header.is_local {
                    await_check(&mut conn.io).await?;
                }
                header.apply(&mut conn.info);
                conn.info.tell(ConnEvent::Learned);
                Ok(conn)
            }
            (None, Otherwise::GoOn(_)) => Ok(conn),
            (None, Otherwise::Refuse) => Err(ProxyHeaderRefused::Missing),
        }
    }
}

boxed_handshake!(ExpectProxyHeader => Conn<Replay<I>>, ProxyHeaderRefused, ProxyHeader);

/// Reads ahead until there is a whole header, and returns its length; or `None` where there is none in
/// time.
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

/// Gives a proxy that has connected on its own behalf time to close: a health check that only connects
/// is not passed on to a server.
async fn await_check<I: Io>(io: &mut Replay<I>) -> Result<(), HealthCheck> {
    if !io.ahead().is_empty() {
        return Ok(());
    }
    match timeout(CHECK, io.read_ahead(MAX_HEADER)).await {
        Ok(Ok(0) | Err(_)) => Err(HealthCheck),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

// ===== impl Header =====

impl Header {
    fn apply(self, info: &mut Info) {
        info.extensions.insert(Proxied {
            transport: (info.peer, info.local),
            addressed: self.addresses.is_some(),
            unix: self.unix,
            tlvs: self.tlvs,
        });
        if let Some((peer, local)) = self.addresses {
            info.peer = Some(peer);
            info.local = Some(local);
        }
    }
}
