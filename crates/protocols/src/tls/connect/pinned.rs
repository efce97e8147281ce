use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use thiserror::Error;

use crate::tls::KeyPin;

/// Trusts servers with pinned keys, and where there is another verifier, only those that it trusts.
///
/// The signature of the handshake, which proves that the server has the key, is checked as always.
#[derive(Debug)]
pub(super) struct Pinned {
    pins: Vec<KeyPin>,
    trusted: Option<Arc<dyn ServerCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// A server's key is not among the pins.
#[derive(Debug, Error)]
#[error("key {0} is not pinned")]
pub(in crate::tls) struct NotPinned(pub(in crate::tls) KeyPin);

// ===== impl Pinned =====

impl Pinned {
    pub(super) fn new(
        pins: Vec<KeyPin>,
        trusted: Option<Arc<dyn ServerCertVerifier>>,
        provider: &CryptoProvider,
    ) -> Self {
        Self {
            pins,
            trusted,
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

#[warn(clippy::missing_trait_methods)]
impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trusted) = &self.trusted {
            trusted.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            )?;
        }
        let pin = KeyPin::of_certificate(end_entity)?;
        if !self.pins.contains(&pin) {
            let error = OtherError(Arc::new(NotPinned(pin)));
            return Err(CertificateError::Other(error).into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.trusted {
            Some(trusted) => trusted.verify_tls12_signature(message, cert, dss),
            None => verify_tls12_signature(message, cert, dss, &self.algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.trusted {
            Some(trusted) => trusted.verify_tls13_signature(message, cert, dss),
            None => verify_tls13_signature(message, cert, dss, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match &self.trusted {
            Some(trusted) => trusted.supported_verify_schemes(),
            None => self.algorithms.supported_schemes(),
        }
    }

    /// Not asked for: a raw key (RFC 7250) has no certificate that a pin is made from.
    fn requires_raw_public_keys(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.trusted.as_ref()?.root_hint_subjects()
    }
}
