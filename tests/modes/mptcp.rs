//! `mptcp`: with peers that have it, and with those that have not.

use std::{
    io::Write,
    net::{Shutdown, TcpListener, TcpStream},
};

use couplet_tests::{
    Couplet,
    net::{accept, arrived, connect, dial, expect_end, expect_reset, listen, reset},
    pattern,
};
use socket2::{Domain, Protocol, Socket, Type};

/// A listener of Multipath TCP, as a peer has it.
fn listen_multipath() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP)).unwrap();
    socket
        .bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    socket.listen(16).unwrap();
    socket.set_read_timeout(Some(couplet_tests::LIMIT)).unwrap();
    socket.into()
}

fn is_multipath(stream: &TcpStream) -> bool {
    let socket = socket2::SockRef::from(stream);
    socket.protocol().unwrap() == Some(Protocol::MPTCP)
}

fn is_multipath_listener(listener: &TcpListener) -> bool {
    let socket = socket2::SockRef::from(listener);
    socket.protocol().unwrap() == Some(Protocol::MPTCP)
}

/// A half-close and much each way, in every flavour: real, fallen back, and plain.
#[test]
fn bytes_and_ends_go_through_with_every_kind_of_peer() {
    const MUCH: usize = 8 * 1024 * 1024;
    for (listens, dials, server) in [
        ("listen:0,mptcp", ",mptcp", listen()),
        ("listen:0,mptcp", ",mptcp", listen_multipath()),
        ("listen:0,mptcp", "", listen()),
        ("listen:0", ",mptcp", listen_multipath()),
    ] {
        let far = Couplet::start(&[listens, &format!("{}{dials}", dial(&server))]);
        // A client of Multipath TCP, and one of TCP.
        let near = Couplet::start(&["listen:0", &format!("{},mptcp", far.dial('A'))]);
        for address in [near.address('A'), far.address('A')] {
            let client = connect(address);
            let served = accept(&server);
            let both = is_multipath_listener(&server) && !dials.is_empty();
            assert_eq!(is_multipath(&served), both);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    pattern::send(&client, 1, MUCH);
                    client.shutdown(Shutdown::Write).unwrap();
                });
                pattern::expect_all(&served, 1, MUCH);
            });
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    pattern::send(&served, 2, MUCH);
                    served.shutdown(Shutdown::Write).unwrap();
                });
                pattern::expect_all(&client, 2, MUCH);
            });
        }
    }
}

#[test]
fn a_reset_is_passed_on_behind_its_bytes() {
    const SIZE: usize = 256 * 1024;
    let server = listen();
    let far = Couplet::start(&["listen:0,mptcp", &dial(&server)]);
    let near = Couplet::start(&["listen:0", &format!("{},mptcp", far.dial('A'))]);
    for client_resets in [true, false] {
        let (client, served) = (connect(near.address('A')), accept(&server));
        let (from, to) = match client_resets {
            true => (client, served),
            false => (served, client),
        };
        pattern::send(&from, 1, SIZE);
        arrived(&from);
        reset(from);
        pattern::expect(&to, 1, SIZE);
        expect_reset(&to);
    }
}

/// With a server of TCP alone the socket is two sockets: what the inner one has not sent yet must not be thrown
/// away by the reset that follows.
#[test]
fn a_reset_behind_a_slow_reader_of_tcp_throws_nothing_away() {
    const SIZE: usize = 1024 * 1024;
    let server = listen();
    let couplet = Couplet::start(&["listen:0", &format!("{},mptcp", dial(&server))]);
    let (client, served) = (connect(couplet.address('A')), accept(&server));
    pattern::send(&client, 1, SIZE);
    arrived(&client);
    reset(client);
    couplet.joined(1);
    pattern::expect(&served, 1, SIZE);
    expect_reset(&served);
}

#[test]
fn what_the_system_lacks_over_it_is_a_mistake_and_explained() {
    for option in ["ack-timeout=20s", "user-timeout=20s"] {
        Couplet::run(&[&format!("listen:0,mptcp,{option}"), "listen:0"])
            .with(2)
            .said("does not work over Multipath TCP");
    }
    Couplet::run(&["explain", "listen:0,mptcp", "dial:unix:/x,mptcp"])
        .with(2)
        .said("`mptcp` is for TCP, not for a Unix socket");
    Couplet::run(&["explain", "listen:0,mptcp", "dial:h:1"])
        .ok()
        .said("ack-timeout never (default), user-timeout never (default), mptcp on (side)");
}

#[test]
fn a_client_without_it_is_served_as_ever() {
    let server = listen();
    let couplet = Couplet::start(&["listen:0,mptcp", &dial(&server)]);
    let (mut client, served) = (connect(couplet.address('A')), accept(&server));
    assert!(!is_multipath(&client));
    client.write_all(b"x").unwrap();
    pattern_of(&served, b"x");
    drop(client);
    expect_end(&served);
}

fn pattern_of(mut served: &TcpStream, expected: &[u8]) {
    let mut heard = vec![0; expected.len()];
    std::io::Read::read_exact(&mut served, &mut heard).unwrap();
    assert_eq!(heard, expected);
}
