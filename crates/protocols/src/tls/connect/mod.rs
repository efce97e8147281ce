//! The client's end.

mod config;
mod pinned;

pub use self::config::TlsConnectConfig;
pub(super) use self::pinned::NotPinned;

use std::sync::Arc;

use couplet_endpoint::{Conn, Host, Info, Io};
use couplet_layers::boxed_handshake;

use super::{
    TlsError, TlsInfo, TlsIo, Truncation,
    rustls::{ClientConfig, client::UnbufferedClientConnection, pki_types::ServerName},
    session::Session,
    stream::Stream,
    wire::Wire,
};

/// Speaks TLS as the client with the server of a connection. See the [module](super).
///
/// The server name (SNI) is the name that was dialled, unless another [is set](Self::server_name);
/// the server's certificate must be for that name.
///
/// Has no deadline of its own: the [`HandshakeLayer`](couplet_layers::HandshakeLayer) has.
#[derive(Clone, derive_more::Debug)]
pub struct TlsConnect {
    #[debug(skip)]
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    truncation: Truncation,
}

// ===== impl TlsConnect =====

impl TlsConnect {
    /// Uses what [`TlsConnectConfig`] has built, or any configuration of rustls.
    pub const fn new(config: Arc<ClientConfig>) -> Self {
        Self {
            config,
            server_name: None,
            truncation: Truncation::Refuse,
        }
    }

    /// Asks for the server by this name or address, which the certificate must be for. By default the
    /// name or address that was dialled.
    #[must_use]
    pub fn server_name(mut self, name: ServerName<'static>) -> Self {
        self.server_name = Some(name);
        self
    }

    /// Takes connections that close without a `close_notify` this way. [`Truncation::Refuse`] by
    /// default.
    #[must_use]
    pub const fn truncation(mut self, truncation: Truncation) -> Self {
        self.truncation = truncation;
        self
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<TlsIo<I>>, TlsError> {
        let name = self.server_name.or_else(|| dialled(&conn.info));
        let name = name.ok_or(TlsError::NoServerName)?;
        let Conn { io, mut info } = conn;
        let text = name.to_str().into_owned();
        let session = UnbufferedClientConnection::new(self.config, name)?;
        let mut stream = Box::new(Stream::new(Wire::new(io), Session::Client(session)));
        if let Err(error) = stream.shake().await {
            stream.close_after_alert().await;
            return Err(TlsError::of_handshake(error));
        }
        let session = stream.session();
        info.extensions.insert(TlsInfo::new(session, Some(&text)));
        let io = TlsIo::new(stream, self.truncation);
        Ok(Conn { io, info })
    }
}

boxed_handshake!(TlsConnect => Conn<TlsIo<I>>, TlsError, Tls);

/// The name or address that was dialled.
fn dialled(info: &Info) -> Option<ServerName<'static>> {
    match info.target.as_ref()?.host() {
        // Certificates have no dot at the end of a name.
        Host::Name(name) => {
            let name = name.as_str().trim_end_matches('.').to_owned();
            ServerName::try_from(name).ok()
        }
        Host::Ip(ip) => Some((*ip).into()),
        Host::Scoped(ip, _) => Some((*ip).into()),
        _ => None,
    }
}
