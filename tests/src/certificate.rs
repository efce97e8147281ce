use std::fs;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

/// A certificate that is its own CA, in files.
#[derive(Debug)]
pub struct Certificate {
    /// Where it is.
    pub folder: TempDir,
}

// ===== impl Certificate =====

impl Certificate {
    /// A new one, for `localhost`.
    pub fn new() -> Self {
        Self::of("localhost")
    }

    /// A new one, for this name alone.
    pub fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        let both = certificate.pem() + &key.serialize_pem();
        fs::write(folder.path().join("both.pem"), both).unwrap();
        Self { folder }
    }

    /// A side that listens for QUIC.
    pub fn listens(&self) -> String {
        format!("listen:quic:0,tls={}", self.file("both.pem"))
    }

    /// A side that dials such a side.
    pub fn dials(&self, port: u16) -> String {
        let trusts = self.file("cert.pem");
        format!("dial:quic:localhost:{port},family=4,tls,tls.ca={trusts}")
    }

    /// A file of it: `cert.pem`, or `both.pem`, with the key.
    pub fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

impl Default for Certificate {
    fn default() -> Self {
        Self::new()
    }
}
