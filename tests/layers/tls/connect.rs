//! The command is the client.

use std::io::{Read, Write};

use couplet_tests::{
    Couplet, finish,
    net::{connect, expect_closed},
};

use rustix::process::Signal;

use super::*;

/// Python's own web server, behind TLS. It closes without a `close_notify`.
const PYTHON: &str = r"
import http.server, ssl, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'hello from python\n')
server = http.server.HTTPServer(('127.0.0.1', 0), Page)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = tls.wrap_socket(server.socket, server_side=True)
print('port', server.server_port, flush=True)
server.serve_forever()
";

/// `openssl s_server` that says each line backwards.
fn backwards(pki: &Pki, name: &str, more: &[&str]) -> (Process, u16) {
    let mut command = program("openssl");
    command
        .args(["s_server", "-accept", "127.0.0.1:0", "-rev"])
        .args(["-cert", &pki.certificate(name), "-key", &pki.key(name)])
        .args(more);
    let server = Process::spawn("s_server", &mut command);
    let port = server.find("it serves", accepts_at);
    (server, port)
}

fn accepts_at(line: &str) -> Option<u16> {
    line.strip_prefix("ACCEPT 127.0.0.1:")?.parse().ok()
}

fn says(couplet: &Couplet) -> String {
    let mut client = connect(couplet.address('A'));
    client.write_all(b"hello\n").unwrap();
    let mut heard = [0; 6];
    client.read_exact(&mut heard).unwrap();
    String::from_utf8(heard.to_vec()).unwrap()
}

/// A couplet that the server does not suit, or that does not suit the server: what it logs.
fn refused(side: &str, why: &str) {
    let couplet = Couplet::start(&["listen:0", side]);
    let client = connect(couplet.address('A'));
    couplet.find(why, |line| line.contains(why).then_some(()));
    expect_closed(&client);
}

fn pin(pki: &Pki, name: &str) -> String {
    // As it is documented.
    let mut shell = program("bash");
    let pipe = "openssl x509 -in $0 -pubkey -noout | openssl pkey -pubin -outform der | \
                openssl dgst -sha256 -binary | base64";
    let hash = finish(
        "openssl",
        shell.args(["-c", pipe, &pki.file(&format!("{name}.pem"))]),
    )
    .ok();
    format!("sha256//{}", hash.log)
}

#[test]
fn a_server_is_trusted_by_its_ca_or_its_key() {
    let pki = Pki::new();
    let (_server, port) = backwards(&pki, "localhost", &[]);
    let (ca, pin) = (pki.file("ca.pem"), pin(&pki, "localhost"));
    for tls in [
        format!("dial:localhost:{port},tls,tls.ca={ca}"),
        format!("dial:127.0.0.1:{port},tls=localhost,tls.ca={ca}"),
        format!("dial:127.0.0.1:{port},tls,tls.pin={pin}"),
        format!("dial:localhost:{port},tls,tls.ca={ca},tls.pin={pin}"),
    ] {
        let couplet = Couplet::start(&["listen:0", &tls]);
        assert_eq!(says(&couplet), "olleh\n", "{tls}");
    }
}

#[test]
fn an_untrusted_server_is_named_with_a_remedy() {
    let (pki, stranger) = (Pki::new(), Pki::new());
    let (_server, port) = backwards(&pki, "localhost", &[]);
    let (ca, other_ca) = (pki.file("ca.pem"), stranger.file("ca.pem"));
    refused(
        &format!("dial:localhost:{port},tls,tls.ca={other_ca}"),
        "certificate signed by an unknown CA: trust that CA or, for a server, pin the server's key",
    );
    // The system's, which know nothing of it.
    refused(
        &format!("dial:localhost:{port},tls"),
        "certificate signed by an unknown CA",
    );
    refused(
        &format!("dial:127.0.0.1:{port},tls,tls.ca={ca}"),
        "certificate for the wrong name: for localhost, not for",
    );
    let other = pin(&pki, "localhost").replace("sha256//", "");
    let wrong = format!("sha256//{}A=", "A".repeat(42));
    refused(
        &format!("dial:localhost:{port},tls,tls.pin={wrong}"),
        &format!("server key sha256//{other} is not pinned"),
    );
}

#[test]
fn the_client_certificate_is_shown_to_the_server() {
    let pki = Pki::new();
    let ca = pki.file("ca.pem");
    let (_server, port) = backwards(
        &pki,
        "localhost",
        &["-Verify", "1", "-CAfile", &ca, "-verify_return_error"],
    );
    let (certificate, key) = (pki.certificate("client.test"), pki.key("client.test"));
    let side = format!("dial:localhost:{port},tls,tls.ca={ca}");
    let shows = format!("{side},tls.cert={certificate},tls.key={key}");
    let couplet = Couplet::start(&["listen:0", &shows]);
    assert_eq!(says(&couplet), "olleh\n");
    refused(&side, "client certificate needed");
}

#[test]
fn alpn_is_negotiated() {
    let pki = Pki::new();
    let mut s_server = program("openssl");
    s_server
        .args(["s_server", "-accept", "127.0.0.1:0", "-alpn", "b,a"])
        .args(["-cert", &pki.certificate("localhost"), "-key"])
        .arg(pki.key("localhost"));
    // It ends when it has nothing more to say.
    let (server, _talk) = talking("s_server", &mut s_server);
    let port = server.find("it serves", accepts_at);
    let ca = pki.file("ca.pem");
    let side = format!("dial:localhost:{port},tls,tls.alpn=a+c,tls.ca={ca}");
    let couplet = Couplet::start(&["listen:0", &side]);
    let _client = connect(couplet.address('A'));
    server.find("the protocol", |line| {
        line.contains("ALPN protocols selected: a").then_some(())
    });
}

#[test]
fn curl_gets_a_page_from_python() {
    let pki = Pki::new();
    let certificate = pki.certificate("localhost");
    let path = script(&pki, "server.py", PYTHON);
    let mut python = program("python3");
    python.arg(path).args([certificate, pki.key("localhost")]);
    let server = Process::spawn("python3", &mut python);
    let port: u16 = server.find("it serves", |line| line.strip_prefix("port ")?.parse().ok());
    let side = format!("dial:localhost:{port},tls,tls.ca={}", pki.file("ca.pem"));
    let fetch = |side: &str| {
        let couplet = Couplet::start(&["listen:0", side]);
        let url = format!("http://{}/", couplet.address('A'));
        let mut curl = program("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "60",
        ]);
        let heard = finish("curl", curl.arg(url));
        (heard, couplet.ended(1))
    };
    let (heard, reason) = fetch(&format!("{side},tls.close-notify=optional"));
    assert_eq!(heard.ok().log, "hello from python");
    assert!(reason.contains("finished"), "{reason}");

    // The page has no length: so where it ends, an attacker may have cut it.
    let (heard, reason) = fetch(&side);
    assert_eq!(heard.status, 56, "{}", heard.log);
    assert!(reason.contains("failed"), "{reason}");
}

#[test]
fn trust_anchors_and_client_certificate_are_read_again_at_sighup() {
    let (pki, stranger) = (Pki::new(), Pki::new());
    let ca = pki.file("ca.pem");
    let (_server, port) = backwards(
        &pki,
        "localhost",
        &["-Verify", "1", "-CAfile", &ca, "-verify_return_error"],
    );
    let (trusted, shown) = (stranger.file("ca.pem"), stranger.certificate("client.test"));
    let key = stranger.key("client.test");
    let side = format!("dial:localhost:{port},tls,tls.ca={trusted},tls.cert={shown},tls.key={key}");
    let couplet = Couplet::start(&["listen:0", &side]);
    let refused = |why: &str| {
        let client = connect(couplet.address('A'));
        couplet.find(why, |line| line.contains(why).then_some(()));
        expect_closed(&client);
    };
    refused("certificate signed by an unknown CA");
    fs::copy(&ca, &trusted).unwrap();
    couplet.signal(Signal::HUP);
    couplet.events("read again", 1);
    refused("alert UnknownCA");

    fs::write(&shown, "half a certifi").unwrap();
    couplet.signal(Signal::HUP);
    couplet.find("the old ones stay", |line| {
        let parts = [
            "what was read before stays: ",
            &shown,
            "certificate missing",
        ];
        parts.iter().all(|part| line.contains(part)).then_some(())
    });
    fs::copy(pki.certificate("client.test"), &shown).unwrap();
    fs::copy(pki.key("client.test"), &key).unwrap();
    couplet.signal(Signal::HUP);
    couplet.events("read again", 2);
    assert_eq!(says(&couplet), "olleh\n");
}
