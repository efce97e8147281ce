//! A name server that does not answer.

use std::net::UdpSocket;

use couplet_tests::Process;
use rustix::process::Signal;

use crate::{
    is_wanted,
    link::{Link, Namespace},
};

/// Starts the command where the only name server never answers, and waits until it is asked.
fn asks(link: &Link, server: &UdpSocket, args: &[&str]) -> Process {
    let process = Process::spawn("couplet", &mut link.near.command(args));
    server.recv(&mut [0; 512]).unwrap();
    process
}

/// A name server that takes questions, and nothing else.
fn silent_name_server(at: &Namespace) -> UdpSocket {
    let server = at.within(|| UdpSocket::bind((at.ip, 53)).unwrap());
    server.set_read_timeout(Some(couplet_tests::LIMIT)).unwrap();
    server
}

#[test]
fn a_signal_is_heard_while_the_name_to_listen_on_is_looked_up() {
    if !is_wanted() {
        return;
    }
    let link = Link::new(1400, "{}");
    let server = silent_name_server(&link.far);
    // Longer than this test has.
    link.near.resolves_with(&format!(
        "nameserver {}\noptions timeout:30 attempts:5\n",
        link.far.ip
    ));
    let listens = ["listen:name.test:9001", "dial:127.0.0.1:1"];
    for signal in [Signal::TERM, Signal::INT] {
        let process = asks(&link, &server, &listens);
        process.signal(signal);
        process.finish().ok();
        // What glibc has still asked for, of both families.
        server.set_nonblocking(true).unwrap();
        while server.recv(&mut [0; 512]).is_ok() {}
        server.set_nonblocking(false).unwrap();
    }
    // A dial has the drain time; a second signal ends it at once.
    let dials = [
        "dial:name.test:1",
        "dial:127.0.0.1:1",
        "--connect-timeout=10m",
    ];
    let process = asks(
        &link,
        &server,
        &[&dials[..], &["--drain-timeout=10m"]].concat(),
    );
    process.signal(Signal::TERM);
    process.find("it drains", |line| line.contains("stopping").then_some(()));
    process.signal(Signal::TERM);
    process.finish();
}
