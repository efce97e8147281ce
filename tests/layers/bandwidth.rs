//! `--bandwidth…` and `--quota`: how many bytes pass in a second, and in all.

use std::{
    io::Read,
    net::{Shutdown, TcpListener, TcpStream},
    thread,
};

use couplet_tests::{
    Couplet,
    net::{accept, connect, dial, expect_end, listen},
    pattern,
};

const KIB: usize = 1024;

fn start(flags: &[&str]) -> (Couplet, TcpListener) {
    let target = listen();
    let sides = ["listen:0", &dial(&target)];
    (Couplet::start(&[&sides, flags].concat()), target)
}

fn pair(couplet: &Couplet, target: &TcpListener) -> (TcpStream, TcpStream) {
    let client = connect(couplet.address('A'));
    (client, accept(target))
}

/// As slow as can be, where it is for the other direction alone.
#[test]
fn the_other_direction_is_not_bounded() {
    let (couplet, target) = start(&["--bandwidth=b-to-a:1B/s"]);
    let (client, server) = pair(&couplet, &target);
    thread::scope(|scope| {
        scope.spawn(|| pattern::send(&client, 1, 4096 * KIB));
        pattern::expect(&server, 1, 4096 * KIB);
    });
}

#[test]
fn a_quota_is_exact() {
    for (flag, all) in [
        ("--quota=1MiB", 1024 * KIB),
        ("--quota=a-to-b:100kB", 100_000),
    ] {
        let (couplet, target) = start(&[flag]);
        let (client, mut server) = pair(&couplet, &target);
        let sending = thread::spawn(move || {
            // It is cut off.
            let _ = pattern::write(&client, 7, 4096 * KIB);
        });
        let mut heard = Vec::new();
        server.read_to_end(&mut heard).unwrap_err();
        assert_eq!(heard.len(), all, "{flag}");
        assert!(heard == pattern::bytes(7, all), "{flag}");
        sending.join().unwrap();
        assert_eq!(couplet.ended(1), "quota exceeded");

        // The next has a quota of its own, and ends in time.
        let (client, server) = pair(&couplet, &target);
        pattern::send(&client, 8, all);
        client.shutdown(Shutdown::Write).unwrap();
        pattern::expect(&server, 8, all);
        expect_end(&server);
        drop((client, server));
        assert!(couplet.ended(2).starts_with("finished"));
    }
}

#[test]
fn bounds_on_bandwidth_cost_no_splice() {
    let flags = [
        "--bandwidth=a-to-b:10MiB/s",
        "--bandwidth-per-addr=1MB/s",
        "--quota=1GiB",
    ];
    let sides = ["explain", "listen:9000", "listen:8000"];
    let explained = Couplet::run(&[&sides[..], &flags].concat()).ok();
    for part in [
        "a-to-b 10.0 MiB/s (flag)",
        "address of side B",
        "quota",
        "A to B: by splice",
        "B to A: by splice",
    ] {
        assert!(explained.log.contains(part), "{}", explained.log);
    }
    assert!(!explained.log.contains("by copy"), "{}", explained.log);
}

#[test]
fn mistakes_in_a_bandwidth_are_named() {
    for (flag, right) in [
        ("--bandwidth=10MiB", "10MiB/s"),
        ("--bandwidth=10/s", "10MiB"),
        ("--bandwidth-total=up:1MiB/s", "a-to-b"),
        ("--quota=1000", "1000B"),
        ("--quota=0B", "more than 0"),
        ("--bandwidth-per-addr=1MiB/s", "neither side listens"),
    ] {
        Couplet::run(&["dial:localhost:1", "dial:localhost:2", flag])
            .with(2)
            .said(right);
    }
}
