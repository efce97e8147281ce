//! A peer that vanishes: its packets come no more, without a FIN or a reset.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use couplet_tests::{LIMIT, Process, net::accept};

use crate::{is_wanted, link::Link};

/// What lies between the relay and the peer when it vanishes.
#[derive(Clone, Copy, Debug)]
enum When {
    Idle,
    /// The relay has sent what is never acknowledged.
    InFlight,
}

/// How long it takes until the session of a client that vanished has ended, and how.
fn noticed(options: &[&str], when: When, patience: Duration) -> (Duration, String) {
    let mut link = Link::new(1400, r#"{"delay": 0.005}"#);
    let listener = link
        .far
        .within(|| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let dial = format!("dial:{}", listener.local_addr().unwrap());
    let listen = format!("listen:{}:0", link.far.ip);
    let couplet = link.far.couplet(&[&[&*listen, &*dial], options].concat());
    let address = couplet.address('A');
    let _client = link
        .near
        .within(|| TcpStream::connect_timeout(&address, LIMIT).unwrap());
    let mut server = accept(&listener);
    couplet.joined(1);
    link.cut();
    if let When::InFlight = when {
        server.write_all(b"are you there?").unwrap();
    }
    let begin = Instant::now();
    let ended = wait(&couplet, patience);
    (begin.elapsed(), ended)
}

/// As [`Couplet::ended`], with a patience of its own.
fn wait(couplet: &Process, patience: Duration) -> String {
    let begin = Instant::now();
    loop {
        let ended = couplet
            .lines()
            .into_iter()
            .find(|line| line.contains(r#""message":"ended""#));
        if let Some(ended) = ended {
            return ended;
        }
        if begin.elapsed() > patience {
            return format!("not ended after {patience:?}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn each_setting_notices_a_peer_that_vanished() {
    if !is_wanted() {
        return;
    }
    for (options, when) in [
        (&["--keep-alive=1s/1s/2"][..], When::Idle),
        (&["--ack-timeout=15s"], When::InFlight),
        (&["--user-timeout=2s"], When::InFlight),
        (&["--idle-timeout=2s"], When::Idle),
        (&["--idle-timeout=2s"], When::InFlight),
    ] {
        let (_, ended) = noticed(options, when, LIMIT);
        assert!(
            ended.contains(r#""message":"ended""#),
            "{options:?} {when:?}: {ended}"
        );
    }
}

/// The table of docs/reliability.md.
#[test]
#[ignore = "takes minutes: prints how long it takes with the defaults and with each setting"]
fn the_time_until_a_vanished_peer_is_noticed() {
    let quarter = Duration::from_secs(20 * 60);
    std::thread::scope(|scope| {
        for options in [
            &[][..],
            &["--keep-alive=10s/5s/3"],
            &["--ack-timeout=off"],
            &["--ack-timeout=20s"],
            &["--user-timeout=30s"],
            &["--idle-timeout=30s"],
        ] {
            for when in [When::Idle, When::InFlight] {
                scope.spawn(move || {
                    let (took, ended) = noticed(options, when, quarter);
                    println!("{options:?} {when:?}: {:.0} s: {ended}", took.as_secs_f64());
                });
            }
        }
    });
}
