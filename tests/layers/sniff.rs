//! `sniff` and `route`: one port for several protocols, with the programs that speak them.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    process::Command,
};

use couplet_tests::{
    Couplet, Process,
    net::{accept, connect, expect_closed, listen},
    pattern, program,
};
use tempfile::TempDir;

/// The command with routes, and where they lead.
struct Routed {
    couplet: Couplet,
    _scratch: TempDir,
    targets: Vec<TcpListener>,
}

// ===== impl Routed =====

impl Routed {
    /// A target for each of these patterns, and one more for all others.
    fn new(patterns: &[&str]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let targets: Vec<_> = (0..=patterns.len()).map(|_| listen()).collect();
        let address = |number: usize| targets[number].local_addr().unwrap();
        let mut routes = String::from("# where to\nunknown refuse\n");
        for (number, pattern) in patterns.iter().enumerate() {
            routes += &format!("{pattern} {}\n", address(number));
        }
        let file = scratch.path().join("routes");
        fs::write(&file, routes).unwrap();
        let side = format!("dial:{},route=@{}", address(patterns.len()), file.display());
        let couplet = Couplet::start(&["listen:0,sniff=500ms", &side, "-v"]);
        Self {
            couplet,
            _scratch: scratch,
            targets,
        }
    }

    fn address(&self) -> String {
        self.couplet.address('A').to_string()
    }

    /// The first bytes of the program that is run.
    #[track_caller]
    fn comes_to(&self, target: usize, client: &mut Command, first: &[u8]) {
        let _client = Process::spawn("the client", client);
        let served = accept(&self.targets[target]);
        let mut heard = vec![0; first.len()];
        (&served).read_exact(&mut heard).unwrap();
        assert_eq!(heard, first, "{client:?}");
    }
}

fn s_client(at: &str, args: &[&str]) -> Command {
    let mut openssl = program("openssl");
    openssl.args(["s_client", "-connect", at]).args(args);
    openssl
}

#[test]
fn every_client_reaches_the_server_of_its_protocol() {
    let routed = Routed::new(&[
        "tls:a.example",
        "tls:*.b.example",
        "tls",
        "ssh",
        "http:127.0.0.1",
        "http:c.example",
    ]);
    let at = &routed.address();
    let tls = b"\x16\x03\x01";
    let named = |name| s_client(at, &["-servername", name]);
    routed.comes_to(0, &mut named("A.Example"), tls);
    routed.comes_to(1, &mut named("www.b.example"), tls);
    routed.comes_to(2, &mut named("c.example"), tls);
    routed.comes_to(2, &mut s_client(at, &["-noservername"]), tls);
    // A server name that is no host name is TLS all the same.
    for name in ["a.example:443", "r3---sn-.a.example", "bücher.example"] {
        routed.comes_to(2, &mut named(name), tls);
    }
    let alpn = [
        "-servername",
        "a.example",
        "-alpn",
        "h2,http/1.1",
        "-tls1_2",
    ];
    routed.comes_to(0, &mut s_client(at, &alpn), tls);
    // A hello in several records, of 512 bytes at most.
    let many: Vec<_> = (0..40)
        .map(|number| format!("protocol-number-{number}"))
        .collect();
    let alpn = many.join(",");
    let split = [
        "-servername",
        "a.example",
        "-max_send_frag",
        "512",
        "-alpn",
        &alpn,
    ];
    routed.comes_to(0, &mut s_client(at, &split), b"\x16\x03\x01\x02\0");

    let mut curl = program("curl");
    routed.comes_to(
        4,
        curl.args(["-s", "-m60", &format!("http://{at}/")]),
        b"GET / ",
    );
    let mut curl = program("curl");
    curl.args(["-s", "-m60", "-H", "Host: C.example:81"]);
    routed.comes_to(5, curl.arg(format!("http://{at}/x")), b"GET /x ");
    let mut curl = program("curl");
    curl.args(["-s", "-m60", "--http2-prior-knowledge"]);
    routed.comes_to(6, curl.arg(format!("http://{at}/")), b"PRI * ");

    let mut ssh = program("ssh");
    let port = routed.couplet.address('A').port().to_string();
    ssh.args([
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-p",
        &port,
        "127.0.0.1",
        "true",
    ]);
    routed.comes_to(3, &mut ssh, b"SSH-2.0-");
}

#[test]
fn a_silent_client_reaches_a_server_that_speaks_first() {
    let routed = Routed::new(&["silent"]);
    let client = connect(routed.couplet.address('A'));
    let served = accept(&routed.targets[0]);
    pattern::send(&served, 1, 1000);
    pattern::expect(&client, 1, 1000);
    pattern::send(&client, 2, 1_000_000);
    pattern::expect(&served, 2, 1_000_000);
}

#[test]
fn a_client_refused_by_a_route_is_closed_and_logged() {
    let routed = Routed::new(&["ssh"]);
    let client = connect(routed.couplet.address('A'));
    (&client).write_all(b"\x1b[2J no such protocol\n").unwrap();
    expect_closed(&client);
    routed.couplet.find("it is refused", |line| {
        line.contains("the routes refuse `unknown`").then_some(())
    });
}

#[test]
fn contradicting_sniff_options_are_a_mistake() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("routes");
    fs::write(&file, "ssh h:22\ntsl:a.example h:443\n").unwrap();
    let route = format!("dial:h:2,route=@{}", file.display());
    Couplet::run(&["listen:1,sniff", &route])
        .with(2)
        .said("line 2, column 1: `tsl:a.example` is not a pattern");
    fs::write(&file, "ssh h:22\n").unwrap();
    Couplet::run(&["listen:1", &route])
        .with(2)
        .said("the other side needs `sniff`");
    Couplet::run(&[&route, "dial:h:3"])
        .with(2)
        .said("`route` has no client to choose by");
    Couplet::run(&["listen:1", "dial:h:2,sniff"])
        .with(2)
        .said("detects the protocol of the peer that speaks first");
    Couplet::run(&["listen:1,sniff=20s", "dial:h:2"])
        .with(2)
        .said("a longer --handshake-timeout");
    Couplet::run(&["listen:1,sniff", "dial:h:2,route=routes"])
        .with(2)
        .said("`route=@routes`");
    Couplet::run(&["listen:1,route=@x", "dial:h:2"])
        .with(2)
        .said("dialled side");
    Couplet::run(&["explain", "listen:1,sniff=1s", &route])
        .ok()
        .said("wait 1s (side)")
        .said("route ");
}
