//! A connection has to say the right thing before it is joined. The four things that can happen:
//! it is let in, it is turned away, the check itself fails, or nothing is said in time.
//!
//! ```sh
//! cargo run -p couplet-examples --example authenticator
//! ncat 127.0.0.1 9000     # say `yes`, `no`, `what?`, or nothing for five seconds
//! ncat 127.0.0.1 8000     # the other side needs no word
//! ```

use std::{env, io, time::Duration};

use couplet_connector::{
    Connector,
    endpoint::{BoxError, BoxIo, Conn, Listen, Replay, Side},
    layers::HandshakeLayer,
};

/// A handshake is any async function of a connection. Whatever it reads ahead and doesn't consume
/// is read again by the partner.
async fn ask(conn: Conn<BoxIo>) -> Result<Conn<Replay<BoxIo>>, BoxError> {
    let mut conn = conn.map_io(Replay::new);
    let word = loop {
        let ahead = conn.io.ahead();
        if let Some(end) = ahead.iter().position(|byte| *byte == b'\n') {
            let word = String::from_utf8_lossy(&ahead[..end]).into_owned();
            conn.io.consume(end + 1);
            break word;
        }
        if conn.io.read_ahead(64).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    };
    println!("{} said {word:?}", conn.info.peer_name());
    match word.trim() {
        "yes" => Ok(conn),
        "no" => Err("turned away".into()),
        other => Err(format!("no opinion of {other:?}").into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let a = args.next().unwrap_or_else(|| "127.0.0.1:9000".into());
    let b = args.next().unwrap_or_else(|| "127.0.0.1:8000".into());

    let connector = Connector::server_to_server(
        Listen::bind(a.as_str()).await?,
        Listen::bind(b.as_str()).await?,
    )
    .side_a(HandshakeLayer::new(ask).timeout(Some(Duration::from_secs(5))))
    .on_join(|session| println!("{} was let in", session.info(Side::A).peer_name()))
    .start();

    for side in [Side::A, Side::B] {
        if let Some(address) = connector.local_addr(side) {
            println!("{side} listens on {address}");
        }
    }
    Ok(connector.done().await?)
}
