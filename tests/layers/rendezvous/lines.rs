//! What a client says, and what it hears.

use std::io::Read;

use couplet_tests::{
    net::{expect_closed, listens_no_more},
    until,
};

use super::{DEMO, Relay, exchange, line, met, refused};

#[test]
fn clients_are_joined_by_the_keys_in_their_lines() {
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
    until("all have come", || (relay.waiting() == 3).then_some(()));
    // Two of one side don't meet.
    let one = relay.waits(" a");
    let two = relay.waits(" a");
    let b = relay.says(&line(" b"));
    met(&b);
    met(&two);
    exchange(&two, &b, 2);
    drop((one, other_key));
}

#[test]
fn a_refused_client_gets_the_reason() {
    let relay = Relay::start(&["--wait-timeout=1s", "--handshake-timeout=2s"]);
    refused(relay.says("GET / HTTP/1.1\r\n\r\n"), "bad request");
    refused(relay.says(&"x".repeat(5000)), "bad request");
    refused(relay.says(&line(" a")), "expired");
    let silent = relay.says("couplet/1 ");
    expect_closed(&silent);
}

#[test]
fn a_refusal_is_logged_with_reason_and_waiting_time() {
    let relay = Relay::start(&["--wait-timeout=1s", "--access-log=-"]);
    refused(relay.says(&line(" a")), "expired");
    let refused_so = "refused: no partner came in time";
    let event = relay.0.events(refused_so, 1).remove(0);
    assert!(event["waited"].is_number(), "{event}");
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
fn a_client_that_speaks_early_gets_the_reason_where_silence_is_required() {
    let relay = Relay::start(&["--silent"]);
    refused(relay.says(&(line("") + "x")), "impatient");
}

#[test]
fn sigterm_closes_waiting_clients_and_lets_joined_ones_end() {
    let mut relay = Relay::start(&["--drain-timeout=10m"]);
    let [a, b] = ["", ""].map(|rest| relay.says(&line(rest)));
    met(&a);
    met(&b);
    let waits = relay.waits("");
    relay.0.terminate();
    expect_closed(&waits);
    listens_no_more(relay.0.address('A'));
    assert!(relay.0.is_running());
    exchange(&a, &b, 1);
    drop((a, b));
    relay.0.finish().ok();
}
