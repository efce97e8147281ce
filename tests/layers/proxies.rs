//! `socks5`, `connect`, `dial:asked` and `via`: as a proxy, and through proxies, with peers that are
//! scripted byte for byte.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
};

use couplet_tests::{
    Couplet,
    net::{
        BlackHole, accept, connect, dial, expect_end, expect_reset, free_port, listen, nobody_comes,
    },
    pattern,
};
use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;
use tempfile::TempDir;

/// On loopback, of which a target may only be if it is listed.
const ASKED: &str = "dial:asked,allow=127.0.0.0/8+::1";

fn file(scratch: &TempDir, name: &str, text: &str) -> String {
    let path = scratch.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn send(mut to: &TcpStream, bytes: impl AsRef<[u8]>) {
    to.write_all(bytes.as_ref()).unwrap();
}

#[track_caller]
fn hears(mut from: &TcpStream, expected: impl AsRef<[u8]>) {
    let mut heard = vec![0; expected.as_ref().len()];
    from.read_exact(&mut heard).unwrap();
    assert_eq!(heard, expected.as_ref());
}

/// A request of SOCKS5 for a target that is sent as a name.
fn named(host: &str, port: u16) -> Vec<u8> {
    let len = u8::try_from(host.len()).unwrap();
    [&[5, 1, 0, 3, len], host.as_bytes(), &port.to_be_bytes()].concat()
}

const fn reply(code: u8) -> [u8; 10] {
    [5, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

/// A client that has asked a SOCKS5 proxy without authentication.
fn asks(proxy: SocketAddr, request: &[u8]) -> TcpStream {
    let client = connect(proxy);
    send(&client, [5, 1, 0]);
    hears(&client, [5, 0]);
    send(&client, request);
    client
}

/// Both ways, and the answer after the client's end.
fn half_closes(client: &TcpStream, server: &TcpStream) {
    pattern::send(client, 1, 100_000);
    client.shutdown(Shutdown::Write).unwrap();
    pattern::expect_all(server, 1, 100_000);
    pattern::send(server, 2, 300_000);
    server.shutdown(Shutdown::Write).unwrap();
    pattern::expect_all(client, 2, 300_000);
}

// ===== as a proxy =====

#[test]
fn a_socks_client_reaches_the_target_it_asks_for() {
    let target = listen();
    let port = target.local_addr().unwrap().port();
    let couplet = Couplet::start(&["listen:0,socks5", ASKED]);
    for host in ["127.0.0.1", "localhost"] {
        // All at once, with bytes for the target behind it.
        let client = connect(couplet.address('A'));
        let request = named(host, port);
        send(&client, [&[5, 1, 0], &request[..], b"early"].concat());
        let server = accept(&target);
        hears(&client, [5, 0]);
        hears(&client, reply(0));
        hears(&server, "early");
        send(&server, "greeting");
        hears(&client, "greeting");
        half_closes(&client, &server);
    }
    let bytes = [&[5, 1, 0, 1, 127, 0, 0, 1], &port.to_be_bytes()[..]].concat();
    let client = asks(couplet.address('A'), &bytes);
    let server = accept(&target);
    hears(&client, reply(0));
    half_closes(&client, &server);
}

#[test]
fn a_connect_client_reaches_the_target_it_asks_for() {
    let target = listen();
    let port = target.local_addr().unwrap().port();
    let couplet = Couplet::start(&["listen:0,connect", ASKED]);
    for host in ["127.0.0.1", "localhost"] {
        let client = connect(couplet.address('A'));
        send(
            &client,
            format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: x\r\n\r\nearly"),
        );
        let server = accept(&target);
        hears(&client, "HTTP/1.1 200 Connection established\r\n\r\n");
        hears(&server, "early");
        half_closes(&client, &server);
    }
}

#[test]
fn a_target_that_is_not_reached_has_its_reply() {
    let hole = BlackHole::new();
    let closed = free_port();
    let deadline = "connect-timeout=500ms";
    let socks = Couplet::start(&["listen:0,socks5", &format!("{ASKED},{deadline}")]);
    let http = Couplet::start(&["listen:0,connect", &format!("{ASKED},{deadline}")]);
    let hole = (hole.address().port(), "127.0.0.1", 6, "504 Gateway Timeout");
    for (port, host, code, status) in [
        (closed, "127.0.0.1", 5, "502 Bad Gateway"),
        hole,
        (80, "no-such-host.invalid", 4, "502 Bad Gateway"),
        (80, "10.0.0.1", 2, "403 Forbidden"),
    ] {
        let client = asks(socks.address('A'), &named(host, port));
        hears(&client, reply(code));
        expect_end(&client);
        let client = connect(http.address('A'));
        send(&client, format!("CONNECT {host}:{port} HTTP/1.1\r\n\r\n"));
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        hears(&client, answer);
        expect_end(&client);
    }
}

#[test]
fn what_is_private_is_refused_unless_it_is_listed() {
    let target = listen();
    let port = target.local_addr().unwrap().port();
    // Everybody is no list of private networks.
    for side in ["dial:asked", "dial:asked,allow=0.0.0.0/0+::/0"] {
        let couplet = Couplet::start(&["listen:0,socks5", side]);
        for host in [
            "127.0.0.1",
            "localhost",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
            "::ffff:7f00:1",
        ] {
            let client = asks(couplet.address('A'), &named(host, port));
            hears(&client, reply(2));
            expect_end(&client);
        }
        let mapped = [
            &[5, 1, 0, 4][..],
            &[0; 10],
            &[255, 255, 127, 0, 0, 1],
            &port.to_be_bytes(),
        ]
        .concat();
        hears(&asks(couplet.address('A'), &mapped), reply(2));
        // What only some resolvers take for an address is no name.
        for host in ["127.1", "0x7f000001", "2130706433"] {
            hears(&asks(couplet.address('A'), &named(host, port)), reply(4));
        }
    }
    nobody_comes(&target);
}

#[test]
fn a_relay_is_not_its_own_target() {
    let couplet = Couplet::start(&["listen:0,socks5", ASKED]);
    let own = couplet.address('A').port();
    hears(
        &asks(couplet.address('A'), &named("127.0.0.1", own)),
        reply(2),
    );
}

#[test]
fn other_requests_are_refused_in_the_clients_words() {
    let couplet = Couplet::start(&["listen:0,socks5", ASKED]);
    for command in [2, 3] {
        let client = asks(couplet.address('A'), &[5, command, 0, 1, 0, 0, 0, 0, 0, 0]);
        hears(&client, reply(7));
        expect_end(&client);
    }
    let version_4 = connect(couplet.address('A'));
    send(&version_4, [4, 1, 0, 80, 127, 0, 0, 1, 0]);
    hears(&version_4, [0, 0x5b, 0, 0, 0, 0, 0, 0]);
    expect_end(&version_4);
    let http = connect(couplet.address('A'));
    send(&http, "CONNECT a:80 HTTP/1.1\r\n\r\n");
    expect_reset(&http);
    let couplet = Couplet::start(&["listen:0,connect", ASKED]);
    let http = connect(couplet.address('A'));
    send(&http, "GET http://localhost/ HTTP/1.1\r\n\r\n");
    hears(
        &http,
        "HTTP/1.1 405 Method Not Allowed\r\nAllow: CONNECT\r\n",
    );
}

#[test]
fn users_are_read_again_at_a_hangup() {
    let scratch = tempfile::tempdir().unwrap();
    let target = listen();
    let port = target.local_addr().unwrap().port();
    let users = file(&scratch, "users", "# users\nme:old\n");
    let socks = Couplet::start(&[&format!("listen:0,socks5,socks5.users=@{users}"), ASKED]);
    let http = Couplet::start(&[&format!("listen:0,connect,connect.users=@{users}"), ASKED]);
    let socks_takes = |password: &str, taken: bool| {
        let client = connect(socks.address('A'));
        let len = u8::try_from(password.len()).unwrap();
        let login = [b"\x01\x02me", &[len][..], password.as_bytes()].concat();
        send(&client, [&[5, 2, 0, 2][..], &login].concat());
        hears(&client, [5, 2, 1, u8::from(!taken)]);
        if taken {
            send(&client, named("127.0.0.1", port));
            hears(&client, reply(0));
            half_closes(&client, &accept(&target));
        }
    };
    let http_takes = |basic: &str, taken: bool| {
        let client = connect(http.address('A'));
        let request = format!(
            "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nProxy-Authorization: Basic {basic}\r\n\r\n"
        );
        send(&client, request);
        hears(
            &client,
            if taken {
                "HTTP/1.1 200 "
            } else {
                "HTTP/1.1 407 "
            },
        );
        if taken {
            drop(accept(&target));
        }
    };
    socks_takes("old", true);
    socks_takes("new", false);
    http_takes("bWU6b2xk", true);
    http_takes("bWU6bmV3", false);
    // Without a password nobody comes in.
    let client = connect(socks.address('A'));
    send(&client, [5, 1, 0]);
    hears(&client, [5, 0xff]);
    expect_end(&client);
    fs::write(&users, "me:new\n").unwrap();
    for couplet in [&socks, &http] {
        couplet.signal(Signal::HUP);
        couplet.events("read again", 1);
    }
    socks_takes("new", true);
    socks_takes("old", false);
    http_takes("bWU6bmV3", true);
    http_takes("bWU6b2xk", false);
    let log = socks.lines().join("\n");
    assert!(!log.contains("old") && !log.contains("new\""), "{log}");
}

// ===== through proxies =====

/// A scripted SOCKS5 proxy that connects its one client with itself.
fn proxied(proxy: &TcpListener, request: &[u8], replies: &[u8]) -> TcpStream {
    let peer = accept(proxy);
    hears(&peer, [5, 1, 0]);
    send(&peer, [5, 0]);
    hears(&peer, request);
    send(&peer, replies);
    peer
}

#[test]
fn a_name_is_resolved_by_the_proxy_and_never_here() {
    let proxy = listen();
    let via = format!(
        "dial:no-such-host.invalid:22,via=socks5://{}",
        proxy.local_addr().unwrap()
    );
    let couplet = Couplet::start(&["listen:0", &via]);
    let client = connect(couplet.address('A'));
    // With a bound address that is a name, and bytes of the server behind it.
    let replies = b"\x05\x00\x00\x03\x05proxy\x00\x50greeting";
    let server = proxied(&proxy, &named("no-such-host.invalid", 22), replies);
    hears(&client, "greeting");
    half_closes(&client, &server);

    let proxy = listen();
    let via = format!(
        "dial:no-such-host.invalid:22,via=http://{}",
        proxy.local_addr().unwrap()
    );
    let couplet = Couplet::start(&["listen:0", &via]);
    let client = connect(couplet.address('A'));
    let server = accept(&proxy);
    hears(
        &server,
        "CONNECT no-such-host.invalid:22 HTTP/1.1\r\nHost: no-such-host.invalid:22\r\n\r\n",
    );
    send(
        &server,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 \r\nVia: x\r\n\r\ngreeting",
    );
    hears(&client, "greeting");
    half_closes(&client, &server);
}

#[test]
fn what_a_proxy_refuses_is_told_and_the_client_is_reset() {
    let proxy = listen();
    let via = format!(
        "dial:a.invalid:22,via=socks5://{}",
        proxy.local_addr().unwrap()
    );
    let couplet = Couplet::start(&["listen:0", &via]);
    let client = connect(couplet.address('A'));
    let _proxy = proxied(&proxy, &named("a.invalid", 22), &reply(5));
    expect_reset(&client);
    let refused = couplet.events("refused", 1);
    let told = refused[0].to_string();
    assert!(
        told.contains("cannot dial a.invalid:22 through a proxy"),
        "{told}"
    );
    assert!(
        told.contains("connection refused by the target (SOCKS5 reply 05)"),
        "{told}"
    );
}

#[test]
fn the_deadline_of_the_dial_is_for_the_proxys_answer_too() {
    let proxy = listen();
    let via = format!(
        "dial:a.invalid:22,connect-timeout=500ms,via=socks5://{}",
        proxy.local_addr().unwrap()
    );
    let couplet = Couplet::start(&["listen:0", &via]);
    let client = connect(couplet.address('A'));
    let _silent = accept(&proxy);
    expect_reset(&client);
    let told = couplet.events("refused", 1)[0].to_string();
    assert!(told.contains("no answer within 500ms"), "{told}");
}

#[test]
fn a_chain_of_proxies_and_tls_to_one_of_them() {
    let scratch = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    let ca = file(&scratch, "ca.pem", &certificate);
    let both = file(&scratch, "both.pem", &(certificate + &key.serialize_pem()));
    let users = file(&scratch, "users", "me:hunter22\n");
    let password = file(&scratch, "password", "hunter22\n");
    let target = listen();
    let socks = Couplet::start(&[&format!("listen:0,socks5,socks5.users=@{users}"), ASKED]);
    let tls = format!("listen:0,tls={both},connect,connect.users=@{users}");
    let http = Couplet::start(&[&tls, ASKED]);
    let [socks_port, http_port] = [&socks, &http].map(|couplet| couplet.address('A').port());
    let via = format!(
        "{},via=socks5://me@127.0.0.1:{socks_port},via.password=@{password},\
         via=https://me@localhost:{http_port},via.password=@{password},via.ca={ca}",
        dial(&target)
    );
    let couplet = Couplet::start(&["listen:0", &via]);
    let client = connect(couplet.address('A'));
    let server = accept(&target);
    half_closes(&client, &server);
    for (proxy, dialled) in [
        (&socks, http_port),
        (&http, target.local_addr().unwrap().port()),
    ] {
        proxy.joined(1);
        assert!(!proxy.lines().join("\n").contains("hunter22"), "{dialled}");
    }
    let explained = Couplet::run(&["explain", "listen:0", &via]).ok().log;
    assert!(
        explained.contains(&format!("via socks5://me@127.0.0.1:{socks_port} (side)")),
        "{explained}"
    );
    assert!(
        explained.contains("microsocks, tinyproxy, squid"),
        "{explained}"
    );
}

#[test]
fn a_proxy_may_have_a_proxy_itself_and_passes_its_answer_on() {
    let proxy = listen();
    let via = format!("dial:asked,via=socks5://{}", proxy.local_addr().unwrap());
    let couplet = Couplet::start(&["listen:0,connect", &via]);
    for (code, status) in [(2, "403"), (5, "502"), (6, "504")] {
        let client = connect(couplet.address('A'));
        send(&client, "CONNECT a.invalid:80 HTTP/1.1\r\n\r\n");
        let _proxy = proxied(&proxy, &named("a.invalid", 80), &reply(code));
        hears(&client, format!("HTTP/1.1 {status} "));
    }
    // Its own machine, and private addresses, are refused before the proxy is asked.
    for target in [
        "127.0.0.1:80",
        "localhost:80",
        "a.localhost.:80",
        "[::1]:80",
        "10.0.0.1:80",
    ] {
        let client = connect(couplet.address('A'));
        send(&client, format!("CONNECT {target} HTTP/1.1\r\n\r\n"));
        hears(&client, "HTTP/1.1 403 ");
    }
    nobody_comes(&proxy);
    // A list judges addresses alone.
    let couplet = Couplet::start(&["listen:0,connect", &format!("{via},deny=192.0.2.0/24")]);
    let client = connect(couplet.address('A'));
    send(&client, "CONNECT a.invalid:80 HTTP/1.1\r\n\r\n");
    hears(&client, "HTTP/1.1 403 ");
    nobody_comes(&proxy);
}

// ===== mistakes =====

#[test]
fn what_can_not_be_is_told_at_the_start() {
    let scratch = tempfile::tempdir().unwrap();
    let users = file(&scratch, "users", "me:hunter22\n");
    let empty = file(&scratch, "empty", "# nobody\n");
    let password = file(&scratch, "password", "hunter22\n");
    let open = "would be an open proxy";
    for (words, parts) in [
        (
            vec!["listen:*:0,socks5", "dial:asked"],
            vec![open, "socks5.users=@FILE"],
        ),
        (
            vec!["listen:*:0,connect", "dial:asked,allow=10.0.0.0/8"],
            vec![open, "connect.users"],
        ),
        (vec!["listen:192.0.2.1:0,socks5", "dial:asked"], vec![open]),
        (
            vec!["listen:0,socks5", "dial:h:1"],
            vec!["`dial:asked` on the other side"],
        ),
        (
            vec!["listen:0", "dial:asked"],
            vec!["no client asks", "listen:PORT,socks5"],
        ),
        (vec!["dial:asked", "dial:h:1"], vec!["no client asks"]),
        (
            vec!["listen:0,socks5", "dial:asked,keep=2"],
            vec!["`keep` would dial before"],
        ),
        (
            vec!["listen:0,socks5,connect", "dial:asked"],
            vec!["`connect` stands behind `socks5`", "another side"],
        ),
        (
            vec!["listen:0,socks5,token=@x", "dial:asked"],
            vec!["`token` first, then `socks5`"],
        ),
        (vec!["rendezvous", "listen:0,socks5"], vec!["dial:asked"]),
        (
            vec!["listen:0,socks5,socks5.users=hunter22", "dial:asked"],
            vec!["command line", "@FILE"],
        ),
        (
            vec!["listen:0,via=socks5://h:1", "dial:h:1"],
            vec!["dialled side"],
        ),
        (
            vec!["listen:0", "dial:h:1,via=h:1"],
            vec!["not the URL of a proxy", "socks5://"],
        ),
        (
            vec!["listen:0", "dial:h:1,via=socks4://h:1"],
            vec!["SOCKS5"],
        ),
        (
            vec!["listen:0", "dial:h:1,via=htp://h:1"],
            vec!["did you mean `http`"],
        ),
        (vec!["listen:0", "dial:h:1,via=socks5://h"], vec!["port"]),
        (
            vec!["listen:0", "dial:h:1,via=socks5://me@h:1"],
            vec!["needs a password"],
        ),
        (
            vec!["listen:0", "dial:h:1,via=socks5://me:hunter22@h:1"],
            vec!["command line", "via.password=@FILE"],
        ),
        (
            vec!["listen:0", "dial:h:1,via=http://h:1,via.ca=x"],
            vec!["https://"],
        ),
        (
            vec!["listen:0", "dial:h:1,via=http://h:1,allow=10.0.0.0/8"],
            vec!["the proxy resolves `h`"],
        ),
    ] {
        let told = Couplet::run(&words).with(2).log;
        for part in parts {
            assert!(told.contains(part), "{words:?}: {told}");
        }
        assert!(!told.contains("hunter22"), "{words:?}: {told}");
    }
    let told = Couplet::run(&[
        &format!("listen:0,socks5,socks5.users=@{empty}"),
        "dial:asked",
    ]);
    told.with(2).said("no user in the file");
    let told = Couplet::run(&[
        "listen:0",
        &format!("dial:h:1,via=http://h:1,via.password=@{password}"),
    ]);
    told.with(2).said("of no user");
    // These may be.
    for side in [
        format!("listen:*:0,socks5,socks5.users=@{users}"),
        "listen:*:0,allow=10.0.0.0/8,connect".to_owned(),
        "listen:0,connect".to_owned(),
        "listen:[::1]:0,max-conns=3,socks5".to_owned(),
    ] {
        Couplet::run(&["explain", &side, "dial:asked"])
            .ok()
            .said("dial:asked");
    }
}
