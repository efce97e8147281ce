//! Settings that can't be honoured.

use std::fs;

use super::*;
use crate::testing::chain;

fn told<T: std::fmt::Debug>(result: Result<T, TlsConfigError>) -> String {
    chain(&result.unwrap_err())
}

#[test]
fn an_error_names_the_fault_of_a_certificate() {
    let ca = Ca::new();
    let (certificate, key) = ca.pems(&named(&["server.test"]));
    let (_, other_key) = ca.pems(&named(&["server.test"]));
    TlsCertificate::from_pem(format!("{key}{certificate}")).unwrap();

    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
    let bad_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    let openssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----";
    let two_keys = [&*key, &*other_key].concat();
    let request = certificate.replace("CERTIFICATE", "CERTIFICATE REQUEST");
    let with_request = [&*certificate, &*request].concat();
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
    for (certificate, key, expected) in [
        ("", &*key, "certificate missing"),
        (&*key, &*key, "certificate missing"),
        (&*certificate, &*certificate, "private key missing"),
        (&*certificate, encrypted, "openssl pkey"),
        (&*certificate, bad_key, "not supported (damaged"),
        (&*certificate, &*other_key, "belongs to another certificate"),
        (&*certificate, &*two_keys, "line 6: second private key"),
        (
            &*certificate,
            openssh,
            "line 1: a private key in OpenSSH's format",
        ),
        (
            &*with_request,
            &*key,
            "a certificate request, which has no place here",
        ),
        (bad, &*key, "invalid certificate"),
        (
            "-----BEGIN CERTIFICATE-----\n?",
            &*key,
            "invalid PEM: line 1: block without its END",
        ),
        ("\x30\u{2}\x01", &*key, "certificate missing"),
    ] {
        let told = told(TlsCertificate::from_pems(certificate, key));
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn der_in_place_of_pem_is_named() {
    let (certificate, key) = Ca::new().pems(&named(&["server.test"]));
    for [certificate, key] in [
        [b"\x30\x82\x01".as_slice(), key.as_bytes()],
        [certificate.as_bytes(), b"\x30\x81\x01"],
    ] {
        let told = told(TlsCertificate::from_pems(certificate, key));
        assert!(told.contains("DER in place of PEM"), "{told}");
    }
}

#[test]
fn the_whole_chain_is_read_and_nothing_is_left_out() {
    let ca = Ca::new();
    let (certificate, key) = ca.pems(&named(&["server.test"]));
    let both = |pem: String| {
        let certificate = TlsCertificate::from_pems(pem, &key).unwrap();
        certificate.certified_key().cert.len()
    };
    let intermediate = ca.0.pem();
    assert_eq!(both(format!("{certificate}{intermediate}")), 2);
    assert_eq!(both(format!("{}{intermediate}", certificate.trim())), 2);
    assert_eq!(both(format!("{certificate}\u{feff}{intermediate}")), 2);
    assert_eq!(
        both(format!(
            "{certificate}{}",
            intermediate.replace('\n', "\n  ")
        )),
        2
    );
    let trusted = intermediate.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
    let told = told(TlsCertificate::from_pems(certificate + &trusted, &key));
    assert!(
        told.contains("a TRUSTED CERTIFICATE of OpenSSL's own"),
        "{told}"
    );
    assert_eq!(
        roots_from_pem(format!("{intermediate}{}", Ca::new().0.pem()))
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn no_error_shows_a_part_of_a_key() {
    let (certificate, key) = Ca::new().pems(&named(&["server.test"]));
    let secret: String = key.lines().filter(|line| !line.starts_with('-')).collect();
    let mangled = [
        key.replace('\n', "\\n"),
        key.replace("KEY-----\n", "KEY"),
        key.replace("-----BEGIN PRIVATE KEY-----\n", ""),
        key.replace("-----END", "----END"),
        key.replace("PRIVATE KEY-----", "PRIVATE"),
        key.replace("PRIVATE KEY-----\n", ""),
        key.replace('=', "?"),
        key.replacen(&secret[20..24], "", 1),
    ];
    for key in mangled {
        let Err(error) = TlsCertificate::from_pems(&certificate, &key) else {
            continue;
        };
        let told = format!("{error:?} {}", chain(&error));
        for part in secret.as_bytes().windows(8) {
            assert!(
                !told.as_bytes().windows(8).any(|here| here == part),
                "{told}"
            );
        }
        assert!(
            !told.contains(&format!(
                "{}, {}",
                secret.as_bytes()[9],
                secret.as_bytes()[10]
            )),
            "{told}"
        );
    }
}

#[test]
fn an_error_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.pem");
    let missing = told(TlsCertificate::from_files(&path, None));
    assert!(missing.contains("x.pem\" can't be read: "), "{missing}");
    fs::write(&path, "nothing").unwrap();
    for told in [
        told(TlsCertificate::from_files(&path, None)),
        told(roots_from_file(&path)),
    ] {
        assert!(told.contains("x.pem\" can't be used: certificate missing"));
    }
    let (certificate, key) = Ca::new().pems(&named(&["server.test"]));
    fs::write(&path, certificate).unwrap();
    let told = told(TlsCertificate::from_files(&path, None));
    assert!(told.contains("private key missing"), "{told}");
    let error = TlsCertificate::from_files(&path, None).unwrap_err();
    assert_eq!(error.path(), Some(&*path));
    let key_path = dir.path().join("key.pem");
    fs::write(&key_path, key).unwrap();
    TlsCertificate::from_files(&path, Some(&key_path)).unwrap();
}

#[test]
fn a_configuration_without_trust_anchors_is_refused() {
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
        assert!(told.starts_with("trust anchor missing"), "{told}");
    }
}

#[test]
fn a_protocol_has_a_name() {
    for name in [vec![], vec![b'x'; 256]] {
        let config = TlsAcceptConfig::new(Ca::new().server(&["x"]));
        let told = told(config.alpn([&b"h2"[..], &name]).build());
        assert!(told.contains("a name has 1 to 255"), "{told}");
    }
}
