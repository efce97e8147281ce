use std::{path::Path, sync::Arc};

#[cfg(feature = "quic")]
use couplet_connector::SideLayers;
use couplet_connector::layers::Replaceable;
use couplet_protocols::tls::{
    KeyPin, TlsCertificate, TlsConfigError, TlsConnect, TlsConnectConfig, default_provider,
    roots_from_file,
    rustls::{ClientConfig, pki_types::ServerName},
};
use rustls_platform_verifier::Verifier;

use super::{
    Context, Given, NAME, SideLayerSpec, Unusable, alpn, certificate, chain, file, files,
    truncation,
};
use crate::{
    layer_spec::{LayerSpec, Source},
    layer_watch::Expiries,
    mistake::Mistake,
    reload::OnReload,
    side::Word,
};

/// The CAs and keys that we trust, and the certificate that we show: read again at each SIGHUP.
#[derive(Debug)]
struct Client {
    ca: Option<String>,
    pins: Vec<KeyPin>,
    certificate: Option<String>,
    keys: Vec<String>,
    alpn: Vec<String>,
    expiries: Expiries,
}

// ===== impl Client =====

impl Client {
    fn read(given: &Given<'_>) -> Result<Self, Mistake> {
        let mut own = given.all("cert");
        let certificate = own.next();
        if let Some(second) = own.next() {
            let message = "a TLS client shows one certificate, and `tls.cert` is there twice";
            return Err(second.wrong(message, "once"));
        }
        if let (None, Some(key)) = (certificate, given.setting("key")) {
            return Err(key.wrong("`tls.key` needs its certificate", "`tls.cert=CERT.pem`"));
        }
        let pin = |word: Word<'_>| {
            word.parse(|text| {
                text.parse().map_err(|error: TlsConfigError| {
                    let message = format!("`{text}` is not a pin: {}", chain(&error));
                    Mistake::new(message, "`sha256//HASH`, as curl's --pinnedpubkey has it")
                })
            })
        };
        Ok(Self {
            ca: given.setting("ca").map(file).transpose()?,
            pins: given.all("pin").map(pin).collect::<Result<_, _>>()?,
            certificate: certificate.map(file).transpose()?,
            keys: files(given.all("key"))?,
            alpn: alpn(given),
            expiries: Expiries::default(),
        })
    }

    /// Reads the files; what is wrong with one is shown where it stands.
    fn first(&self, given: &Given<'_>) -> Result<Arc<ClientConfig>, Mistake> {
        let place = |setting| given.setting(setting).unwrap_or(given.name);
        let trust = place("ca").parse(|_| self.trust())?;
        let shown = place("cert").parse(|_| self.shown().map_err(|why| why.at(given)))?;
        given.name.parse(|_| self.with(trust, shown))
    }

    /// Reads the files.
    fn config(&self) -> Result<Arc<ClientConfig>, Mistake> {
        let shown = self.shown().map_err(|why| why.mistake)?;
        self.with(self.trust()?, shown)
    }

    fn with(
        &self,
        trust: TlsConnectConfig,
        shown: Option<TlsCertificate>,
    ) -> Result<Arc<ClientConfig>, Mistake> {
        let config = trust.alpn(self.alpn.iter().map(String::as_str));
        let expires = shown.as_ref().and_then(TlsCertificate::not_after);
        let config = shown
            .into_iter()
            .fold(config, TlsConnectConfig::certificate);
        let built = config
            .build()
            .map_err(|error| Mistake::new(chain(&error), "see the TLS part of docs/command.md"))?;
        let expires = self.certificate.clone().zip(expires);
        self.expiries.set(expires.into_iter().collect());
        Ok(built)
    }

    fn trust(&self) -> Result<TlsConnectConfig, Mistake> {
        let pins = self.pins.iter().cloned();
        let config = match &self.ca {
            None if !self.pins.is_empty() => return Ok(TlsConnectConfig::with_pins(pins)),
            Some(path) if path != SYSTEM => {
                let roots = roots_from_file(path).map_err(|error| {
                    Mistake::new(chain(&error), "a PEM file of CA certificates")
                })?;
                TlsConnectConfig::with_roots(roots)
            }
            _ => {
                let verifier = Verifier::new(default_provider()).map_err(|error| {
                    Mistake::new(
                        format!("the system's CAs can't be read: {error}"),
                        "`tls.ca=CA.pem` or `tls.pin=sha256//…`",
                    )
                })?;
                TlsConnectConfig::with_verifier(Arc::new(verifier))
            }
        };
        Ok(pins.fold(config, TlsConnectConfig::pin))
    }

    fn shown(&self) -> Result<Option<TlsCertificate>, Unusable> {
        let path = self.certificate.as_deref().map(Path::new);
        path.map(|path| certificate(path, &self.keys)).transpose()
    }
}

// ===== the layer =====

/// For the endpoint, where it is QUIC.
#[cfg(feature = "quic")]
pub(super) fn quic(given: &Given<'_>) -> Result<crate::quic::QuicTls, Mistake> {
    let config = Client::read(given)?.first(given)?;
    let name = given
        .value()
        .map(|name| name.parse(server_name))
        .transpose()?;
    Ok(crate::quic::QuicTls::Client(Replaceable::new(config), name))
}

pub(super) fn spec(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let client = Client::read(given)?;
    // The endpoint has read the files.
    #[cfg(feature = "quic")]
    if let Some(crate::quic::QuicTls::Client(tls, _)) = &context.endpoint.quic.tls {
        let tls = tls.clone();
        let mut spec = LayerSpec::new(NAME, SideLayers::new());
        spec.watch.expiries = client.expiries.clone();
        // The endpoint has read the files by itself.
        if client.certificate.is_some() {
            client.first(given)?;
        }
        return Ok(explained(spec, given, |file| {
            OnReload::replace(tls, file, move || client.config())
        }));
    }
    let name = given.value().map(|name| name.parse(server_name));
    let name = name.transpose()?;
    let truncation = truncation(given)?;
    let expiries = client.expiries.clone();
    let make = move |config| {
        let connect = TlsConnect::new(config).truncation(truncation);
        match &name {
            Some(name) => connect.server_name(name.clone()),
            None => connect,
        }
    };
    let connect = Replaceable::new(make(client.first(given)?));
    let layer = context.handshakes.layer(connect.clone());

    let mut spec = LayerSpec::handshake(NAME, layer);
    spec.watch.expiries = expiries;
    Ok(explained(spec, given, |file| {
        OnReload::replace(connect, file, move || client.config().map(&make))
    }))
}

/// With its settings, and what is done at SIGHUP with a file that one of them names.
fn explained(
    mut spec: SideLayerSpec,
    given: &Given<'_>,
    again: impl FnOnce(&str) -> OnReload,
) -> SideLayerSpec {
    if let Some(name) = given.value() {
        spec = spec.set("name", name.text, Source::Side);
    }
    if given.setting("ca").is_none() && given.setting("pin").is_none() {
        spec = spec.set("ca", SYSTEM, Source::Default);
    }
    let files = ["cert", "ca"].map(|setting| given.setting(setting));
    let file = files.into_iter().flatten().find(|word| word.text != SYSTEM);
    match file {
        Some(file) => spec.on_reload(again(file.text)),
        None => spec,
    }
}

/// How the CAs are called that the operating system trusts.
const SYSTEM: &str = "system";

fn server_name(name: &str) -> Result<ServerName<'static>, Mistake> {
    let is_file = |ending: &str| Path::new(name).extension().is_some_and(|its| its == ending);
    if name.contains('/') || ["pem", "crt", "cer", "key"].into_iter().any(is_file) {
        return Err(Mistake::new(
            format!("`{name}` is a file, and a dialled side has the server's name here"),
            format!("CAs to trust are `tls,tls.ca={name}`, our certificate `tls,tls.cert={name}`"),
        ));
    }
    ServerName::try_from(name.to_owned()).map_err(|_| {
        Mistake::new(
            format!("`{name}` is not the name of a server"),
            "`tls=example.org`, or an IP address",
        )
    })
}
