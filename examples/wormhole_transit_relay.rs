//! A transit relay for [magic-wormhole](https://magic-wormhole.readthedocs.io): joins two clients with
//! the same token that can't reach each other directly.
//!
//! A client sends `please relay TOKEN for side SIDE` (older ones `please relay TOKEN`), and reads `ok`
//! when a client with the same token and another side is there; then the two are joined. Until the
//! `ok` a client has to be silent.
//!
//! ```sh
//! cargo run -p couplet-examples --example wormhole_transit_relay 0.0.0.0:4001
//! wormhole --transit-helper=tcp:relay.example:4001 send file     # in a second terminal
//! wormhole --transit-helper=tcp:relay.example:4001 receive       # in a third
//! ```

use std::{env, time::Duration};

use couplet_connector::{
    BoxError, Conn, Connector, Listen, Side,
    endpoint::{BoxIo, Info, Replay, io::send_and_close},
    layers::{AnnounceJoin, HandshakeLayer, IdleTimeoutLayer, take_line},
    pairing::{Keyed, Refusal, Third, WhenFull},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A client's request: the handshake puts it into the `Info`, and the pairing joins by it.
struct Wish {
    token: String,
    side: Option<String>,
}

impl Wish {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = str::from_utf8(line).ok()?.strip_prefix("please relay ")?;
        let (token, side) = match line.split_once(" for side ") {
            Some((token, side)) => (token, Some(side)),
            None => (line, None),
        };
        let hex = |word: &str, len| {
            word.len() == len && word.bytes().all(|digit| digit.is_ascii_hexdigit())
        };
        (hex(token, 64) && side.is_none_or(|side| hex(side, 16))).then(|| Self {
            token: token.to_owned(),
            side: side.map(str::to_owned),
        })
    }

    fn of(info: &Info) -> Option<&Self> {
        info.extensions.get()
    }
}

async fn please_relay(conn: Conn<BoxIo>) -> Result<Conn<Replay<BoxIo>>, BoxError> {
    let mut conn = conn.map_io(Replay::new);
    let line = take_line(&mut conn.io, 1024).await?;
    let Some(wish) = Wish::parse(&line) else {
        send_and_close(conn.io, b"bad handshake\n", SECOND).await;
        return Err("bad handshake".into());
    };
    conn.info.extensions.insert(wish);
    Ok(conn)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let address = env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:4001".into());

    let keyed = Keyed::new(|info| Some(Wish::of(info)?.token.clone()))
        .side(|info| Wish::of(info)?.side.clone())
        // A client that reconnects replaces its older connection.
        .per_key(1, WhenFull::Evict)
        .third(Third::LetGo)
        .silent()
        .refusal_reply(SECOND, |_, refusal| match refusal {
            Refusal::Impatient => Some("impatient\n".into()),
            _ => None,
        });

    let relay = Connector::keyed(Listen::bind(address.as_str()).await?, keyed)
        .layer_a(HandshakeLayer::new(please_relay))
        .before_join(AnnounceJoin::new("ok\n"))
        .layer_pair(IdleTimeoutLayer::new(HOUR))
        .max_waiting(100_000)
        .wait_timeout(Some(HOUR))
        .on_end(|session, reason, _| {
            let bytes = [Side::A, Side::B].map(|from| session.meter().bytes(from));
            println!("relayed {} bytes: {reason}", bytes[0] + bytes[1]);
        })
        .start();

    println!("A listens on {}", relay.local_addr(Side::A)?);
    Ok(relay.done().await?)
}
