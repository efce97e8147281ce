//! Clients that wait for a partner: gone, early, or simply in order.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use couplet_tests::{
    Couplet,
    net::{arrived, connect, connect_from, expect_closed, flood, reset},
    pattern,
};

fn say(mut to: &TcpStream, number: u8) {
    to.write_all(&[number]).unwrap();
}

fn hear(mut from: &TcpStream) -> u8 {
    let mut number = [0];
    from.read_exact(&mut number).unwrap();
    number[0]
}

#[test]
fn the_oldest_are_joined_first() {
    let couplet = Couplet::start(&["listen:0", "listen:0"]);
    let [a, b] = ['A', 'B'].map(|side| couplet.address(side));
    // Whichever side comes first.
    for (first, second) in [(a, b), (b, a)] {
        let early: Vec<_> = (0..20).map(|_| connect(first)).collect();
        for (early, number) in early.iter().zip(0..) {
            say(early, number);
        }
        let late: Vec<_> = (0..20).map(|_| connect(second)).collect();
        for (late, number) in late.iter().zip(0..) {
            assert_eq!(hear(late), number);
            say(late, number + 100);
        }
        for (early, number) in early.iter().zip(100..) {
            assert_eq!(hear(early), number);
        }
    }
}

#[test]
fn a_client_that_left_is_never_joined() {
    let couplet = Couplet::start(&["listen:0", "listen:0"]);
    let [a, b] = ['A', 'B'].map(|side| couplet.address(side));
    for round in 0..60 {
        let (first, second) = if round % 2 == 0 { (a, b) } else { (b, a) };
        let gone = connect(first);
        match round % 3 {
            0 => drop(gone),
            1 => reset(gone),
            _ => {
                // What was said before a reset is not for the next client either.
                say(&gone, 1);
                arrived(&gone);
                reset(gone);
            }
        }
        let stays = connect(first);
        let partner = connect(second);
        say(&stays, 7);
        assert_eq!(hear(&partner), 7, "round {round}");
        say(&partner, 8);
        assert_eq!(hear(&stays), 8, "round {round}");
    }
}

#[test]
fn early_bytes_are_delivered() {
    let couplet = Couplet::start(&["listen:0", "listen:0"]);
    let [a, b] = ['A', 'B'].map(|side| couplet.address(side));
    for (first, second) in [(a, b), (b, a)] {
        // Up to much more than is read before there is a partner.
        for length in [1, 100, 16 * 1024, 16 * 1024 + 1, 4 * 1024 * 1024] {
            let early = connect(first);
            std::thread::scope(|scope| {
                let sending = scope.spawn(|| {
                    pattern::send(&early, 1, length);
                    early.shutdown(Shutdown::Write).unwrap();
                });
                if length <= 16 * 1024 {
                    sending.join().unwrap();
                }
                // It has said all it will: an end is no death.
                let partner = connect(second);
                pattern::expect_all(&partner, 1, length);
                pattern::send(&partner, 2, length);
                partner.shutdown(Shutdown::Write).unwrap();
                pattern::expect_all(&early, 2, length);
            });
        }
    }
}

#[test]
fn early_bytes_without_end_meet_back_pressure() {
    let couplet = Couplet::start(&["listen:0", "listen:0"]);
    let early: Vec<_> = (0..20).map(|_| connect(couplet.address('A'))).collect();
    let before = couplet.memory();
    early.iter().for_each(flood);
    couplet.rest();
    let more = couplet.memory().saturating_sub(before);
    assert!(more < 4 * 1024 * 1024, "{more} bytes of memory more");
    for _ in &early {
        let partner = connect(couplet.address('B'));
        assert_eq!(hear(&partner), 0);
    }
}

#[test]
fn clients_that_left_leave_nothing_behind() {
    let couplet = Couplet::start(&["listen:0", "listen:0"]);
    let before = couplet.descriptors();
    for round in 0..500 {
        let waits = connect(couplet.address(if round % 2 == 0 { 'A' } else { 'B' }));
        if round % 3 == 0 {
            reset(waits);
        }
    }
    couplet_tests::until("the descriptors are given back", || {
        (couplet.descriptors() <= before).then_some(())
    });
    couplet.terminate();
    couplet.finish().ok();
}

#[test]
fn clients_beyond_max_waiting_wait_in_the_backlog() {
    // 1024 places: the rest stays with the system, and is let in as places become free.
    let couplet = Couplet::start(&["listen:0", "listen:0"]);
    // Each from an address of its own, so that none has to give way to another.
    let waiting: Vec<_> = (0..1100_u16)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            connect_from([127, high, low, 1], couplet.address('A'))
        })
        .collect();
    for (mut waiting, number) in waiting.iter().zip(0_u16..) {
        waiting.write_all(&number.to_be_bytes()).unwrap();
    }
    for (waiting, number) in waiting.into_iter().zip(0_u16..) {
        let mut partner = connect(couplet.address('B'));
        let mut heard = [0; 2];
        partner.read_exact(&mut heard).unwrap();
        assert_eq!(u16::from_be_bytes(heard), number);
        reset(partner);
        expect_closed(&waiting);
    }
}
