//! `couplet rendezvous`, and the two ends that dial it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
};

use couplet_tests::{
    Couplet,
    net::{accept, arrived, connect, dial, expect_closed, expect_end, listen, nobody_comes},
    pattern, until,
};
use rustix::process::Signal;
use tempfile::TempDir;

/// `printf %s demo | sha256sum | cut -c-32`
const DEMO: &str = "2a97516c354b68848cdbd8f54a226a0a";

struct Relay(Couplet);

impl Relay {
    fn start(flags: &[&str]) -> Self {
        // It says who waits.
        Self(Couplet::start(
            &[&["rendezvous", "listen:0", "-v"], flags].concat(),
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

impl Relay {
    /// One that says this of itself, and waits by now.
    fn waits(&self, rest: &str) -> TcpStream {
        let before = self.waiting();
        let client = self.says(&line(rest));
        until("it waits", || (self.waiting() > before).then_some(()));
        client
    }

    /// How many have come to wait until now.
    fn waiting(&self) -> usize {
        let lines = self.0.lines();
        lines
            .iter()
            .filter(|line| line.contains("waits for a partner"))
            .count()
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
    let waits = relay.waits(" a");
    refused(relay.says(&line(" a")), "duplicate");
    refused(waits, "expired");
    let silent = relay.says("couplet/1 ");
    expect_closed(&silent);
}

#[test]
fn why_one_was_let_go_is_logged_with_the_time_it_waited() {
    let relay = Relay::start(&["--wait-timeout=1s", "--access-log=-"]);
    refused(relay.says(&line(" a")), "expired");
    let let_go = "let go: no partner came in time";
    let event = relay.0.events(let_go, 1).remove(0);
    assert!(event["waited"].is_string(), "{event}");
    let (logged, waited) = relay.0.find("it is in the access log", |line| {
        let (_, waited) = line.split_once(" a_waiting=")?;
        let (waited, rest) = waited.split_once(' ')?;
        let why = rest.contains("reason=\"no partner came in time\"");
        why.then(|| (line.to_owned(), waited.parse::<f64>().unwrap()))
    });
    // It can't have been less.
    assert!(waited >= 1.0 && !logged.contains(DEMO), "{logged}");
}

#[test]
fn others_with_the_key_queue() {
    let relay = Relay::start(&["--others=queue"]);
    let [first, second] = [relay.waits(" a"), relay.waits(" a")];
    let partner = relay.says(&line(" b"));
    met(&partner);
    met(&first);
    let another = relay.says(&line(" b"));
    met(&another);
    met(&second);
    exchange(&first, &partner, 1);
    exchange(&second, &another, 2);
}

#[test]
fn or_they_are_refused_as_long_as_two_are_joined() {
    let relay = Relay::start(&["--others=refuse"]);
    let [a, b] = ["a", "b"].map(|side| relay.says(&line(&format!(" {side}"))));
    met(&a);
    met(&b);
    for side in [" a", " b", ""] {
        refused(relay.says(&line(side)), "duplicate");
    }
    exchange(&a, &b, 1);
    drop((a, b));
    until("the key is free again", || {
        let two = [" a", " b"].map(|side| relay.says(&line(side)));
        let heard = two.map(|client| BufReader::new(client).lines().next());
        heard
            .map(|line| line.unwrap().unwrap() == "ok")
            .eq(&[true; 2])
            .then_some(())
    });
}

#[test]
fn or_those_who_wait_are_let_go() {
    let relay = Relay::start(&["--others=let-go"]);
    let [first, second] = [relay.waits(" a"), relay.waits(" a")];
    let partner = relay.says(&line(" b"));
    met(&partner);
    met(&first);
    refused(second, "redundant");
    // Who comes later may wait, and be met.
    let later = relay.waits(" a");
    met(&relay.says(&line(" b")));
    met(&later);
    exchange(&first, &partner, 1);
}

#[test]
fn when_too_many_wait_the_newcomer_or_the_oldest_gives_way() {
    let other = format!("couplet/1 {}\n", "0".repeat(32));
    let relay = Relay::start(&["--max-waiting=1"]);
    let waits = relay.waits("");
    refused(relay.says(&other), "full");
    // Its partner is no such newcomer.
    met(&relay.says(&line("")));
    met(&waits);

    let relay = Relay::start(&["--max-waiting=1", "--when-full=evict"]);
    let oldest = relay.waits("");
    let newcomer = relay.says(&other);
    refused(oldest, "evicted");
    met(&relay.says(&other));
    met(&newcomer);
}

#[test]
fn when_too_many_of_a_key_wait_the_newcomer_or_the_oldest_gives_way() {
    for (when_full, stays) in [("refuse", 0), ("evict", 1)] {
        let when_full = format!("--when-key-full={when_full}");
        let relay = Relay::start(&["--max-waiting-per-key=1", &when_full]);
        let mut two = Vec::from([relay.waits(" a"), relay.says(&line(" a"))]);
        let why = ["replaced", "duplicate"][1 - stays];
        refused(two.remove(1 - stays), why);
        let partner = relay.says(&line(" b"));
        met(&partner);
        met(&two[0]);
        exchange(&two[0], &partner, 1);
    }
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

#[test]
fn secrets_and_tokens_are_renewed_at_a_hangup() {
    let scratch = tempfile::tempdir().unwrap();
    let secrets = file(&scratch, "secrets", "old: 0123456789abcdef\n");
    let relay = Relay::start(&[&format!("--tokens=@{secrets}")]);
    let token = |expires: &str| {
        let secret = format!("--secret=@{secrets}");
        let args = ["token", &secret, "--key=demo", "--expires", expires];
        Couplet::run(&args).ok().log.trim().to_owned()
    };
    let old = token("1h");
    let used = file(&scratch, "token", &token("1ms"));
    let target = listen();
    let pool = format!("{},rendezvous.token=@{used},keep=1", relay.dial("demo"));
    let home = Couplet::start(&[&pool, &dial(&target)]);
    home.events("refused", 1);

    // One waits whose secret is gone when its partner comes: it was let in.
    let waits = relay.waits(&format!(" a {old}"));
    fs::write(&secrets, "new: fedcba9876543210\n").unwrap();
    relay.0.signal(Signal::HUP);
    relay.0.events("secrets read again", 1);
    refused(relay.says(&line(&format!(" b {old}"))), "bad token");
    let new = token("1h");
    met(&relay.says(&line(&format!(" b {new}"))));
    met(&waits);

    // What is no token changes nothing; the next one does.
    fs::write(&used, "nonsense").unwrap();
    home.signal(Signal::HUP);
    home.find("it keeps the old one", |line| {
        line.contains("the old token stays").then_some(())
    });
    fs::write(&used, &new).unwrap();
    home.signal(Signal::HUP);
    home.events("token read again", 1);
    let b = relay.says(&line(&format!(" b {new}")));
    met(&b);
    exchange(&b, &accept(&target), 1);
    // And so with secrets.
    fs::write(&secrets, "nonsense").unwrap();
    relay.0.signal(Signal::HUP);
    relay.0.find("it keeps the old ones", |line| {
        line.contains("the old secrets stay").then_some(())
    });
    let b = relay.says(&line(&format!(" b {new}")));
    met(&b);
    exchange(&b, &accept(&target), 2);
}

#[test]
fn a_key_may_be_in_a_file() {
    let scratch = tempfile::tempdir().unwrap();
    // What could not stand on the command line by itself.
    let name = "a key, of: odd=characters @ 100 % \u{e9}\\\"'";
    let key = file(&scratch, "key", &format!("{name}\n"));
    let relay = Relay::start(&[]);
    let target = listen();
    let side = relay.dial(&format!("@{key}"));
    let _home = Couplet::start(&[&format!("{side},keep=1"), &dial(&target)]);
    let laptop = Couplet::start(&["listen:0", &side]);
    let client = connect(laptop.address('A'));
    exchange(&client, &accept(&target), 1);
    for side in [&relay.0, &laptop] {
        assert!(!side.lines().join("\n").contains("odd=characters"));
    }

    let wrong = |file: &str, right: &str| {
        let side = format!("dial:h:1,rendezvous=@{file}");
        Couplet::run(&[&side, "listen:0"]).with(2).said(right);
    };
    wrong(
        &file(&scratch, "empty", ""),
        "is empty: a file of one line, the key",
    );
    wrong(&file(&scratch, "two", "a\nb\n"), "more than one line");
    wrong(&format!("{key}2"), "can't be read");
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
