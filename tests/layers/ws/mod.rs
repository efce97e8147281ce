//! `ws`: two couplets, with nginx and HAProxy between them, and the libraries of Python and Node.

mod couplets;
mod peers;

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

use couplet_tests::net::{connect, expect_end, expect_reset, reset};

/// A request for a WebSocket at this path, with more fields.
fn request(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    )
}

/// What is answered to a request.
fn answer(address: SocketAddr, request: &str) -> String {
    let mut client = connect(address);
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = vec![0; 4096];
    let n = client.read(&mut answer).unwrap();
    String::from_utf8(answer[..n].to_vec()).unwrap()
}

/// A half-close each way, and what comes after it; then a reset each way.
pub(crate) fn ends_are_exact(pair: impl Fn() -> (TcpStream, TcpStream)) {
    for client_first in [true, false] {
        let (client, server) = pair();
        let (first, second) = match client_first {
            true => (client, server),
            false => (server, client),
        };
        couplet_tests::pattern::send(&first, 1, 300_000);
        first.shutdown(Shutdown::Write).unwrap();
        couplet_tests::pattern::expect_all(&second, 1, 300_000);
        couplet_tests::pattern::send(&second, 2, 300_000);
        second.shutdown(Shutdown::Write).unwrap();
        couplet_tests::pattern::expect_all(&first, 2, 300_000);
        expect_end(&first);
    }
    for client_resets in [true, false] {
        let (client, server) = pair();
        let (one, other) = match client_resets {
            true => (client, server),
            false => (server, client),
        };
        (&one).write_all(b"half").unwrap();
        (&other).read_exact(&mut [0; 4]).unwrap();
        reset(one);
        expect_reset(&other);
    }
}
