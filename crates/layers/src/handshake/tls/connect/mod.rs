//! We are the client.

mod config;
mod pinned;

pub use self::config::TlsConnectConfig;
pub(super) use self::pinned::NotPinned;

use std::{fmt, sync::Arc};

use couplet_endpoint::{Conn, Host, Info, Io};
use futures::{FutureExt, future::BoxFuture};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};

use super::{TlsError, TlsInfo, TlsIo, Truncation, wire::Wire};
use crate::handshake::Handshake;

/// Begins to speak TLS, as the client, with a connection's peer. See the [module](super).
///
/// The server is asked for by the name that was dialled, and its certificate must be for that,
/// unless another [is set](Self::server_name).
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
    /// With what [`TlsConnectConfig`] has built, or any configuration of rustls.
    pub const fn new(config: Arc<ClientConfig>) -> Self {
        Self {
            config,
            server_name: None,
            truncation: Truncation::Refuse,
        }
    }

    /// Asks for the server by this name, or address, which its certificate must be for. By default
    /// it is the one that was dialled.
    #[must_use]
    pub fn server_name(mut self, name: ServerName<'static>) -> Self {
        self.server_name = Some(name);
        self
    }

    /// What an end of stream without a `close_notify` is. [`Truncation::Refuse`] by default.
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
    let stream = TlsConnector::from(config)
        .connect(name, Wire::new(io))
        .await
        .map_err(TlsError::of_handshake)?;
    let session = stream.get_ref().1;
    info.extensions.insert(TlsInfo::new(session, Some(&text)));
    let io = TlsIo::new(stream, truncation);
    Ok(Conn { io, info })
}

/// The name, or address, that a connection was dialled by.
fn dialled(info: &Info) -> Option<ServerName<'static>> {
    match info.target.as_ref()?.host() {
        // The dot at the end of a complete name is not for certificates.
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
