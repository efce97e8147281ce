//! Bytes, ends and resets of each connection are its own.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    net::Shutdown,
    thread,
    time::Duration,
};

use couplet_tests::{
    Couplet, Process,
    net::{accept, dial, flood, listen},
    pattern, until,
};

use super::Tunnel;
use crate::ws::ends_are_exact;

#[test]
fn ends_and_resets_are_exact() {
    let tunnel = Tunnel::new(",mux", ",mux");
    ends_are_exact(|| tunnel.pair());
    // All of them over one.
    assert_eq!(tunnel.far.events("a carrier is there", 1).len(), 1);
}

#[test]
fn an_answer_comes_long_after_the_end_of_its_request() {
    let tunnel = Tunnel::new(",mux", ",mux");
    let (client, server) = tunnel.pair();
    pattern::send(&client, 1, 1000);
    client.shutdown(Shutdown::Write).unwrap();
    pattern::expect_all(&server, 1, 1000);
    thread::sleep(Duration::from_millis(1500));
    pattern::send(&server, 2, 1_000_000);
    drop(server);
    pattern::expect_all(&client, 2, 1_000_000);
}

#[test]
fn an_early_answer_arrives_whole_while_its_reader_sends() {
    let tunnel = Tunnel::new(",mux", ",mux");
    let (client, server) = tunnel.pair();
    thread::scope(|scope| {
        let sending = scope.spawn(|| pattern::send(&client, 1, 8 * 1024 * 1024));
        pattern::send(&server, 2, 300_000);
        server.shutdown(Shutdown::Write).unwrap();
        pattern::expect(&server, 1, 8 * 1024 * 1024);
        sending.join().unwrap();
        pattern::expect_all(&client, 2, 300_000);
    });
}

#[test]
fn a_reader_that_stops_stops_its_sender_and_no_other() {
    let tunnel = Tunnel::new(",mux", ",mux");
    for client_reads in [true, false] {
        let (client, server) = tunnel.pair();
        let (_stuck, writer) = match client_reads {
            true => (client, server),
            false => (server, client),
        };
        flood(&writer);
        let (client, server) = tunnel.pair();
        thread::scope(|scope| {
            scope.spawn(|| pattern::send(&client, 1, 4_000_000));
            pattern::expect(&server, 1, 4_000_000);
            scope.spawn(|| pattern::send(&server, 2, 4_000_000));
            pattern::expect(&client, 2, 4_000_000);
        });
    }
}

#[test]
fn a_thousand_pairs_over_one_connection() {
    const PAIRS: usize = 1000;
    let tunnel = Tunnel::new(",mux", ",mux");
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        pairs.push(tunnel.pair());
    }
    for (number, (client, server)) in (0..).zip(&pairs) {
        pattern::send(client, number, 2000);
        client.shutdown(Shutdown::Write).unwrap();
        pattern::send(server, number + 1, 3000);
    }
    for (number, (client, server)) in (0..).zip(pairs) {
        pattern::expect_all(&server, number, 2000);
        drop(server);
        pattern::expect_all(&client, number + 1, 3000);
    }
    tunnel.near.events("ended", PAIRS);
    for couplet in [&tunnel.near, &tunnel.far] {
        assert_eq!(couplet.events("a carrier is there", 1).len(), 1);
    }
    // One of the two sockets of each side, and no stream, is left.
    until("nothing is left of the pairs", || {
        (tunnel.far.descriptors() < 40).then_some(())
    });
}

#[test]
fn what_is_said_last_arrives_though_the_process_ends() {
    const SIZE: usize = 200_000;
    let server = listen();
    let far = Couplet::start(&["listen:127.0.0.1:0,mux", &dial(&server)]);
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(&[b'x'; SIZE]).unwrap();
    input.seek(SeekFrom::Start(0)).unwrap();
    let mut near = Couplet::command(&["stdio", &format!("{},mux", far.dial('A'))]);
    let near = Process::spawn_with_input("couplet stdio", near.stdin(input));
    let mut asked = accept(&server);
    // It has said all, and its process may end as soon as it has heard the answer.
    asked.write_all(b"bye\n").unwrap();
    asked.shutdown(Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    asked.read_to_end(&mut heard).unwrap();
    assert_eq!(heard.len(), SIZE);
    near.finish().ok().said("bye");
}
