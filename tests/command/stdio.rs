//! `stdio`: standard input and output as a side.

use std::{
    fs::{self, File},
    io::{Read, Write},
    process::{Command, Stdio},
};

use couplet_tests::{
    Couplet,
    net::{accept, dial, expect_end, listen, reset},
    pattern, until,
};

/// What the command prints of a server that answers what it was sent, and its status.
fn echoed(input: Stdio, output: Stdio, server_ends: bool) -> (Vec<u8>, Option<i32>) {
    let server = listen();
    let mut command = Couplet::command(&["stdio", &dial(&server)]);
    let mut couplet = command.stdin(input).stdout(output).spawn().unwrap();
    let writer = couplet.stdin.take().map(|mut stdin| {
        std::thread::spawn(move || stdin.write_all(&pattern::bytes(1, 3_000_000)).unwrap())
    });
    let mut peer = accept(&server);
    let answer = std::thread::spawn(move || {
        let mut read = Vec::new();
        peer.read_to_end(&mut read).unwrap();
        peer.write_all(&read).unwrap();
        if !server_ends {
            reset(peer);
        }
    });
    let mut read = Vec::new();
    if let Some(mut stdout) = couplet.stdout.take() {
        stdout.read_to_end(&mut read).unwrap();
    }
    let status = couplet.wait().unwrap().code();
    answer.join().unwrap();
    writer.into_iter().for_each(|writer| writer.join().unwrap());
    (read, status)
}

#[test]
fn pipes_carry_all_bytes_and_both_ends() {
    let (read, status) = echoed(Stdio::piped(), Stdio::piped(), true);
    assert!(read == pattern::bytes(1, 3_000_000));
    assert_eq!(status, Some(0));
}

#[test]
fn files_carry_all_bytes_and_are_appended_to() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name| scratch.path().join(name);
    fs::write(file("in"), pattern::bytes(1, 3_000_000)).unwrap();
    fs::write(file("out"), "before\n").unwrap();
    let output = File::options().append(true).open(file("out")).unwrap();
    let input = File::open(file("in")).unwrap();
    let (_, status) = echoed(input.into(), output.into(), true);
    assert_eq!(status, Some(0));
    let expected = [b"before\n".to_vec(), pattern::bytes(1, 3_000_000)].concat();
    assert!(fs::read(file("out")).unwrap() == expected);
}

#[test]
fn the_exit_status_tells_of_a_server_that_resets() {
    let (_, status) = echoed(Stdio::null(), Stdio::null(), false);
    assert_eq!(status, Some(3));
}

#[test]
fn a_shell_finds_its_descriptors_as_they_were() {
    let server = listen();
    let check = "import fcntl, os; print([fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK for fd in (0, 1)])";
    let mut shell = Command::new("bash");
    shell
        .args(["-c", "\"$0\" stdio \"$1\"; python3 -c \"$2\""])
        .arg(Couplet::binary())
        .args([&dial(&server), check])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let mut stdin = shell.stdin.take().unwrap();
    stdin.write_all(b"hi").unwrap();
    let mut peer = accept(&server);
    peer.read_exact(&mut [0; 2]).unwrap();
    peer.write_all(b"answer\n").unwrap();
    drop(peer);
    drop(stdin);
    let mut printed = String::new();
    shell
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut printed)
        .unwrap();
    shell.wait().unwrap();
    assert_eq!(printed, "answer\n[0, 0]\n");
}

#[test]
fn the_end_of_the_server_closes_standard_output_and_a_hangup_ends_it() {
    let server = listen();
    let mut command = Couplet::command(&["stdio", &dial(&server)]);
    let mut couplet = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let peer = accept(&server);
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    let mut read = Vec::new();
    // Its standard input is still open.
    couplet
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut read)
        .unwrap();
    assert!(read.is_empty());
    let pid = couplet.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-HUP", &pid])
            .status()
            .unwrap()
            .success()
    );
    until("it ends", || couplet.try_wait().unwrap());
    drop(couplet.stdin.take());
}

#[test]
fn a_client_of_a_port_is_joined_with_it() {
    let couplet = Couplet::start(&["listen:0", "stdio", "-v"]);
    let client = couplet_tests::net::connect(couplet.address('A'));
    // A process of a test has no standard input.
    expect_end(&client);
    drop(client);
    couplet.finish().ok();
}
