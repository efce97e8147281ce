//! Programs as a side: what they are told, how they end, and what becomes of a pair with them.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use couplet_tests::{
    Couplet,
    net::{connect, expect_end, expect_reset, reset},
    pattern, until,
};

const BYTES: usize = 3_000_000;

fn is_running(pid: u64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn heard(mut client: &TcpStream) -> String {
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    heard
}

#[test]
fn all_bytes_go_through_a_program_and_both_ends() {
    let couplet = Couplet::start(&["listen:0", "exec:cat", "--access-log=-"]);
    let client = connect(couplet.address('A'));
    let sender = client.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        pattern::send(&sender, 1, BYTES);
        sender.shutdown(Shutdown::Write).unwrap();
    });
    pattern::expect(&client, 1, BYTES);
    expect_end(&client);
    sender.join().unwrap();
    assert_eq!(couplet.ended(1), "finished, A first");
    couplet.find("the program and its exit", |line| {
        (line.contains(" b=exec:cat b_origin=dialled b_pid=") && line.contains(" b_exit=0"))
            .then_some(())
    });
}

#[test]
fn a_program_is_told_of_its_client_and_its_status_is_logged() {
    let script = "exec:sh -c 'echo $SOCAT_PEERADDR:$SOCAT_PEERPORT $SOCAT_SOCKADDR:$SOCAT_SOCKPORT, you; exit 7'";
    let couplet = Couplet::start(&["listen:127.0.0.1:0", script, "--access-log=-"]);
    let client = connect(couplet.address('A'));
    let here = client.local_addr().unwrap();
    let told = format!("{here} {}, you\n", couplet.address('A'));
    assert_eq!(heard(&client), told);
    drop(client);
    couplet.find("its status", |line| {
        line.contains(" b_exit=7").then_some(())
    });
}

#[test]
fn a_client_of_a_program_that_a_signal_kills_is_reset() {
    let couplet = Couplet::start(&[
        "listen:0",
        "exec:sh -c 'echo half; kill -9 $$'",
        "--access-log=-",
    ]);
    let mut client = connect(couplet.address('A'));
    client.read_exact(&mut [0; 5]).unwrap();
    expect_reset(&client);
    assert_eq!(couplet.ended(1), "reset by B");
    couplet.find("the signal", |line| {
        line.contains(" b_exit=signal:9").then_some(())
    });
}

#[test]
fn the_process_group_ends_with_a_client_that_resets() {
    let couplet = Couplet::start(&["listen:0", "exec:sh -c 'sleep 1000 & echo $$ $!; wait'"]);
    let client = connect(couplet.address('A'));
    let mut line = String::new();
    let mut lines = std::io::BufReader::new(&client);
    std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
    let pids: Vec<u64> = line
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert!(pids.iter().all(|pid| is_running(*pid)), "{line}");
    reset(client);
    assert_eq!(couplet.ended(1), "reset by A");
    until("both have ended", || {
        (!pids.iter().any(|pid| is_running(*pid))).then_some(())
    });
    couplet.terminate();
    couplet.finish().ok();
}

#[test]
fn a_program_that_reads_nothing_answers_whole() {
    let couplet = Couplet::start(&["listen:0", "exec:echo answer"]);
    let mut client = connect(couplet.address('A'));
    let _ = client.write_all(&[0; 100_000]);
    assert_eq!(heard(&client), "answer\n");
    drop(client);
    couplet.ended(1);
}

#[test]
fn a_program_that_is_not_there_is_an_error_at_the_start() {
    let run = Couplet::run(&["listen:0", "exec:no-such-program"]);
    run.with(1)
        .said("cannot start `no-such-program`, no such program in PATH");
}

#[test]
fn two_programs_talk_to_each_other() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file").display().to_string();
    let to = format!("exec:sh -c 'cat >\"$0\"' {file}");
    Couplet::run(&["exec:printf 'a, b'", &to]).ok();
    let written = std::fs::read_to_string(file).unwrap();
    assert_eq!(written, "a, b");
}
