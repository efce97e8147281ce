use std::{path::Path, sync::Arc};

#[cfg(feature = "quic")]
use couplet_connector::{SideLayers, layers::Replaceable};
use couplet_protocols::tls::{
    ClientCertificates, TlsAccept, TlsAcceptConfig, UnknownName, roots_from_file,
    rustls::ServerConfig,
};

use super::{
    Context, Given, NAME, SideLayerSpec, Unusable, alpn, certificate, file, files, truncation,
};
use crate::{
    layer_spec::{LayerSpec, Source},
    layer_watch::Expiries,
    mistake::Mistake,
    reload::OnReload,
};

/// What to read, again at each SIGHUP.
#[derive(Debug)]
struct Server {
    /// At least one.
    certificates: Vec<String>,
    keys: Vec<String>,
    unknown_name: UnknownName,
    client_ca: Option<String>,
    client: Client,
    alpn: Vec<String>,
    expiries: Expiries,
}

#[derive(Clone, Copy, Debug)]
enum Client {
    Require,
    Want,
}

// ===== impl Server =====

impl Server {
    fn read(given: &Given<'_>) -> Result<Self, Mistake> {
        let hint = "`tls=CERT.pem`";
        let first = given
            .value()
            .ok_or_else(|| given.wrong("`tls` on a listening side needs a certificate", hint))?;
        let unknown_name = match given.setting("unknown-name") {
            None => UnknownName::Default,
            Some(word) => match word.text {
                "default" => UnknownName::Default,
                "refuse" => UnknownName::Refuse,
                _ => {
                    let message = "`tls.unknown-name` must be `default` or `refuse`";
                    return Err(word.unknown(message, &["default", "refuse"]));
                }
            },
        };
        let client_ca = given.setting("client-ca");
        let client = match given.setting("client") {
            None => Client::Require,
            Some(word) if client_ca.is_none() => {
                let message = "`tls.client` needs the CAs of the clients";
                return Err(word.wrong(message, "`tls.client-ca=CA.pem`"));
            }
            Some(word) => match word.text {
                "require" => Client::Require,
                "want" => Client::Want,
                _ => {
                    let message = "`tls.client` must be `require` or `want`";
                    return Err(word.unknown(message, &["require", "want"]));
                }
            },
        };
        let mut certificates = files(given.all("cert"))?;
        certificates.insert(0, file(first)?);
        Ok(Self {
            certificates,
            keys: files(given.all("key"))?,
            unknown_name,
            client_ca: client_ca.map(file).transpose()?,
            client,
            alpn: alpn(given),
            expiries: Expiries::default(),
        })
    }

    /// Reads the files; what is wrong with one is shown where it stands.
    fn first(&self, given: &Given<'_>) -> Result<Arc<ServerConfig>, Mistake> {
        let config = self.config().map_err(|why| why.at(given));
        given.needed()?.parse(|_| config)
    }

    /// Reads the files.
    fn config(&self) -> Result<Arc<ServerConfig>, Unusable> {
        let mut expiries = Vec::new();
        let mut certificates = self.certificates.iter().map(|path| {
            let certificate = certificate(Path::new(path), &self.keys)?;
            expiries.extend(certificate.not_after().map(|time| (path.clone(), time)));
            Ok::<_, Unusable>(certificate)
        });
        let first = certificates.next().expect("there is at least one")?;
        let mut config = TlsAcceptConfig::new(first)
            .unknown_name(self.unknown_name)
            .alpn(self.alpn.iter().map(String::as_str));
        for certificate in certificates {
            config = config.certificate(certificate?);
        }
        if let Some(path) = &self.client_ca {
            let roots = roots_from_file(path)
                .map_err(|error| Unusable::new(&error, "a PEM file of CA certificates"))?;
            config = config.clients(match self.client {
                Client::Require => ClientCertificates::Require(roots),
                Client::Want => ClientCertificates::Want(roots),
            });
        }
        let built = config
            .build()
            .map_err(|error| Unusable::new(&error, "see the TLS part of docs/command.md"))?;
        self.expiries.set(expiries);
        Ok(built)
    }
}

// ===== the layer =====

/// For the endpoint, where it is QUIC.
#[cfg(feature = "quic")]
pub(super) fn quic(given: &Given<'_>) -> Result<crate::quic::QuicTls, Mistake> {
    let config = Server::read(given)?.first(given)?;
    Ok(crate::quic::QuicTls::Server(Replaceable::new(config)))
}

/// What new certificates are for.
type Replace = Box<dyn Fn(Arc<ServerConfig>) + Send + Sync>;

pub(super) fn spec(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let server = Server::read(given)?;
    // The endpoint has read the files.
    #[cfg(feature = "quic")]
    if let Some(crate::quic::QuicTls::Server(tls)) = &context.endpoint.quic.tls {
        let tls = tls.clone();
        let spec = LayerSpec::new(NAME, SideLayers::new());
        let replace = Box::new(move |config| tls.replace(config));
        return Ok(explained(spec, given, server, replace));
    }
    let accept = TlsAccept::new(server.first(given)?).truncation(truncation(given)?);
    let spec = LayerSpec::handshake(NAME, context.handshakes.layer(accept.clone()));
    let replace = Box::new(move |config| accept.replace(config));
    Ok(explained(spec, given, server, replace))
}

/// With its settings, and what is done at SIGHUP.
fn explained(
    spec: SideLayerSpec,
    given: &Given<'_>,
    server: Server,
    replace: Replace,
) -> SideLayerSpec {
    let first = &server.certificates[0];
    let mut spec = spec.set("certificate", first, Source::Side);
    spec.watch.expiries = server.expiries.clone();
    if server.client_ca.is_some() && given.setting("client").is_none() {
        spec = spec.set("client", "require", Source::Default);
    }
    spec.on_reload(OnReload::new(move || {
        let first = &server.certificates[0];
        match server.config() {
            Ok(config) => {
                replace(config);
                tracing::info!(path = first, "certificates read again");
                Ok(())
            }
            Err(why) => anyhow::bail!("the old certificates stay: {}", why.mistake),
        }
    }))
}
