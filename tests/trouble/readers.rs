//! Readers of what the command prints that stop, or are slow.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    process::Command,
};

use couplet_tests::{
    Couplet, Process, finish,
    net::{accept, connect, dial, expect_end, free_port, listen, listens},
    pattern,
};

/// A proxy whose output is not read, where it listens, and where it dials.
fn unread(options: &[&str]) -> (Process, SocketAddr, TcpListener) {
    let (target, port) = (listen(), free_port());
    let sides = [format!("listen:{port}"), dial(&target)];
    let mut command = Couplet::command(&[&sides[0], &sides[1]]);
    let couplet = Process::spawn_unread("couplet", command.args(options));
    listens(port);
    (couplet, ([127, 0, 0, 1], port).into(), target)
}

/// So many are served, one after the other.
fn serves(number: usize, at: SocketAddr, target: &TcpListener) {
    for number in 0..number {
        let client = connect(at);
        let server = accept(target);
        pattern::send(&client, number, 10);
        pattern::expect(&server, number, 10);
        drop(client);
        expect_end(&server);
    }
}

#[test]
fn a_log_without_a_reader_holds_up_no_connection() {
    let (couplet, at, target) = unread(&["--log-traffic=hex"]);
    let client = connect(at);
    let server = accept(&target);
    // As hex more than a pipe holds, and more than waits for its reader.
    pattern::send(&client, 1, 600_000);
    pattern::expect(&server, 1, 600_000);
    drop(client);
    expect_end(&server);
    drop(server);
    serves(20, at, &target);
    couplet.terminate();
    couplet.finish().ok();
}

#[test]
fn a_reader_that_goes_on_gets_the_number_of_lost_lines() {
    let (mut couplet, at, target) = unread(&["--log-traffic=hex"]);
    let client = connect(at);
    let server = accept(&target);
    pattern::send(&client, 1, 600_000);
    pattern::expect(&server, 1, 600_000);
    couplet.read();
    couplet.find("that something is missing", |line| {
        line.contains("the log is incomplete: its reader is too slow lines=")
            .then_some(())
    });
    // And from now on nothing more.
    pattern::send(&client, 2, 1000);
    pattern::expect(&server, 2, 1000);
    drop((client, server));
    couplet.find("the end", |line| line.contains("ended").then_some(()));
    couplet.terminate();
    couplet.finish().ok();
}

#[test]
fn a_reader_that_keeps_up_gets_every_line() {
    let (mut couplet, at, target) = unread(&["--log-traffic=hex"]);
    couplet.read();
    let client = connect(at);
    let server = accept(&target);
    // A session is one thread's work, and reading it another's.
    pattern::send(&client, 1, 3_000_000);
    pattern::expect(&server, 1, 3_000_000);
    drop((client, server));
    couplet.find("the end", |line| line.contains("ended").then_some(()));
    couplet.terminate();
    let log = couplet.finish().ok().log;
    let rows = log.lines().filter(|line| line.starts_with("00"));
    // Behind the offset, before the characters.
    let shown = rows.map(|row| row[10..59].split_ascii_whitespace().count());
    assert_eq!(shown.sum::<usize>(), 3_000_000);
}

#[test]
fn an_access_log_without_a_reader_holds_up_no_connection() {
    let (couplet, at, target) = unread(&["--access-log=-", "-q"]);
    serves(500, at, &target);
    couplet.terminate();
    couplet.finish().ok();
}

#[test]
fn an_access_log_may_wait_for_its_reader() {
    let scratch = tempfile::tempdir().unwrap();
    let fifo = scratch.path().join("fifo");
    finish("mkfifo", Command::new("mkfifo").arg(&fifo)).ok();
    let target = listen();
    let log = format!("--access-log={}", fifo.display());
    let couplet = Couplet::start(&["listen:0", &dial(&target), &log]);
    serves(1, couplet.address('A'), &target);
    let mut line = String::new();
    let mut reader = BufReader::new(File::open(&fifo).unwrap());
    reader.read_line(&mut line).unwrap();
    assert!(line.contains(" AF session="), "{line}");
    couplet.terminate();
    couplet.finish().ok();
}
