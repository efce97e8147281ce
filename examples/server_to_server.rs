//! Joins a client of one port with a client of the other, and prints the traffic.
//!
//! ```sh
//! cargo run -p couplet-examples --example server_to_server
//! ncat 127.0.0.1 9000     # in a second terminal
//! ncat 127.0.0.1 8000     # in a third: type in either
//! ```

use std::env;

use couplet_connector::{BoxError, Connector, Listen, Side, layers::TrafficLogLayer};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let mut arg = |default: &str| args.next().unwrap_or_else(|| default.into());
    let a = Listen::bind(&*arg("127.0.0.1:9000")).await?;
    let b = Listen::bind(&*arg("127.0.0.1:8000")).await?;

    let connector = Connector::listen_listen(a, b)
        .layer_pair(TrafficLogLayer::text().to_stdout())
        .start();

    for side in [Side::A, Side::B] {
        println!("{side} listens on {}", connector.local_addr(side)?);
    }
    Ok(connector.done().await?)
}
