//! The client's end.

mod config;
mod pinned;

pub use self::config::TlsConnectConfig;
pub(super) use self::pinned::NotPinned;

use std::{fmt, sync::Arc};

use couplet_endpoint::{Conn, Host, Info, Io};
use futures::{FutureExt, future::BoxFuture};

use super::{
    TlsError, TlsInfo, TlsIo, Truncation,
    rustls::{ClientConfig, client::UnbufferedClientConnection, pki_types::ServerName},
    session::Session,
    stream::Stream,
    wire::Wire,
};
use crate::handshake::Handshake;

/// Speaks TLS as the client with the server of a connection. See the [module](super).
///
/// The server name (SNI) is the name that was dialled, unless another [is set](Self::server_name);
/// the server's certificate must be for that name.
///
/// Has no deadline of its own: the [`HandshakeLayer`](crate::HandshakeLayer) has.
#[derive(Clone)]
pub struct TlsConnect {
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
}

impl<I: Io> Handshake<Conn<I>> for TlsConnect {
    type Output = Conn<TlsIo<I>>;
    type Error = TlsError;
    type Future = BoxFuture<'static, Result<Self::Output, TlsError>>;

    fn handshake(&self, conn: Conn<I>) -> Self::Future {
        let name = self.server_name.clone().or_else(|| dialled(&conn.info));
        connect(conn, Arc::clone(&self.config), name, self.truncation).boxed()
    }
}

async fn connect<I: Io>(
    conn: Conn<I>,
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
    truncation: Truncation,
) -> Result<Conn<TlsIo<I>>, TlsError> {
    let name = name.ok_or(TlsError::NoServerName)?;
    let Conn { io, mut info } = conn;
    let text = name.to_str().into_owned();
    let session = UnbufferedClientConnection::new(config, name)?;
    let mut stream = Box::new(Stream::new(Wire::new(io), Session::Client(session)));
    if let Err(error) = stream.shake().await {
        stream.close_after_alert().await;
        return Err(TlsError::of_handshake(error));
    }
    let session = stream.session();
    info.extensions.insert(TlsInfo::new(session, Some(&text)));
    let io = TlsIo::new(stream, truncation);
    Ok(Conn { io, info })
}

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

impl fmt::Debug for TlsConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnect")
            .field("server_name", &self.server_name)
            .field("truncation", &self.truncation)
            .finish_non_exhaustive()
    }
}
