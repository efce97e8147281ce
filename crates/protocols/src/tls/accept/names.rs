use std::{collections::HashMap, sync::Arc};

use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::UnknownName;
use crate::tls::TlsCertificate;

/// Chooses a certificate by the server name (SNI) that a client asks for.
#[derive(Debug)]
pub(super) struct Names {
    /// Wildcards as they stand in a certificate: `*.example.org`.
    by_name: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// For all other names and clients without one; empty where they are refused.
    default: Vec<Arc<CertifiedKey>>,
}

// ===== impl Names =====

impl Names {
    pub(super) fn new(certificates: &[TlsCertificate], unknown: UnknownName) -> Self {
        let mut by_name = HashMap::<_, Vec<_>>::new();
        for certificate in certificates {
            for name in certificate.names() {
                let known = by_name.entry(name.clone()).or_default();
                known.push(Arc::clone(certificate.certified_key()));
            }
        }
        let default = match (unknown, certificates.first()) {
            (UnknownName::Default, Some(first)) => {
                // Certificates for the same names as the first have other kinds of keys.
                let same = |other: &&TlsCertificate| other.names() == first.names();
                let kinds = certificates.iter().filter(same);
                kinds.map(|kind| Arc::clone(kind.certified_key())).collect()
            }
            _ => Vec::new(),
        };
        Self { by_name, default }
    }

    fn of(&self, name: &str) -> Option<&[Arc<CertifiedKey>]> {
        let name = name.to_ascii_lowercase();
        if let Some(exact) = self.by_name.get(&name) {
            return Some(exact);
        }
        // A wildcard stands for one label (RFC 9525, section 6.3).
        let (_, parent) = name.split_once('.')?;
        let wildcard = self.by_name.get(&format!("*.{parent}"))?;
        Some(wildcard)
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let known = hello.server_name().and_then(|name| self.of(name));
        choose(known.unwrap_or(&self.default), hello.signature_schemes())
    }
}

/// The first that the client can verify; if there is none, the first, so that the handshake fails
/// for that reason.
fn choose(keys: &[Arc<CertifiedKey>], known: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
    let checkable = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(known).is_some();
    let chosen = keys.iter().find(checkable).or_else(|| keys.first());
    chosen.map(Arc::clone)
}
