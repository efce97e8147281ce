//! `frame=…`: messages stay messages, with Python's own, which have their length before them.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
};

use couplet_tests::{
    Couplet, Process,
    net::{accept, connect, dial, expect_end, expect_reset, listen},
    program,
};

/// Answers each message with how long it is, and itself backwards.
const PYTHON: &str = r"
from multiprocessing.connection import Listener
with Listener(('127.0.0.1', 0)) as listener:
    print('port', listener.address[1], flush=True)
    while True:
        with listener.accept() as peer:
            try:
                while True:
                    message = peer.recv_bytes()
                    peer.send_bytes(b'%d %s' % (len(message), message[::-1]))
            except EOFError:
                pass
";

fn python() -> (Process, u16) {
    let server = Process::spawn("python3", program("python3").args(["-c", PYTHON]));
    let port = server.find("it serves", |line| line.strip_prefix("port ")?.parse().ok());
    (server, port)
}

fn say(mut to: &TcpStream, text: &[u8]) {
    to.write_all(text).unwrap();
}

#[track_caller]
fn hear(mut from: &TcpStream, expected: &[u8]) {
    let mut heard = vec![0; expected.len()];
    from.read_exact(&mut heard).unwrap();
    assert_eq!(
        heard.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

fn start(options: [&str; 2]) -> (Couplet, TcpListener) {
    let target = listen();
    let sides = ["listen:0".to_owned(), dial(&target)];
    let sides = [0, 1].map(|side| format!("{}{}", sides[side], options[side]));
    (
        Couplet::start(&sides.each_ref().map(String::as_str)),
        target,
    )
}

fn pair(couplet: &Couplet, target: &TcpListener) -> (TcpStream, TcpStream) {
    (connect(couplet.address('A')), accept(target))
}

#[test]
fn lines_are_messages_to_python() {
    let (_python, port) = python();
    let server = format!("dial:127.0.0.1:{port},frame=length:4");
    let couplet = Couplet::start(&["listen:0,frame=lines", &server]);
    let client = connect(couplet.address('A'));
    say(&client, b"abc\n\n");
    hear(&client, b"3 cba\n0 \n");
    say(&client, b"in ");
    say(&client, b"two\n");
    hear(&client, b"6 owt ni\n");
    client.shutdown(Shutdown::Write).unwrap();
    expect_end(&client);
}

#[test]
fn every_burst_of_plain_bytes_is_a_message() {
    let (_python, port) = python();
    let server = format!("dial:127.0.0.1:{port},frame=length:4");
    let couplet = Couplet::start(&["listen:0", &server]);
    let client = connect(couplet.address('A'));
    say(&client, b"a\nb");
    hear(&client, b"3 b\na");
}

#[test]
fn only_whole_lines_go_through() {
    let (couplet, target) = start([",frame=lines,frame.max=8B", ""]);
    // As they are.
    let (client, server) = pair(&couplet, &target);
    for (from, to) in [(&client, &server), (&server, &client)] {
        say(from, b"\xff\0\r\n12345678\n\n");
        hear(to, b"\xff\0\r\n12345678\n\n");
    }
    say(&client, b"whole\nnot");
    client.shutdown(Shutdown::Write).unwrap();
    hear(&server, b"whole\n");
    expect_reset(&server);
    assert_eq!(couplet.ended(1), "A failed");

    let (client, server) = pair(&couplet, &target);
    say(&server, b"whole\n123456789");
    hear(&client, b"whole\n");
    expect_reset(&client);
    assert_eq!(couplet.ended(2), "B failed");
    couplet.find("why", |line| {
        let why = "a message is longer than 8 B";
        line.contains(why).then_some(())
    });
}

#[test]
fn a_length_that_is_cut_is_no_end() {
    let (couplet, target) = start([",frame=length:2", ",frame=delimiter:00"]);
    let (client, server) = pair(&couplet, &target);
    say(&client, b"\0\x03one\0\x00");
    hear(&server, b"one\0\0");
    say(&server, b"two\0");
    hear(&client, b"\0\x03two");
    say(&client, b"\0\x05");
    client.shutdown(Shutdown::Write).unwrap();
    expect_reset(&server);
}

#[test]
fn explain_prints_the_frame_format_last() {
    let args = ["explain", "listen:1,frame=lines,frame.max=1MiB", "dial:h:2"];
    let explained = Couplet::run(&args).ok().log;
    for part in [
        "frame             a lines (side), b lines (default), a-max 1.0 MiB (side)",
        "A to B: by copy, because of frame",
        "B to A: by copy, because of frame",
    ] {
        assert!(explained.contains(part), "{explained}");
    }
    let early = Couplet::run(&["listen:1,frame=lines,compress=lz4", "dial:h:2"]).with(2);
    early.said("`frame` as the last option");
    Couplet::run(&["listen:1,frame=length:9", "dial:h:2"])
        .with(2)
        .said("`length:4`");
}
