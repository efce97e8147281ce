//! Terminates TLS in front of a plain server. Clients need a certificate of the CA, and the example
//! prints their names.
//!
//! ```sh
//! cargo run -p couplet-examples --example tls -- 127.0.0.1:4433 127.0.0.1:8080 \
//!     cert.pem key.pem ca.pem
//! curl --cacert ca.pem --cert me.pem --key me.key https://localhost:4433/
//! ```

use std::{env, path::Path};

use couplet_connector::{
    BoxError, Connector, Dial, Listen, Side,
    layers::{HandshakeLayer, Identity},
};
use couplet_protocols::{
    TlsAccept, TlsAcceptConfig, TlsCertificate, TlsInfo,
    tls::{ClientCertificates, roots_from_file},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let args: Vec<_> = env::args().skip(1).collect();
    let [listen, server, certificate, key, ca] = &args[..] else {
        return Err("usage: tls LISTEN SERVER CERT.pem KEY.pem CA.pem".into());
    };
    let certificate = TlsCertificate::from_files(certificate, Some(Path::new(key)))?;
    let config = TlsAcceptConfig::new(certificate)
        .clients(ClientCertificates::Require(roots_from_file(ca)?))
        .build()?;

    let connector = Connector::listen_dial(Listen::bind(listen.as_str()).await?, Dial::to(server)?)
        .layer_a(HandshakeLayer::new(TlsAccept::new(config)))
        .on_join(|session| {
            let known = &session.info(Side::A).extensions;
            if let (Some(client), Some(tls)) = (known.get::<Identity>(), known.get::<TlsInfo>()) {
                println!("{client} is served, by {tls}");
            }
        })
        .start();

    println!("A listens on {}", connector.local_addr(Side::A)?);
    Ok(connector.done().await?)
}
