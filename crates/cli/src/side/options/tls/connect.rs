use std::{path::Path, sync::Arc};

use couplet_connector::{
    SideLayers,
    endpoint::AddressError,
    layers::{
        HandshakeLayer,
        tls::{
            KeyPin, TlsConfigError, TlsConnect, TlsConnectConfig, default_provider,
            roots_from_file, rustls::pki_types::ServerName,
        },
    },
};
use rustls_platform_verifier::Verifier;

use super::{Context, Given, SideStep, alpn, certificate, chain, texts, truncation};
use crate::step::{Source, Step};

pub(super) fn step(
    given: &Given<'_>,
    context: &Context<'_>,
    layers: &mut SideLayers,
) -> Result<SideStep, AddressError> {
    let mut config = trust(given)?.alpn(alpn(given));
    let mut own = given.all("cert");
    if let Some(cert) = own.next() {
        if let Some(second) = own.next() {
            return Err(second.wrong("a client shows one certificate", "once"));
        }
        let keys = texts(given.all("key"));
        config = config.certificate(cert.parse(|path| certificate(Path::new(path), &keys))?);
    } else if let Some(key) = given.setting("key") {
        return Err(key.wrong("of which certificate is it the key?", "`tls.cert=CERT.pem`"));
    }
    let config = config.build();
    let config = config.map_err(|error| given.wrong(chain(&error), "see --help"))?;
    let mut connect = TlsConnect::new(config).truncation(truncation(given)?);
    let mut step = Step::new("tls", SideLayers::new());
    if let Some(name) = given.value() {
        connect = connect.server_name(name.parse(server_name)?);
        step = step.set("name", name.text, Source::Side);
    }
    layers.push(HandshakeLayer::new(connect).timeout(context.handshake_timeout.value));
    for (setting, shown) in [("ca", "ca"), ("pin", "pin"), ("cert", "certificate")] {
        for word in given.all(setting) {
            step = step.set(shown, word.text, Source::Side);
        }
    }
    if given.setting("ca").is_none() && given.setting("pin").is_none() {
        step = step.set("ca", SYSTEM, Source::Default);
    }
    Ok(step)
}

/// How the CAs are called that the operating system trusts.
const SYSTEM: &str = "system";

/// Whom we trust.
fn trust(given: &Given<'_>) -> Result<TlsConnectConfig, AddressError> {
    let pins: Vec<KeyPin> = given
        .all("pin")
        .map(|word| word.parse(|text| text.parse().map_err(|error: TlsConfigError| chain(&error))))
        .collect::<Result<_, _>>()?;
    let config = match given.setting("ca") {
        None if !pins.is_empty() => return Ok(TlsConnectConfig::with_pins(pins)),
        Some(file) if file.text != SYSTEM => {
            let roots = file.parse(|path| roots_from_file(path).map_err(|error| chain(&error)))?;
            TlsConnectConfig::with_roots(roots)
        }
        _ => {
            let verifier = Verifier::new(default_provider()).map_err(|error| {
                let message = format!("the system's CAs can't be had ({error})");
                given.wrong(message, "`tls.ca=CA.pem` or `tls.pin=sha256//…`")
            })?;
            TlsConnectConfig::with_verifier(Arc::new(verifier))
        }
    };
    Ok(pins.into_iter().fold(config, TlsConnectConfig::pin))
}

fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| "it is not the name of a server: `tls=example.org`, or an IP address".into())
}
