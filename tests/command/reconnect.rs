//! `--reconnect`: two dialled sides, again and again.

use couplet_tests::{
    Couplet,
    net::{accept, dial, expect_closed, expect_end, free_port, listen, listen_at, reset},
    pattern,
};

#[test]
fn both_sides_are_dialled_anew() {
    let (a, b) = (listen(), listen());
    let couplet = Couplet::start(&[&dial(&a), &dial(&b), "--reconnect"]);
    for number in 1..4 {
        let (a, b) = (accept(&a), accept(&b));
        pattern::send(&a, number, 1000);
        pattern::expect(&b, number, 1000);
        if number == 1 {
            drop(a);
            expect_end(&b);
            drop(b);
        } else {
            reset(b);
            expect_closed(&a);
        }
        couplet.ended(number);
    }
}

#[test]
fn a_server_may_be_restarted_in_between() {
    let a = listen();
    let port = free_port();
    let address = ([127, 0, 0, 1], port).into();
    let b = listen_at(address);
    let couplet = Couplet::start(&[&dial(&a), &dial(&b), "--reconnect"]);
    let ends = (accept(&a), accept(&b));
    couplet.joined(1);

    // It goes, with all its connections.
    drop(b);
    reset(ends.1);
    expect_closed(&ends.0);
    // A dialled connection is dropped when the other side can't be dialled.
    expect_closed(&accept(&a));

    let b = listen_at(address);
    let server = accept(&b);
    pattern::send(&server, 1, 1000);
    // Those that were dialled in vain are before it in the queue.
    loop {
        let end = accept(&a);
        if let Ok(1..) = end.peek(&mut [0]) {
            pattern::expect(&end, 1, 1000);
            return;
        }
    }
}

#[test]
fn neither_side_needs_to_be_there_at_first() {
    let ports = [free_port(), free_port()];
    let sides = ports.map(|port| format!("dial:127.0.0.1:{port}"));
    let couplet = Couplet::start(&[&sides[0], &sides[1], "--reconnect"]);
    couplet.events("dialling failed; again after a pause", 1);
    let [a, b] = ports.map(|port| listen_at(([127, 0, 0, 1], port).into()));
    let ends = (accept(&a), accept(&b));
    pattern::send(&ends.0, 1, 1000);
    pattern::expect(&ends.1, 1, 1000);
}
