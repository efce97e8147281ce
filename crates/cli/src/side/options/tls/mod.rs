//! `tls`: on a listening side we are the server, on a dialled one the client.

mod accept;
mod connect;

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use couplet_connector::endpoint::Chain;
use couplet_protocols::tls::{TlsCertificate, TlsConfigError, Truncation};

use super::{
    Context, Does, EndpointSpec, On, SideLayerSpec, SideOption, SideSetting, Value, secret,
};
use crate::{
    credential,
    mistake::Mistake,
    side::{Given, Word},
};

pub(super) static TLS: SideOption = SideOption {
    name: NAME,
    on: On::Either,
    value: Value::Optional("CERT.pem|NAME"),
    help: "TLS: on listen with this certificate; on dial as the client, for this name or the dialled one",
    settings: &[
        SideSetting {
            name: "key",
            value: "KEY.pem",
            help: "the private key, where the certificate's file has none",
            many: true,
        },
        SideSetting {
            name: "cert",
            value: "CERT.pem",
            help: "on listen one more certificate, chosen by SNI; on dial our client certificate",
            many: true,
        },
        SideSetting {
            name: "alpn",
            value: "NAME+…",
            help: "application protocols, the best first: h2+http/1.1",
            many: false,
        },
        SideSetting {
            name: "client-ca",
            value: "CA.pem",
            help: "on listen: clients need a certificate of one of these CAs",
            many: false,
        },
        SideSetting {
            name: "client",
            value: "require|want",
            help: "on listen: whether a client must show a certificate [default: require]",
            many: false,
        },
        SideSetting {
            name: "unknown-name",
            value: "default|refuse",
            help: "on listen: a client that asks for another name gets the first certificate, or is refused",
            many: false,
        },
        SideSetting {
            name: "ca",
            value: "CA.pem|system",
            help: "on dial: the CAs to trust [default: the system's, or none beside a pin]",
            many: false,
        },
        SideSetting {
            name: "pin",
            value: "sha256//HASH",
            help: "on dial: trust this key, as curl's --pinnedpubkey has it",
            many: true,
        },
        SideSetting {
            name: "close-notify",
            value: "require|optional",
            help: "whether the peer must send close_notify before it closes [default: require]",
            many: false,
        },
    ],
    does: Does::Both(set, layer),
};

const NAME: &str = "tls";

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    foreign(context.endpoint, given)?;
    let spec = match context.endpoint.is_dialled() {
        true => connect::spec(given, context),
        false => accept::spec(given, context),
    }?;
    // The endpoint of QUIC has bounds of its own.
    Ok(match context.endpoint.is_quic() {
        true => spec,
        false => spec.bounded(context),
    })
}

/// The settings of the other end.
fn foreign(endpoint: &EndpointSpec, given: &Given<'_>) -> Result<(), Mistake> {
    let (foreign, way): (&[_], _) = match endpoint.is_dialled() {
        true => (&["client-ca", "client", "unknown-name"], "listening"),
        false => (&["ca", "pin"], "dialled"),
    };
    for setting in foreign {
        if let Some(value) = given.setting(setting) {
            let message = format!("`tls.{setting}` is for a {way} side");
            return Err(value.wrong(message, "leave it out"));
        }
    }
    Ok(())
}

/// TLS of QUIC is the endpoint's own.
#[cfg_attr(not(feature = "quic"), expect(unused_variables))]
fn set(endpoint: &mut EndpointSpec, given: &Given<'_>) -> Result<(), Mistake> {
    #[cfg(feature = "quic")]
    if endpoint.is_quic() {
        if let Some(word) = given.setting("close-notify") {
            let message = "`tls.close-notify` is for TLS over TCP: QUIC tells an end from a cut";
            return Err(word.wrong(message, "leave it out"));
        }
        foreign(endpoint, given)?;
        endpoint.quic.tls = Some(match endpoint.is_dialled() {
            true => connect::quic(given)?,
            false => accept::quic(given)?,
        });
    }
    Ok(())
}

fn truncation(given: &Given<'_>) -> Result<Truncation, Mistake> {
    let Some(word) = given.setting("close-notify") else {
        return Ok(Truncation::Refuse);
    };
    match word.text {
        "require" => Ok(Truncation::Refuse),
        "optional" => Ok(Truncation::Tolerate),
        _ => {
            let message = "`tls.close-notify` must be `require` or `optional`";
            Err(word.unknown(message, &["require", "optional"]))
        }
    }
}

fn alpn(given: &Given<'_>) -> Vec<String> {
    let names = given.setting("alpn").map(|word| word.text.split('+'));
    names.into_iter().flatten().map(str::to_owned).collect()
}

/// A certificate, with its key from the same file or from one of these.
fn certificate(path: &Path, keys: &[String]) -> Result<TlsCertificate, Unusable> {
    let mut why = match TlsCertificate::from_files(path, None) {
        Ok(certificate) => {
            check_mode(path)?;
            return Ok(certificate);
        }
        Err(error) => error,
    };
    for key in keys {
        check_mode(Path::new(key))?;
        match TlsCertificate::from_files(path, Some(Path::new(key))) {
            Ok(certificate) => return Ok(certificate),
            Err(error) => {
                // The key of another certificate is no news where there are several keys.
                if !is_mismatch(&error) || keys.len() == 1 {
                    why = error;
                }
            }
        }
    }
    if is_keyless(&why) && why.path() == Some(path) {
        let shown = path.display();
        let message = format!("`{shown}` has no private key in it, and no `tls.key` is its key");
        return Err(Unusable {
            file: Some(path.to_owned()),
            mistake: Mistake::new(message, "`tls.key=KEY.pem`"),
        });
    }
    let hint = "a PEM file with a certificate, and its key there or in `tls.key=KEY.pem`";
    Err(Unusable::new(&why, hint))
}

/// A file with a private key is for its owner alone.
fn check_mode(path: &Path) -> Result<(), Unusable> {
    secret::check_mode(path).map_err(|mistake| Unusable {
        file: Some(path.to_owned()),
        mistake,
    })
}

fn is_mismatch(error: &TlsConfigError) -> bool {
    matches!(error, TlsConfigError::File { source, .. } if matches!(**source, TlsConfigError::KeyMismatch))
}

fn is_keyless(error: &TlsConfigError) -> bool {
    matches!(error, TlsConfigError::File { source, .. } if matches!(**source, TlsConfigError::NoKey))
}

/// A file, or a configuration, that can't be used.
struct Unusable {
    file: Option<PathBuf>,
    mistake: Mistake,
}

// ===== impl Unusable =====

impl Unusable {
    fn new(error: &TlsConfigError, hint: &str) -> Self {
        Self {
            file: error.path().map(Path::to_owned),
            mistake: Mistake::new(chain(error), hint),
        }
    }

    /// The mistake, at the word that names the file.
    fn at(self, given: &Given<'_>) -> Mistake {
        let names = ["key", "cert", "client-ca", "ca"];
        let mut words = names.into_iter().flat_map(|setting| given.all(setting));
        let is_it = |word: &Word<'_>| {
            file(*word).is_ok_and(|path| Some(Path::new(&path)) == self.file.as_deref())
        };
        match words.find(is_it) {
            Some(word) => word.place(self.mistake),
            None => self.mistake,
        }
    }
}

/// What is wrong, and why.
fn chain(error: &(dyn Error + 'static)) -> String {
    Chain(error).to_string()
}

/// The paths of files.
fn files<'a>(words: impl Iterator<Item = Word<'a>>) -> Result<Vec<String>, Mistake> {
    words.map(file).collect()
}

/// The path of a file.
fn file(word: Word<'_>) -> Result<String, Mistake> {
    word.parse(credential::file)
}
