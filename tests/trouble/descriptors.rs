//! Too few descriptors: it neither exits nor spins, and serves again when there are some. And
//! thousands of connections leave none behind.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use couplet_tests::{
    Couplet, Mode, Rig,
    net::{accept, connect, dial, expect_end, listen, reset},
    pattern, until,
};

/// Echoes to all clients at a time.
fn echo(target: TcpListener) {
    thread::spawn(move || {
        loop {
            let stream = accept(&target);
            thread::spawn(move || io::copy(&mut &stream, &mut &stream));
        }
    });
}

fn is_served(mut client: &TcpStream) -> bool {
    client.write_all(b"x").is_ok() && client.read_exact(&mut [0]).is_ok()
}

#[test]
fn a_shortage_of_descriptors_harms_no_waiting_client() {
    let mut couplet = Couplet::start_with_descriptors(64, &["listen:0", "listen:0"]);
    let [a, b] = ['A', 'B'].map(|side| couplet.address(side));
    let waiting: Vec<_> = (0..200).map(|_| connect(a)).collect();
    until("there are none left", || {
        (couplet.descriptors() >= 64).then_some(())
    });
    couplet.rest();
    assert!(couplet.is_running());

    // They are given back: it goes on by itself, on both sides.
    waiting.into_iter().for_each(reset);
    let (a, b) = (connect(a), connect(b));
    pattern::send(&a, 1, 1000);
    pattern::expect(&b, 1, 1000);
    pattern::send(&b, 2, 1000);
    pattern::expect(&a, 2, 1000);
}

#[test]
fn a_shortage_of_descriptors_harms_no_joined_client() {
    let target = listen();
    let mut couplet = Couplet::start_with_descriptors(64, &["listen:0", &dial(&target)]);
    let address = couplet.address('A');
    echo(target);
    // The first are served, and stay; a dial that finds no descriptor fails its client alone.
    let clients: Vec<_> = (0..200).map(|_| connect(address)).collect();
    for mut client in &clients {
        // Some are closed by now.
        let _ = client.write_all(b"x");
    }
    couplet.rest();
    assert!(couplet.is_running());
    let has_answer = |client: &&TcpStream| {
        client.set_nonblocking(true).unwrap();
        matches!(client.peek(&mut [0]), Ok(1))
    };
    let served = clients.iter().filter(has_answer).count();
    assert!((10..32).contains(&served), "{served} of 200 were served");

    clients.into_iter().for_each(reset);
    until("a client is served again", || {
        is_served(&connect(address)).then_some(())
    });
    // And not only the one.
    until("many clients are served again", || {
        let clients: Vec<_> = (0..10).map(|_| connect(address)).collect();
        clients.iter().all(is_served).then_some(())
    });
}

#[test]
fn thousands_of_clients_come_and_go() {
    for mode in [Mode::ListenDial, Mode::DialListen] {
        let rig = Rig::new(mode, &[]);
        let address = rig.listening().next().unwrap();
        echo(rig.target().try_clone().unwrap());
        come_and_go(&rig.couplet, 4, || {
            assert!(is_served(&connect(address)));
        });
    }
}

#[test]
fn thousands_of_clients_meet() {
    let rig = Rig::new(Mode::ListenListen, &[]);
    let [a, b] = ['A', 'B'].map(|side| rig.couplet.address(side));
    // One after the other, so that each client knows its partner.
    come_and_go(&rig.couplet, 1, || {
        let (a, b) = (connect(a), connect(b));
        pattern::send(&a, 1, 10);
        pattern::expect(&b, 1, 10);
        drop(b);
        expect_end(&a);
    });
}

/// So many side by side, thousands in all: each is served, and none leaves anything behind.
fn come_and_go(couplet: &Couplet, side_by_side: usize, client: impl Fn() + Sync) {
    const CLIENTS: usize = 3000;
    client();
    couplet.ended(1);
    couplet.rest();
    let before = couplet.descriptors();
    let served = AtomicUsize::new(1);
    thread::scope(|scope| {
        for _ in 0..side_by_side {
            scope.spawn(|| {
                while served.fetch_add(1, Ordering::Relaxed) < CLIENTS {
                    client();
                }
            });
        }
    });
    couplet.ended(CLIENTS);
    until("the descriptors are given back", || {
        (couplet.descriptors() <= before).then_some(())
    });
}
