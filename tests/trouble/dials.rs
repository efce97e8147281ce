//! Targets that refuse, and targets that never answer.

use std::time::{Duration, Instant};

use couplet_tests::{
    Couplet, LIMIT, Mode, Rig,
    net::{BlackHole, accept, connect, connect_in_vain, expect_reset, free_port, listen_at},
    pattern,
};

#[test]
fn a_refused_dial_resets_its_client_alone() {
    let port = free_port();
    let side = format!("dial:127.0.0.1:{port}");
    for (args, side) in [(["listen:0", &*side], 'A'), ([&*side, "listen:0"], 'B')] {
        let couplet = Couplet::start(&args);
        for number in 1..4 {
            connect_in_vain(couplet.address(side));
            let refused = couplet.events("refused", number).pop().unwrap();
            let error = refused["error"].as_str().unwrap();
            assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
        }

        let target = listen_at(([127, 0, 0, 1], port).into());
        let client = connect(couplet.address(side));
        let server = accept(&target);
        // The target goes, and its connections stay.
        drop(target);
        connect_in_vain(couplet.address(side));
        pattern::send(&client, 1, 100_000);
        pattern::expect(&server, 1, 100_000);
    }
}

#[test]
fn dials_that_are_never_answered_are_waited_for_side_by_side() {
    const CLIENTS: usize = 40;
    let hole = BlackHole::new();
    let side = format!("dial:{}", hole.address());
    for (args, side) in [(["listen:0", &*side], 'A'), ([&*side, "listen:0"], 'B')] {
        let couplet = Couplet::start(&[&args[..], &["--connect-timeout=3s"]].concat());
        let start = Instant::now();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| connect(couplet.address(side)))
            .collect();
        clients.iter().for_each(expect_reset);
        // One after the other they would have taken two minutes.
        assert!(start.elapsed() < LIMIT);
        assert!(start.elapsed() >= Duration::from_secs(3));
        couplet.events("refused", CLIENTS);
    }
}

#[test]
fn a_target_that_answers_again_is_dialled_again() {
    let hole = BlackHole::new();
    let side = format!("dial:{}", hole.address());
    let couplet = Couplet::start(&["listen:0", &side, "--connect-timeout=1s"]);
    connect_in_vain(couplet.address('A'));
    let target = hole.open();
    let client = connect(couplet.address('A'));
    pattern::send(&client, 1, 1000);
    pattern::expect(&accept(&target), 1, 1000);
}

#[test]
fn a_client_does_not_wait_for_a_dial_that_another_waits_for() {
    // The same target, deaf and then not: a later client is served no later.
    let hole = BlackHole::new();
    let side = format!("dial:{}", hole.address());
    let couplet = Couplet::start(&["listen:0", &side, "--connect-timeout=10m"]);
    let early: Vec<_> = (0..20).map(|_| connect(couplet.address('A'))).collect();
    let target = hole.open();
    let late = connect(couplet.address('A'));
    pattern::send(&late, 1, 1000);
    let server = std::iter::repeat_with(|| accept(&target)).find(|server| {
        // Those of the early clients come in between, when their systems try again.
        let brief = Duration::from_millis(100);
        server.set_read_timeout(Some(brief)).unwrap();
        matches!(server.peek(&mut [0]), Ok(1))
    });
    pattern::expect(&server.unwrap(), 1, 1000);
    drop(early);
}

#[test]
fn a_pair_is_its_own() {
    // Many at a time, each with bytes of its own: no client hears another.
    for mode in [Mode::ListenDial, Mode::DialListen] {
        let rig = Rig::new(mode, &[]);
        let address = rig.listening().next().unwrap();
        let clients: Vec<_> = (0..100).map(|_| connect(address)).collect();
        for (number, client) in clients.iter().enumerate() {
            std::io::Write::write_all(&mut &*client, &[u8::try_from(number).unwrap()]).unwrap();
        }
        for _ in &clients {
            let mut server = accept(rig.target());
            let mut number = [0];
            std::io::Read::read_exact(&mut server, &mut number).unwrap();
            let number = usize::from(number[0]);
            pattern::send(&server, number, 1000);
            pattern::expect(&clients[number], number, 1000);
        }
    }
}
