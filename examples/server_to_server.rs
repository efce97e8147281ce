//! Two clients meet: whoever comes to the one port is joined with whoever comes to the other, and
//! what they say to each other is shown.
//!
//! ```sh
//! cargo run -p couplet-examples --example server_to_server
//! ncat 127.0.0.1 9000     # in a second terminal
//! ncat 127.0.0.1 8000     # in a third: type in either
//! ```

use std::env;

use couplet_connector::{
    Connector,
    endpoint::{BoxError, Listen, Side},
    layers::TrafficLogLayer,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let a = args.next().unwrap_or_else(|| "127.0.0.1:9000".into());
    let b = args.next().unwrap_or_else(|| "127.0.0.1:8000".into());

    let connector = Connector::server_to_server(
        Listen::bind(a.as_str()).await?,
        Listen::bind(b.as_str()).await?,
    )
    .pair(TrafficLogLayer::text().to_stdout())
    .start();

    for side in [Side::A, Side::B] {
        if let Some(address) = connector.local_addr(side) {
            println!("{side} listens on {address}");
        }
    }
    Ok(connector.done().await?)
}
