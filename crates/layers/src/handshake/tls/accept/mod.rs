//! We are the server.

mod config;
mod names;

pub use self::config::{ClientCertificates, TlsAcceptConfig, UnknownName};

use std::{fmt, io, sync::Arc};

use couplet_endpoint::{Conn, Io};
use futures::{FutureExt, future::BoxFuture};
use tokio_rustls::{
    LazyConfigAcceptor,
    rustls::{self, ServerConfig, server::Acceptor},
};

use super::{TlsError, TlsInfo, TlsIo, Truncation, info::add_identity, wire::Wire};
use crate::{handshake::Handshake, handshake::replaceable::Replaceable};

/// Lets a connection pass whose peer, as the client, begins to speak TLS with us. See the
/// [module](super).
///
/// Clones share their configuration, which can be [replaced](Self::replace).
///
/// Has no deadline of its own: the [`HandshakeLayer`](crate::HandshakeLayer) has. A peer that is
/// refused is told so by a TLS alert.
#[derive(Clone)]
pub struct TlsAccept {
    config: Replaceable<Arc<ServerConfig>>,
    truncation: Truncation,
}

// ===== impl TlsAccept =====

impl TlsAccept {
    /// With what [`TlsAcceptConfig`] has built, or any configuration of rustls.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self {
            config: Replaceable::new(config),
            truncation: Truncation::Refuse,
        }
    }

    /// What an end of stream without a `close_notify` is. [`Truncation::Refuse`] by default.
    #[must_use]
    pub const fn truncation(mut self, truncation: Truncation) -> Self {
        self.truncation = truncation;
        self
    }

    /// Has connections that come from now on use another configuration, in all clones: for
    /// certificates that were renewed. Those that are there keep what they have, and a session of
    /// the old configuration is not resumed under the new.
    ///
    /// Build the new one first: where that fails, the old one stays.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        self.config.replace(config);
    }

    /// The configuration that the next connection will use.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.current()
    }
}

impl<I: Io> Handshake<Conn<I>> for TlsAccept {
    type Output = Conn<TlsIo<I>>;
    type Error = TlsError;
    type Future = BoxFuture<'static, Result<Self::Output, TlsError>>;

    fn handshake(&self, conn: Conn<I>) -> Self::Future {
        accept(conn, self.config(), self.truncation).boxed()
    }
}

async fn accept<I: Io>(
    conn: Conn<I>,
    config: Arc<ServerConfig>,
    truncation: Truncation,
) -> Result<Conn<TlsIo<I>>, TlsError> {
    let Conn { io, mut info } = conn;
    let begun = LazyConfigAcceptor::new(Acceptor::default(), Wire::new(io)).await;
    let begun = begun.map_err(TlsError::of_handshake)?;
    let name = begun.client_hello().server_name().map(str::to_owned);
    let stream = match begun.into_stream(config).await {
        Ok(stream) => stream,
        Err(error) if is_nameless(&error) => return Err(unknown(name)),
        Err(error) => return Err(TlsError::of_handshake(error)),
    };
    let session = stream.get_ref().1;
    add_identity(&mut info, session);
    info.extensions
        .insert(TlsInfo::new(session, name.as_deref()));
    let io = TlsIo::new(stream, truncation);
    Ok(Conn { io, info })
}

/// Was there no certificate for the name? rustls has no error of its own for that.
fn is_nameless(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(error, Some(rustls::Error::General(text)) if text.contains("no server certificate"))
}

fn unknown(name: Option<String>) -> TlsError {
    name.map_or(TlsError::NoName, TlsError::UnknownName)
}

impl fmt::Debug for TlsAccept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAccept")
            .field("truncation", &self.truncation)
            .finish_non_exhaustive()
    }
}
