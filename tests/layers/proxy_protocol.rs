//! `proxy-protocol`, with HAProxy and nginx before and behind.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
};

use couplet_tests::{
    Couplet, Process,
    net::{
        accept, connect, connect_in_vain, dial, expect_closed, expect_end, free_port, listen,
        listens,
    },
    pattern, program,
};
use serde_json::Value;
use tempfile::TempDir;

/// Where Debian puts the module.
const STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

const TRUSTED: &str = "proxy-protocol.from=127.0.0.0/8";

/// A proxy with this configuration, which listens on this port.
struct Proxy {
    _process: Process,
    _scratch: TempDir,
    port: u16,
}

// ===== impl Proxy =====

impl Proxy {
    /// HAProxy: what its frontend binds has these options, and so has the server behind it.
    fn haproxy(bind: &str, server: SocketAddr, options: &str) -> Self {
        Self::start("haproxy", |port, _| {
            format!(
                "defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 60s\n  \
                 timeout server 60s\nlisten it\n  bind 127.0.0.1:{port} {bind}\n  \
                 server it {server} {options}\n"
            )
        })
    }

    /// nginx: with these directives in the server that listens.
    fn nginx(listen: &str, directives: &str) -> Self {
        Self::start("nginx", |port, scratch| {
            let folder = scratch.display();
            format!(
                "load_module {STREAM};\n\
                 daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr info;\n\
                 events {{}}\nstream {{ server {{ listen 127.0.0.1:{port} {listen};\n{directives}\n}} }}\n"
            )
        })
    }

    fn start(name: &str, config: impl FnOnce(u16, &Path) -> String) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let port = free_port();
        let file = scratch.path().join("config");
        fs::write(&file, config(port, scratch.path())).unwrap();
        let mut command = program(name);
        match name {
            "haproxy" => command.args(["-db", "-f"]).arg(&file),
            _ => {
                assert!(
                    Path::new(STREAM).exists(),
                    "nginx has no streams: install the Debian package `libnginx-mod-stream`"
                );
                command.args(["-e", "stderr", "-p"]).arg(scratch.path());
                command.arg("-c").arg(&file)
            }
        };
        let process = Process::spawn(name, &mut command);
        listens(port);
        Self {
            _process: process,
            _scratch: scratch,
            port,
        }
    }

    fn connect(&self) -> TcpStream {
        connect(([127, 0, 0, 1], self.port).into())
    }
}

// ===== helpers =====

fn address(stream: &TcpStream) -> String {
    stream.local_addr().unwrap().to_string()
}

/// The clients of side A, as the command sees them.
fn peers(couplet: &Couplet, pairs: usize) -> Vec<String> {
    let joined = couplet.events("joined", pairs);
    let peer = |event: &Value| event["a"].as_str().unwrap().to_owned();
    joined.iter().map(peer).collect()
}

/// Bytes go through both ways, and so does the end of stream.
#[track_caller]
fn goes_through(client: TcpStream, server: &TcpListener) {
    let served = accept(server);
    pattern::send(&client, 1, 100_000);
    pattern::expect(&served, 1, 100_000);
    pattern::send(&served, 2, 100_000);
    pattern::expect(&client, 2, 100_000);
    drop(client);
    expect_end(&served);
}

// ===== a proxy before us =====

#[test]
fn behind_haproxy_the_peer_is_the_client() {
    for send in ["send-proxy", "send-proxy-v2"] {
        for mode in ["require", "accept"] {
            let target = listen();
            let side = format!("listen:0,proxy-protocol={mode},{TRUSTED}");
            let couplet = Couplet::start(&[&side, &dial(&target)]);
            let haproxy = Proxy::haproxy("", couplet.address('A'), send);
            let client = haproxy.connect();
            let name = address(&client);
            goes_through(client, &target);
            assert_eq!(peers(&couplet, 1), [name], "{send}, {mode}");
        }
    }
}

#[test]
fn behind_nginx_the_peer_is_the_client() {
    let target = listen();
    let side = format!("listen:0,proxy-protocol=require,{TRUSTED}");
    let couplet = Couplet::start(&[&side, &dial(&target)]);
    let directives = format!("proxy_pass {};\nproxy_protocol on;", couplet.address('A'));
    let nginx = Proxy::nginx("", &directives);
    let client = nginx.connect();
    let name = address(&client);
    goes_through(client, &target);
    assert_eq!(peers(&couplet, 1), [name]);
}

/// nginx as it writes an IPv6 client to us from an IPv4 address.
#[test]
fn behind_nginx_with_realip_the_families_may_differ() {
    let target = listen();
    let side = format!("listen:0,proxy-protocol=require,{TRUSTED}");
    let couplet = Couplet::start(&[&side, &dial(&target)]);
    let directives = format!(
        "set_real_ip_from 127.0.0.1;\nproxy_pass {};\nproxy_protocol on;",
        couplet.address('A')
    );
    let nginx = Proxy::nginx("proxy_protocol", &directives);
    let client = nginx.connect();
    let header = b"PROXY TCP6 2001:db8::7 2001:db8::1 7777 443\r\n";
    (&client).write_all(header).unwrap();
    goes_through(client, &target);
    assert_eq!(peers(&couplet, 1), ["[2001:db8::7]:7777"]);
}

#[test]
fn an_error_names_the_bad_field_of_a_header() {
    let side = format!("listen:0,proxy-protocol=require,{TRUSTED}");
    let couplet = Couplet::start(&[&side, &dial(&listen())]);
    let client = connect(couplet.address('A'));
    (&client)
        .write_all(b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n")
        .unwrap();
    expect_closed(&client);
    couplet.find("the field is named", |line| {
        line.contains("source address").then_some(())
    });
}

/// HAProxy connects and resets the connection, again and again.
#[test]
fn a_health_check_is_not_passed_on() {
    let target = listen();
    let side = format!("listen:0,proxy-protocol=require,{TRUSTED}");
    let couplet = Couplet::start(&[&side, &dial(&target), "-v"]);
    let haproxy = Proxy::haproxy(
        "",
        couplet.address('A'),
        "check inter 100ms send-proxy-v2 check-send-proxy",
    );
    couplet.find("the check is logged as one", |line| {
        line.contains("health check").then_some(())
    });
    // The first connection that comes through is the client's.
    goes_through(haproxy.connect(), &target);
    assert_eq!(couplet.events("joined", 1).len(), 1);
}

#[test]
fn a_header_from_elsewhere_is_not_believed() {
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
    let target = listen();
    let from = "proxy-protocol.from=10.0.0.0/8";
    let require = format!("listen:0,proxy-protocol=require,{from}");
    let couplet = Couplet::start(&[&require, &dial(&target)]);
    connect_in_vain(couplet.address('A'));

    let accept_it = format!("listen:0,proxy-protocol=accept,{from}");
    let couplet = Couplet::start(&[&accept_it, &dial(&target)]);
    let client = connect(couplet.address('A'));
    (&client).write_all(header).unwrap();
    let mut heard = [0; 36];
    accept(&target).read_exact(&mut heard).unwrap();
    assert_eq!(&heard[..], header);
    assert_eq!(peers(&couplet, 1), [address(&client)]);
}

#[test]
fn where_the_server_speaks_first_accept_goes_on() {
    let target = listen();
    let side = format!("listen:0,proxy-protocol=accept,{TRUSTED},proxy-protocol.wait=200ms");
    let couplet = Couplet::start(&[&side, &dial(&target)]);
    let client = connect(couplet.address('A'));
    let served = accept(&target);
    pattern::send(&served, 1, 100);
    pattern::expect(&client, 1, 100);
}

// ===== a server behind us =====

#[test]
fn haproxy_gets_the_address_of_the_client() {
    for version in ["v1", "v2"] {
        let target = listen();
        // What it has understood it says again.
        let haproxy = Proxy::haproxy("accept-proxy", target.local_addr().unwrap(), "send-proxy");
        let side = format!("dial:127.0.0.1:{},proxy-protocol={version}", haproxy.port);
        let couplet = Couplet::start(&["listen:0", &side]);
        let client = connect(couplet.address('A'));
        let line = header(&client, couplet.address('A'));
        let served = accept(&target);
        let mut heard = vec![0; line.len()];
        (&served).read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8(heard).unwrap(), line, "{version}");
        pattern::send(&client, 1, 100_000);
        pattern::expect(&served, 1, 100_000);
    }
}

#[test]
fn nginx_gets_the_address_of_the_client() {
    for version in ["v1", "v2"] {
        let nginx = Proxy::nginx(
            "proxy_protocol",
            r#"return "$proxy_protocol_addr:$proxy_protocol_port";"#,
        );
        let side = format!("dial:127.0.0.1:{},proxy-protocol={version}", nginx.port);
        let couplet = Couplet::start(&["listen:0", &side]);
        let mut client = connect(couplet.address('A'));
        let mut heard = String::new();
        client.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, address(&client), "{version}");
    }
}

/// Through two of us: the client's address and the name it asked for.
#[test]
fn the_tlvs_of_a_client_are_passed_on() {
    let target = listen();
    let second = Couplet::start(&[
        &format!("listen:0,proxy-protocol=require,{TRUSTED}"),
        &format!(
            "{},proxy-protocol=v2,proxy-protocol.add=authority+unique-id",
            dial(&target)
        ),
    ]);
    let first = Couplet::start(&[
        "listen:0,sniff",
        &format!(
            "{},proxy-protocol=v2,proxy-protocol.add=authority",
            second.dial('A')
        ),
    ]);
    let client = connect(first.address('A'));
    (&client)
        .write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
        .unwrap();
    let served = accept(&target);
    let mut heard = [0; 16 + 12 + 3 + 11];
    (&served).read_exact(&mut heard).unwrap();
    let SocketAddr::V4(us) = client.local_addr().unwrap() else {
        unreachable!("it is on 127.0.0.1");
    };
    assert_eq!(heard[16..20], us.ip().octets());
    assert_eq!(heard[24..26], us.port().to_be_bytes());
    assert_eq!(&heard[28..], b"\x02\0\x0bexample.org");
    assert_eq!(peers(&second, 1), [us.to_string()]);
}

fn header(client: &TcpStream, to: SocketAddr) -> String {
    let from = client.local_addr().unwrap();
    format!(
        "PROXY TCP4 {} {} {} {}\r\n",
        from.ip(),
        to.ip(),
        from.port(),
        to.port()
    )
}

#[test]
fn contradicting_proxy_options_are_a_mistake() {
    for (sides, right) in [
        (
            ["listen:1,proxy-protocol=require", "dial:h:2"],
            "proxy-protocol.from=10.0.0.0/8",
        ),
        (
            [
                "listen:1,proxy-protocol=v1,proxy-protocol.from=::1",
                "dial:h:2",
            ],
            "`require` or `accept`",
        ),
        (
            ["listen:1", "dial:h:2,proxy-protocol=accept"],
            "`v1` or `v2`",
        ),
        (
            [
                "listen:1",
                "dial:h:2,proxy-protocol=v1,proxy-protocol.from=::1",
            ],
            "listening side",
        ),
        (
            [
                "listen:1,proxy-protocol=require,proxy-protocol.from=10.0.0.7/8",
                "dial:h:2",
            ],
            "10.0.0.0/8",
        ),
        (
            [
                "listen:1,proxy-protocol=require,proxy-protocol.from=::1,proxy-protocol.wait=1s",
                "dial:h:2",
            ],
            "does nothing where a header is required",
        ),
        (
            ["dial:h:1,proxy-protocol=v1", "dial:h:2"],
            "no client to send the address of",
        ),
    ] {
        Couplet::run(&sides).with(2).said(right);
    }
    let once = ["dial:h:1,proxy-protocol=v1", "listen:2", "--once"];
    Couplet::run(&once)
        .with(2)
        .said("no client to send the address of");
    let explained = Couplet::run(&[
        "explain",
        "listen:1,proxy-protocol=accept,proxy-protocol.from=10.0.0.0/8+::1",
        "dial:h:2,proxy-protocol=v2",
    ]);
    explained
        .ok()
        .said("headers accept (side), from 10.0.0.0/8+::1 (side), wait 3s (default)")
        .said("send v2 (side), handshake-timeout 10s (default)");
    let add = |version: &str, add: &str| {
        format!("dial:h:2,proxy-protocol={version},proxy-protocol.add={add}")
    };
    let run = |side: &str| Couplet::run(&["listen:1", side]);
    run(&add("v1", "authority"))
        .with(2)
        .said("`proxy-protocol=v2`");
    run(&add("v2", "autority"))
        .with(2)
        .said("`autority` can't be added");
    Couplet::run(&["explain", "listen:1", &add("v2", "alpn")])
        .ok()
        .said("add alpn (side)");
}
