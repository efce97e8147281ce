//! Many at a time: what they held is free again.

use couplet_tests::{
    Mode, Rig,
    net::{accept, connect, expect_end},
    pattern,
};

const PAIRS: usize = 1000;

/// Free for the next: whether the system has it meanwhile is the allocator's business.
#[test]
fn each_burst_takes_what_the_one_before_gave_back() {
    let rig = Rig::new(Mode::ListenDial, &["--threads=1"]);
    let address = rig.listening().next().unwrap();
    let target = rig.target();
    // So many pairs, each with bytes behind it; the memory while all are there.
    let burst = |pairs: usize| {
        let pairs: Vec<_> = (0..pairs)
            .map(|_| {
                let client = connect(address);
                let server = accept(target);
                pattern::send(&client, 1, 100_000);
                pattern::expect(&server, 1, 100_000);
                (client, server)
            })
            .collect();
        let memory = rig.couplet.memory();
        for (client, server) in pairs {
            drop(client);
            expect_end(&server);
        }
        memory
    };
    let before = burst(1);
    let once = burst(PAIRS) - before;
    assert!(once > 1000 * PAIRS as u64, "{once} bytes for {PAIRS} pairs");
    let again = (0..2).map(|_| burst(PAIRS) - before).max().unwrap();
    assert!(again < once * 5 / 4, "{again} bytes, and {once} at first");
}
