//! Too few descriptors: it neither exits nor spins, and serves again when there are some. And
//! thousands of connections leave none behind.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
};

use couplet_tests::{
    Couplet, Mode, Rig,
    mode::End,
    net::{accept, connect, dial, listen, reset},
    pattern, until,
};

#[test]
fn too_few_for_those_who_wait() {
    let mut couplet = Couplet::start_with_descriptors(64, &["listen:0", "listen:0"]);
    let waiting: Vec<_> = (0..200).map(|_| connect(couplet.address('A'))).collect();
    until("there are none left", || {
        (couplet.descriptors() >= 64).then_some(())
    });
    couplet.rest();
    assert!(couplet.is_running());

    // Some are given back: it goes on by itself, on both sides.
    waiting.into_iter().for_each(reset);
    let (a, b) = (
        connect(couplet.address('A')),
        connect(couplet.address('B')),
    );
    pattern::send(&a, 1, 1000);
    pattern::expect(&b, 1, 1000);
    pattern::send(&b, 2, 1000);
    pattern::expect(&a, 2, 1000);
}

#[test]
fn too_few_for_those_who_are_served() {
    let target = listen();
    let mut couplet = Couplet::start_with_descriptors(64, &["listen:0", &dial(&target)]);
    thread::spawn(move || echo(&target));
    // The first are served, and stay; a dial that finds no descriptor fails its client alone.
    let clients: Vec<_> = (0..200).map(|_| connect(couplet.address('A'))).collect();
    let served = clients.iter().filter(|client| is_served(client)).count();
    assert!((10..60).contains(&served), "{served} were served");
    couplet.rest();
    assert!(couplet.is_running());

    clients.into_iter().for_each(reset);
    until("a client is served again", || {
        is_served(&connect(couplet.address('A'))).then_some(())
    });
}

#[test]
fn thousands_that_come_and_go() {
    const CLIENTS: usize = 3000;
    for mode in [Mode::ListenDial, Mode::DialListen] {
        let rig = Rig::new(mode, &["-q"]);
        let (End::Connect(address), End::Accept(target)) = (match mode {
            Mode::ListenDial => (&rig.a, &rig.b),
            _ => (&rig.b, &rig.a),
        }) else {
            unreachable!("one side listens, the other dials");
        };
        let target = target.try_clone().unwrap();
        thread::spawn(move || echo(&target));
        come_and_go(&rig.couplet, CLIENTS, || is_served(&connect(*address)));
    }
}

#[test]
fn thousands_that_meet() {
    let rig = Rig::new(Mode::ListenListen, &["-q"]);
    let [a, b] = ['A', 'B'].map(|side| rig.couplet.address(side));
    // One thread: so that each knows whom it meets.
    come_and_go(&rig.couplet, 3000, || {
        let (a, b) = (connect(a), connect(b));
        pattern::send(&a, 1, 10);
        pattern::expect(&b, 1, 10);
        drop(b);
        a.peek(&mut [0]).is_ok_and(|more| more == 0)
    });
}
