//! Which certificates each end trusts.

use std::io;

use couplet_endpoint::{Dial, DialAddr, find_cause};
use couplet_layers::Identity;
use tokio::io::AsyncReadExt;

use super::*;
use crate::testing::conn;

fn pin(certificate: &TlsCertificate) -> KeyPin {
    KeyPin::of(certificate.certified_key().end_entity_cert().unwrap()).unwrap()
}

fn accept_with(certificate: TlsCertificate) -> TlsAccept {
    TlsAccept::new(TlsAcceptConfig::new(certificate).build().unwrap())
}

async fn client_error(accept: &TlsAccept, connect: &TlsConnect) -> TlsError {
    let (server, client) = shake(accept, connect).await;
    // An alert has told it, unless that needed two writes: rustls's stream tries but once.
    let told = server.unwrap_err();
    assert!(
        matches!(told, TlsError::CertificateRefused(_) | TlsError::Ended),
        "{told:?}"
    );
    client.unwrap_err()
}

// ===== servers =====

#[tokio::test]
async fn a_server_of_another_ca_is_not_trusted() {
    let error = client_error(&Ca::new().accept(&["server.test"]), &Ca::new().connect()).await;
    assert!(matches!(error, TlsError::UnknownIssuer), "{error:?}");
    assert!(error.to_string().contains("trust that CA"));
}

#[tokio::test]
async fn a_server_of_another_name_is_not_trusted() {
    let ca = Ca::new();
    let accept = ca.accept(&["a.test", "b.test"]);
    let error = client_error(&accept, &ca.connect()).await;
    assert_eq!(
        error.to_string(),
        "certificate for the wrong name: for a.test, b.test, not for \"server.test\"; dial a name \
         that it is for, or set the name to check"
    );
}

#[tokio::test]
async fn a_server_out_of_its_time_is_not_trusted() {
    let ca = Ca::new();
    let mut params = named(&["server.test"]);
    params.not_after = rcgen::date_time_ymd(2020, 2, 29);
    let error = client_error(&accept_with(ca.signs(&params)), &ca.connect()).await;
    assert_eq!(
        error.to_string(),
        "certificate has expired (2020-02-29T00:00:00Z): the peer needs a new one, or our clock is \
         wrong"
    );
    params.not_before = rcgen::date_time_ymd(9999, 12, 31);
    params.not_after = rcgen::date_time_ymd(9999, 12, 31);
    let error = client_error(&accept_with(ca.signs(&params)), &ca.connect()).await;
    assert!(error.to_string().contains("(9999-12-31T00:00:00Z)"));
}

#[tokio::test]
async fn a_cas_own_certificate_is_not_a_servers() {
    let key = KeyPair::generate().unwrap();
    let mut params = named(&["server.test"]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = params.self_signed(&key).unwrap();
    let accept = accept_with(TlsCertificate::from_pems(own.pem(), key.serialize_pem()).unwrap());
    let roots = roots_from_pem(own.pem()).unwrap();
    let connect = connect_to(TlsConnectConfig::with_roots(roots), "server.test");
    let error = client_error(&accept, &connect).await;
    assert!(matches!(error, TlsError::CaAsServer), "{error:?}");
}

#[tokio::test]
async fn a_pinned_key_is_trusted_whatever_the_certificate_says() {
    let mut params = named(&["other.test"]);
    params.not_after = rcgen::date_time_ymd(2020, 2, 29);
    let certificate = Ca::new().signs(&params);
    let (right, wrong) = (pin(&certificate), KeyPin::new([7; 32]));
    let accept = accept_with(certificate);

    let connect = connect_to(TlsConnectConfig::with_pins([wrong, right]), "server.test");
    let (server, client) = shake(&accept, &connect).await;
    server.unwrap();
    client.unwrap();

    let connect = connect_to(TlsConnectConfig::with_pins([wrong]), "server.test");
    let error = client_error(&accept, &connect).await;
    assert_eq!(
        error.to_string(),
        format!("server key {right} is not pinned")
    );
}

#[tokio::test]
async fn a_pin_beside_a_ca_is_not_enough_alone() {
    let ca = Ca::new();
    let certificate = ca.server(&["server.test"]);
    let right = pin(&certificate);
    let accept = accept_with(certificate);
    let with = |ca: &Ca, pin| {
        let config = TlsConnectConfig::with_roots(ca.roots()).pin(pin);
        connect_to(config, "server.test")
    };
    let (_, client) = shake(&accept, &with(&ca, right)).await;
    client.unwrap();
    let error = client_error(&accept, &with(&ca, KeyPin::new([7; 32]))).await;
    assert!(matches!(error, TlsError::NotPinned(_)), "{error:?}");
    let error = client_error(&accept, &with(&Ca::new(), right)).await;
    assert!(matches!(error, TlsError::UnknownIssuer), "{error:?}");
}

#[tokio::test]
async fn a_pin_of_a_key_that_the_server_does_not_have_is_no_use() {
    // A client that shows the certificate of another can't sign with its key.
    let ca = Ca::new();
    let theirs = ca.server(&["server.test"]);
    let own = ca.server(&["server.test"]);
    let mut forged = (**own.certified_key()).clone();
    forged.cert.clone_from(&theirs.certified_key().cert);
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(forged));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = rustls::ServerConfig::builder_with_provider(default_provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(resolver.clone());
        let connect = connect_to(TlsConnectConfig::with_pins([pin(&theirs)]), "server.test");
        let (_, client) = shake(&TlsAccept::new(Arc::new(config)), &connect).await;
        assert!(client.is_err());
    }
}

#[tokio::test]
async fn the_name_verified_is_the_one_dialled() {
    let ca = Ca::new();
    let config = TlsConnectConfig::with_roots(ca.roots()).build().unwrap();
    for (dialled, right) in [
        ("server.test:1", "server.test"),
        ("server.test.:1", "server.test"),
        ("192.0.2.1:1", "192.0.2.1"),
        ("[2001:db8::1]:1", "2001:db8::1"),
    ] {
        let (io, peer) = memory::connection(64 * 1024);
        let mut dialled_conn = conn(peer);
        let target: DialAddr = dialled.parse().unwrap();
        assert_eq!(*Dial::new(target.clone()).target(), target);
        dialled_conn.info.target = Some(Arc::new(target));
        let accept = ca.accept(&[right]);
        let connect = TlsConnect::new(Arc::clone(&config));
        let (server, client) =
            tokio::join!(accept.handshake(conn(io)), connect.handshake(dialled_conn));
        server.unwrap();
        assert_eq!(info(&client.unwrap()).server_name(), Some(right));
    }

    let (io, _peer) = memory::connection(1);
    let error = TlsConnect::new(config)
        .handshake(conn(io))
        .await
        .unwrap_err();
    assert!(matches!(error, TlsError::NoServerName), "{error:?}");
}

// ===== clients =====

fn wanting(ca: &Ca, clients: ClientCertificates) -> TlsAccept {
    let config = TlsAcceptConfig::new(ca.server(&["server.test"])).clients(clients);
    TlsAccept::new(config.build().unwrap())
}

fn showing(ca: &Ca, certificate: Option<TlsCertificate>) -> TlsConnect {
    let mut config = TlsConnectConfig::with_roots(ca.roots());
    if let Some(certificate) = certificate {
        config = config.certificate(certificate);
    }
    connect_to(config, "server.test")
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let ca = Ca::new();
    let san = |name: &str| name.try_into().unwrap();
    let (uri, dns, email) = (
        SanType::URI(san("spiffe://test/x")),
        SanType::DnsName(san("dns.test")),
        SanType::Rfc822Name(san("x@mail.test")),
    );
    for (others, expected) in [
        (vec![], "common"),
        (vec![email.clone()], "x@mail.test"),
        (vec![email.clone(), dns.clone()], "dns.test"),
        (vec![email, dns, uri], "spiffe://test/x"),
        (vec![SanType::IpAddress([192, 0, 2, 1].into())], "common"),
    ] {
        for clients in [
            ClientCertificates::Want(ca.roots()),
            ClientCertificates::Require(ca.roots()),
        ] {
            let certificate = ca.client("common", others.clone());
            let leaf = certificate.certified_key().end_entity_cert().unwrap();
            let fingerprint = Fingerprint::of(leaf);
            let connect = showing(&ca, Some(certificate));
            let (server, _) = shake(&wanting(&ca, clients), &connect).await;
            let server = server.unwrap();
            let identity = server.info.extensions.get::<Identity>().unwrap();
            assert_eq!(identity.name(), expected);
            assert_eq!(info(&server).fingerprint(), Some(fingerprint));
            assert_eq!(info(&server).common_name(), Some("common"));
        }
    }
}

#[tokio::test]
async fn a_client_without_a_required_certificate_is_refused() {
    let ca = Ca::new();
    let want = wanting(&ca, ClientCertificates::Want(ca.roots()));
    let (server, _) = shake(&want, &showing(&ca, None)).await;
    assert!(server.unwrap().info.extensions.get::<Identity>().is_none());

    let require = wanting(&ca, ClientCertificates::Require(ca.roots()));
    let (server, client) = shake(&require, &showing(&ca, None)).await;
    let error = server.unwrap_err();
    assert!(matches!(error, TlsError::NoCertificate), "{error:?}");
    // TLS 1.3 tells the client only after its own part of the handshake.
    let error = client.unwrap().io.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let cause = error.get_ref().and_then(|error| find_cause(error));
    assert!(matches!(cause, Some(TlsError::CertificateWanted)));
}

#[tokio::test]
async fn a_client_of_another_ca_is_refused_even_where_none_is_required() {
    let ca = Ca::new();
    for clients in [
        ClientCertificates::Want(ca.roots()),
        ClientCertificates::Require(ca.roots()),
    ] {
        let stranger = Ca::new().client("stranger", vec![]);
        let connect = showing(&ca, Some(stranger));
        let (server, client) = shake(&wanting(&ca, clients), &connect).await;
        let error = server.unwrap_err();
        assert!(matches!(error, TlsError::UnknownIssuer), "{error:?}");
        let error = client.unwrap().io.read(&mut [0]).await.unwrap_err();
        let cause = error.get_ref().and_then(|error| find_cause(error));
        assert!(matches!(cause, Some(TlsError::CertificateRefused(_))));
    }
}
