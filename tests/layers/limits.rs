//! `max-conns`, `max-per-addr`, `rate` and `rate-per-addr`: how many come in, and how fast.

use std::net::{SocketAddr, TcpListener, TcpStream};

use couplet_tests::{
    Couplet,
    net::{accept, connect_from, connect_in_vain_from, dial, listen, nobody_comes},
    pattern, until,
};

const ONE: [u8; 4] = [127, 0, 0, 1];
const OTHER: [u8; 4] = [127, 0, 0, 2];

/// Comes from there, and is joined with the target.
fn enters(source: [u8; 4], address: SocketAddr, target: &TcpListener) -> [TcpStream; 2] {
    let client = connect_from(source, address);
    let server = accept(target);
    joined(&client, &server);
    [client, server]
}

fn joined(client: &TcpStream, server: &TcpStream) {
    pattern::send(client, 1, 1000);
    pattern::expect(server, 1, 1000);
    pattern::send(server, 2, 1000);
    pattern::expect(client, 2, 1000);
}

/// Comes from there, and is closed.
fn refused(source: [u8; 4], address: SocketAddr) {
    connect_in_vain_from(source, address);
}

#[test]
fn the_limit_holds_for_each_address() {
    let target = listen();
    let couplet = Couplet::start(&["listen:0,max-per-addr=2", &dial(&target)]);
    let address = couplet.address('A');
    let first = enters(ONE, address, &target);
    let _second = enters(ONE, address, &target);
    refused(ONE, address);
    let event = couplet.events("refused", 1).remove(0);
    let error = "connection over the limit of 2 open connections of one address";
    assert_eq!(event["error"], error);
    let _other = enters(OTHER, address, &target);
    drop(first);
    couplet.ended(1);
    let _third = enters(ONE, address, &target);
    refused(ONE, address);
}

#[test]
fn the_limit_holds_for_all_together() {
    let target = listen();
    let couplet = Couplet::start(&["listen:0,max-conns=2", &dial(&target)]);
    let address = couplet.address('A');
    let first = enters(ONE, address, &target);
    let _second = enters(OTHER, address, &target);
    refused(ONE, address);
    drop(first);
    couplet.ended(1);
    let _third = enters(ONE, address, &target);
}

#[test]
fn clients_that_wait_for_a_partner_count_too() {
    let couplet = Couplet::start(&["listen:0,max-per-addr=2", "listen:0"]);
    let first = connect_from(ONE, couplet.address('A'));
    let second = connect_from(ONE, couplet.address('A'));
    refused(ONE, couplet.address('A'));
    let other = connect_from(OTHER, couplet.address('A'));
    couplet.rest();
    let descriptors = couplet.descriptors();
    drop(second);
    until("the client that left is gone", || {
        (couplet.descriptors() < descriptors).then_some(())
    });
    let third = connect_from(ONE, couplet.address('A'));
    for waiting in [&first, &other, &third] {
        let partner = connect_from(ONE, couplet.address('B'));
        joined(waiting, &partner);
    }
}

#[test]
fn the_rate_of_new_connections_is_bounded() {
    let target = listen();
    let couplet = Couplet::start(&["listen:0,rate-per-addr=1/h,rate=2/h", &dial(&target)]);
    let address = couplet.address('A');
    let _first = enters(ONE, address, &target);
    refused(ONE, address);
    let _other = enters(OTHER, address, &target);
    refused([127, 0, 0, 3], address);
    let events = couplet.events("refused", 2);
    let errors = [
        "connection over the limit of new connections of one address, 1 in 1h",
        "connection over the limit of new connections, 2 in 1h",
    ];
    for (event, error) in events.iter().zip(errors) {
        assert_eq!(event["error"], error);
    }
}

#[test]
fn clients_beyond_the_limit_may_wait() {
    let target = listen();
    let side = "listen:0,max-per-addr=1,max-per-addr.wait=10m,max-per-addr.queue=1";
    let couplet = Couplet::start(&[side, &dial(&target)]);
    let address = couplet.address('A');
    let first = enters(ONE, address, &target);
    let next = connect_from(ONE, address);
    // It is in the queue when there is no room in it any more.
    refused(ONE, address);
    let _other = enters(OTHER, address, &target);
    nobody_comes(&target);
    drop(first);
    joined(&next, &accept(&target));
}

#[test]
fn clients_are_closed_at_the_deadline_of_the_queue() {
    let target = listen();
    let side = "listen:0,rate=1/h,rate.wait=100ms";
    let couplet = Couplet::start(&[side, &dial(&target)]);
    let _first = enters(ONE, couplet.address('A'), &target);
    refused(ONE, couplet.address('A'));
    let event = couplet.events("refused", 1).remove(0);
    let error = "connection still over the limit of new connections, 1 in 1h after 100ms";
    assert_eq!(event["error"], error);
}

/// Five hundred clients of one address are closed or wait, and delay no other.
#[test]
fn a_crowd_of_one_address_delays_no_other() {
    for options in [
        "max-per-addr=4,max-conns=5",
        "max-per-addr=4,max-per-addr.wait=10m,max-conns=5,max-conns.wait=10m",
        "rate-per-addr=4/h,rate=500/h",
        "rate-per-addr=4/h,rate-per-addr.wait=10m,max-conns=5",
    ] {
        let target = listen();
        let side = format!("listen:0,{options}");
        let couplet = Couplet::start(&[&side, &dial(&target)]);
        let address = couplet.address('A');
        let inside: Vec<_> = (0..4).map(|_| enters(ONE, address, &target)).collect();
        let crowd: Vec<_> = (0..500).map(|_| connect_from(ONE, address)).collect();
        for number in 1..=20 {
            drop(enters([127, 0, 1, number], address, &target));
            couplet.ended(number.into());
        }
        // Admitted clients are served, and none of the crowd is.
        for [client, server] in &inside {
            joined(client, server);
        }
        nobody_comes(&target);
        drop((inside, crowd));
    }
}

#[test]
fn explain_prints_the_limits_and_splice() {
    let side = "listen:9000,rate-per-addr=20/1m,max-conns=100,max-conns.wait=10s";
    let explained = Couplet::run(&["explain", side, "dial:localhost:22"])
        .ok()
        .log;
    for line in [
        "  rate-per-addr     limit 20/1m (side), over refuse (default)\n",
        "  max-conns         limit 100 (side), wait 10s (side), queue 1024 (default), queue-per-addr 32 (default)\n",
    ] {
        assert!(explained.contains(line), "{explained}");
    }
    if cfg!(target_os = "linux") {
        assert!(explained.contains("A to B: by splice"), "{explained}");
    }
}
