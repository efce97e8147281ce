//! Every byte arrives, in order, once; and a reader that stops stops its sender.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use couplet_tests::{
    Mode, Rig, in_every_mode_and_over_unix, in_every_mode_over_quic, net::expect_end, pattern,
    until,
};

in_every_mode_and_over_unix! {
    words_go_both_ways
    large_transfers_both_ways_at_a_time
    a_slow_reader_holds_its_sender_up
}

in_every_mode_over_quic! {
    words_go_both_ways
}

const MIB: usize = 1024 * 1024;

fn words_go_both_ways(mode: Mode) {
    let rig = Rig::new(mode, &[]);
    let (a, b) = rig.pair();
    for (number, length) in [(1, 1), (2, 10), (3, 100_000)] {
        pattern::send(&a, number, length);
        pattern::expect(&b, number, length);
        pattern::send(&b, number + 10, length);
        pattern::expect(&a, number + 10, length);
    }
    drop(a);
    expect_end(&b);
    drop(b);
    assert_eq!(rig.couplet.ended(1), "finished, A first");
}

fn large_transfers_both_ways_at_a_time(mode: Mode) {
    const SIZE: usize = 64 * MIB;
    let rig = Rig::new(mode, &[]);
    let (a, b) = rig.pair();
    thread::scope(|scope| {
        for (number, from, to) in [(1, &a, &b), (2, &b, &a)] {
            scope.spawn(move || {
                pattern::send(from, number, SIZE);
                from.shutdown(std::net::Shutdown::Write).unwrap();
            });
            scope.spawn(move || pattern::expect_all(to, number, SIZE));
        }
    });
    assert!(rig.couplet.ended(1).starts_with("finished"));
    let ended = &rig.couplet.events("ended", 1)[0];
    assert_eq!(
        (&ended["a_to_b"], &ended["b_to_a"]),
        (&SIZE.into(), &SIZE.into())
    );
}

fn a_slow_reader_holds_its_sender_up(mode: Mode) {
    // More than the systems on both ends and the relay's could hold between them.
    const SIZE: usize = 192 * MIB;
    let rig = Rig::new(mode, &[]);
    let (a, b) = rig.pair();
    pattern::send(&a, 0, 1);
    pattern::expect(&b, 0, 1);
    let before = rig.couplet.memory();

    let sent = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            // As `pattern::send`, and counted.
            let mut from = &a;
            for piece in pattern::bytes(1, SIZE).chunks(64 * 1024) {
                std::io::Write::write_all(&mut from, piece).unwrap();
                sent.fetch_add(piece.len(), Ordering::Relaxed);
            }
        });
        until("the sender is held up", || {
            let before = sent.load(Ordering::Relaxed);
            thread::sleep(Duration::from_millis(700));
            (before > 0 && before == sent.load(Ordering::Relaxed)).then_some(())
        });
        rig.couplet.rest();
        let (sent, memory) = (sent.load(Ordering::Relaxed), rig.couplet.memory());
        assert!(sent < SIZE, "nothing held it up");
        let more = memory.saturating_sub(before);
        assert!(
            more < 8 * MIB as u64,
            "{sent} bytes sent, {more} bytes of memory more"
        );

        pattern::expect(&b, 1, SIZE);
    });
}
