//! What the tests share: two ends in memory, and bytes of a wire.

mod ends;
mod frames;
mod pings;
mod requests;
#[cfg(unix)]
mod splice;

use std::time::Duration;

use couplet_endpoint::{
    Conn, Io, Origin, Replay,
    memory::{self, MemoryStream},
};
use couplet_layers::Handshake;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::testing::read_all;

type End = WsIo<Replay<MemoryStream>>;

fn accept() -> WsAccept {
    WsAccept::new("/relay".parse().unwrap())
}

fn connect() -> WsConnect {
    WsConnect::new("/relay".parse().unwrap())
}

const REQUEST: &str = "GET /relay HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

fn request(fields: &str) -> String {
    REQUEST.replace("Host:", &format!("{fields}Host:"))
}

/// A server's end, whose client is a script.
async fn with_script(fields: &str, accept: WsAccept) -> (End, MemoryStream) {
    let (server, mut client) = memory::connection(1024 * 1024);
    client.write_all(request(fields).as_bytes()).await.unwrap();
    let server = accept.handshake(Conn::new(server, Origin::Accepted)).await;
    let answer = head(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    (server.unwrap().io, client)
}

/// Reads to the end of a head.
async fn head(io: &mut MemoryStream) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(io.read_u8().await.unwrap()));
    }
    head
}

/// A masked frame.
fn masked(first: u8, carried: &[u8]) -> Vec<u8> {
    let mask = [7, 0, 200, 31];
    let mut frame = vec![first];
    match carried.len() {
        len @ ..126 => frame.push(0x80 | len as u8),
        len @ ..65536 => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    let bytes = carried.iter().zip(mask.iter().cycle());
    frame.extend(bytes.map(|(byte, mask)| byte ^ mask));
    frame
}

const EXACTLY: &str = "Sec-WebSocket-Protocol: couplet.1\r\n";
