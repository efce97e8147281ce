//! Which certificate a client is shown.

use super::*;

/// The index of the certificate that a client with this server name is shown.
async fn shown(
    certificates: &[TlsCertificate],
    unknown: UnknownName,
    name: &'static str,
) -> Result<usize, (TlsError, TlsError)> {
    let mut all = certificates.iter().cloned();
    let mut config = TlsAcceptConfig::new(all.next().unwrap()).unknown_name(unknown);
    for certificate in all {
        config = config.certificate(certificate);
    }
    let accept = TlsAccept::new(config.build().unwrap());
    // By their keys, so that the name does not matter.
    let pins = |certificate: &TlsCertificate| {
        let key = certificate.certified_key();
        KeyPin::of(key.end_entity_cert().unwrap()).unwrap()
    };
    let config = TlsConnectConfig::with_pins(certificates.iter().map(pins));
    let (server, client) = shake(&accept, &connect_to(config, name)).await;
    match (server, client) {
        (Ok(_), Ok(client)) => Ok(certificates
            .iter()
            .position(|certificate| {
                let key = certificate.certified_key();
                let shown = Fingerprint::of(key.end_entity_cert().unwrap());
                info(&client).fingerprint() == Some(shown)
            })
            .unwrap()),
        (Err(server), Err(client)) => Err((server, client)),
        _ => panic!("one says yes and one says no"),
    }
}

#[tokio::test]
async fn sni_selects_the_certificate() {
    let ca = Ca::new();
    let certificates = [
        ca.server(&["first.test"]),
        ca.server(&["a.test", "*.wild.test"]),
        ca.server(&["Exact.Wild.test"]),
        ca.server(&["192.0.2.1", "*.test"]),
    ];
    for (name, expected) in [
        ("first.test", 0),
        ("a.test", 1),
        ("A.TEST", 1),
        ("b.wild.test", 1),
        ("exact.wild.test", 2),
        ("any.test", 3),
        ("wild.test", 3),
        // A wildcard stands for one label.
        ("b.c.wild.test", 0),
        ("unknown.example", 0),
        // An address is no name to ask for.
        ("192.0.2.1", 0),
    ] {
        let shown = shown(&certificates, UnknownName::Default, name).await;
        assert_eq!(shown.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn a_client_with_an_unknown_sni_name_may_be_refused() {
    let ca = Ca::new();
    let certificates = [ca.server(&["first.test"]), ca.server(&["*.wild.test"])];
    let refuse = UnknownName::Refuse;
    assert_eq!(
        shown(&certificates, refuse, "x.wild.test").await.unwrap(),
        1
    );
    for name in ["unknown.test", "wild.test"] {
        let (server, client) = shown(&certificates, refuse, name).await.unwrap_err();
        assert!(matches!(server, TlsError::UnknownName(asked) if asked == name));
        assert!(matches!(client, TlsError::Alert(_)), "{client:?}");
    }
    let (server, _) = shown(&certificates, refuse, "192.0.2.1").await.unwrap_err();
    assert!(matches!(server, TlsError::NoName));
}

#[tokio::test]
async fn of_several_certificates_the_client_gets_one_it_can_verify() {
    let ca = Ca::new();
    let ed25519 = {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let certificate = named(&["server.test"]).signed_by(&key, &ca.0).unwrap();
        TlsCertificate::from_pems(certificate.pem(), key.serialize_pem()).unwrap()
    };
    let ecdsa = ca.server(&["server.test"]);
    let config = TlsAcceptConfig::new(ed25519).certificate(ecdsa.clone());
    let accept = TlsAccept::new(config.build().unwrap());

    // A client that knows all but Ed25519.
    let mut provider = rustls::crypto::ring::default_provider();
    let algorithms = &mut provider.signature_verification_algorithms;
    let known: Vec<_> = algorithms
        .mapping
        .iter()
        .filter(|(scheme, _)| *scheme != rustls::SignatureScheme::ED25519)
        .copied()
        .collect();
    algorithms.mapping = known.leak();
    for name in ["server.test", "unknown.test"] {
        let pin = KeyPin::of(ecdsa.certified_key().end_entity_cert().unwrap()).unwrap();
        let config = TlsConnectConfig::with_pins([pin]).provider(Arc::new(provider.clone()));
        let (server, client) = shake(&accept, &connect_to(config, name)).await;
        server.unwrap();
        client.unwrap();
    }
}
