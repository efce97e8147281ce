//! The server's end.

mod config;
mod names;

pub use self::config::{ClientCertificates, TlsAcceptConfig, UnknownName};

use std::{io, sync::Arc};

use couplet_endpoint::{Conn, Io};
use couplet_layers::{Replaceable, boxed_handshake};

use super::{
    TlsError, TlsInfo, TlsIo, Truncation,
    info::add_identity,
    rustls::{self, ServerConfig, server::UnbufferedServerConnection},
    session::Session,
    stream::Stream,
    wire::Wire,
};

/// Speaks TLS as the server with the client of a connection. See the [module](super).
///
/// Clones share their configuration, which can be [replaced](Self::replace).
///
/// Has no deadline of its own: the [`HandshakeLayer`](couplet_layers::HandshakeLayer) has. A client that is
/// refused is sent a TLS alert and has a second to read it.
#[derive(Clone, derive_more::Debug)]
pub struct TlsAccept {
    #[debug(skip)]
    config: Replaceable<Arc<ServerConfig>>,
    truncation: Truncation,
}

// ===== impl TlsAccept =====

impl TlsAccept {
    /// Uses what [`TlsAcceptConfig`] has built, or any configuration of rustls; but no early data (0-RTT),
    /// which an attacker may record and send again.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self {
            config: Replaceable::new(without_early_data(config)),
            truncation: Truncation::Refuse,
        }
    }

    /// Takes connections that close without a `close_notify` this way. [`Truncation::Refuse`] by
    /// default.
    #[must_use]
    pub const fn truncation(mut self, truncation: Truncation) -> Self {
        self.truncation = truncation;
        self
    }

    /// Uses another configuration for new connections, in all clones: for renewed certificates. Live
    /// connections go on as they are. Sessions of the old configuration are not resumed.
    ///
    /// Build the new one first: if that fails, the old one stays.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        self.config.replace(without_early_data(config));
    }

    /// The configuration for the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.current()
    }

    async fn shake<I: Io>(self, conn: Conn<I>) -> Result<Conn<TlsIo<I>>, TlsError> {
        let Conn { io, mut info } = conn;
        let session = UnbufferedServerConnection::new(self.config())?;
        let mut stream = Box::new(Stream::new(Wire::new(io), Session::Server(session)));
        let name = stream.server_name().await.map_err(TlsError::of_handshake)?;
        if let Err(error) = stream.shake().await {
            stream.close_after_alert().await;
            return Err(match is_nameless(&error) {
                true => name.map_or(TlsError::NoName, |name| TlsError::UnknownName(name.into())),
                false => TlsError::of_handshake(error),
            });
        }
        let session = stream.session();
        add_identity(&mut info, session);
        let found = TlsInfo::new(session, name.as_deref());
        info.extensions.insert(found.of_client(session));
        let io = TlsIo::new(stream, self.truncation);
        Ok(Conn { io, info })
    }
}

boxed_handshake!(TlsAccept => Conn<TlsIo<I>>, TlsError, Tls);

fn without_early_data(mut config: Arc<ServerConfig>) -> Arc<ServerConfig> {
    if config.max_early_data_size > 0 {
        Arc::make_mut(&mut config).max_early_data_size = 0;
    }
    config
}

/// Is there no certificate for the name? rustls has no error of its own for that.
fn is_nameless(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(error, Some(rustls::Error::General(text)) if text.contains("no server certificate"))
}
