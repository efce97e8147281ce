//! `--fault`: a bad network on purpose.

use std::{
    io::{ErrorKind, Read},
    net::{Shutdown, TcpListener, TcpStream},
};

use couplet_tests::{
    Couplet,
    net::{accept, connect, dial, expect_end, expect_reset, listen},
    pattern,
};
use rustix::process::Signal;

fn start(flags: &[&str]) -> (Couplet, TcpListener) {
    let target = listen();
    let sides = ["listen:0", &dial(&target)];
    (Couplet::start(&[&sides, flags].concat()), target)
}

fn pair(couplet: &Couplet, target: &TcpListener) -> (TcpStream, TcpStream) {
    let client = connect(couplet.address('A'));
    (client, accept(target))
}

#[test]
fn bytes_that_are_late_and_in_pieces_are_whole() {
    let flags = [
        "--fault=a-to-b:latency:200ms±50ms",
        "--fault=slice:1000B",
        "--fault=b-to-a:slow-close:100ms",
    ];
    let (couplet, target) = start(&flags);
    let (client, server) = pair(&couplet, &target);
    pattern::send(&client, 1, 100_000);
    client.shutdown(Shutdown::Write).unwrap();
    pattern::expect(&server, 1, 100_000);
    expect_end(&server);
    pattern::send(&server, 2, 100_000);
    drop(server);
    pattern::expect(&client, 2, 100_000);
    expect_end(&client);
    drop(client);
    assert!(couplet.ended(1).starts_with("finished"));
}

#[test]
fn connections_are_cut_after_so_many_bytes() {
    let (couplet, target) = start(&["--fault=a-to-b:reset:1kB"]);
    let (client, server) = pair(&couplet, &target);
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
    expect_reset(&server);
    expect_reset(&client);
    assert_eq!(couplet.ended(1), "reset by A");

    let (couplet, target) = start(&["--fault=b-to-a:limit:1kB"]);
    let (client, server) = pair(&couplet, &target);
    pattern::send(&server, 1, 2000);
    pattern::expect(&client, 1, 1000);
    expect_end(&client);
}

#[test]
fn chance_is_drawn_from_the_seed() {
    let met = |seed: &str| -> Vec<bool> {
        let fault = "--fault=b-to-a:limit:1B,probability=50%";
        let (couplet, target) = start(&[fault, seed]);
        let mut met = Vec::new();
        for _ in 0..12 {
            let (mut client, server) = pair(&couplet, &target);
            pattern::send(&server, 1, 2);
            drop(server);
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).unwrap();
            met.push(heard.len() == 1);
        }
        met
    };
    let some = met("--fault-seed=3");
    assert!(some.contains(&true) && some.contains(&false), "{some:?}");
    assert_eq!(met("--fault-seed=3"), some);
    assert_ne!(met("--fault-seed=4"), some);
}

#[test]
fn explain_prints_the_faults_and_mistakes_are_named() {
    let sides = ["listen:9000", "listen:8000"];
    let flags = ["--fault=a-to-b:latency:200ms±50ms", "--fault-seed=7"];
    let explained = Couplet::run(&[&["explain"], &sides[..], &flags].concat()).ok();
    for part in [
        "a-to-b latency:200ms±50ms (flag)",
        "seed 7",
        "A to B: by copy",
    ] {
        assert!(explained.log.contains(part), "{}", explained.log);
    }
    for (flag, right) in [
        ("--fault=flood", "blackhole"),
        ("--fault=latency:5", "5ms"),
        ("--fault-seed=1", "--fault"),
    ] {
        Couplet::run(&[&sides[..], &[flag]].concat())
            .with(2)
            .said(right);
    }
}

#[test]
fn faults_are_switched_off_and_on_by_a_signal() {
    let (couplet, target) = start(&["--fault=a-to-b:latency:1h", "--fault=a-to-b:latency:2h"]);
    let (client, server) = pair(&couplet, &target);
    pattern::send(&client, 1, 1000);
    couplet.signal(Signal::USR1);
    // What was held up comes, too.
    pattern::expect(&server, 1, 1000);
    couplet.events("faults off", 1);
    let (other, its_server) = pair(&couplet, &target);
    pattern::send(&other, 2, 1000);
    pattern::expect(&its_server, 2, 1000);

    couplet.signal(Signal::USR1);
    couplet.events("faults on", 1);
    pattern::send(&client, 3, 1000);
    pattern::send(&server, 4, 1000);
    pattern::expect(&client, 4, 1000);
    server.set_nonblocking(true).unwrap();
    let held_up = (&server).read(&mut [0]).unwrap_err();
    assert_eq!(held_up.kind(), ErrorKind::WouldBlock);
    server.set_nonblocking(false).unwrap();
    couplet.signal(Signal::USR1);
    pattern::expect(&server, 3, 1000);
}
