//! One pair, then it is over: how to wait for that, and what is known afterwards.
//!
//! ```sh
//! cargo run -p couplet-examples --example wait_for_done
//! ncat 127.0.0.1 9000     # in a second terminal
//! ncat 127.0.0.1 8000     # in a third; when both have hung up, the example ends
//! ```

use std::env;

use couplet_connector::{
    Connector,
    endpoint::{BoxError, Listen, Side},
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
    .once()
    .on_end(|session, reason| println!("session {} ended: {reason}", session.id()))
    .start();

    for side in [Side::A, Side::B] {
        if let Some(address) = connector.local_addr(side) {
            println!("{side} listens on {address}");
        }
    }
    connector.done().await?;
    println!("done: {}", connector.snapshot());
    Ok(())
}
