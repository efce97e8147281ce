//! Two couplets, and what lies between them.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
};

use couplet_tests::{
    Couplet, Process, finish,
    net::{accept, connect, dial, expect_closed, free_port, listen, listens},
    pattern, program,
};
use tempfile::TempDir;

use super::{answer, ends_are_exact, request};

/// Two ends, and a server behind the far one.
struct Tunnel {
    near: Couplet,
    far: Couplet,
    server: TcpListener,
}

impl Tunnel {
    /// `between`: what is put between them, as the near one dials it.
    fn new(listens: &str, dials: &str, between: impl FnOnce(SocketAddr) -> u16) -> Self {
        let server = listen();
        let far = Couplet::start(&[&format!("listen:0{listens}"), &dial(&server)]);
        let port = between(far.address('A'));
        let near = Couplet::start(&["listen:0", &format!("dial:127.0.0.1:{port}{dials}")]);
        Self { near, far, server }
    }

    fn direct(listens: &str, dials: &str) -> Self {
        Self::new(listens, dials, |address| address.port())
    }

    fn pair(&self) -> (TcpStream, TcpStream) {
        let client = connect(self.near.address('A'));
        (client, accept(&self.server))
    }
}

#[test]
fn ends_and_resets_are_exact_between_two_couplets() {
    let tunnel = Tunnel::direct(",ws=/relay", ",ws=/relay");
    ends_are_exact(|| tunnel.pair());
}

#[test]
fn a_secret_behind_it_and_compression() {
    let scratch = tempfile::tempdir().unwrap();
    let secret = scratch.path().join("secret").display().to_string();
    Couplet::run(&["keygen", &secret, "--kind=secret"]).ok();
    let more = format!(",ws=/relay,noise=psk:@{secret},token=@{secret},compress=zstd");
    let tunnel = Tunnel::direct(&more, &more);
    ends_are_exact(|| tunnel.pair());
}

#[test]
fn a_reader_that_stops_stops_its_sender() {
    let tunnel = Tunnel::direct(",ws=/relay", ",ws=/relay");
    for client_reads in [true, false] {
        let (client, server) = tunnel.pair();
        let (reader, writer) = match client_reads {
            true => (client, server),
            false => (server, client),
        };
        couplet_tests::net::flood(&writer);
        drop(writer);
        drop(reader);
    }
}

#[test]
fn what_is_asked_for_wrongly_is_refused_and_counted() {
    let scratch = tempfile::tempdir().unwrap();
    let socket = scratch.path().join("admin.sock");
    let server = listen();
    let couplet = Couplet::start(&[
        "listen:0,ws=/relay,ws.host=localhost,ws.origin=https://example.org",
        &dial(&server),
        &format!("--admin=unix:{}", socket.display()),
    ]);
    let address = couplet.address('A');
    let origin = |site: &str| request("/relay", &format!("Origin: {site}\r\n"));
    for (request, status) in [
        (request("/other", ""), "404"),
        (origin("https://evil.test"), "403"),
        (
            request("/relay", "").replace("localhost", "evil.test"),
            "421",
        ),
        (request("/relay", "").replace("GET", "PUT"), "405"),
        (request("/relay", "").replace("websocket", "h2c"), "426"),
        (
            request("/relay", &format!("X: {}\r\n", "x".repeat(9000))),
            "431",
        ),
        ("SSH-2.0-x\r\n\r\n".to_owned(), "400"),
        (request("/relay", ""), "101"),
        (origin("https://example.org"), "101"),
    ] {
        let answer = answer(address, &request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answer}"
        );
    }
    couplet_tests::until("the refusals are counted", || {
        let mut curl = program("curl");
        curl.args(["-sS", "http://localhost/metrics", "--unix-socket"]);
        let metrics = finish("curl", curl.arg(&socket)).log;
        let counted = |line: &str| {
            line.contains("refused") && line.contains("\"ws\"") && line.ends_with(" 7")
        };
        metrics.lines().any(counted).then_some(())
    });
}

#[test]
fn a_server_without_a_websocket_is_told_of() {
    let server = listen();
    let side = format!("{},ws=/relay", dial(&server));
    let couplet = Couplet::start(&["listen:0", &side]);
    let client = connect(couplet.address('A'));
    let mut asked = accept(&server);
    asked.read_exact(&mut [0; 20]).unwrap();
    asked
        .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    expect_closed(&client);
    couplet.find("the server's answer", |line| {
        line.contains("403 Forbidden").then_some(())
    });
}

#[test]
fn explain_says_what_is_copied_and_that_clients_are_sent_to_by_splice() {
    let said = Couplet::run(&["explain", "listen:1,ws=/relay", "dial:h:1"]).ok();
    for word in [
        "ws",
        "path /relay (side)",
        "ping 30s (default)",
        "origin none (default)",
    ] {
        assert!(said.log.contains(word), "{word}: {}", said.log);
    }
    for way in [
        "A to B: by copy, because of ws",
        "B to A: by splice where much moves",
    ] {
        assert!(said.log.contains(way), "{}", said.log);
    }
    let said = Couplet::run(&["explain", "listen:1", "dial:h:1,ws=/relay"]).ok();
    for way in [
        "A to B: by copy, because of ws",
        "B to A: by copy, because of ws",
    ] {
        assert!(said.log.contains(way), "{}", said.log);
    }
}

#[test]
fn mistakes_have_a_remedy() {
    for (side, said) in [
        ("listen:1,ws=relay", "`ws=/relay`"),
        ("listen:1,ws=/a b", "not a path"),
        (
            "listen:1,ws=/a,ws.origin=example.org",
            "`https://example.org`",
        ),
        (
            "listen:1,ws=/a,ws.origin=https://example.org/path",
            "not a site",
        ),
        ("listen:1,ws=/a,ws.host=", "ws.host"),
        ("listen:1,ws=/a,ws.ping=30", "a time needs a unit"),
    ] {
        Couplet::run(&[side, "dial:h:1"]).with(2).said(said);
    }
    Couplet::run(&["listen:1", "dial:h:1,ws=/a,ws.origin=any"])
        .with(2)
        .said("for a listening side");
}

// ===== what lies between =====

/// A reverse proxy for HTTP.
struct Proxy {
    _process: Process,
    _scratch: TempDir,
}

impl Proxy {
    fn start(name: &str, port: u16, config: impl FnOnce(&Path) -> String) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("config");
        fs::write(&file, config(scratch.path())).unwrap();
        let mut command = program(name);
        match name {
            "haproxy" => command.args(["-db", "-f"]).arg(&file),
            _ => {
                command.args(["-e", "stderr", "-p"]).arg(scratch.path());
                command.arg("-c").arg(&file)
            }
        };
        let process = Process::spawn(name, &mut command);
        listens(port);
        Self {
            _process: process,
            _scratch: scratch,
        }
    }
}

/// The `location` of docs/recipes.md.
fn nginx(port: u16, far: SocketAddr) -> Proxy {
    let page = format!("{}/../docs/recipes.md", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(page).unwrap();
    let (_, location) = page.split_once("```nginx\n").unwrap();
    let (location, _) = location.split_once("```").unwrap();
    let location = location.replace("127.0.0.1:9000", &far.to_string());
    Proxy::start("nginx", port, |scratch| {
        let folder = scratch.display();
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {folder}/{name};"));
        format!(
            "daemon off; master_process off; pid {folder}/pid; error_log stderr info;\n\
             events {{}}\nhttp {{ access_log off; {} server {{ listen 127.0.0.1:{port};\n{location}}} }}\n",
            temp.concat()
        )
    })
}

fn haproxy(port: u16, far: SocketAddr) -> Proxy {
    Proxy::start("haproxy", port, |_| {
        format!(
            "defaults\n  mode http\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n\
             listen it\n  bind 127.0.0.1:{port}\n  server it {far}\n"
        )
    })
}

#[test]
fn nginx_between_changes_no_end() {
    let mut proxy = None;
    let tunnel = Tunnel::new(",ws=/relay", ",ws=/relay", |far| {
        let port = free_port();
        proxy = Some(nginx(port, far));
        port
    });
    ends_are_exact(|| tunnel.pair());
    assert!(tunnel.far.events("joined", 4).len() >= 4);
}

#[test]
fn haproxy_between_changes_no_end() {
    let mut proxy = None;
    let tunnel = Tunnel::new(",ws=/relay", ",ws=/relay", |far| {
        let port = free_port();
        proxy = Some(haproxy(port, far));
        port
    });
    ends_are_exact(|| tunnel.pair());
}

#[test]
fn a_path_that_the_proxy_does_not_pass_on_is_told_of() {
    let mut proxy = None;
    let tunnel = Tunnel::new(",ws=/relay", ",ws=/elsewhere", |far| {
        let port = free_port();
        proxy = Some(nginx(port, far));
        port
    });
    expect_closed(&connect(tunnel.near.address('A')));
    tunnel.near.find("nginx's answer", |line| {
        line.contains("404 Not Found").then_some(())
    });
}

/// A megabyte each way at once.
#[test]
fn both_ways_at_once_through_a_proxy() {
    let mut proxy = None;
    let tunnel = Tunnel::new(",ws=/relay", ",ws=/relay", |far| {
        let port = free_port();
        proxy = Some(haproxy(port, far));
        port
    });
    let (client, server) = tunnel.pair();
    std::thread::scope(|scope| {
        scope.spawn(|| pattern::send(&client, 1, 3_000_000));
        scope.spawn(|| pattern::send(&server, 2, 3_000_000));
        scope.spawn(|| pattern::expect(&server, 1, 3_000_000));
        pattern::expect(&client, 2, 3_000_000);
    });
}
