//! Routes TLS clients by SNI to one of several servers, and other clients to a server of their own.
//! Nothing is decrypted.
//!
//! ```sh
//! cargo run -p couplet-examples --example sni_routing
//! openssl s_client -connect 127.0.0.1:8443 -servername example.org
//! ```

use std::env;

use couplet_connector::{
    BoxError, Connector, Dial, Listen, Side,
    endpoint::{Info, dial_by},
    layers::HandshakeLayer,
};
use couplet_protocols::{Protocol, Sniff};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let mut arg = |default: &str| args.next().unwrap_or_else(|| default.into());
    let listen = Listen::bind(arg("127.0.0.1:8443").as_str()).await?;
    let example_org = Dial::to(&arg("localhost:9443"))?;
    let others = Dial::to(&arg("localhost:9080"))?;

    let route = dial_by(move |client: &Info| {
        let protocol = client.extensions.get().unwrap_or(&Protocol::Unknown);
        println!("{} speaks {protocol}", client.peer_name());
        match protocol {
            Protocol::Tls(hello) => match hello.server_name() {
                Some("example.org" | "www.example.org") => Ok(example_org.clone()),
                _ => Err("no such server"),
            },
            _ => Ok(others.clone()),
        }
    });
    let connector = Connector::listen_dial(listen, route)
        .layer_a(HandshakeLayer::new(Sniff::new()))
        .start();

    println!("A listens on {}", connector.local_addr(Side::A)?);
    Ok(connector.done().await?)
}
