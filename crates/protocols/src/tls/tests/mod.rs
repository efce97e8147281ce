//! What the tests share: authorities, and two ends that speak TLS in memory.

mod config;
mod handshake;
mod names;
mod relay;
mod stream;
mod trust;

use couplet_endpoint::{
    Conn, Origin,
    memory::{self, MemoryStream},
};
use couplet_layers::Handshake;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

use super::*;

type Shaken = Result<Conn<TlsIo<MemoryStream>>, TlsError>;

/// A CA of the tests.
struct Ca(CertifiedIssuer<'static, KeyPair>);

// ===== impl Ca =====

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let name = &mut params.distinguished_name;
        name.push(
            DnType::CommonName,
            format!("CA {:?}", &key.public_key_raw()[1..5]),
        );
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn roots(&self) -> rustls::RootCertStore {
        roots_from_pem(self.0.pem()).unwrap()
    }

    /// A certificate for these names, in PEM, and its key.
    fn pems(&self, params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn signs(&self, params: &CertificateParams) -> TlsCertificate {
        let (certificate, key) = self.pems(params);
        TlsCertificate::from_pems(certificate, key).unwrap()
    }

    /// A server's.
    fn server(&self, names: &[&str]) -> TlsCertificate {
        self.signs(&named(names))
    }

    /// A client's, for a common name and other names.
    fn client(&self, common_name: &str, others: Vec<SanType>) -> TlsCertificate {
        let mut params = CertificateParams::default();
        params.subject_alt_names = others;
        params.distinguished_name = rcgen::DistinguishedName::new();
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, common_name);
        self.signs(&params)
    }

    fn accept(&self, names: &[&str]) -> TlsAccept {
        TlsAccept::new(TlsAcceptConfig::new(self.server(names)).build().unwrap())
    }

    /// Sends no session tickets, which would wait for a client that has shaken hands to read.
    fn accept_without_tickets(&self) -> TlsAccept {
        let config = TlsAcceptConfig::new(self.server(&["server.test"])).build();
        let mut config = Arc::unwrap_or_clone(config.unwrap());
        config.send_tls13_tickets = 0;
        TlsAccept::new(Arc::new(config))
    }

    /// Asks for `server.test`.
    fn connect(&self) -> TlsConnect {
        connect_to(TlsConnectConfig::with_roots(self.roots()), "server.test")
    }
}

// ===== helpers =====

fn named(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

fn connect_to(config: TlsConnectConfig, name: &'static str) -> TlsConnect {
    TlsConnect::new(config.build().unwrap()).server_name(name.try_into().unwrap())
}

/// Two ends shake hands over a connection that holds so many bytes each way.
async fn shake_over(buffer: usize, accept: &TlsAccept, connect: &TlsConnect) -> (Shaken, Shaken) {
    let (server, client) = memory::connection(buffer);
    let accepting = accept.handshake(Conn::new(server, Origin::Accepted));
    let connecting = connect.handshake(Conn::new(client, Origin::Dialled));
    tokio::join!(accepting, connecting)
}

async fn shake(accept: &TlsAccept, connect: &TlsConnect) -> (Shaken, Shaken) {
    shake_over(64 * 1024, accept, connect).await
}

/// Two ends that have shaken hands: the server's, then the client's.
async fn joined(buffer: usize) -> (TlsIo<MemoryStream>, TlsIo<MemoryStream>) {
    let ca = Ca::new();
    let (server, client) = shake_over(buffer, &ca.accept_without_tickets(), &ca.connect()).await;
    (server.unwrap().io, client.unwrap().io)
}

fn info<I>(conn: &Conn<I>) -> &TlsInfo {
    conn.info.extensions.get().unwrap()
}
