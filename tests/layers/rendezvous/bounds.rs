//! How many may wait, and which connection gives way.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use couplet_tests::{
    Couplet,
    net::{connect_from, expect_closed},
    until,
};

use super::{Relay, exchange, file, line, met, refused};

#[test]
fn further_clients_of_a_key_queue() {
    let relay = Relay::start(&["--others=queue"]);
    let [first, second] = [relay.waits(" a"), relay.waits(" a")];
    let partner = relay.says(&line(" b"));
    met(&partner);
    // The one heard of last is joined first.
    met(&second);
    let another = relay.says(&line(" b"));
    met(&another);
    met(&first);
    exchange(&second, &partner, 1);
    exchange(&first, &another, 2);
}

#[test]
fn further_clients_of_a_key_may_be_refused_while_two_are_joined() {
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
fn waiting_clients_of_a_key_may_be_closed_at_the_join() {
    let relay = Relay::start(&["--others=let-go"]);
    let [first, second] = [relay.waits(" a"), relay.waits(" a")];
    let partner = relay.says(&line(" b"));
    met(&partner);
    met(&second);
    refused(first, "redundant");
    // A later client may wait, and be met.
    let later = relay.waits(" a");
    met(&relay.says(&line(" b")));
    met(&later);
    exchange(&second, &partner, 1);
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

/// None of them is done in time: a pair that had to wait for one of them would never meet.
#[test]
fn the_wrong_the_silent_and_the_dripping_delay_no_pair() {
    let relay = Relay::start(&["--handshake-timeout=10m"]);
    let crowd: Vec<_> = (0..500)
        .map(|number| match number % 3 {
            0 => relay.says(&format!("couplet/1 {number:032x}\n")),
            1 => relay.says(""),
            _ => relay.says("c"),
        })
        .collect();
    for (number, drop) in (0..).zip("ouplet/1 0123456789".chars()) {
        let a = relay.says(&line(" a"));
        for mut dripping in crowd.iter().skip(2).step_by(3) {
            dripping.write_all(&[drop as u8]).unwrap();
        }
        let b = relay.says(&line(" b"));
        met(&a);
        met(&b);
        exchange(&a, &b, number);
    }
    relay.0.rest();
    drop(crowd);
}

#[test]
fn one_address_takes_no_more_slots_than_its_bound() {
    let relay = Relay::start_at("listen:0,max-per-addr=4", &["--max-waiting=8"]);
    let crowd: Vec<_> = (0..4)
        .map(|number| relay.says(&format!("couplet/1 {number:032x}\n")))
        .collect();
    until("they wait", || (relay.waiting() == 4).then_some(()));
    relay.turns_away(&line(""));
    let [a, b] = [2, 3].map(|host| relay.says_from(host, &line("")));
    met(&a);
    met(&b);
    exchange(&a, &b, 1);
    drop(crowd);
}

#[test]
fn a_client_that_guesses_tokens_is_soon_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let secrets = file(&scratch, "secrets", "main: 0123456789abcdef\n");
    let tokens = format!("--tokens=@{secrets}");
    let relay = Relay::start_at("listen:0,attempts=3/10m", &[&tokens]);
    for _ in 0..3 {
        refused(relay.says(&line(" a guess")), "bad token");
    }
    // A client hears why before its attempt counts.
    relay.0.events("refused", 3);
    let args = [
        "token",
        "--secret",
        &format!("@{secrets}"),
        "--key=demo",
        "--expires=1h",
    ];
    let good = Couplet::run(&args).ok().log;
    let good = line(&format!(" {}", good.trim()));
    relay.turns_away(&good);
    let [a, b] = [2, 3].map(|host| relay.says_from(host, &good));
    met(&a);
    met(&b);
    exchange(&a, &b, 1);
}

impl Relay {
    /// A client of 127.0.0.1 that says this is closed unheard: the reset may come before the line is written.
    fn turns_away(&self, rest: &str) {
        let client = connect_from([127, 0, 0, 1], self.0.address('A'));
        let _ = (&client).write_all(rest.as_bytes());
        expect_closed(&client);
    }

    /// One of 127.0.0.`host` that says this.
    fn says_from(&self, host: u8, rest: &str) -> TcpStream {
        let client = connect_from([127, 0, 0, host], self.0.address('A'));
        (&client).write_all(rest.as_bytes()).unwrap();
        client
    }
}
