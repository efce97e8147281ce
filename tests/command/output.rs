//! What it prints: for people and for programs, and nothing that a peer says raw.

use std::{io::Write, net::TcpStream};

use couplet_tests::{
    Couplet, Process,
    net::{accept, connect, dial, expect_end, free_port, listen, listens},
    pattern,
};
use serde_json::Value;

/// What must not reach a terminal: an escape, a bell, C1 as UTF-8 and alone, a change of the
/// writing direction.
const NASTY: &[u8] = b"\x1b[31mred\x07\x00 \xc2\x9b31m \x9b \xe2\x80\xae backspace\x08\x7f\r\n";

/// Says the nasty things both ways through the command.
fn say_nasty_things(couplet: &Couplet, target: &std::net::TcpListener) {
    let client = connect(couplet.address('A'));
    let server = accept(target);
    for (mut from, to) in [(&client, &server), (&server, &client)] {
        from.write_all(NASTY).unwrap();
        let mut heard = vec![0; NASTY.len()];
        std::io::Read::read_exact(&mut &*to, &mut heard).unwrap();
        assert_eq!(heard, NASTY);
    }
    drop(client);
    expect_end(&server);
}

fn is_safe(line: &str) -> bool {
    let unsafe_ones = |c: char| c.is_control() || ['\u{202e}', '\u{fffd}'].contains(&c);
    !line.contains(unsafe_ones)
}

fn ended(couplet: &Process) {
    couplet.find("the pair has ended", |line| {
        line.contains("ended").then_some(())
    });
}

#[test]
fn traffic_is_printed_as_text() {
    let target = listen();
    let couplet = Couplet::start_text(&["listen:0", &dial(&target), "--log-traffic"]);
    say_nasty_things(&couplet, &target);
    ended(&couplet);
    for line in couplet.lines() {
        assert!(is_safe(&line), "{line:?}");
    }
    for direction in ["A -> B", "B -> A"] {
        couplet.find("what was said, as text", |line| {
            line.contains(&format!("{direction}: \\x1b[31mred\\x07\\x00 "))
                .then_some(())
        });
    }
}

#[test]
fn traffic_is_printed_as_hex() {
    let target = listen();
    let couplet = Couplet::start_text(&["listen:0", &dial(&target), "--log-traffic=hex"]);
    say_nasty_things(&couplet, &target);
    ended(&couplet);
    let lines = couplet.lines();
    for line in &lines {
        assert!(is_safe(line), "{line:?}");
    }
    for direction in ["> ", "< "] {
        assert!(
            lines.iter().any(|line| line.starts_with(direction)),
            "{lines:?}"
        );
    }
    let row = "00000000  1b 5b 33 31 6d 72 65 64  07 00 20 c2 9b 33 31 6d  |.[31mred.. ..31m|";
    assert_eq!(
        lines.iter().filter(|line| *line == row).count(),
        2,
        "{lines:#?}"
    );
}

#[test]
fn every_line_is_json() {
    for format in ["text", "hex", "json"] {
        let traffic = &format!("--log-traffic={format}");
        let target = listen();
        let couplet = Couplet::start(&["-vv", "listen:0", &dial(&target), traffic]);
        say_nasty_things(&couplet, &target);
        ended(&couplet);
        couplet.terminate();
        every_line_of(&couplet.finish().ok().log);
    }
}

#[test]
fn traffic_is_printed_as_json() {
    let target = listen();
    let limit = "--log-traffic-limit=10B";
    let couplet = Couplet::start_text(&["listen:0", &dial(&target), "--log-traffic=json", limit]);
    say_nasty_things(&couplet, &target);
    ended(&couplet);
    let is_json = |line: &String| serde_json::from_str::<Value>(line).ok();
    let lines = couplet.lines();
    for line in &lines {
        assert!(is_safe(line), "{line:?}");
    }
    let values: Vec<_> = lines.iter().filter_map(is_json).collect();
    for from in ["A", "B"] {
        let of: Vec<_> = values
            .iter()
            .filter(|value| value["from"] == from)
            .collect();
        assert_eq!(of[0]["text"], "\u{1b}[31mred\u{7}\0", "{values:?}");
        assert_eq!(of[1]["end"], "limit reached");
        assert_eq!(of.len(), 2);
    }
    Couplet::run(&["listen:0", "listen:0", limit])
        .with(2)
        .said("--log-traffic");
}

#[test]
fn a_failure_is_json_too() {
    let refuses = format!("127.0.0.1:{}", free_port());
    let finished = Couplet::run(&[
        &format!("dial:{refuses}"),
        "dial:127.0.0.1:1",
        "--log-format=json",
    ]);
    let last = every_line_of(&finished.with(1).said(&refuses).log)
        .pop()
        .unwrap();
    assert_eq!(last["level"], "ERROR");
}

fn every_line_of(log: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    log.lines().map(parse).collect()
}

#[test]
fn the_port_chosen_by_the_system_is_logged() {
    let couplet = Couplet::start_text(&["listen:0", "listen:*:0"]);
    let (a, b) = (couplet.address('A'), couplet.address('B'));
    assert!(
        a.ip().is_loopback(),
        "{a}: without a host it is this machine alone"
    );
    assert!(b.ip().is_unspecified());
    let local = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let (a, b) = (connect(local(a.port())), connect(local(b.port())));
    pattern::send(&a, 1, 1000);
    pattern::expect(&b, 1, 1000);
}

#[test]
fn connections_and_ends_are_logged() {
    let couplet = Couplet::start_text(&["listen:0", "listen:0"]);
    let (a, b) = (connect(couplet.address('A')), connect(couplet.address('B')));
    let name = |stream: &TcpStream| stream.local_addr().unwrap().to_string();
    let (a_name, b_name) = (name(&a), name(&b));
    pattern::send(&a, 1, 1234);
    pattern::expect(&b, 1, 1234);
    drop(a);
    expect_end(&b);
    drop(b);
    for message in ["joined", "ended"] {
        let line = couplet.find(message, |line| {
            line.contains(message).then(|| line.to_owned())
        });
        for part in [format!("a={a_name}"), format!("b={b_name}")] {
            assert!(line.contains(&part), "{line}");
        }
    }
    couplet.find("the figures", |line| {
        line.contains("a_to_b=1234 b_to_a=0").then_some(())
    });
}

#[test]
fn quiet_is_silent_when_all_is_well() {
    let (a, b) = (free_port(), free_port());
    let sides = [a, b].map(|port| format!("listen:{port}"));
    let args = ["-q", &sides[0], &sides[1], "--once"];
    let couplet = Process::spawn("couplet", &mut Couplet::command(&args));
    listens(a);
    listens(b);
    let [a, b] = [a, b].map(|port| connect(([127, 0, 0, 1], port).into()));
    pattern::send(&a, 1, 1000);
    pattern::expect(&b, 1, 1000);
    drop((a, b));
    assert_eq!(couplet.finish().ok().log, "");
}

#[test]
fn quiet_still_prints_failures() {
    let refuses = format!("dial:127.0.0.1:{}", free_port());
    Couplet::run(&["-q", &refuses, "dial:127.0.0.1:1"])
        .with(1)
        .said("refused");
}
