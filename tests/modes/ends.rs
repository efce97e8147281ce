//! Ends of streams, closes and resets: each reaches the other side as what it was, after what
//! came before it.

use std::{
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use couplet_tests::{
    Mode, Rig, in_every_mode, in_every_mode_and_over_unix, in_every_mode_over_quic,
    net::{arrived, expect_end, expect_reset, reset},
    pattern,
};

in_every_mode_and_over_unix! {
    the_answer_to_a_half_close_may_come_late
    a_half_closed_pair_ends_when_it_is_idle
    a_half_closed_pair_lives_while_bytes_come
}

// Of an early answer there is less to be seen through a second command, which reads on for the test.
in_every_mode_over_quic! {
    the_answer_to_a_half_close_may_come_late
    a_half_closed_pair_ends_when_it_is_idle
    a_half_closed_pair_lives_while_bytes_come
    a_reset_is_passed_on_after_the_bytes
    a_reset_of_an_idle_pair_is_passed_on
}

// Over Unix sockets a close with bytes unread takes back the end that was sent before it.
in_every_mode! {
    an_answer_that_ends_early_arrives_whole
    a_reset_is_passed_on_after_the_bytes
    a_reset_of_an_idle_pair_is_passed_on
}

/// For both ways round: the command, and the two ends of a pair.
fn both_ways(mode: Mode, options: &[&str], test: impl Fn(&Rig, TcpStream, TcpStream, [char; 2])) {
    let rig = Rig::new(mode, options);
    let (a, b) = rig.pair();
    test(&rig, a, b, ['A', 'B']);
    let rig = Rig::new(mode, options);
    let (a, b) = rig.pair();
    test(&rig, b, a, ['B', 'A']);
}

fn the_answer_to_a_half_close_may_come_late(mode: Mode) {
    const ANSWER: usize = 8 * 1024 * 1024;
    both_ways(mode, &[], |rig, client, server, [client_side, _]| {
        pattern::send(&client, 1, 100_000);
        client.shutdown(Shutdown::Write).unwrap();
        pattern::expect_all(&server, 1, 100_000);
        // It takes the server longer to answer than the second after which many relays cut.
        thread::sleep(Duration::from_millis(1500));
        thread::scope(|scope| {
            scope.spawn(|| {
                pattern::send(&server, 2, ANSWER);
                server.shutdown(Shutdown::Write).unwrap();
            });
            pattern::expect_all(&client, 2, ANSWER);
        });
        assert_eq!(
            rig.couplet.ended(1),
            format!("finished, {client_side} first")
        );
    });
}

fn an_answer_that_ends_early_arrives_whole(mode: Mode) {
    const ANSWER: usize = 512 * 1024;
    both_ways(mode, &[], |rig, client, server, [_, server_side]| {
        thread::scope(|scope| {
            let sending = scope.spawn(|| pattern::send(&client, 1, 8 * 1024 * 1024));
            pattern::send(&server, 2, ANSWER);
            server.shutdown(Shutdown::Write).unwrap();
            pattern::expect(&server, 1, 64 * 1024);
            arrived(&server);
            // There is something to read: so its system answers the close with a reset.
            server.peek(&mut [0]).unwrap();
            drop(server);
            // The client can send all it wants before it reads the answer.
            sending.join().unwrap();
            pattern::expect_all(&client, 2, ANSWER);
        });
        drop(client);
        let reason = format!("{server_side} closed while the other was sending");
        assert_eq!(rig.couplet.ended(1), reason);
    });
}

fn a_reset_is_passed_on_after_the_bytes(mode: Mode) {
    const SIZE: usize = 256 * 1024;
    both_ways(mode, &[], |rig, from, to, [from_side, _]| {
        pattern::send(&from, 1, SIZE);
        arrived(&from);
        reset(from);
        pattern::expect(&to, 1, SIZE);
        expect_reset(&to);
        assert_eq!(rig.couplet.ended(1), format!("reset by {from_side}"));
    });
}

fn a_reset_of_an_idle_pair_is_passed_on(mode: Mode) {
    both_ways(mode, &[], |rig, from, to, [from_side, _]| {
        rig.couplet.joined(1);
        reset(from);
        expect_reset(&to);
        assert_eq!(rig.couplet.ended(1), format!("reset by {from_side}"));
    });
}

fn a_half_closed_pair_ends_when_it_is_idle(mode: Mode) {
    let options = ["--half-close-timeout=1s"];
    both_ways(mode, &options, |rig, ended, idle, [ended_side, _]| {
        pattern::send(&ended, 1, 1000);
        ended.shutdown(Shutdown::Write).unwrap();
        pattern::expect_all(&idle, 1, 1000);
        // What has not ended its stream is not made to look as if it had.
        expect_reset(&ended);
        let reason = format!("half-close timeout, {ended_side} had ended");
        assert_eq!(rig.couplet.ended(1), reason);
    });
}

fn a_half_closed_pair_lives_while_bytes_come(mode: Mode) {
    let rig = Rig::new(mode, &["--half-close-timeout=2s"]);
    let (a, b) = rig.pair();
    // Before the join, one that ends without a word would be one that went away.
    rig.couplet.joined(1);
    a.shutdown(Shutdown::Write).unwrap();
    expect_end(&b);
    for number in 0..30 {
        // A server that says a word now and then, for longer than the timeout.
        thread::sleep(Duration::from_millis(150));
        pattern::send(&b, number, 10);
        pattern::expect(&a, number, 10);
    }
    drop(b);
    expect_end(&a);
    assert_eq!(rig.couplet.ended(1), "finished, A first");
}
