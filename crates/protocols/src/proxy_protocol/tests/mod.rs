//! The PROXY protocol over connections in memory.

mod anything;
mod expect;
mod health;
mod send;
mod stacks;
mod trust;

use std::{convert::Infallible, net::SocketAddr, task::Poll, time::Duration};

use couplet_endpoint::{
    BoxError, Conn, Info, Origin, Replay, Side, find_cause,
    memory::{self, MemoryStream},
};
use couplet_layers::{DialledFor, Handshake, HandshakeError, HandshakeLayer};
use couplet_pairing::Pair;
use proptest::{collection::vec, prelude::*};
use tokio::io::AsyncWriteExt;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::*;
use crate::testing::{chain, conn, read_all};

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 51234 443\r\n";
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

type Shaken = Result<Conn<Replay<MemoryStream>>, ProxyHeaderRefused>;

// ===== helpers =====

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn required() -> ExpectProxyHeader {
    ExpectProxyHeader::required("10.0.0.0/8".parse().unwrap())
}

fn accepted() -> ExpectProxyHeader {
    ExpectProxyHeader::accepted("10.0.0.0/8".parse().unwrap())
}

/// A connection from there.
fn from<I>(io: I, peer: &str) -> Conn<I> {
    let mut conn = conn(io);
    conn.info.peer = Some(addr(peer));
    conn.info.local = Some(addr("10.0.0.2:9000"));
    conn
}

/// A version 2 header with these additions, as they are.
fn v2(command: u8, family: u8, rest: &[&[u8]]) -> Vec<u8> {
    let rest = rest.concat();
    let len = u16::try_from(rest.len()).unwrap();
    [V2_START, &[command, family], &len.to_be_bytes(), &rest].concat()
}

const TCP4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 7, 0xc8, 0x22, 0x01, 0xbb];

/// What comes of a connection from a trusted proxy that sends these pieces and ends.
async fn expect(expect: ExpectProxyHeader, pieces: &[&[u8]]) -> Shaken {
    let (mut peer, io) = memory::connection(32 * 1024);
    let mut shaking = task::spawn(expect.handshake(from(io, "10.0.0.1:40000")));
    let mut shaken = None;
    for piece in pieces {
        // A refused client hears no more.
        if !matches!(shaken, Some(Err(_))) {
            peer.write_all(piece).await.unwrap();
        }
        if shaken.is_none()
            && let Poll::Ready(done) = shaking.poll()
        {
            shaken = Some(done);
        }
    }
    drop(peer);
    match shaken {
        Some(shaken) => shaken,
        None => shaking.await,
    }
}

async fn rest(conn: Conn<Replay<MemoryStream>>) -> Vec<u8> {
    let mut conn = conn;
    let (rest, end) = read_all(&mut conn.io).await;
    end.unwrap();
    rest
}

async fn refused(header: &[u8]) -> ProxyHeaderRefused {
    let refused = expect(required(), &[header]).await.unwrap_err();
    // What has begun as a header is none of the stream's bytes, even where none is required.
    let also = expect(accepted(), &[header]).await.unwrap_err();
    assert_eq!(refused.to_string(), also.to_string());
    refused
}

/// A connection that was dialled for a client of these addresses.
fn dialled_for<I>(io: I, client: &Info) -> Conn<I> {
    let mut conn = Conn::new(io, Origin::Dialled);
    conn.info.extensions.insert(DialledFor(client.clone()));
    conn
}

fn client(peer: &str, local: &str) -> Info {
    let mut info = Info::new(Origin::Accepted);
    info.peer = Some(addr(peer));
    info.local = Some(addr(local));
    info
}

async fn sent(send: SendProxyHeader, client: &Info) -> Vec<u8> {
    let (mut peer, io) = memory::connection(32 * 1024);
    let mut conn = send.handshake(dialled_for(io, client)).await.unwrap();
    conn.io.write_all(b"rest").await.unwrap();
    drop(conn);
    let (heard, _) = read_all(&mut peer).await;
    heard.strip_suffix(b"rest").unwrap().to_vec()
}
