//! `socks5`, `connect` and `dial:asked`: as a proxy.

use std::fs;

use couplet_tests::{
    Couplet,
    net::{BlackHole, accept, connect, expect_end, expect_reset, free_port, listen, nobody_comes},
};
use rustix::process::Signal;

use super::{ASKED, asks, file, half_closes, hears, named, reply, send};

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
    // All addresses are no list of private networks.
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
    // Without a password no client comes in.
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
