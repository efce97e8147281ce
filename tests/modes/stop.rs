//! Signals: the first drains, the second ends at once.

use std::time::Instant;

use couplet_tests::{
    Couplet, LIMIT, Mode, Rig, in_every_mode, in_every_mode_and_over_unix, in_every_mode_over_quic,
    net::{connect, expect_end, expect_reset},
    pattern,
};
use rustix::process::Signal;

in_every_mode_and_over_unix! {
    the_live_pair_finishes
    what_is_left_after_the_drain_is_cut
    the_second_signal_ends_at_once
}

in_every_mode_over_quic! {
    what_is_left_after_the_drain_is_cut
    the_second_signal_ends_at_once
}

in_every_mode! {
    without_a_pair_it_ends_at_once
}

const STOPPING: &str = "stopping: no new connections, live pairs may end";

fn options(mode: Mode, drain: &'static str) -> Vec<&'static str> {
    match mode {
        // What would bring the next pair is stopped with the rest.
        Mode::DialDial => vec!["--reconnect", drain],
        _ => vec![drain],
    }
}

fn the_live_pair_finishes(mode: Mode) {
    let rig = Rig::new(mode, &options(mode, "--drain-timeout=never"));
    let (a, b) = rig.pair();
    rig.couplet.joined(1);
    rig.couplet.terminate();
    rig.couplet.events(STOPPING, 1);
    rig.listens_no_more();
    pattern::send(&a, 1, 300_000);
    pattern::expect(&b, 1, 300_000);
    drop(a);
    expect_end(&b);
    drop(b);
    rig.couplet.ended(1);
    rig.couplet.finish().ok();
}

fn what_is_left_after_the_drain_is_cut(mode: Mode) {
    let rig = Rig::new(mode, &options(mode, "--drain-timeout=1s"));
    let (a, b) = rig.pair();
    rig.couplet.joined(1);
    rig.couplet.signal(Signal::INT);
    expect_reset(&a);
    expect_reset(&b);
    assert_eq!(rig.couplet.ended(1), "shutdown");
    rig.couplet.finish().ok();
}

fn the_second_signal_ends_at_once(mode: Mode) {
    let rig = Rig::new(mode, &options(mode, "--drain-timeout=never"));
    let (a, b) = rig.pair();
    rig.couplet.joined(1);
    rig.couplet.terminate();
    rig.couplet.events(STOPPING, 1);
    rig.couplet.terminate();
    expect_reset(&a);
    expect_reset(&b);
    assert_eq!(rig.couplet.ended(1), "closed");
    rig.couplet.finish().ok();
}

fn without_a_pair_it_ends_at_once(mode: Mode) {
    let couplet = match mode {
        Mode::ListenListen => {
            let couplet = Couplet::start(&["listen:0", "listen:0"]);
            let waiting = connect(couplet.address('A'));
            couplet.terminate();
            expect_reset(&waiting);
            couplet
        }
        Mode::ListenDial => Couplet::start(&["listen:0", "dial:127.0.0.1:1"]),
        Mode::DialListen => Couplet::start(&["dial:127.0.0.1:1", "listen:0"]),
        Mode::DialDial => {
            let dials = ["dial:127.0.0.1:1", "dial:127.0.0.1:1", "--reconnect"];
            let couplet = Couplet::start(&dials);
            couplet.events("dialling failed; again after a pause", 1);
            couplet
        }
    };
    let start = Instant::now();
    couplet.terminate();
    couplet.finish().ok();
    assert!(
        start.elapsed() < LIMIT / 2,
        "it waited for the end of the drain"
    );
}
