//! WebSocket: the requests of clients, the answers of servers, and the frames behind a request that is all
//! right.

use couplet_protocols::{WsAccept, WsConnect, ws::WsOrigins};

use crate::stranger::{Outcome, Stranger};

/// A request for what is there.
const REQUEST: &str = "GET /relay HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// Both ends of the handshake; and a client's frames, with an end of their own and without.
pub fn ws(data: &[u8]) {
    let Some(stranger) = Stranger::new(data) else {
        return;
    };
    let path = || "/relay".parse().expect("a path");
    let accept = WsAccept::new(path()).origins(WsOrigins::Any).ping(None);
    stranger.meets(&accept, |_| {});
    // The answer to a key at random can't be foreseen.
    let connect = WsConnect::new(path()).ping(None);
    let passed = matches!(stranger.meets(&connect, |_| {}), Outcome::Passed(_));
    assert!(!passed, "a server passed that does not know the key");
    for protocol in ["", "Sec-WebSocket-Protocol: couplet.1\r\n"] {
        let head = format!("{REQUEST}{protocol}\r\n");
        let bytes = [head.as_bytes(), stranger.bytes].concat();
        let speaks = Stranger {
            bytes: &bytes,
            ..stranger
        };
        match speaks.meets(&accept, |_| {}) {
            Outcome::Passed(left) => assert!(left.len() <= stranger.bytes.len()),
            other => panic!("a request that is all right is not accepted: {other:?}"),
        }
    }
}
