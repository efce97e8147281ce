//! The two ends, which only dial: `rendezvous=KEY`, and a pool of waiting connections.

use std::net::{Shutdown, TcpListener};

use couplet_tests::{
    Couplet,
    net::{
        accept, arrived, close, connect, dial, expect_closed, expect_end, listen, nobody_comes,
        reset,
    },
    pattern, until,
};

use super::{Relay, exchange, file, line, met, refused};

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
    wrong(&file(&scratch, "empty", ""), "/empty`: the file is empty");
    wrong(&file(&scratch, "two", "a\nb\n"), "more than one line");
    wrong(&format!("{key}2"), "can't be read");
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
    // No partner is dialled for a client that only waits.
    nobody_comes(&ends.target);
}

#[test]
fn a_client_with_another_key_is_not_joined() {
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
fn a_partner_that_left_is_never_joined() {
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
    reset(left);
    until("it has left", || {
        let lines = ends.relay.0.lines();
        let left = |line: &&String| line.contains("went away while it waited");
        lines.iter().find(left).map(drop)
    });
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
fn a_client_that_only_receives_gets_the_data_whoever_comes_first() {
    let relay = Relay::start(&[]);
    for receiver_first in [true, false] {
        let receives = || {
            let client = match receiver_first {
                true => relay.waits(" a"),
                false => relay.says(&line(" a")),
            };
            client.shutdown(Shutdown::Write).unwrap();
            client
        };
        let (receiver, sender) = if receiver_first {
            let receiver = receives();
            (receiver, relay.says(&line(" b")))
        } else {
            let sender = relay.waits(" b");
            (receives(), sender)
        };
        met(&sender);
        met(&receiver);
        pattern::send(&sender, 1, 100_000);
        sender.shutdown(Shutdown::Write).unwrap();
        pattern::expect(&receiver, 1, 100_000);
        expect_end(&receiver);
    }
}

#[test]
fn a_partner_that_has_closed_costs_a_retry_and_no_session() {
    let relay = Relay::start(&[]);
    // Until something is sent to it, it looks as one that only receives.
    close(relay.waits(" a"));
    refused(relay.says(&line(" b")), "partner left");
    let b = relay.waits(" b");
    let a = relay.says(&line(" a"));
    met(&a);
    met(&b);
    exchange(&a, &b, 1);
}

/// All that comes for the vanished client is dropped, as where a NAT has forgotten the connection.
#[cfg(target_os = "linux")]
#[test]
fn a_partner_that_vanished_costs_a_retry_and_no_session() {
    let relay = Relay::start(&[]);
    let live = relay.waits(" a");
    let vanished = relay.waits(" a");
    let drop_all = socket2::SockFilter::new(6, 0, 0, 0);
    let socket = socket2::SockRef::from(&vanished);
    socket.attach_filter(&[drop_all]).unwrap();
    // The kernel asks a peer that was silent for a second, no sooner.
    std::thread::sleep(std::time::Duration::from_millis(1200));
    let newcomer = relay.says(&line(" b"));
    met(&newcomer);
    met(&live);
    exchange(&newcomer, &live, 1);
}

#[test]
fn contradicting_rendezvous_options_are_a_mistake() {
    let wrong = |args: &[&str], right: &str| {
        Couplet::run(args).with(2).said(right);
    };
    wrong(&["rendezvous", "dial:h:1"], "listen:[HOST:]PORT");
    wrong(
        &["rendezvous", "4000"],
        "Usage: couplet rendezvous [OPTIONS] <LISTEN>",
    );
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
fn explain_prints_the_rendezvous() {
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
