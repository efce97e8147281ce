//! What limits know of clients outlives a reload that changes something else.

use std::{fs, io::Write, net::TcpStream};

use couplet_tests::{Couplet, net::expect_closed, until};

use crate::service::{Rig, echo, greeted, server};

/// The relay `x` with these options of side A and these keys.
fn relay(target: &str, options: &str, keys: &str) -> String {
    format!("[relay.x]\na = ['listen:127.0.0.1:0', {options}]\nb = '{target}'\n{keys}\n")
}

fn served(rig: &Rig) -> TcpStream {
    let client = rig.connect("x");
    assert_eq!(greeted(&client), '0');
    client
}

fn refused(rig: &Rig) {
    expect_closed(&rig.connect("x"));
}

#[test]
fn open_connections_count_on() {
    let target = server(b'0');
    for limit in ["max-per-addr", "max-conns"] {
        let text = |number: usize, timeout: usize| {
            let keys = format!("idle-timeout = '{timeout}h'");
            relay(&target, &format!("'{limit}={number}'"), &keys)
        };
        let rig = Rig::new(&text(2, 1));
        let first = served(&rig);
        rig.reload(&text(2, 2)).ok().said("changed: x");
        let _second = served(&rig);
        refused(&rig);
        rig.reload(&text(2, 3)).ok().said("changed: x");
        refused(&rig);
        // Its place is free again, whichever relay it came to.
        drop(first);
        until("a place is free", || {
            let mut client = rig.connect("x");
            let mut letter = [0];
            let read = std::io::Read::read(&mut client, &mut letter);
            (read.ok() == Some(1)).then_some(())
        });
        // Another limit begins anew.
        rig.reload(&text(1, 3)).ok().said("changed: x");
        let _other = served(&rig);
        refused(&rig);
    }
}

#[test]
fn rates_count_on() {
    let target = server(b'0');
    for limit in ["rate-per-addr", "rate"] {
        let text = |number: usize, timeout: usize| {
            let keys = format!("idle-timeout = '{timeout}h'");
            relay(&target, &format!("'{limit}={number}/1h'"), &keys)
        };
        let rig = Rig::new(&text(2, 1));
        served(&rig);
        rig.reload(&text(2, 2)).ok().said("changed: x");
        served(&rig);
        refused(&rig);
        rig.reload(&text(2, 3)).ok().said("changed: x");
        refused(&rig);
        rig.reload(&text(1, 3)).ok().said("changed: x");
        served(&rig);
        refused(&rig);
    }
}

#[test]
fn failed_attempts_count_on() {
    let target = server(b'0');
    let text = |number: usize, timeout: usize| {
        let keys = format!("idle-timeout = '{timeout}h'");
        let options = format!("'attempts={number}/1h', 'token=@secret'");
        relay(&target, &options, &keys)
    };
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "open sesame\n").unwrap();
    let text = |number, timeout| {
        text(number, timeout).replace("@secret", &format!("@{}", secret.display()))
    };
    let rig = Rig::new(&text(1, 1));
    let mut guesses = rig.connect("x");
    guesses.write_all(b"guess\n").unwrap();
    expect_closed(&guesses);
    refused(&rig);
    rig.reload(&text(1, 2)).ok().said("changed: x");
    refused(&rig);
    rig.reload(&text(2, 2)).ok().said("changed: x");
    let mut knows = rig.connect("x");
    knows.write_all(b"open sesame\n").unwrap();
    assert_eq!(greeted(&knows), '0');
}

#[test]
fn live_pairs_count_on() {
    let target = server(b'0');
    let text = |number: usize, timeout: usize| {
        let keys = format!("max-pairs = {number}\nidle-timeout = '{timeout}h'");
        relay(&target, "'keep-alive=off'", &keys)
    };
    let rig = Rig::new(&text(1, 1));
    let first = served(&rig);
    rig.reload(&text(1, 2)).ok().said("changed: x");
    // It waits until the first pair has ended.
    let second = rig.connect("x");
    rig.couplet.rest();
    second.set_nonblocking(true).unwrap();
    assert!(second.peek(&mut [0]).is_err(), "two pairs are live");
    second.set_nonblocking(false).unwrap();
    drop(first);
    assert_eq!(greeted(&second), '0');
    // Another bound counts the new pairs alone.
    rig.reload(&text(2, 2)).ok().said("changed: x");
    let _more = [served(&rig), served(&rig)];
}

#[test]
fn pairs_from_before_a_reload_have_their_time() {
    let target = server(b'0');
    let text = |timeout: usize, time: &str| {
        let keys = format!("generations = '{time}'\nidle-timeout = '{timeout}h'");
        relay(&target, "'keep-alive=off'", &keys)
    };
    let rig = Rig::new(&text(1, "never"));
    let first = served(&rig);
    rig.reload(&text(2, "never")).ok().said("changed: x");
    let second = served(&rig);
    rig.reload(&text(3, "100ms")).ok().said("changed: x");
    let third = served(&rig);
    expect_closed(&first);
    expect_closed(&second);
    rig.couplet.events("pairs from before a reload end", 1);
    echo(&third, 1);

    Couplet::run(&["listen:1", "dial:h:1", "--generations=1h"])
        .with(2)
        .said("only a relay of a file is changed by a reload");
}

#[test]
fn clients_that_wait_stay_or_are_let_go_as_the_new_file_says() {
    let text = |timeout: usize, key: &str| {
        format!(
            "[relay.x]\na = 'listen:127.0.0.1:0'\nb = 'listen:unix:b.sock'\nidle-timeout = '{timeout}h'\n{key}\n"
        )
    };
    let rig = Rig::new(&text(1, ""));
    let one_waits = || {
        until("one waits", || {
            let status = Couplet::run(&["ctl", &rig.admin(), "status"]).ok().log;
            status.contains(" 1 ").then_some(())
        });
    };
    let waits = rig.connect("x");
    one_waits();
    rig.reload(&text(2, "on-reload = 'keep'")).ok();
    one_waits();
    waits.set_nonblocking(true).unwrap();
    assert!(waits.peek(&mut [0]).is_err(), "it waits on");
    waits.set_nonblocking(false).unwrap();
    rig.reload(&text(3, "on-reload = 'let-go'")).ok();
    expect_closed(&waits);
    // The relay goes on.
    let _waits = rig.connect("x");
    one_waits();

    Couplet::run(&["listen:1", "listen:2", "--on-reload=let-go"])
        .with(2)
        .said("only a relay of a file is changed by a reload");
}

#[test]
fn pairs_of_fifty_relays_before_go_on() {
    let target = server(b'0');
    let text = |timeout: usize| {
        let keys = format!("idle-timeout = '{timeout}h'");
        relay(&target, "'keep-alive=off'", &keys)
    };
    let rig = Rig::new(&text(1));
    let mut clients = vec![served(&rig)];
    for reload in 1..=51 {
        rig.reload(&text(1 + reload)).ok().said("changed: x");
        clients.push(served(&rig));
        if reload == 50 {
            echo(&clients[0], reload);
        }
    }
    expect_closed(&clients[0]);
    for (number, client) in clients.iter().enumerate().skip(1) {
        echo(client, number);
    }
}
