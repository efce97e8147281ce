//! Joins one pair, waits for its end, and prints the statistics.
//!
//! ```sh
//! cargo run -p couplet-examples --example wait_for_done
//! ncat 127.0.0.1 9000     # in a second terminal
//! ncat 127.0.0.1 8000     # in a third; the example ends when both have
//! ```

use std::env;

use couplet_connector::{BoxError, Connector, Listen, Side};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let mut arg = |default: &str| args.next().unwrap_or_else(|| default.into());
    let a = Listen::bind(&*arg("127.0.0.1:9000")).await?;
    let b = Listen::bind(&*arg("127.0.0.1:8000")).await?;

    let connector = Connector::listen_listen(a, b)
        .once()
        .on_end(|session, reason, _| println!("session {} ended: {reason}", session.id()))
        .start();

    for side in [Side::A, Side::B] {
        println!("{side} listens on {}", connector.local_addr(side)?);
    }
    connector.done().await?;
    println!("done: {}", connector.snapshot());
    Ok(())
}
