//! Signed tokens: for which key and side, and until when.

use std::fs;

use couplet_tests::{
    Couplet,
    net::{accept, connect, dial, expect_closed, listen, nobody_comes},
};
use rustix::process::Signal;

use super::{Relay, exchange, file, line, met, refused};

#[test]
fn tokens_of_couplet_token_are_required() {
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
        event.contains("rendezvous refuses: token for another key"),
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
    relay.0.events("read again", 1);
    refused(relay.says(&line(&format!(" b {old}"))), "bad token");
    let new = token("1h");
    met(&relay.says(&line(&format!(" b {new}"))));
    met(&waits);

    // What is no token changes nothing; the next one does.
    fs::write(&used, "nonsense").unwrap();
    home.signal(Signal::HUP);
    home.find("it keeps the old one", |line| {
        line.contains("what was read before stays").then_some(())
    });
    fs::write(&used, &new).unwrap();
    home.signal(Signal::HUP);
    home.events("read again", 1);
    let b = relay.says(&line(&format!(" b {new}")));
    met(&b);
    exchange(&b, &accept(&target), 1);
    // And so with secrets.
    fs::write(&secrets, "nonsense").unwrap();
    relay.0.signal(Signal::HUP);
    relay.0.find("it keeps the old ones", |line| {
        line.contains("what was read before stays").then_some(())
    });
    let b = relay.says(&line(&format!(" b {new}")));
    met(&b);
    exchange(&b, &accept(&target), 2);
}
