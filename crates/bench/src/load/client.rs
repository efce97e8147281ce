//! The clients' connections, in the clear or in TLS.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use anyhow::Context as _;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        client::Resumption,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, ServerName, pem::PemObject},
        version,
    },
};

use super::setting::Setting;

/// What the relay's certificate is for.
pub(crate) const NAME: &str = "localhost";

/// How many connect at a time.
const PARALLEL: usize = 64;

/// How many sessions a client remembers, of the one server that it knows.
const SESSIONS: usize = 8;

/// Connects to the relay. A clone is a client of its own, which resumes its own sessions.
#[derive(Debug)]
pub(super) struct Clients {
    target: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    fresh: bool,
}

/// A connection to the relay.
#[derive(Debug)]
pub(super) enum Client {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

// ===== impl Clients =====

impl Clients {
    pub(super) fn new(target: SocketAddr, setting: &Setting) -> anyhow::Result<Self> {
        let tls = setting.ca.as_ref().map(|file| {
            let ca = CertificateDer::from_pem_file(file)?;
            let mut roots = RootCertStore::empty();
            roots.add(ca)?;
            // One version and one cipher, so that all relays do the same work: those that browsers prefer.
            let provider = CryptoProvider {
                cipher_suites: vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256],
                ..ring::default_provider()
            };
            let config = ClientConfig::builder_with_provider(Arc::new(provider))
                .with_protocol_versions(&[&version::TLS13])?
                .with_root_certificates(roots)
                .with_no_client_auth();
            anyhow::Ok(Arc::new(config))
        });
        Ok(Self {
            target,
            tls: tls.transpose().context("the relay's certificate")?,
            fresh: setting.fresh,
        })
    }

    pub(super) async fn connect(&self) -> io::Result<Client> {
        let stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Client::Plain(stream));
        };
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
        Ok(Client::Tls(Box::new(stream.await?)))
    }

    /// This many connections.
    pub(super) async fn idle(&self, connections: usize) -> io::Result<Vec<Client>> {
        stream::iter(0..connections)
            .map(|_| self.connect())
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await
    }
}

impl Clone for Clients {
    fn clone(&self) -> Self {
        let own = |tls: &Arc<ClientConfig>| {
            let mut config = ClientConfig::clone(tls);
            config.resumption = match self.fresh {
                true => Resumption::disabled(),
                false => Resumption::in_memory_sessions(SESSIONS),
            };
            Arc::new(config)
        };
        Self {
            target: self.target,
            tls: self.tls.as_ref().map(own),
            fresh: self.fresh,
        }
    }
}

// ===== impl Client =====

impl AsyncRead for Client {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
