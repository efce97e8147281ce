//! A side over QUIC: its settings, and the ends that they make.

use std::sync::Arc;

use anyhow::Context;
use couplet_connector::{
    endpoint::{Dial, KeepAlive, ListenAddr},
    layers::Replaceable,
};
use couplet_protocols::{
    quic::{QuicDial, QuicListen, QuicOptions},
    tls::rustls::{ClientConfig, ServerConfig, pki_types::ServerName},
};

use crate::{
    layer_spec::{Setting, Source},
    units::Limit,
};

/// What the options of a side say of QUIC. What is `None` was not said.
#[derive(Clone, Debug, Default)]
pub(crate) struct QuicSpec {
    pub(crate) streams: Option<u32>,
    pub(crate) window: Option<u32>,
    pub(crate) tls: Option<QuicTls>,
}

/// TLS of each connection of QUIC, which is read again at SIGHUP.
#[derive(Clone, Debug)]
pub(crate) enum QuicTls {
    Server(Replaceable<Arc<ServerConfig>>),
    Client(Replaceable<Arc<ClientConfig>>, Option<ServerName<'static>>),
}

/// The library's default.
const STREAMS: u32 = 100;

/// The library's default.
const WINDOW: u32 = 256 * 1024;

// ===== impl QuicSpec =====

impl QuicSpec {
    /// What is in effect, for `explain`.
    pub(crate) fn settings(&self) -> [Setting; 3] {
        let from = |given: Option<u32>| match given {
            Some(_) => Source::Side,
            None => Source::Default,
        };
        let window = self.window.unwrap_or(WINDOW);
        let window = bytesize::ByteSize::b(window.into()).display().iec();
        [
            Setting::new(
                "streams",
                self.streams.unwrap_or(STREAMS),
                from(self.streams),
            ),
            Setting::new("window", window, from(self.window)),
            // Neither can be switched.
            Setting::new("0-rtt", "off", Source::Default),
        ]
    }

    fn options(&self, keep_alive: Limit<KeepAlive>) -> QuicOptions {
        QuicOptions::new()
            .streams(self.streams.unwrap_or(STREAMS))
            .window(self.window.unwrap_or(WINDOW))
            .keep_alive(keep_alive.get())
    }

    /// Listens, or goes on listening with these settings.
    pub(crate) async fn listen(
        &self,
        addr: &ListenAddr,
        keep_alive: Limit<KeepAlive>,
        reuse_port: bool,
        kept: Option<QuicListen>,
    ) -> anyhow::Result<QuicListen> {
        let Some(QuicTls::Server(tls)) = &self.tls else {
            anyhow::bail!("QUIC needs a certificate: `tls=CERT.pem`");
        };
        let options = self.options(keep_alive);
        match kept {
            Some(listen) => {
                listen.replace(tls.clone(), options)?;
                Ok(listen)
            }
            None => {
                let listen = QuicListen::options(tls.clone(), options).reuse_port(reuse_port);
                Ok(listen.bind(addr.clone()).await?)
            }
        }
    }

    pub(crate) fn dial(
        &self,
        dial: Dial,
        keep_alive: Limit<KeepAlive>,
    ) -> anyhow::Result<QuicDial> {
        let Some(QuicTls::Client(tls, name)) = &self.tls else {
            anyhow::bail!("QUIC needs TLS: `tls`");
        };
        let options = self.options(keep_alive);
        let target = dial.target().to_string();
        QuicDial::replaceable(dial, tls.clone(), name.clone(), options)
            .with_context(|| format!("quic:{target} can't be dialled"))
    }
}
