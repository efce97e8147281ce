//! What the tests of the admin endpoint share: a relay in memory, and requests as raw bytes.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::time::Duration;

use couplet_admin::{Access, Admin, Relay, Server, Step};
use couplet_connector::{
    Connector, Handle, Side,
    endpoint::memory,
    layers::{ExpectToken, HandshakeLayer, Token},
};
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// How long an answer may take, in a test that would wait for ever where it should fail.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends these bytes, and reads to the end.
pub(crate) async fn send(server: &Server, request: &str) -> Answer {
    let (mut client, io) = tokio::io::duplex(1024 * 1024);
    let server = server.clone();
    let serving = tokio::spawn(async move { server.serve(io).await });
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, client.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "an answer to {request:?} does not end");
    let _ = serving.await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or(0),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// A request as a browser on this machine, or curl, would send it, with more headers.
pub(crate) async fn ask(server: &Server, line: &str, headers: &[&str]) -> Answer {
    let mut request = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for header in headers {
        request += header;
        request += "\r\n";
    }
    send(server, &(request + "\r\n")).await
}

pub(crate) async fn get(server: &Server, path: &str) -> Answer {
    ask(server, &format!("GET {path}"), &[]).await
}

/// A change, as `couplet ctl` asks for it.
pub(crate) async fn change(server: &Server, line: &str) -> Answer {
    ask(
        server,
        line,
        &["Couplet-Admin: 1", "Content-Type: application/json"],
    )
    .await
}

/// A relay whose clients need the token `secret`.
pub(crate) struct Rig {
    pub(crate) clients: memory::Dial,
    pub(crate) servers: memory::Listen,
    pub(crate) relay: Handle,
    pub(crate) admin: Admin,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let (clients, listen) = memory::endpoint();
        let (dial, servers) = memory::endpoint();
        let relay = Connector::listen_dial(listen, dial)
            .layer_a(HandshakeLayer::new(ExpectToken::new(
                Token::new("secret").unwrap(),
            )))
            .start();
        let admin = Admin::new();
        let shown = Relay::new("ssh", &relay)
            .side(Side::A, "listen:9000", [Step::new("token", "timeout 10s")])
            .side(Side::B, "dial:localhost:22", []);
        admin.add(shown);
        Self {
            clients,
            servers,
            relay,
            admin,
        }
    }

    pub(crate) fn server(&self, access: Access) -> Server {
        Server::new(&self.admin, access)
    }

    /// A client and a server that are joined, and have said `hello` and `hi`.
    pub(crate) async fn pair(&mut self) -> [memory::MemoryStream; 2] {
        let mut client = self.clients.connect().await.unwrap();
        client.write_all(b"secret\nhello").await.unwrap();
        let mut server = self.servers.next().await.unwrap().unwrap().io;
        server.read_exact(&mut [0; 5]).await.unwrap();
        server.write_all(b"hi").await.unwrap();
        client.read_exact(&mut [0; 2]).await.unwrap();
        [client, server]
    }

    /// A client that is refused.
    pub(crate) async fn refused(&self) {
        let mut client = self.clients.connect().await.unwrap();
        client.write_all(b"guess\n").await.unwrap();
        client.read(&mut [0]).await.unwrap_err();
    }
}

/// Waits until it holds.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap();
}
