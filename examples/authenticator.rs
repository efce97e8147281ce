//! Asks each client for a word before the join. The four results: the client is accepted, the client is
//! refused, the check fails, or the client says nothing in time.
//!
//! ```sh
//! cargo run -p couplet-examples --example authenticator
//! ncat 127.0.0.1 9000     # say `yes`, `no`, `what?`, or nothing for five seconds
//! ncat 127.0.0.1 8000     # clients of side B need no word
//! ```

use std::{env, time::Duration};

use couplet_connector::{
    BoxError, Conn, Connector, Listen, Side,
    endpoint::{BoxIo, Replay},
    layers::{HandshakeLayer, take_line},
};

/// A handshake is any async function of a connection. The partner gets the bytes that the handshake
/// reads ahead and does not consume.
async fn ask(conn: Conn<BoxIo>) -> Result<Conn<Replay<BoxIo>>, BoxError> {
    let mut conn = conn.map_io(Replay::new);
    let line = take_line(&mut conn.io, 64).await?;
    let word = String::from_utf8_lossy(&line);
    println!("{} said {word:?}", conn.info.peer_name());
    match word.trim() {
        "yes" => Ok(conn),
        "no" => Err("the client said no".into()),
        other => Err(format!("{other:?} is neither yes nor no").into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let mut arg = |default: &str| args.next().unwrap_or_else(|| default.into());
    let a = Listen::bind(&*arg("127.0.0.1:9000")).await?;
    let b = Listen::bind(&*arg("127.0.0.1:8000")).await?;

    let connector = Connector::listen_listen(a, b)
        .layer_a(HandshakeLayer::new(ask).timeout(Some(Duration::from_secs(5))))
        .on_join(|session| println!("{} was let in", session.info(Side::A).peer_name()))
        .start();

    for side in [Side::A, Side::B] {
        println!("{side} listens on {}", connector.local_addr(side)?);
    }
    Ok(connector.done().await?)
}
