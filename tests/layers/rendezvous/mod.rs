//! `couplet rendezvous`, and the two ends that dial it.

mod bounds;
mod ends;
mod lines;
mod tokens;

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use couplet_tests::{
    Couplet,
    net::{connect, expect_end},
    pattern, until,
};
use tempfile::TempDir;

/// `printf %s demo | sha256sum | cut -c-32`
const DEMO: &str = "2a97516c354b68848cdbd8f54a226a0a";

struct Relay(Couplet);

impl Relay {
    fn start(flags: &[&str]) -> Self {
        Self::start_at("listen:0", flags)
    }

    fn start_at(listen: &str, flags: &[&str]) -> Self {
        // The log names the waiting client.
        Self(Couplet::start(
            &[&["rendezvous", listen, "-v"], flags].concat(),
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
