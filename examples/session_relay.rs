//! A session relay in the manner of [NoPorts](https://noports.com): a service and its client, both
//! behind NATs, meet at a relay with one port. The relay knows their keys, and can't read their data.
//!
//! ```text
//!  client ──▶ client end ══▶ relay ◀══ service end ──▶ service
//!                    └─ encrypted ───────┘
//! ```
//!
//! Each end sends `session NAME SIDE`, signs the relay's challenge for that session and side, and reads
//! `joined` when the other end is there. Then the two ends run a Noise handshake with keys that the
//! relay never sees.
//!
//! In production these are three machines. Here one program runs all, and the relay prints its traffic.
//!
//! ```sh
//! ncat --listen --keep-open 127.0.0.1 8000                  # the service
//! cargo run -p couplet-examples --example session_relay     # in a second terminal
//! ncat 127.0.0.1 9000                                       # in a third
//! ```

use std::{env, fmt, net::SocketAddr};

use couplet_connector::{
    BoxError, Conn, Connector, Dial, Handle, Listen, Side,
    endpoint::{Backoff, BoxIo, Info, Io, Replay},
    layers::{AnnounceJoin, Handshake, HandshakeLayer, TrafficLogLayer, take_line},
    pairing::{Keyed, WhenFull},
};
use couplet_protocols::{
    AnswerChallenge, AuthorizedKeys, Challenge, Ed25519Key, NoiseInitiator, NoiseKey, NoisePeers,
    NoisePublicKey, NoiseResponder,
};
use tokio::io::AsyncWriteExt;

/// An end's request: the relay's handshake puts it into the `Info`, and the pairing joins by it.
#[derive(Clone)]
struct Wish {
    session: String,
    side: String,
}

// ===== the relay =====

async fn relay(address: &str, authorized: AuthorizedKeys) -> Result<Handle, BoxError> {
    let keyed = Keyed::new(|info| Some(Wish::of(info)?.session.clone()))
        .side(|info| Some(Wish::of(info)?.side.clone()))
        .per_key(8, WhenFull::Refuse);
    let identify = move |conn| identify(conn, authorized.clone());
    Ok(Connector::keyed(Listen::bind(address).await?, keyed)
        .layer_a(HandshakeLayer::new(identify))
        .before_join(AnnounceJoin::new("joined\n"))
        .layer_pair(TrafficLogLayer::text().to_stdout())
        // A waiting end may wait for ever: dead ones are noticed.
        .wait_timeout(None)
        .on_end(|session, reason, _| {
            let bytes = [Side::A, Side::B].map(|from| session.meter().bytes(from));
            println!("relayed {} bytes: {reason}", bytes[0] + bytes[1]);
        })
        .start())
}

/// Reads the request of a connection, and checks a signature for it.
async fn identify(
    conn: Conn<BoxIo>,
    authorized: AuthorizedKeys,
) -> Result<Conn<impl Io>, BoxError> {
    let mut conn = conn.map_io(Replay::new);
    let line = take_line(&mut conn.io, 128).await?;
    let wish = Wish::parse(&line).ok_or("the first line is not `session NAME SIDE`")?;
    // The signature is worth nothing for another session, or for the other side of this one.
    let challenge = Challenge::new(authorized).context(wish.to_string());
    conn.info.extensions.insert(wish);
    Ok(challenge.handshake(conn).await?)
}

// ===== the ends =====

/// Connects to the relay again and again, and dials the service after each join.
fn service_end(relay: SocketAddr, me: End, client: NoisePublicKey, service: Dial) -> Handle {
    let noise = NoiseResponder::kk(me.encrypts.clone(), NoisePeers::one(client));
    Connector::dial_dial(Dial::new(relay), service)
        .layer_a(HandshakeLayer::new(move |conn| meet(conn, me.clone(), "service")).timeout(None))
        .layer_a(HandshakeLayer::new(noise))
        .reconnect(Backoff::new())
        .start()
}

/// Listens on loopback, and connects to the relay for each client.
async fn client_end(
    address: &str,
    me: End,
    service: NoisePublicKey,
    relay: SocketAddr,
) -> Result<Handle, BoxError> {
    let noise = NoiseInitiator::kk(me.encrypts.clone(), service);
    let listen = Listen::bind(address).await?;
    Ok(Connector::listen_dial(listen, Dial::new(relay))
        .layer_b(HandshakeLayer::new(move |conn| {
            meet(conn, me.clone(), "client")
        }))
        .layer_b(HandshakeLayer::new(noise))
        .start())
}

/// The private keys of an end: one for the relay, one for the other end.
#[derive(Clone)]
struct End {
    signs: Ed25519Key,
    encrypts: NoiseKey,
    session: String,
}

impl End {
    fn new(session: &str) -> Result<Self, BoxError> {
        Ok(Self {
            signs: Ed25519Key::generate()?,
            encrypts: NoiseKey::generate()?,
            session: session.to_owned(),
        })
    }
}

/// The handshake with the relay; completes when the other end is there.
async fn meet(
    mut conn: Conn<BoxIo>,
    me: End,
    side: &'static str,
) -> Result<Conn<Replay<BoxIo>>, BoxError> {
    let wish = format!("session {} {side}", me.session);
    conn.io.write_all(format!("{wish}\n").as_bytes()).await?;
    let answer = AnswerChallenge::new(me.signs).context(wish);
    let mut conn = answer.handshake(conn).await?;
    match &*take_line(&mut conn.io, 16).await? {
        b"joined" => Ok(conn),
        _ => Err("the relay's answer is not `joined`".into()),
    }
}

// ===== impl Wish =====

impl Wish {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = str::from_utf8(line).ok()?.strip_prefix("session ")?;
        let (session, side) = line.split_once(' ')?;
        ["client", "service"].contains(&side).then(|| Self {
            session: session.to_owned(),
            side: side.to_owned(),
        })
    }

    fn of(info: &Info) -> Option<&Self> {
        info.extensions.get()
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {} {}", self.session, self.side)
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let mut address = |default: &str| args.next().unwrap_or_else(|| default.to_owned());
    let at = address("127.0.0.1:4002");
    let local = address("127.0.0.1:9000");
    let target = address("127.0.0.1:8000");

    // Each end makes its keys; the relay and the other end get the public ones.
    let [service, client] = [End::new("demo")?, End::new("demo")?];
    let [service_key, client_key] = [&service, &client].map(|end| end.encrypts.public());
    let authorized = [(&service, "service"), (&client, "client")]
        .map(|(end, name)| format!("{} {name}\n", end.signs.public()));

    let relay = relay(&at, authorized.concat().parse()?).await?;
    let at = relay.local_addr(Side::A)?.tcp().expect("it listens on TCP");
    println!("relay listens on {at}");
    service_end(at, service, client_key, Dial::to(&target)?);
    let client = client_end(&local, client, service_key, at).await?;
    println!("client listens on {}", client.local_addr(Side::A)?);
    Ok(relay.done().await?)
}
