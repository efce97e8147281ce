//! A carrier goes through what stands before `mux`, a connection through what stands behind it.

use std::{fs, os::unix::fs::PermissionsExt};

use couplet_tests::{
    Couplet, finish,
    net::{accept, connect, connect_in_vain, dial, expect_reset, listen},
    program, until,
};

use super::Tunnel;
use crate::ws::ends_are_exact;

/// A certificate of its own, with its key.
fn certificate(scratch: &std::path::Path) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = scratch.join("pem");
    fs::write(&file, made.cert.pem() + &made.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file.display().to_string()
}

fn secret(scratch: &std::path::Path) -> String {
    let secret = scratch.join("secret").display().to_string();
    Couplet::run(&["keygen", &secret, "--kind=secret"]).ok();
    secret
}

#[test]
fn over_tls_with_a_token() {
    let scratch = tempfile::tempdir().unwrap();
    let pem = certificate(scratch.path());
    let secret = secret(scratch.path());
    let tunnel = Tunnel::new(
        &format!(",tls={pem},token=@{secret},mux"),
        &format!(",tls=localhost,tls.ca={pem},token=@{secret},mux"),
    );
    ends_are_exact(|| tunnel.pair());
}

#[test]
fn over_noise_and_websocket() {
    let scratch = tempfile::tempdir().unwrap();
    let secret = secret(scratch.path());
    let stack = format!(",ws=/relay,noise=psk:@{secret},mux");
    let tunnel = Tunnel::new(&stack, &stack);
    ends_are_exact(|| tunnel.pair());
}

#[test]
fn over_a_unix_socket() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("carrier").display().to_string();
    let server = listen();
    let _far = Couplet::start(&[&format!("listen:unix:{path},mode=600,mux"), &dial(&server)]);
    let near = Couplet::start(&["listen:127.0.0.1:0", &format!("dial:unix:{path},mux")]);
    ends_are_exact(|| (connect(near.address('A')), accept(&server)));
}

#[test]
fn over_a_program() {
    let server = listen();
    let far = Couplet::start(&["listen:127.0.0.1:0,mux", &dial(&server)]);
    let port = far.address('A').port();
    let couplet = Couplet::binary().display();
    let near = Couplet::start(&[
        "listen:127.0.0.1:0",
        &format!("exec:{couplet} stdio dial:127.0.0.1:{port},mux"),
    ]);
    ends_are_exact(|| (connect(near.address('A')), accept(&server)));
}

#[test]
fn what_stands_behind_it_is_each_connections() {
    let scratch = tempfile::tempdir().unwrap();
    let secret = secret(scratch.path());
    let stack = format!(",mux,token=@{secret},compress=zstd");
    let tunnel = Tunnel::new(&stack, &stack);
    ends_are_exact(|| tunnel.pair());
    // One too many of this address, and of no other carrier.
    let limited = Tunnel::new(",mux,max-per-addr=2", ",mux");
    let (one, _other) = (limited.pair(), limited.pair());
    expect_reset(&connect(limited.near.address('A')));
    drop(one);
    until("there is room again", || {
        // One that is still too many is reset, maybe before it has sent.
        let client = connect(limited.near.address('A'));
        std::io::Write::write_all(&mut &client, b"hello").ok()?;
        limited.server.set_nonblocking(true).unwrap();
        limited.server.accept().is_ok().then_some(())
    });
}

#[test]
fn the_clients_address_goes_along_behind_it() {
    let tunnel = Tunnel::new(
        ",mux,proxy-protocol=require,proxy-protocol.from=127.0.0.1",
        ",mux,proxy-protocol=v2",
    );
    let (client, _server) = tunnel.pair();
    let address = client.local_addr().unwrap().to_string();
    let joined = tunnel.far.events("joined", 1);
    assert_eq!(joined[0]["a"], address);
}

#[test]
fn a_carrier_that_is_refused_is_told_of_and_counted() {
    let scratch = tempfile::tempdir().unwrap();
    let socket = scratch.path().join("admin.sock");
    let secret = secret(scratch.path());
    let server = listen();
    let far = Couplet::start(&[
        &format!("listen:127.0.0.1:0,token=@{secret},mux"),
        &dial(&server),
        &format!("--admin=unix:{}", socket.display()),
    ]);
    let near = Couplet::start(&["listen:127.0.0.1:0", &format!("{},mux", far.dial('A'))]);
    connect_in_vain(near.address('A'));
    far.events("a carrier is refused", 1);
    let right = format!("{},token=@{secret},mux", far.dial('A'));
    let near = Couplet::start(&["listen:127.0.0.1:0", &right]);
    let _pairs = [1, 2].map(|_| (connect(near.address('A')), accept(&server)));
    until("all of it is counted", || {
        let mut curl = program("curl");
        curl.args(["-sS", "http://localhost/metrics", "--unix-socket"]);
        let metrics = finish("curl", curl.arg(&socket)).log;
        let said = |start: &str, end: &str| {
            metrics
                .lines()
                .any(|line| line.starts_with(start) && line.ends_with(end))
        };
        (said("couplet_carriers{", "side=\"a\"} 1")
            && said("couplet_carrier_streams{", "side=\"a\"} 2")
            && said("couplet_carrier_streams_total{", "side=\"a\"} 2")
            && !said("couplet_carrier_failures_total{", "reason=\"refused\"} 0"))
        .then_some(())
    });
}

#[test]
fn a_peer_without_mux_is_told_of() {
    let server = listen();
    let far = Couplet::start(&["listen:127.0.0.1:0", &dial(&server)]);
    let near = Couplet::start(&["listen:127.0.0.1:0", &format!("{},mux", far.dial('A'))]);
    let client = connect(near.address('A'));
    // Whatever is behind it does not speak so.
    drop(accept(&server));
    expect_reset(&client);
    near.find("what is missing", |line| {
        line.contains("peer opens no stream: it must have `mux`, too")
            .then_some(())
    });
}

#[test]
fn explain_says_where_it_stands() {
    let said = Couplet::run(&[
        "explain",
        "listen:1,ws=/relay,mux,mux.streams=9",
        "dial:h:1,mux,mux.carriers=3,mux.ping=never,mux.unread=64MiB",
    ])
    .ok();
    for word in [
        "way accept (default), carriers 128 (default), streams 9 (side), ping 30s (default), unread 512.0 MiB (default)",
        "way open (default), carriers 3 (side), streams 1024 (default), ping never (side), unread 64.0 MiB (side)",
        "by copy, because of ws and mux and mux",
    ] {
        assert!(said.log.contains(word), "{word}: {}", said.log);
    }
    let home = Couplet::run(&["explain", "dial:relay:1,rendezvous=k,mux", "dial:h:1"]).ok();
    assert!(home.log.contains("keep 1 (side)"), "{}", home.log);
    assert!(
        home.log.contains("way accept (default), streams"),
        "{}",
        home.log
    );
}

#[test]
fn what_makes_no_sense_is_an_error() {
    for (a, b, told) in [
        (
            "listen:0,mux=open",
            "dial:h:1",
            "`mux=open` is for a dialled side",
        ),
        (
            "listen:0,mux=both",
            "dial:h:1",
            "`both` is not a way of `mux`",
        ),
        ("listen:0,mux,mux", "dial:h:1", "`mux` is given twice"),
        (
            "listen:0,socks5",
            "dial:asked,mux",
            "the clients of `dial:asked` ask for many",
        ),
        (
            "listen:0",
            "dial:h:1,proxy-protocol=v2,mux",
            "`proxy-protocol` stands before `mux`, and a carrier has no client",
        ),
        (
            "listen:0,frame=lines,mux",
            "dial:h:1",
            "`mux` stands behind `frame`",
        ),
        (
            "listen:0,socks5,mux",
            "dial:asked",
            "`mux` stands behind `socks5`",
        ),
        (
            "dial:h:1,keep=2,mux,mux.carriers=3",
            "dial:h:2",
            "`mux.carriers` bounds carriers that are opened",
        ),
        ("listen:0,mux,mux.streams=0", "dial:h:1", "mux.streams"),
        ("stdio,mux", "dial:h:1", "`mux` is for a socket"),
    ] {
        Couplet::run(&[a, b]).with(2).said(told);
    }
    let scratch = tempfile::tempdir().unwrap();
    let routes = scratch.path().join("routes");
    fs::write(&routes, "ssh h:22\n").unwrap();
    let side = format!("dial:h:1,route=@{},mux", routes.display());
    Couplet::run(&["listen:0,sniff", &side])
        .with(2)
        .said("`route` leads to many");
}
