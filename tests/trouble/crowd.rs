//! Many stuck, silent or vanished clients delay no other client.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use couplet_tests::{
    Couplet, LIMIT,
    net::{accept, connect, dial, expect_closed, expect_end, flood, listen},
    pattern,
};

#[test]
fn stuck_and_silent_clients_delay_no_other() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("secret");
    std::fs::write(&file, "secret").unwrap();
    let side = format!("listen:0,token=@{}", file.display());
    let target = listen();
    let timeout = "--handshake-timeout=10m";
    let couplet = Couplet::start(&[&side, &dial(&target), timeout]);
    let client = || {
        let client = connect(couplet.address('A'));
        (&client).write_all(b"secret\n").unwrap();
        (client, accept(&target))
    };

    let stuck: Vec<_> = (0..64).map(|_| client()).collect();
    for (client, server) in &stuck {
        flood(client);
        flood(server);
    }
    let silent: Vec<_> = (0..500).map(|_| connect(couplet.address('A'))).collect();
    for mut halfway in &silent[..250] {
        halfway.write_all(b"sec").unwrap();
    }

    let start = Instant::now();
    for number in 0..20 {
        let (client, server) = client();
        pattern::send(&client, number, 100_000);
        pattern::expect(&server, number, 100_000);
        pattern::send(&server, number + 1, 100_000);
        pattern::expect(&client, number + 1, 100_000);
    }
    assert!(start.elapsed() < LIMIT / 2, "{:?}", start.elapsed());
    couplet.rest();
    drop((stuck, silent));
}

#[test]
fn waiting_clients_delay_no_end() {
    // A thousand clients wait on one side.
    let couplet = Couplet::start(&["listen:0", "listen:0", "--drain-timeout=10m"]);
    let waiting: Vec<_> = (0..1000).map(|_| connect(couplet.address('A'))).collect();
    couplet.rest();
    let partner = connect(couplet.address('B'));
    pattern::send(&partner, 1, 1000);
    pattern::expect(&waiting[0], 1, 1000);
    drop(partner);
    expect_end(&waiting[0]);
    couplet.terminate();
    let start = Instant::now();
    waiting.iter().skip(1).for_each(expect_closed);
    drop(waiting);
    couplet.finish().ok();
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}
