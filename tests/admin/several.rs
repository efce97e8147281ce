//! Two relays and a rendezvous in one process, with all that the page shows of each.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
};

use couplet_tests::{
    Couplet, Finished, Process, need,
    net::{accept, connect, free_port, listen, listens},
};

/// The file, running.
pub(crate) struct Several {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) couplet: Couplet,
    pub(crate) server: TcpListener,
}

// ===== impl Several =====

impl Several {
    pub(crate) fn new() -> Self {
        let (folder, server) = (tempfile::tempdir().unwrap(), listen());
        let file = folder.path().join("couplet.toml");
        fs::write(&file, Self::text(&server, 10)).unwrap();
        let couplet = Couplet::start_text(&["run", file.to_str().unwrap()]);
        couplet.events("all relays run", 1);
        Self {
            folder,
            couplet,
            server,
        }
    }

    fn text(server: &TcpListener, megabytes: usize) -> String {
        let target = server.local_addr().unwrap();
        format!(
            "admin = ['unix:admin.sock', '127.0.0.1:0']\nlog-format = 'json'\n\
             [relay.db]\na = ['listen:127.0.0.1:0', 'max-per-addr=2', 'deny=203.0.113.0/24']\n\
             b = 'dial:{target}'\nbandwidth = '{megabytes}MiB/s'\nfault = ['latency:1ms']\n\
             [relay.web]\na = 'listen:127.0.0.1:0'\nb = 'dial:{target}'\nidle-timeout = '1h'\n\
             [rendezvous.meet]\na = ['listen:127.0.0.1:0', 'attempts=100/1m']\n"
        )
    }

    /// Reads this file from now on, if it can.
    pub(crate) fn reload(&self, text: &str) -> Finished {
        fs::write(self.folder.path().join("couplet.toml"), text).unwrap();
        self.ctl(&["reload"])
    }

    /// A file that is another one each time.
    pub(crate) fn changed(&self, megabytes: usize) -> String {
        Self::text(&self.server, megabytes)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    pub(crate) fn admin(&self) -> String {
        format!("--admin=unix:{}", self.socket().display())
    }

    pub(crate) fn ctl(&self, args: &[&str]) -> Finished {
        Couplet::run(&[&["ctl"], args, &[&self.admin()]].concat())
    }

    /// Where requests may look.
    pub(crate) fn looking(&self) -> SocketAddr {
        let event = &self.couplet.events("admin endpoint", 2)[1];
        event["address"].as_str().unwrap().parse().unwrap()
    }

    /// The Unix socket on a port, as `ssh -L` would have it: there everything is allowed.
    pub(crate) fn forwarded(&self) -> (Process, String) {
        forwarded(&self.socket())
    }

    /// Where the relay of this name listens.
    pub(crate) fn address(&self, relay: &str) -> SocketAddr {
        let running = self.couplet.events("running", 3);
        let event = running.iter().find(|event| event["relay"] == relay);
        event.unwrap()["a"].as_str().unwrap().parse().unwrap()
    }

    /// A client of this relay, and its server.
    pub(crate) fn pair(&self, relay: &str) -> (TcpStream, TcpStream) {
        let mut client = connect(self.address(relay));
        let mut server = accept(&self.server);
        client.write_all(b"hello").unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
        (client, server)
    }

    /// A client that waits in the rendezvous for one with this key.
    pub(crate) fn waiting(&self, key: u8) -> TcpStream {
        let mut client = connect(self.address("meet"));
        let key = format!("{key:02x}").repeat(16);
        client
            .write_all(format!("couplet/1 {key}\n").as_bytes())
            .unwrap();
        client
    }
}

pub(crate) fn forwarded(socket: &std::path::Path) -> (Process, String) {
    let port = free_port();
    let mut socat = Command::new(need("socat"));
    socat
        .arg(format!("TCP-LISTEN:{port},fork,bind=127.0.0.1,reuseaddr"))
        .arg(format!("UNIX-CONNECT:{}", socket.display()));
    let socat = Process::spawn("socat", &mut socat);
    listens(port);
    (socat, format!("http://localhost:{port}/"))
}
