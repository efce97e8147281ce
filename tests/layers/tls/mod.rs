//! `tls`: with OpenSSL, curl and Python at the other end, and a couplet facing another.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

pub(crate) use self::accept::web;

mod accept;
mod connect;
mod ends;

use std::{
    fs,
    io::{PipeWriter, pipe},
    path::PathBuf,
    process::Command,
};

use couplet_tests::{Couplet, Process, program};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// A CA, and what it has signed, in files.
pub(crate) struct Pki {
    scratch: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

// ===== impl Pki =====

impl Pki {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = format!("CA {:?}", &key.public_key_raw()[1..5]);
        params.distinguished_name.push(DnType::CommonName, name);
        let ca = CertifiedIssuer::self_signed(params, key).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("ca.pem"), ca.pem()).unwrap();
        Self { scratch, ca }
    }

    fn file(&self, name: &str) -> String {
        self.scratch.path().join(name).display().to_string()
    }

    /// A certificate for this name in `NAME.pem`, its key in `NAME.key`.
    pub(crate) fn certificate(&self, name: &str) -> String {
        self.certificate_in(name, name)
    }

    fn certificate_in(&self, file: &str, name: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        let path = self.file(&format!("{file}.pem"));
        fs::write(&path, certificate.pem()).unwrap();
        fs::write(self.key(file), key.serialize_pem()).unwrap();
        path
    }

    pub(crate) fn key(&self, name: &str) -> String {
        self.file(&format!("{name}.key"))
    }

    /// `tls=…` of a listening side, with a certificate for this name.
    fn listens(&self, name: &str) -> String {
        let certificate = self.certificate(name);
        format!("listen:0,tls={certificate},tls.key={}", self.key(name))
    }

    /// `openssl s_client` to a side of the command, which must be called so.
    fn s_client(&self, couplet: &Couplet, name: &str) -> Command {
        let mut command = program("openssl");
        command
            .args(["s_client", "-verify_return_error", "-servername", name])
            .args(["-verify_hostname", name, "-CAfile", &self.file("ca.pem")])
            .args(["-connect", &couplet.address('A').to_string()]);
        command
    }

    /// curl to a side of the command, which must be called so.
    pub(crate) fn curl(&self, couplet: &Couplet, name: &str) -> Command {
        let port = couplet.address('A').port();
        let mut command = program("curl");
        command
            .args([
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--max-time",
                "60",
            ])
            .args(["--cacert", &self.file("ca.pem")])
            .args(["--resolve", &format!("{name}:{port}:127.0.0.1")])
            .arg(format!("https://{name}:{port}/"));
        command
    }
}

// ===== helpers =====

/// Starts a program that is told what to say, until the other end is dropped.
fn talking(name: &str, command: &mut Command) -> (Process, PipeWriter) {
    let (input, talk) = pipe().unwrap();
    let process = Process::spawn_with_input(name, command.stdin(input));
    // It has one of its own.
    command.stdin(std::process::Stdio::null());
    (process, talk)
}

fn script(pki: &Pki, name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(pki.file(name));
    fs::write(&path, text).unwrap();
    path
}
