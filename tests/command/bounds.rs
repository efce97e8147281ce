//! The bounds of what is under way: handshakes, clients without a partner, dials, queues.

use std::{io::Write, net::TcpStream};

use couplet_tests::{
    Couplet,
    net::{
        BlackHole, accept, connect, connect_from, connect_in_vain, connect_in_vain_from, dial,
        expect_closed, expect_reset, free_port, listen,
    },
    pattern,
};

const ONE: [u8; 4] = [127, 0, 0, 1];
const OTHER: [u8; 4] = [127, 0, 0, 2];

#[test]
fn a_silent_client_gives_way_when_the_handshakes_of_a_side_reach_their_bound() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("secret");
    std::fs::write(&file, "secret").unwrap();
    let side = format!("listen:0,token=@{}", file.display());
    let target = listen();
    let couplet = Couplet::start(&[
        &side,
        &dial(&target),
        "--max-handshakes=4",
        "--handshake-timeout=10m",
    ]);
    let silent: Vec<_> = (0..4)
        .map(|_| connect_from(ONE, couplet.address('A')))
        .collect();
    couplet.rest();
    let client = connect_from(OTHER, couplet.address('A'));
    (&client).write_all(b"secret\n").unwrap();
    let server = accept(&target);
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
    // Which of them started first, the tasks of the four decide.
    let refused = couplet.events("refused", 1).remove(0);
    let gave_way = silent
        .iter()
        .find(|client| refused["peer"] == client.local_addr().unwrap().to_string());
    expect_reset(gave_way.expect("one of the silent clients"));
}

#[test]
fn no_more_clients_than_the_bound_wait_for_a_partner() {
    let couplet = Couplet::start(&["listen:0", "listen:0", "--max-waiting=2"]);
    let before = couplet.descriptors();
    // Each from an address of its own, so that none has to give way to another.
    let clients: Vec<_> = (1..=20)
        .map(|number| connect_from([127, 0, 0, number], couplet.address('A')))
        .collect();
    couplet.rest();
    let taken = couplet.descriptors() - before;
    // One more may have been accepted, and stands before the door.
    assert!((2..=3).contains(&taken), "{taken}");
    for (number, client) in clients.iter().enumerate() {
        let partner = connect(couplet.address('B'));
        pattern::send(&partner, number, 1000);
        pattern::expect(client, number, 1000);
    }
}

#[test]
fn one_address_that_waits_in_all_places_keeps_no_other_out() {
    let couplet = Couplet::start(&["listen:0", "listen:0", "--max-waiting=4"]);
    let many: Vec<_> = (0..4)
        .map(|_| connect_from(ONE, couplet.address('A')))
        .collect();
    couplet.rest();
    let few = connect_from(OTHER, couplet.address('A'));
    let refused = couplet
        .events("refused: gave way to a newer connection", 1)
        .remove(0);
    let gave_way = many.iter().position(|client| is_of(client, &refused));
    assert_eq!(gave_way, Some(0), "the oldest: {refused}");
    expect_reset(&many[0]);
    for (number, client) in many[1..].iter().chain([&few]).enumerate() {
        let partner = connect(couplet.address('B'));
        pattern::send(&partner, number, 1000);
        pattern::expect(client, number, 1000);
    }
}

#[test]
fn one_address_whose_dials_take_all_places_keeps_no_other_out() {
    let hole = BlackHole::new();
    let target = listen();
    let scratch = tempfile::tempdir().unwrap();
    let routes = scratch.path().join("routes");
    let (hole, there) = (hole.address(), target.local_addr().unwrap());
    std::fs::write(&routes, format!("ssh {hole}\n")).unwrap();
    let side = format!(
        "dial:{there},route=@{},max-per-target=4,connect-timeout=10m",
        routes.display()
    );
    let couplet = Couplet::start(&["listen:0,sniff", &side, "--max-waiting=4"]);
    let many: Vec<_> = (0..4)
        .map(|_| {
            let client = connect_from(ONE, couplet.address('A'));
            (&client).write_all(b"SSH-2.0-client\r\n").unwrap();
            client
        })
        .collect();
    couplet.rest();
    let few = connect_from(OTHER, couplet.address('A'));
    (&few).write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let server = accept(&target);
    pattern::send(&server, 1, 1000);
    pattern::expect(&few, 1, 1000);
    let refused = couplet.events("refused", 1).remove(0);
    let gave_way = many.iter().find(|client| is_of(client, &refused));
    expect_reset(gave_way.expect("one of the many"));
}

#[test]
fn the_dials_of_one_target_are_shared_among_the_addresses_of_clients() {
    let hole = BlackHole::new();
    let side = format!(
        "dial:{},max-per-target=2,connect-timeout=10m",
        hole.address()
    );
    let couplet = Couplet::start(&["listen:0", &side]);
    let many: Vec<_> = (0..2)
        .map(|_| connect_from(ONE, couplet.address('A')))
        .collect();
    couplet.rest();
    let _few = connect_from(OTHER, couplet.address('A'));
    let refused = couplet.events("refused", 1).remove(0);
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("gave way to another's"), "{error}");
    let gave_way = many.iter().find(|client| is_of(client, &refused));
    expect_reset(gave_way.expect("one of the many"));
    connect_in_vain_from(OTHER, couplet.address('A'));
}

/// Whether an event is told of this client.
fn is_of(client: &TcpStream, event: &serde_json::Value) -> bool {
    event["peer"] == client.local_addr().unwrap().to_string()
}

#[test]
fn no_more_dials_of_one_target_than_the_bound_are_under_way() {
    let hole = BlackHole::new();
    let side = format!(
        "dial:{},max-per-target=2,connect-timeout=10m",
        hole.address()
    );
    let couplet = Couplet::start(&["listen:0", &side]);
    let clients: Vec<_> = (0..2).map(|_| connect(couplet.address('A'))).collect();
    couplet.rest();
    connect_in_vain(couplet.address('A'));
    let refused = couplet.events("refused", 1).remove(0);
    let error = refused["error"].as_str().unwrap();
    assert!(
        error.contains("of which 2 dials are under way and unanswered"),
        "{error}"
    );
    drop(clients);
}

#[test]
fn no_more_clients_of_one_address_than_the_bound_are_in_a_queue() {
    let target = listen();
    let side = "listen:0,max-conns=1,max-conns.wait=10m,max-conns.queue-per-addr=1";
    let couplet = Couplet::start(&[side, &dial(&target)]);
    let address = couplet.address('A');
    let first = connect_from(ONE, address);
    let server = accept(&target);
    let waits = [ONE, OTHER].map(|source| {
        let waits = connect_from(source, address);
        couplet.rest();
        waits
    });
    expect_closed(&connect_from(ONE, address));
    drop((first, server));
    for client in &waits {
        let server = accept(&target);
        pattern::send(client, 1, 1000);
        pattern::expect(&server, 1, 1000);
        drop(server);
        let ends = |mut client: &TcpStream| {
            client
                .write_all(b"x")
                .and_then(|()| client.shutdown(std::net::Shutdown::Both))
        };
        let _ = ends(client);
    }
}

#[test]
fn a_pool_is_not_greater_than_what_may_wait() {
    Couplet::run(&[
        "dial:localhost:1,rendezvous=key,keep=8",
        "dial:localhost:22",
        "--max-waiting=4",
    ])
    .with(2)
    .said("`keep=8` is more than may wait, --max-waiting=4");
}

#[test]
fn explain_prints_the_bounds() {
    let scratch = tempfile::tempdir().unwrap();
    let routes = scratch.path().join("routes");
    std::fs::write(&routes, "ssh refuse\n").unwrap();
    let explained = |args: &[&str]| Couplet::run(&[&["explain"], args].concat()).ok().log;
    let routed = format!("dial:localhost:22,route=@{}", routes.display());
    let said = explained(&["listen:9000,sniff", &routed]);
    for part in [
        "max-handshakes 1024 (default)",
        "dial-for          max-waiting 1024 (default)",
        "max-per-target 256 (default)",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let side = "listen:9000,sniff,rate=9/s,rate.wait=1s,rate.queue-per-addr=7";
    let said = explained(&[side, &routed, "--max-waiting=40", "--max-handshakes=9"]);
    for part in [
        "max-handshakes 9 (flag)",
        "dial-for          max-waiting 40 (flag)",
        "max-per-target 10 (default)",
        "queue 1024 (default), queue-per-addr 7 (side)",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let said = explained(&["listen:9000", "dial:localhost:22,max-per-target=3"]);
    assert!(said.contains("max-per-target 3 (side)"), "{said}");
}

#[test]
fn a_relay_that_could_only_dial_itself_does_not_start() {
    for listened in ["127.0.0.1", "*", "localhost"] {
        for dialled in ["127.0.0.1", "localhost"] {
            let port = free_port();
            let listens = format!("listen:{listened}:{port}");
            let target = format!("{dialled}:{port}");
            Couplet::run(&[&listens, &format!("dial:{target}")])
                .with(1)
                .said(&format!(
                    "cannot dial {target}: this relay listens there itself"
                ));
        }
    }
}
