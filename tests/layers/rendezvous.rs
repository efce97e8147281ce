//! `couplet rendezvous`, and the two ends that dial it.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
};

use couplet_tests::{
    Couplet,
    net::{accept, arrived, connect, dial, expect_closed, expect_end, listen, nobody_comes},
    pattern,
};
use tempfile::TempDir;

/// `printf %s demo | sha256sum | cut -c-32`
const DEMO: &str = "2a97516c354b68848cdbd8f54a226a0a";

struct Relay(Couplet);

impl Relay {
    fn start(flags: &[&str]) -> Self {
        Self(Couplet::start(
            &[&["rendezvous", "listen:0"], flags].concat(),
        ))
    }

    /// As a side dials it.
    fn dial(&self, key: &str) -> String {
        format!("{},rendezvous={key}", self.0.dial('A'))
    }

    /// One that says this.
    fn says(&self, rest: &str) -> TcpStream {
        let client = connect(self.0.address('A'));
        (&client).write_all(rest.as_bytes()).unwrap();
        client
    }
}

fn line(rest: &str) -> String {
    format!("couplet/1 {DEMO}{rest}\n")
}

/// Hears this, and no more.
#[track_caller]
fn refused(mut client: TcpStream, why: &str) {
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, format!("{why}\n"));
}

#[track_caller]
fn met(mut client: &TcpStream) {
    let mut heard = [0; 3];
    client.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"ok\n");
}

fn file(scratch: &TempDir, name: &str, text: &str) -> String {
    let path = scratch.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Sends there and back, each end by itself.
fn exchange(client: &TcpStream, server: &TcpStream, number: usize) {
    pattern::send(client, number, 100_000);
    client.shutdown(Shutdown::Write).unwrap();
    pattern::expect_all(server, number, 100_000);
    pattern::send(server, number + 100, 100_000);
    server.shutdown(Shutdown::Write).unwrap();
    pattern::expect(client, number + 100, 100_000);
    expect_end(client);
}

#[test]
fn strangers_meet_by_what_their_lines_say() {
    let relay = Relay::start(&[]);
    let first = relay.says(&(line("") + "early"));
    let other_key = relay.says(&format!("couplet/1 {}\n", "0".repeat(32)));
    let second = relay.says(&line(""));
    met(&first);
    met(&second);
    let mut early = [0; 5];
    (&second).read_exact(&mut early).unwrap();
    assert_eq!(&early, b"early");
    exchange(&second, &first, 1);
    // Two of one side don't meet.
    let one = relay.says(&line(" a"));
    let two = relay.says(&line(" a"));
    relay.0.joined(1);
    let b = relay.says(&line(" b"));
    met(&b);
    met(&one);
    exchange(&one, &b, 2);
    drop((two, other_key));
}

#[test]
fn who_is_refused_hears_why() {
    let relay = Relay::start(&[
        "--wait-timeout=1s",
        "--max-waiting-per-key=1",
        "--handshake-timeout=2s",
    ]);
    refused(relay.says("GET / HTTP/1.1\r\n\r\n"), "bad request");
    refused(relay.says(&"x".repeat(5000)), "bad request");
    let waits = relay.says(&line(" a"));
    // It waits by now, and is the only one that may.
    arrived(&waits);
    refused(relay.says(&line(" a")), "duplicate");
    refused(waits, "expired");
    let silent = relay.says("couplet/1 ");
    expect_closed(&silent);
}

#[test]
fn who_speaks_early_hears_why_where_silence_is_asked_for() {
    let relay = Relay::start(&["--silent"]);
    refused(relay.says(&(line("") + "x")), "impatient");
}

#[test]
fn the_tokens_of_couplet_token_are_asked_for() {
    let scratch = tempfile::tempdir().unwrap();
    let secrets = file(&scratch, "secrets", "main: 0123456789abcdef\n");
    let relay = Relay::start(&[&format!("--tokens=@{secrets}")]);
    let token = |more: &[&str]| {
        let secret = format!("--secret=@{secrets}");
        let made = Couplet::run(&[&["token", &secret], more].concat()).ok();
        made.log.trim().to_owned()
    };
    let good = token(&["--key=demo", "--expires=1h"]);
    refused(relay.says(&line("")), "token needed");
    refused(relay.says(&line(" a nonsense")), "bad token");
    let other = token(&["--key=other", "--expires=1h"]);
    refused(
        relay.says(&line(&format!(" {other}"))),
        "token for another key",
    );
    let b = token(&["--key=demo", "--side=b", "--expires=1h"]);
    refused(
        relay.says(&line(&format!(" a {b}"))),
        "token for the other side",
    );
    let expired = token(&["--key=demo", "--expires=1ms"]);
    refused(relay.says(&line(&format!(" {expired}"))), "token expired");

    // And as the command sends them.
    let target = listen();
    let good = file(&scratch, "good", &good);
    let wrong = file(&scratch, "wrong", &other);
    let with = |token: &str| format!("{},rendezvous.token=@{token}", relay.dial("demo"));
    let _home = Couplet::start(&[&format!("{},keep=2", with(&good)), &dial(&target)]);
    let laptop = Couplet::start(&["listen:0", &with(&good)]);
    let client = connect(laptop.address('A'));
    exchange(&client, &accept(&target), 1);
    let intruder = Couplet::start(&["listen:0", &with(&wrong)]);
    let client = connect(intruder.address('A'));
    expect_closed(&client);
    let event = intruder.events("refused", 1).remove(0).to_string();
    assert!(
        event.contains("the rendezvous refuses: token for another key"),
        "{event}"
    );
    nobody_comes(&target);
}

/// A laptop, a relay and a home, whose ends only dial.
struct Ends {
    relay: Relay,
    home: Couplet,
    laptop: Couplet,
    target: TcpListener,
}

impl Ends {
    fn start(keep: usize) -> Self {
        let relay = Relay::start(&[]);
        let target = listen();
        let pool = format!("{},keep={keep}", relay.dial("demo"));
        let home = Couplet::start(&[&pool, &dial(&target)]);
        let laptop = Couplet::start(&["listen:0", &relay.dial("demo")]);
        Self {
            relay,
            home,
            laptop,
            target,
        }
    }
}

#[test]
fn a_pool_serves_more_at_once_than_it_keeps() {
    let ends = Ends::start(4);
    let pairs: Vec<_> = (0..16)
        .map(|number| {
            let client = connect(ends.laptop.address('A'));
            pattern::send(&client, number, 1000);
            let server = accept(&ends.target);
            pattern::expect(&server, number, 1000);
            (client, server)
        })
        .collect();
    ends.relay.0.joined(16);
    for (number, (client, server)) in pairs.iter().enumerate() {
        exchange(client, server, number);
    }
    ends.home.joined(16);
    ends.relay.0.ended(16);
    // Nobody is dialled for those who only wait.
    nobody_comes(&ends.target);
}

#[test]
fn whose_key_is_another_meets_nobody() {
    let ends = Ends::start(1);
    let wait = format!("{},rendezvous.wait=1s", ends.relay.dial("dmeo"));
    let stranger = Couplet::start(&["listen:0", &wait]);
    let client = connect(stranger.address('A'));
    expect_closed(&client);
    nobody_comes(&ends.target);
}

#[test]
fn the_pool_is_renewed_when_its_relay_comes_back() {
    let mut relay = Relay::start(&[]);
    let target = listen();
    let address = relay.0.address('A');
    let pool = format!("{},keep=2", relay.dial("demo"));
    let home = Couplet::start(&[&pool, &dial(&target)]);
    for _ in 0..2 {
        // Met by hand, so that it is known that the pool is there.
        let b = relay.says(&line(" b"));
        met(&b);
        exchange(&b, &accept(&target), 1);
        relay.0.terminate();
        relay.0.finish().with(0);
        relay = Relay(Couplet::start(&[
            "rendezvous",
            &format!("listen:{address}"),
        ]));
    }
    let b = relay.says(&line(" b"));
    met(&b);
    exchange(&b, &accept(&target), 2);
    home.joined(3);
}

#[test]
fn a_partner_that_leaves_is_not_met() {
    let ends = Ends::start(1);
    // The pool's only one.
    let b = ends.relay.says(&line(" b"));
    met(&b);
    let server = accept(&ends.target);
    exchange(&b, &server, 1);
    // One that waited, and left.
    let left = ends
        .relay
        .says(&format!("couplet/1 {} a\n", "0".repeat(32)));
    arrived(&left);
    left.shutdown(Shutdown::Both).unwrap();
    expect_closed(&left);
    let stays = ends
        .relay
        .says(&format!("couplet/1 {} b\n", "0".repeat(32)));
    let comes = ends
        .relay
        .says(&format!("couplet/1 {} a\n", "0".repeat(32)));
    met(&stays);
    met(&comes);
    exchange(&stays, &comes, 2);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let wrong = |args: &[&str], right: &str| {
        Couplet::run(args).with(2).said(right);
    };
    wrong(&["rendezvous", "dial:h:1"], "listen:[HOST:]PORT");
    wrong(&["dial:h:1,keep=2", "dial:h:2"], "`rendezvous`");
    wrong(&["dial:h:1,rendezvous=", "listen:0"], "rendezvous=KEY");
    wrong(&["listen:1,rendezvous=x", "listen:0"], "dialled side");
    let side = "dial:h:1,rendezvous=x,rendezvous.side=c";
    wrong(&[side, "listen:0"], "`a`, `b` or `any`");
    wrong(&["dial:h:1,keep=0,rendezvous=x", "dial:h:2"], "keep=0");
    let pool = "dial:h:1,rendezvous=x,keep=2";
    wrong(&[pool, "dial:h:2", "--reconnect"], "goes on by itself");
}

#[test]
fn it_is_explained() {
    let explained = Couplet::run(&["explain", "rendezvous", "listen:4000", "--threads=1"]);
    explained
        .ok()
        .said("rendezvous        tokens off (default), handshake-timeout 10s (default)")
        .said("by-key            wait-timeout 5m (default), max-waiting 1024 (default)")
        .said("announce");
    let ends = ["dial:h:1,rendezvous=secret,keep=8", "dial:h:2"];
    let explained = Couplet::run(&[&["explain"], &ends[..]].concat()).ok();
    assert!(!explained.log.contains("secret"), "{explained}");
    explained
        .said("keep 8 (side)")
        .said("rendezvous        key (given) (side), side a (default), wait never (default)");
    Couplet::run(&["explain", "listen:0", "dial:h:1,rendezvous=x"])
        .ok()
        .said("side b (default)");
}
