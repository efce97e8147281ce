//! The admin endpoint of the command: metrics with Prometheus' own tools, `couplet ctl`, and the page in a
//! real browser; and a page in it that speaks WebSocket.

#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod attacks;
mod browser;
mod capture;
mod ctl;
mod endpoint;
mod families;
mod page;
mod page_of_several;
mod privacy;
mod program;
mod prometheus;
mod ready;
mod several;
mod side;
mod top;
mod websocket;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};

use couplet_tests::{
    Certificate, Couplet,
    net::{accept, connect, dial, listen},
};

/// A relay of the command with an admin endpoint for all, and a server behind.
struct Rig {
    couplet: Couplet,
    server: TcpListener,
    folder: tempfile::TempDir,
}

impl Rig {
    /// With more options of side A, and more flags.
    fn new(options: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = listen();
        let admin = format!("--admin=unix:{}/admin.sock", folder.path().display());
        let a = format!("listen:127.0.0.1:0{options}");
        let b = dial(&server);
        let args = [&[a.as_str(), &b, &admin, "--admin=127.0.0.1:0"], flags].concat();
        let couplet = Couplet::start(&args);
        Self {
            couplet,
            server,
            folder,
        }
    }

    /// The same relay, of a file, and further ones that have what is counted.
    fn of_file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = listen();
        let text = format!(
            "admin = ['unix:admin.sock', '127.0.0.1:0']\nlog-format = 'json'\n\
             [relay.relay]\na = 'listen:127.0.0.1:0'\nb = '{}'\n\
             [relay.web]\na = ['listen:127.0.0.1:0', 'tls=both.pem', 'max-conns=1', 'max-conns.wait=1s']\nb = 'dial:127.0.0.1:1'\n\
             [relay.pool]\na = 'listen:127.0.0.1:0'\nb = 'dial:127.0.0.1:1,keep=1'\n",
            dial(&server)
        );
        let certificate = Certificate::new();
        std::fs::copy(certificate.file("both.pem"), folder.path().join("both.pem")).unwrap();
        let file = folder.path().join("couplet.toml");
        std::fs::write(&file, text).unwrap();
        let couplet = Couplet::start_text(&["run", file.to_str().unwrap()]);
        Self {
            couplet,
            server,
            folder,
        }
    }

    /// Where requests may look.
    fn address(&self) -> SocketAddr {
        let event = &self.couplet.events("admin endpoint", 2)[1];
        event["address"].as_str().unwrap().parse().unwrap()
    }

    /// The address of the Unix socket, as a flag has it.
    fn socket(&self) -> String {
        format!("unix:{}/admin.sock", self.folder.path().display())
    }

    /// A client and its server, joined.
    fn pair(&self) -> (TcpStream, TcpStream) {
        let mut client = connect(self.couplet.address('A'));
        let mut server = accept(&self.server);
        client.write_all(b"hello").unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
        (client, server)
    }

    fn ctl(&self, args: &[&str]) -> couplet_tests::Finished {
        let admin = format!("--admin={}", self.socket());
        Couplet::run(&[&["ctl"], args, &[&admin]].concat())
    }
}
