//! What ends a pair, or the command, when all is well; and what a pair costs that does nothing.

use std::{
    io::{ErrorKind, Write},
    net::Shutdown,
    thread,
    time::Duration,
};

use couplet_tests::{
    Mode, Rig, in_every_mode_and_over_unix,
    net::{expect_end, expect_reset, flood},
    pattern, until,
};

in_every_mode_and_over_unix! {
    one_pair_and_it_exits
    an_idle_pair_ends
    a_pair_that_talks_is_not_idle
    a_pair_ends_with_its_lifetime
    it_exits_when_idle
    pairs_that_do_nothing_cost_nothing
    nothing_is_left_of_a_pair
}

fn one_pair_and_it_exits(mode: Mode) {
    let options: &[_] = match mode {
        // Without being told.
        Mode::DialDial => &[],
        _ => &["--once"],
    };
    let rig = Rig::new(mode, options);
    let (a, b) = rig.pair();
    pattern::send(&a, 1, 1000);
    pattern::expect(&b, 1, 1000);
    // No other client is let in beside it.
    rig.listens_no_more();
    pattern::send(&b, 2, 1000);
    pattern::expect(&a, 2, 1000);
    drop(b);
    expect_end(&a);
    drop(a);
    rig.couplet.finish().ok();
}

fn an_idle_pair_ends(mode: Mode) {
    let rig = Rig::new(mode, &["--idle-timeout=1s"]);
    let (a, b) = rig.pair();
    pattern::send(&a, 1, 1000);
    pattern::expect(&b, 1, 1000);
    expect_reset(&a);
    expect_reset(&b);
    assert_eq!(rig.couplet.ended(1), "idle timeout");
}

fn a_pair_that_talks_is_not_idle(mode: Mode) {
    let rig = Rig::new(mode, &["--idle-timeout=2s"]);
    let (a, b) = rig.pair();
    for number in 0..30 {
        thread::sleep(Duration::from_millis(150));
        // One way alone will do.
        pattern::send(&b, number, 1);
        pattern::expect(&a, number, 1);
    }
    drop(a);
    expect_end(&b);
}

fn a_pair_ends_with_its_lifetime(mode: Mode) {
    let rig = Rig::new(mode, &["--max-lifetime=2s"]);
    let (a, b) = rig.pair();
    let error = until("the pair is ended while it talks", || {
        match (&a).write_all(b"x") {
            Ok(()) => {
                thread::sleep(Duration::from_millis(50));
                None
            }
            Err(error) => Some(error),
        }
    });
    assert!(matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    ));
    assert_eq!(rig.couplet.ended(1), "maximal lifetime reached");
    drop(b);
}

fn it_exits_when_idle(mode: Mode) {
    let rig = Rig::new(mode, &["--exit-when-idle=2s"]);
    let (a, b) = rig.pair();
    rig.couplet.joined(1);
    // A live pair is not idleness, even if it says nothing for longer.
    thread::sleep(Duration::from_secs(3));
    pattern::send(&a, 1, 1000);
    pattern::expect(&b, 1, 1000);
    drop((a, b));
    let finished = rig.couplet.finish().ok();
    if mode != Mode::DialDial {
        finished.said("no pair is live");
    }
}

fn pairs_that_do_nothing_cost_nothing(mode: Mode) {
    let rigs = [(); 3].map(|()| Rig::new(mode, &[]));
    let pairs = rigs.each_ref().map(Rig::pair);
    let [idle, half_closed, blocked] = &pairs;

    pattern::send(&idle.0, 1, 1000);
    pattern::expect(&idle.1, 1, 1000);

    rigs[1].couplet.joined(1);
    half_closed.0.shutdown(Shutdown::Write).unwrap();
    expect_end(&half_closed.1);

    until("nothing more is taken", || {
        flood(&blocked.0);
        thread::sleep(Duration::from_millis(200));
        (&blocked.0).write(b"x").is_err().then_some(())
    });

    for rig in &rigs {
        rig.couplet.rest();
    }
}

fn nothing_is_left_of_a_pair(mode: Mode) {
    // Each time it dials again, the fourth mode waits longer.
    let (options, pairs): (&[_], _) = match mode {
        Mode::DialDial => (&["--reconnect"], 4),
        _ => (&["--threads=2"], 13),
    };
    let rig = Rig::new(mode, options);
    // With a pair, so that whatever is opened once is open.
    let (a, b) = rig.pair();
    rig.couplet.joined(1);
    let live = rig.couplet.descriptors();
    drop((a, b));
    rig.couplet.ended(1);
    for number in 2..=pairs {
        let (a, b) = rig.pair();
        pattern::send(&a, number, 100_000);
        pattern::expect(&b, number, 100_000);
        drop(a);
        expect_end(&b);
        drop(b);
        rig.couplet.ended(number);
    }
    // In the fourth mode the next are dialled already.
    let at_most = if mode == Mode::DialDial {
        live
    } else {
        // And each thread may keep a pipe.
        live - 2 + 4
    };
    until("the descriptors are given back", || {
        (rig.couplet.descriptors() <= at_most).then_some(())
    });
}
