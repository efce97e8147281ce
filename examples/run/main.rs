//! Runs each example and checks what it does.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

// These have tests of their own.
#[expect(dead_code, reason = "a program, whose tests alone are run here")]
#[path = "../embed.rs"]
mod embed;
#[expect(dead_code, reason = "a program, whose tests alone are run here")]
#[path = "../run_length.rs"]
mod run_length;

mod example;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::Command,
};

use couplet_protocols::{
    TlsCertificate, TlsConnectConfig,
    tls::{roots_from_pem, rustls},
};

use self::example::{ANY, Example, client_hello, first_reset, is_reset, rest};

#[test]
fn server_to_server_shows_the_traffic() {
    let mut example = Example::start("server_to_server", ANY);
    let mut a = example.connect("A");
    let mut b = example.connect("B");
    a.write_all(b"hello\n").unwrap();
    assert!(example.says("A -> B").ends_with(r"hello\n"));
    b.write_all(b"\x1b[2Jhi").unwrap();
    assert!(example.says("B -> A").ends_with(r"\x1b[2Jhi"));
}

#[test]
fn the_authenticator_has_four_answers() {
    let mut example = Example::start("authenticator", ANY);
    let mut yes = example.connect("A");
    let a = yes.peer_addr().unwrap();
    let mut partner = example.connect("B");

    let mut no = TcpStream::connect(a).unwrap();
    no.write_all(b"no\n").unwrap();
    is_reset(&mut no);
    let mut what = TcpStream::connect(a).unwrap();
    what.write_all(b"what?\n").unwrap();
    is_reset(&mut what);
    let mut silent = TcpStream::connect(a).unwrap();
    is_reset(&mut silent);

    yes = TcpStream::connect(a).unwrap();
    yes.write_all(b"yes\nand more").unwrap();
    example.says("was let in");
    yes.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut partner), "and more");
}

#[test]
fn the_pair_example_ends_with_its_pair() {
    let mut example = Example::start("wait_for_done", ANY);
    let mut a = example.connect("A");
    let mut b = example.connect("B");
    b.write_all(b"bye").unwrap();
    drop(b);
    assert_eq!(rest(&mut a), "bye");
    drop(a);
    example.says("ended: ");
    assert!(example.says("done: ").contains("0 live, 1 in all"));
    assert!(example.process.wait().unwrap().success());
}

#[test]
fn an_own_layer_ends_the_older_session() {
    let mut example = Example::start("own_layer", ANY);
    let mut a = example.connect("A");
    let mut b = example.connect("B");
    let [to_a, to_b] = [&a, &b].map(|socket| socket.peer_addr().unwrap());
    a.write_all(b"x").unwrap();
    b.read_exact(&mut [0; 1]).unwrap();

    let mut later = [to_a, to_b].map(|to| TcpStream::connect(to).unwrap());
    example.says("session 1 gives way to session 2");
    // An end that no peer has sent is not made up: the pair is reset.
    assert!(a.read(&mut [0; 1]).is_err());
    assert!(b.read(&mut [0; 1]).is_err());
    later[0].write_all(b"y").unwrap();
    later[1].read_exact(&mut [0; 1]).unwrap();
}

#[test]
fn an_embedded_relay_serves_http_beside_it() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap().to_string();
    let mut example = Example::start_with("embed", &[ANY[0], &target, ANY[1]]);
    let mut client = example.connect("A");
    let http = example.connect("HTTP").peer_addr().unwrap();
    let ask = |request: &str| {
        let mut stream = TcpStream::connect(http).unwrap();
        let headers = "Host: localhost\r\nConnection: close\r\n\r\n";
        write!(stream, "{request} HTTP/1.1\r\n{headers}").unwrap();
        rest(&mut stream)
    };

    let (mut served, _) = server.accept().unwrap();
    client.write_all(b"hello").unwrap();
    served.read_exact(&mut [0; 5]).unwrap();
    assert!(ask("GET /stats").contains(r#""live_pairs":1"#));
    assert!(ask("DELETE /sessions/7").starts_with("HTTP/1.1 404 "));
    assert!(ask("DELETE /sessions/1").starts_with("HTTP/1.1 204 "));
    assert!(client.read(&mut [0; 1]).is_err());

    let status = Command::new("kill")
        .arg(example.process.id().to_string())
        .status();
    assert!(status.unwrap().success());
    example.says("drained after 1 pairs");
    assert!(example.process.wait().unwrap().success());
}

#[test]
fn the_transforms_change_both_directions() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap().to_string();
    let mut example = Example::start("transform", ["127.0.0.1:0", &target]);
    let mut client = example.connect("A");
    let (mut served, _) = server.accept().unwrap();

    client.write_all(b"shout\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut served), "SHOUT\n");
    served.write_all(b"one\ntwo\nno end of line").unwrap();
    drop(served);
    assert_eq!(rest(&mut client), "1: one\n2: two\n3: no end of line\n");
}

#[test]
fn the_gateway_speaks_both_protocols_and_names_errors() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap().to_string();
    let mut example = Example::start("gateway", ["127.0.0.1:0", &target]);
    let mut client = example.connect("A");
    let (mut served, _) = server.accept().unwrap();

    let frame = b"\0\0\0\x0d\0\0\0\0\0\0\0\x07hello";
    client
        .write_all(b"{\"id\": 7, \"text\": \"hello\"}\n\n")
        .unwrap();
    let mut heard = [0; 17];
    served.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, frame);
    served.write_all(frame).unwrap();
    let mut client = BufReader::new(client);
    let mut line = String::new();
    client.read_line(&mut line).unwrap();
    assert_eq!(line, "{\"id\":7,\"text\":\"hello\"}\n");

    client
        .get_mut()
        .write_all(b"{\"id\": \"seven\"}\n")
        .unwrap();
    line.clear();
    client.read_line(&mut line).unwrap();
    assert_eq!(line, "{\"error\":\"`id` must be a number\"}\n");
    served.read_exact(&mut [0]).unwrap_err();
}

#[test]
fn an_outside_verdict_is_asked_for() {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = service.local_addr().unwrap().to_string();
    let mut example = Example::start_with("outside_verdict", &[ANY[0], ANY[1], &address]);
    let a: SocketAddr = {
        let line = example.says("A listens on ");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let mut b = example.connect("B");
    let answer = |status: &str| {
        let mut stream = BufReader::new(service.accept().unwrap().0);
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let from = head.len();
            stream.read_line(&mut head).unwrap();
            if let Some(value) = head[from..].strip_prefix("Content-Length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut asked = vec![0; length];
        stream.read_exact(&mut asked).unwrap();
        write!(stream.get_mut(), "HTTP/1.0 {status}\r\n\r\n").unwrap();
        String::from_utf8(asked).unwrap()
    };

    let mut refused = TcpStream::connect(a).unwrap();
    refused.write_all(b"mallory\n").unwrap();
    assert_eq!(answer("403 no"), "mallory");
    is_reset(&mut refused);

    let mut let_in = TcpStream::connect(a).unwrap();
    let_in.write_all(b"ada\nhello").unwrap();
    assert_eq!(answer("200 yes"), "ada");
    assert_eq!(example.says("was let in"), "ada was let in");
    let_in.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut b), "hello");
}

#[test]
fn sni_routing_goes_by_the_name() {
    let [tls, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [to_tls, to_other] = [&tls, &other].map(|at| at.local_addr().unwrap().to_string());
    let mut example = Example::start_with("sni_routing", &["127.0.0.1:0", &to_tls, &to_other]);
    let mut client = example.connect("A");
    let at = client.peer_addr().unwrap();
    let hello = client_hello("Example.org");
    client.write_all(&hello).unwrap();
    example.says("speaks tls:example.org");
    let mut heard = vec![0; hello.len()];
    tls.accept().unwrap().0.read_exact(&mut heard).unwrap();
    assert_eq!(heard, hello);

    let mut stranger = TcpStream::connect(at).unwrap();
    stranger.write_all(&client_hello("example.net")).unwrap();
    example.says("speaks tls:example.net");
    // It is closed, and what it had sent was thrown away.
    assert!(matches!(stranger.read(&mut [0; 1]), Ok(0) | Err(_)));

    let mut client = TcpStream::connect(at).unwrap();
    client.write_all(b"SSH-2.0-me\r\n").unwrap();
    example.says("speaks ssh");
    let mut heard = [0; 12];
    other.accept().unwrap().0.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"SSH-2.0-me\r\n");
}

#[test]
fn the_transit_relay_joins_by_token() {
    let mut example = Example::start_with("wormhole_transit_relay", &["127.0.0.1:0"]);
    let mut bad = example.connect("A");
    let address = bad.peer_addr().unwrap();
    let come = |line: &str| {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(line.as_bytes()).unwrap();
        client
    };
    let token = "0123456789abcdef".repeat(4);
    let wish = |token: &str, side| format!("please relay {token} for side {side:016}\n");

    bad.write_all(b"please relay me\n").unwrap();
    assert_eq!(rest(&mut bad), "bad handshake\n");
    let mut impatient = come(&(wish(&token, 0) + "hello?"));
    assert_eq!(rest(&mut impatient), "impatient\n");

    let mut stranger = come(&wish(&token.replace('0', "f"), 2));
    // The same side replaces: whichever of the two was there before is dropped.
    let mut same = vec![come(&wish(&token, 1)), come(&wish(&token, 1))];
    same.remove(first_reset(&same));
    let mut first = same.remove(0);
    let mut second = come(&wish(&token, 2));
    let mut ok = [0; 3];
    second.read_exact(&mut ok).unwrap();
    assert_eq!(&ok, b"ok\n");
    second.write_all(b"a file").unwrap();
    second.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut first), "ok\na file");
    drop((first, second));
    example.says("relayed 6 bytes: finished");

    // The old way of asking meets any side.
    let mut old = come(&format!("please relay {}\n", token.replace('0', "f")));
    for client in [&mut stranger, &mut old] {
        client.read_exact(&mut ok).unwrap();
        assert_eq!(&ok, b"ok\n");
    }
}

#[test]
fn a_client_survives_a_bad_network() {
    let mut example = Example::start("faults", ANY);
    example.says("late: true");
    // The seed says which connections break, so it is the same each time.
    example.says("attempt 2: ");
    example.says("it answers");
    example.says("done");
    assert!(example.process.wait().unwrap().success());
}

#[test]
fn the_run_lengths_are_on_the_wire() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap().to_string();
    let mut example = Example::start("run_length", ["127.0.0.1:0", &target]);
    let mut client = example.connect("A");
    let (mut served, _) = server.accept().unwrap();

    client.write_all(b"aaab").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut served), "\x03a\x01b\0");
    served.write_all(b"\x05x\x01!\0").unwrap();
    drop(served);
    assert_eq!(rest(&mut client), "xxxxx!");
}

#[test]
fn tls_serves_known_clients() {
    let key = || rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(ca, key()).unwrap();
    let certificate = |name: &str| {
        let key = key();
        let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &ca).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (pem, key) = certificate("localhost");
    let files = [
        file("cert.pem", &pem),
        file("key.pem", &key),
        file("ca.pem", &ca.pem()),
    ];

    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap().to_string();
    let mut args = vec!["127.0.0.1:0", &target];
    args.extend(files.iter().map(String::as_str));
    let mut example = Example::start_with("tls", &args);
    let socket = example.connect("A");

    let (pem, key) = certificate("alice.test");
    let config = TlsConnectConfig::with_roots(roots_from_pem(ca.pem()).unwrap())
        .certificate(TlsCertificate::from_pems(pem, key).unwrap())
        .build()
        .unwrap();
    let name = "localhost".try_into().unwrap();
    let session = rustls::ClientConnection::new(config, name).unwrap();
    let mut client = rustls::StreamOwned::new(session, socket);
    client.write_all(b"hello").unwrap();
    let (mut served, _) = server.accept().unwrap();
    let said = example.says("alice.test is served, by TLS 1.3, name localhost");
    assert!(said.contains(", certificate "), "{said}");
    let mut heard = [0; 5];
    served.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    served.write_all(b"bye").unwrap();
    drop(served);
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "bye");
}

#[test]
fn the_session_relay_sees_only_ciphertext() {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = service.local_addr().unwrap().to_string();
    let mut example = Example::start_with("session_relay", &[ANY[0], ANY[1], &target]);
    let mut stranger = example.connect("relay");
    let relay = stranger.peer_addr().unwrap();
    let mut client = example.connect("client");
    let local = client.peer_addr().unwrap();

    let (mut served, _) = service.accept().unwrap();
    client.write_all(b"a secret question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut served), "a secret question");
    served.write_all(b"a secret answer").unwrap();
    drop(served);
    assert_eq!(rest(&mut client), "a secret answer");
    let seen = example.says_up_to("relayed ");
    let (end, seen) = seen.split_last().unwrap();
    // Two messages of 50 bytes and a proof of 18; then either says a record, and its end.
    let bytes = 50 + 50 + 18 + (17 + 18 + 18) + (15 + 18 + 18);
    let expected = format!("relayed {bytes} bytes: finished");
    assert!(end.starts_with(&expected), "{end}");
    for way in ["A -> B", "B -> A"] {
        assert!(seen.iter().any(|line| line.contains(way)), "{seen:#?}");
    }
    for line in seen {
        for word in ["secret", "question", "answer"] {
            assert!(!line.contains(word), "{line}");
        }
    }

    // The service's end has come again.
    let mut again = TcpStream::connect(local).unwrap();
    let (mut served, _) = service.accept().unwrap();
    served.write_all(b"welcome back").unwrap();
    drop(served);
    assert_eq!(rest(&mut again), "welcome back");

    stranger.write_all(b"session demo eavesdropper\n").unwrap();
    is_reset(&mut stranger);
    let mut stranger = TcpStream::connect(relay).unwrap();
    stranger.write_all(b"session demo client\n").unwrap();
    let mut asked = [0; 63];
    stranger.read_exact(&mut asked).unwrap();
    assert!(asked.starts_with(b"couplet-challenge1 "));
    stranger
        .write_all(b"couplet-answer1 me trust-me\n")
        .unwrap();
    is_reset(&mut stranger);
}
