//! Exit statuses: 0 done or drained, 1 could not do it, 2 wrong usage.

use std::{
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use couplet_tests::{
    Couplet, LIMIT,
    net::{
        BlackHole, accept, connect, connect_in_vain, dial, expect_end, expect_reset, free_port,
        listen, reset,
    },
    pattern,
};

#[test]
fn help_and_version_are_a_success() {
    for short_or_long in ["--help", "-h"] {
        Couplet::run(&[short_or_long])
            .ok()
            .said("listen:[HOST:]PORT")
            .said("dial:HOST:PORT");
    }
    Couplet::run(&["--version"]).ok().said("couplet ");
}

#[test]
fn a_taken_port_is_a_failure() {
    let holder = listen();
    let address = holder.local_addr().unwrap();
    let side = format!("listen:{address}");
    for args in [[&side, "listen:0"], ["listen:0", &side]] {
        Couplet::run(&args).with(1).said(&address.to_string());
    }
}

#[test]
fn a_foreign_address_to_listen_on_is_a_failure() {
    Couplet::run(&["listen:192.0.2.1:9000", "listen:0"])
        .with(1)
        .said("192.0.2.1:9000");
}

#[test]
fn a_foreign_source_address_is_a_failure() {
    let dial = "dial:192.0.2.7:22,source=192.0.2.1";
    for args in [["listen:0", dial], [dial, "listen:0"]] {
        Couplet::run(&args).with(1).said("source=192.0.2.1");
    }
    Couplet::run(&["listen:0", dial, "--threads=2"])
        .with(1)
        .said("source=192.0.2.1");
}

#[test]
fn an_unknown_name_is_a_failure() {
    let target = "dial:nobody.invalid:80";
    Couplet::run(&[target, "dial:127.0.0.1:1"])
        .with(1)
        .said("nobody.invalid:80");
}

#[test]
fn dial_dial_fails_when_one_dial_is_refused() {
    let refuses = format!("127.0.0.1:{}", free_port());
    let side = format!("dial:{refuses}");
    let target = listen();
    Couplet::run(&[&side, &dial(&target)])
        .with(1)
        .said(&refuses);

    let couplet = Couplet::start(&[&dial(&target), &side]);
    expect_reset(&accept(&target));
    couplet.finish().with(1).said(&refuses);
}

#[test]
fn dial_dial_fails_when_one_dial_times_out() {
    let hole = BlackHole::new();
    let side = format!("dial:{}", hole.address());
    let target = listen();
    for args in [[&*side, &*dial(&target)], [&*dial(&target), &*side]] {
        let start = Instant::now();
        let timeout = "--connect-timeout=1s";
        Couplet::run(&[&args[..], &[timeout]].concat())
            .with(1)
            .said(&hole.address().to_string());
        assert!(start.elapsed() >= Duration::from_secs(1), "it did not wait");
        assert!(start.elapsed() < LIMIT / 2, "it waited longer");
    }
}

#[test]
fn once_fails_when_the_dial_is_refused() {
    let refuses = format!("127.0.0.1:{}", free_port());
    let side = format!("dial:{refuses}");

    let couplet = Couplet::start(&["listen:0", &side, "--once"]);
    connect_in_vain(couplet.address('A'));
    couplet.finish().with(1).said(&refuses);

    // Here side A is dialled at once, and no client has come to B yet.
    let listening = "listen:0";
    Couplet::run(&[&side, listening, "--once"])
        .with(1)
        .said(&refuses);
}

#[test]
fn dial_dial_ends_with_its_pair() {
    let targets = [listen(), listen()];
    let couplet = Couplet::start(&[&dial(&targets[0]), &dial(&targets[1])]);
    let ends = targets.each_ref().map(accept);
    drop(ends);
    couplet.finish().ok();
}

#[test]
fn exit_when_idle_counts_from_the_start() {
    Couplet::run(&["listen:0", "listen:0", "--exit-when-idle=1s"]).ok();
    // There was to be one.
    Couplet::run(&["listen:0", "listen:0", "--exit-when-idle=1s", "--once"])
        .with(1)
        .said("pair not made: a connection left");
}

#[test]
fn once_without_a_client_is_a_failure() {
    let target = listen();
    Couplet::run(&[&*dial(&target), "listen:0", "--once", "--wait-timeout=1s"])
        .with(1)
        .said("no partner came in time");
}

#[test]
fn exit_when_idle_ends_after_many_pairs() {
    let target = listen();
    let couplet = Couplet::start(&["listen:0", &dial(&target), "--exit-when-idle=1s"]);
    for _ in 0..3 {
        let client = connect(couplet.address('A'));
        let server = accept(&target);
        drop(client);
        expect_end(&server);
    }
    couplet.finish().ok();
}

/// A relay of one pair tells by its status how the pair ended.
#[test]
fn the_status_of_once_is_that_of_its_pair() {
    let run = |flag: &str, status: i32, end: &dyn Fn(TcpStream, TcpStream)| {
        let target = listen();
        let couplet = Couplet::start(&["listen:0", &dial(&target), "--once", flag]);
        let client = connect(couplet.address('A'));
        let server = accept(&target);
        couplet.joined(1);
        end(client, server);
        couplet.finish().with(status);
    };
    let any = "--half-close-timeout=1h";
    run(any, 0, &|client, server| {
        client.shutdown(Shutdown::Write).unwrap();
        expect_end(&server);
        drop(server);
        expect_end(&client);
    });
    run(any, 3, &|client, server| {
        reset(client);
        expect_reset(&server);
    });
    run("--idle-timeout=1s", 4, &|client, server| {
        expect_reset(&client);
        expect_reset(&server);
    });
    run("--max-lifetime=1s", 4, &|client, _server| {
        expect_reset(&client)
    });
    run("--half-close-timeout=1s", 4, &|client, server| {
        client.shutdown(Shutdown::Write).unwrap();
        expect_end(&server);
        expect_reset(&client);
    });
    run("--quota=10B", 5, &|client, _server| {
        pattern::send(&client, 1, 1000);
        expect_reset(&client);
    });

    // Two dialled sides are one pair, too.
    let targets = [listen(), listen()];
    let couplet = Couplet::start(&[&dial(&targets[0]), &dial(&targets[1])]);
    let [one, other] = targets.each_ref().map(accept);
    couplet.joined(1);
    reset(one);
    expect_reset(&other);
    couplet.finish().with(3);
}
