//! The command is the server.

use std::{
    fs,
    io::{Read, Write},
    thread,
};

use couplet_tests::{
    Couplet, finish,
    net::{accept, connect, dial, expect_closed, listen},
};
use rustix::process::Signal;

use super::*;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";

/// Answers so many requests for a page.
pub(crate) fn web(requests: usize) -> (String, thread::JoinHandle<()>) {
    Couplet::binary(); // It may have to be built, which takes longer than a client waits.
    let target = listen();
    let side = dial(&target);
    let serving = thread::spawn(move || {
        for _ in 0..requests {
            let mut client = accept(&target);
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 1024];
                let n = client.read(&mut piece).unwrap();
                assert!(n > 0, "it ended in the middle of its request");
                request.extend_from_slice(&piece[..n]);
            }
            client.write_all(ANSWER).unwrap();
        }
    });
    (side, serving)
}

#[test]
fn curl_and_openssl_are_served() {
    let pki = Pki::new();
    let (target, serving) = web(2);
    let side = format!("{},tls.alpn=http/1.1", pki.listens("server.test"));
    let couplet = Couplet::start(&[&side, &target]);
    let heard = finish("curl", &mut pki.curl(&couplet, "server.test")).ok();
    assert_eq!(heard.log, "hello");

    let mut s_client = pki.s_client(&couplet, "server.test");
    s_client.args(["-alpn", "h2,http/1.1", "-ign_eof"]);
    let (s_client, mut talk) = talking("s_client", &mut s_client);
    talk.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let log = s_client.finish().ok().log;
    for part in [
        "ALPN protocol: http/1.1",
        "TLSv1.3",
        "Verify return code: 0 (ok)",
        "\nhello\n",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    serving.join().unwrap();
}

#[test]
fn tls_1_2_is_spoken_too_and_nothing_older() {
    let pki = Pki::new();
    let (target, serving) = web(1);
    let couplet = Couplet::start(&[&pki.listens("server.test"), &target]);
    let mut curl = pki.curl(&couplet, "server.test");
    assert_eq!(
        finish("curl", curl.args(["--tls-max", "1.2"])).ok().log,
        "hello"
    );
    let mut s_client = pki.s_client(&couplet, "server.test");
    s_client.args(["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
    assert_ne!(finish("s_client", &mut s_client).status, 0);
    serving.join().unwrap();
}

#[test]
fn the_certificate_is_the_one_for_the_name() {
    let pki = Pki::new();
    let target = listen();
    let (first, second) = (
        pki.certificate("first.test"),
        pki.certificate_in("wild", "*.wild.test"),
    );
    // The keys may come in any order.
    let side = format!(
        "listen:0,tls={first},tls.cert={second},tls.key={},tls.key={}",
        pki.key("wild"),
        pki.key("first.test")
    );
    let refusing = format!("{side},tls.unknown-name=refuse");
    let couplet = Couplet::start(&[&side, &dial(&target)]);
    for name in ["first.test", "any.wild.test"] {
        finish("s_client", &mut pki.s_client(&couplet, name)).ok();
    }
    let log = finish("s_client", &mut pki.s_client(&couplet, "other.test")).log;
    assert!(log.contains("hostname mismatch"), "{log}");

    let couplet = Couplet::start(&[&refusing, &dial(&target)]);
    finish("s_client", &mut pki.s_client(&couplet, "any.wild.test")).ok();
    let log = finish("s_client", &mut pki.s_client(&couplet, "other.test")).log;
    assert!(log.contains("alert"), "{log}");
    couplet.find("the log names the file", |line| {
        line.contains(r#"the server name (SNI) \"other.test\""#)
            .then_some(())
    });
}

#[test]
fn clients_are_known_by_their_certificates() {
    let pki = Pki::new();
    let (target, serving) = web(3);
    let (client, stranger) = (pki.certificate("alice.test"), Pki::new());
    let side = format!(
        "{},tls.client-ca={}",
        pki.listens("server.test"),
        pki.file("ca.pem")
    );
    let want = format!("{side},tls.client=want");
    let log = pki.file("access.log");
    let access_log = format!("--access-log={log}");
    let couplet = Couplet::start(&[&side, &target, &access_log, "--access-log-format=json"]);

    let with = |curl: &mut Command, certificate: &str, key: &str| {
        finish("curl", curl.args(["--cert", certificate, "--key", key]))
    };
    let mut curl = pki.curl(&couplet, "server.test");
    with(&mut curl, &client, &pki.key("alice.test")).ok();
    let line = couplet_tests::until("its line", || {
        fs::read_to_string(&log)
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    assert!(line.contains(r#""alice.test""#), "{line}");

    let without = finish("curl", &mut pki.curl(&couplet, "server.test"));
    assert_ne!(without.status, 0);
    assert!(
        without.log.contains("certificate required"),
        "{}",
        without.log
    );
    let certificate = stranger.certificate("alice.test");
    let mut curl = pki.curl(&couplet, "server.test");
    assert_ne!(
        with(&mut curl, &certificate, &stranger.key("alice.test")).status,
        0
    );

    let couplet = Couplet::start(&[&want, &target]);
    finish("curl", &mut pki.curl(&couplet, "server.test")).ok();
    let mut curl = pki.curl(&couplet, "server.test");
    with(&mut curl, &client, &pki.key("alice.test")).ok();
    serving.join().unwrap();
}

#[test]
fn certificates_are_read_again_at_sighup() {
    let pki = Pki::new();
    let target = listen();
    let couplet = Couplet::start(&[&pki.listens("server.test"), &dial(&target)]);
    let shown = || {
        let log = finish("s_client", &mut pki.s_client(&couplet, "server.test"))
            .ok()
            .log;
        let (_, begins) = log.split_once("-----BEGIN CERTIFICATE-----").unwrap();
        begins.split_once("-----END").unwrap().0.to_owned()
    };
    let before = shown();
    let mut s_client = pki.s_client(&couplet, "server.test");
    let (s_client, mut talk) = talking("s_client", s_client.arg("-quiet"));
    // Those of `shown` came and went.
    drop(accept(&target));
    let mut lives = accept(&target);

    fs::write(pki.file("server.test.pem"), "half a certifi").unwrap();
    couplet.signal(Signal::HUP);
    couplet.find("the old ones stay", |line| {
        (line.contains("the old certificates stay: ") && line.contains("certificate missing"))
            .then_some(())
    });
    assert_eq!(shown(), before);

    pki.certificate("server.test");
    couplet.signal(Signal::HUP);
    couplet.events("certificates read again", 1);
    assert_ne!(shown(), before);

    talk.write_all(b"still here\n").unwrap();
    let mut heard = [0; 11];
    lives.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still here\n");
    drop((talk, s_client));
}

/// The mark is under the file that is wrong, and nothing of a key is shown.
#[test]
fn a_bad_file_is_pointed_at_and_not_shown() {
    let pki = Pki::new();
    let certificate = pki.certificate("server.test");
    pki.certificate("other.test");
    let key = fs::read_to_string(pki.key("server.test")).unwrap();
    let secret: String = key.lines().filter(|line| !line.starts_with('-')).collect();
    let files = [
        (
            "escaped.key",
            key.replace('\n', "\\n"),
            "line breaks must be line breaks",
        ),
        (
            "joined.key",
            key.replace("KEY-----\n", "KEY"),
            "malformed marker",
        ),
        ("cut.key", key.replace("-----END", ""), "without its END"),
        ("empty.key", String::new(), "private key missing"),
        (
            "other.test.key",
            String::new(),
            "belongs to another certificate",
        ),
    ];
    for (file, text, why) in files {
        let path = pki.file(file);
        if file != "other.test.key" {
            fs::write(&path, text).unwrap();
        }
        let side = format!("listen:0,tls={certificate},tls.key={path}");
        let log = Couplet::run(&[&side, "dial:h:1"]).with(2).said(why).log;
        assert!(!log.contains(&secret[8..24]), "{log}");
        let lines: Vec<_> = log.lines().collect();
        let at = lines.iter().position(|line| line.contains(&side)).unwrap();
        let mark = lines[at + 1].find('^').unwrap();
        assert!(lines[at][mark..].starts_with(&path), "{log}");
    }
    // Without line breaks a key is a key all the same.
    fs::write(pki.file("flat.key"), key.replace('\n', "")).unwrap();
    let side = format!(
        "listen:0,tls={certificate},tls.key={}",
        pki.file("flat.key")
    );
    Couplet::run(&["explain", &side, "dial:h:1"]).ok();
}

#[test]
fn an_expired_certificate_is_a_warning() {
    let pki = Pki::new();
    let mut params = CertificateParams::new(["old.test".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 2, 29);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &pki.ca).unwrap();
    let file = script(&pki, "old.pem", &(certificate.pem() + &key.serialize_pem()));
    let side = format!("listen:0,tls={}", file.display());
    let couplet = Couplet::start(&[&side, &dial(&listen())]);
    couplet.find("the warning", |line| {
        (line.contains("certificate has expired") && line.contains("old.pem")).then_some(())
    });
}

#[test]
fn bytes_that_are_not_tls_are_logged() {
    let pki = Pki::new();
    let couplet = Couplet::start(&[&pki.listens("server.test"), &dial(&listen())]);
    let mut client = connect(couplet.address('A'));
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut alert = [0; 7];
    client.read_exact(&mut alert).unwrap();
    assert_eq!(alert[0], 21);
    expect_closed(&client);
    couplet.find("it says so", |line| {
        line.contains("peer does not speak TLS").then_some(())
    });
}

/// What is in an addition, by type, of additions one behind the other.
fn additions(mut rest: &[u8]) -> Vec<(u8, &[u8])> {
    let mut all = Vec::new();
    while let [kind, high, low, behind @ ..] = rest {
        let (value, next) = behind.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        all.push((*kind, value));
        rest = next;
    }
    all
}

#[test]
fn what_tls_has_found_out_of_a_client_is_sent_to_the_server() {
    let pki = Pki::new();
    let target = listen();
    let with_ca = format!("{},tls.alpn=h2,tls.client=want", pki.listens("server.test"));
    let with_ca = format!("{with_ca},tls.client-ca={}", pki.file("ca.pem"));
    let send = format!(
        "{},proxy-protocol=v2,proxy-protocol.add=authority+alpn+tls",
        dial(&target)
    );
    let couplet = Couplet::start(&[&with_ca, &send]);
    let certificate = pki.certificate("client.test");
    for shows_certificate in [true, false] {
        let mut client = pki.s_client(&couplet, "server.test");
        client.args(["-quiet", "-tls1_3", "-alpn", "h2"]);
        client.args(["-ciphersuites", "TLS_AES_128_GCM_SHA256"]);
        if shows_certificate {
            client.args(["-cert", &certificate, "-key", &pki.key("client.test")]);
        }
        let (_client, _talk) = talking("s_client", &mut client);
        let mut served = accept(&target);
        let mut head = [0; 16];
        served.read_exact(&mut head).unwrap();
        let mut rest = vec![0; usize::from(u16::from_be_bytes([head[14], head[15]]))];
        served.read_exact(&mut rest).unwrap();
        let all = additions(&rest[12..]);
        assert_eq!(all[..2], [(0x02, &b"server.test"[..]), (0x01, b"h2")]);
        let (kind, tls) = all[2];
        assert_eq!((kind, all.len()), (0x20, 3));
        let found = additions(&tls[5..]);
        let (version, cipher) = (b"TLSv1.3", b"TLS_AES_128_GCM_SHA256");
        if shows_certificate {
            assert_eq!(tls[..5], [0x07, 0, 0, 0, 0]);
            let expected: [(u8, &[u8]); 3] =
                [(0x21, version), (0x22, b"client.test"), (0x23, cipher)];
            assert_eq!(found, expected);
        } else {
            assert_eq!(tls[..5], [0x01, 0, 0, 0, 1]);
            let expected: [(u8, &[u8]); 2] = [(0x21, version), (0x23, cipher)];
            assert_eq!(found, expected);
        }
    }
}
