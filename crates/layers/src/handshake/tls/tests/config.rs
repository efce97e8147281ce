//! Settings that can't be honoured.

use std::fs;

use super::*;
use crate::testing::chain;

fn told<T: std::fmt::Debug>(result: Result<T, TlsConfigError>) -> String {
    chain(&result.unwrap_err())
}

#[test]
fn what_is_wrong_with_a_certificate_is_told() {
    let ca = Ca::new();
    let (certificate, key) = ca.pems(&named(&["server.test"]));
    let (_, other_key) = ca.pems(&named(&["server.test"]));
    TlsCertificate::from_pem(format!("{key}{certificate}")).unwrap();

    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
    let bad_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
    for (certificate, key, expected) in [
        ("", &*key, "no certificate in it"),
        (&*key, &*key, "no certificate in it"),
        (&*certificate, &*certificate, "no private key in it"),
        (&*certificate, encrypted, "openssl pkey"),
        (&*certificate, bad_key, "no kind that is known"),
        (&*certificate, &*other_key, "not the certificate's"),
        (bad, &*key, "a certificate can't be read"),
        ("-----BEGIN CERTIFICATE-----\n?", &*key, "not proper PEM"),
    ] {
        let told = told(TlsCertificate::from_pems(certificate, key));
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.pem");
    let missing = told(TlsCertificate::from_files(&path, None));
    assert!(missing.contains("x.pem\" can't be read: "), "{missing}");
    fs::write(&path, "nothing").unwrap();
    for told in [
        told(TlsCertificate::from_files(&path, None)),
        told(roots_from_file(&path)),
    ] {
        assert!(told.contains("x.pem\" is of no use: there is no certificate"));
    }
    let (certificate, key) = Ca::new().pems(&named(&["server.test"]));
    fs::write(&path, certificate).unwrap();
    let told = told(TlsCertificate::from_files(&path, None));
    assert!(told.contains("no private key"), "{told}");
    let key_path = dir.path().join("key.pem");
    fs::write(&key_path, key).unwrap();
    TlsCertificate::from_files(&path, Some(&key_path)).unwrap();
}

#[test]
fn nobody_is_trusted_by_accident() {
    let none = rustls::RootCertStore::empty;
    let told_by = [
        told(TlsConnectConfig::with_roots(none()).build()),
        told(
            TlsConnectConfig::with_roots(none())
                .pin(KeyPin::new([0; 32]))
                .build(),
        ),
        told(TlsConnectConfig::with_pins([]).build()),
        told(
            TlsAcceptConfig::new(Ca::new().server(&["x"]))
                .clients(ClientCertificates::Require(none()))
                .build(),
        ),
    ];
    for told in told_by {
        assert!(told.starts_with("nobody is trusted"), "{told}");
    }
}

#[test]
fn a_protocol_has_a_name() {
    for name in [vec![], vec![b'x'; 256]] {
        let config = TlsAcceptConfig::new(Ca::new().server(&["x"]));
        let told = told(config.alpn([&b"h2"[..], &name]).build());
        assert!(told.contains("1 to 255 bytes"), "{told}");
    }
}
