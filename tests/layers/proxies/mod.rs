//! `socks5`, `connect`, `dial:asked` and `via`: as a proxy, and through proxies, with peers that are
//! scripted byte for byte.

mod mistakes;
mod serve;
mod via;

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

use couplet_tests::{net::connect, pattern};
use tempfile::TempDir;

/// On loopback, of which a target may only be if it is listed.
const ASKED: &str = "dial:asked,allow=127.0.0.0/8+::1";

fn file(scratch: &TempDir, name: &str, text: &str) -> String {
    let path = scratch.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn send(mut to: &TcpStream, bytes: impl AsRef<[u8]>) {
    to.write_all(bytes.as_ref()).unwrap();
}

#[track_caller]
fn hears(mut from: &TcpStream, expected: impl AsRef<[u8]>) {
    let mut heard = vec![0; expected.as_ref().len()];
    from.read_exact(&mut heard).unwrap();
    assert_eq!(heard, expected.as_ref());
}

/// A request of SOCKS5 for a target that is sent as a name.
fn named(host: &str, port: u16) -> Vec<u8> {
    let len = u8::try_from(host.len()).unwrap();
    [&[5, 1, 0, 3, len], host.as_bytes(), &port.to_be_bytes()].concat()
}

const fn reply(code: u8) -> [u8; 10] {
    [5, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

/// A client that has asked a SOCKS5 proxy without authentication.
fn asks(proxy: SocketAddr, request: &[u8]) -> TcpStream {
    let client = connect(proxy);
    send(&client, [5, 1, 0]);
    hears(&client, [5, 0]);
    send(&client, request);
    client
}

/// Both ways, and the answer after the client's end.
fn half_closes(client: &TcpStream, server: &TcpStream) {
    pattern::send(client, 1, 100_000);
    client.shutdown(Shutdown::Write).unwrap();
    pattern::expect_all(server, 1, 100_000);
    pattern::send(server, 2, 300_000);
    server.shutdown(Shutdown::Write).unwrap();
    pattern::expect_all(client, 2, 300_000);
}
