//! A carrier that dies is noticed, and another is dialled.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use couplet_tests::{
    Couplet,
    net::{accept, connect, dial, expect_reset, free_port, listen},
    pattern, until,
};
use rustix::process::Signal;

use super::Tunnel;

/// Passes on what comes, but nothing more of the connections before those that it is told of.
struct Wire {
    address: SocketAddr,
    silent_below: Arc<AtomicUsize>,
    came: Arc<AtomicUsize>,
}

impl Wire {
    fn to(target: SocketAddr) -> Self {
        let listener = listen();
        let wire = Self {
            address: listener.local_addr().unwrap(),
            silent_below: Arc::default(),
            came: Arc::default(),
        };
        let (silent_below, came) = (Arc::clone(&wire.silent_below), Arc::clone(&wire.came));
        thread::spawn(move || {
            while let Ok((one, _)) = listener.accept() {
                let number = came.fetch_add(1, SeqCst);
                let other = connect(target);
                for (from, to) in [
                    (one.try_clone().unwrap(), other.try_clone().unwrap()),
                    (other, one),
                ] {
                    let silent_below = Arc::clone(&silent_below);
                    thread::spawn(move || pass(from, to, number, &silent_below));
                }
            }
        });
        wire
    }

    /// All connections that are there fall silent, and stay open.
    fn falls_silent(&self) {
        self.silent_below.store(self.came.load(SeqCst), SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, number: usize, silent_below: &AtomicUsize) {
    from.set_read_timeout(None).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if number >= silent_below.load(SeqCst) && to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    if number >= silent_below.load(SeqCst) {
        let _ = to.shutdown(std::net::Shutdown::Write);
    }
}

#[test]
fn a_carrier_whose_far_end_is_killed_resets_its_connections_and_is_dialled_again() {
    let server = listen();
    let port = free_port();
    let listens = format!("listen:127.0.0.1:{port},mux");
    let far = Couplet::start(&[&listens, &dial(&server)]);
    let near = Couplet::start(&["listen:127.0.0.1:0", &format!("dial:127.0.0.1:{port},mux")]);
    let clients: Vec<_> = (0..5)
        .map(|number| {
            let client = connect(near.address('A'));
            let server = accept(&server);
            pattern::send(&client, number, 1000);
            pattern::expect(&server, number, 1000);
            (client, server)
        })
        .collect();
    far.signal(Signal::KILL);
    for (client, _) in &clients {
        expect_reset(client);
    }
    near.events("ended", 5);
    let _far = Couplet::start(&[&listens, &dial(&server)]);
    let client = connect(near.address('A'));
    let server = accept(&server);
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
    near.events("a carrier is there", 2);
}

#[test]
fn a_carrier_that_falls_silent_is_noticed_at_both_ends_and_dialled_again() {
    let mut wire = None;
    let tunnel = Tunnel::through(",mux,mux.ping=2s", ",mux,mux.ping=2s", |address| {
        wire.insert(Wire::to(address)).address
    });
    let wire = wire.unwrap();
    let (client, server) = tunnel.pair();
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
    wire.falls_silent();
    expect_reset(&client);
    expect_reset(&server);
    for couplet in [&tunnel.near, &tunnel.far] {
        couplet.events("a carrier is given up", 1);
    }
    let (client, server) = tunnel.pair();
    pattern::send(&client, 2, 1000);
    pattern::expect(&server, 2, 1000);
}

#[test]
fn a_full_carrier_has_another_beside_it() {
    let tunnel = Tunnel::new(",mux", ",mux,mux.streams=3,mux.carriers=2");
    let pairs: Vec<_> = (0..6).map(|_| tunnel.pair()).collect();
    tunnel.far.events("a carrier is there", 2);
    expect_reset(&connect(tunnel.near.address('A')));
    tunnel.near.find("that they are full", |line| {
        line.contains("carriers full: all 2 have as many streams as they may")
            .then_some(())
    });
    drop(pairs);
    tunnel.near.events("ended", 6);
    until("there is room again", || {
        let client = connect(tunnel.near.address('A'));
        tunnel.server.set_nonblocking(true).unwrap();
        let came = tunnel.server.accept().is_ok();
        drop(client);
        came.then_some(())
    });
}
