//! `token=@FILE`: a secret first line.

use std::{io::Write, net::TcpStream, path::PathBuf};

use couplet_tests::{
    Couplet,
    net::{accept, arrived, connect, dial, expect_closed, expect_end, listen, nobody_comes},
    pattern,
};
use tempfile::TempDir;

struct Secret {
    _scratch: TempDir,
    file: PathBuf,
}

impl Secret {
    fn new(text: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("secret");
        std::fs::write(&file, text).unwrap();
        Self {
            _scratch: scratch,
            file,
        }
    }

    fn of(&self, side: &str) -> String {
        format!("{side},token=@{}", self.file.display())
    }
}

fn say(mut to: &TcpStream, text: &[u8]) {
    to.write_all(text).unwrap();
}

#[test]
fn a_client_with_the_token_passes() {
    let target = listen();
    let secret = Secret::new("open sesame\n");
    let couplet = Couplet::start(&[
        &secret.of("listen:0"),
        &dial(&target),
        "--handshake-timeout=10m",
    ]);
    for line in [&b"open sesame\n"[..], b"open sesame\r\n"] {
        // At once with what follows, and byte by byte.
        for piece in [1000, 1] {
            let client = connect(couplet.address('A'));
            for piece in line.chunks(piece) {
                say(&client, piece);
                if piece.len() == 1 {
                    arrived(&client);
                }
            }
            pattern::send(&client, 1, 1000);
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let server = accept(&target);
            pattern::expect_all(&server, 1, 1000);
            pattern::send(&server, 2, 1000);
            drop(server);
            pattern::expect_all(&client, 2, 1000);
        }
    }
}

#[test]
fn a_client_without_the_token_gets_no_reply() {
    let secret = Secret::new("open sesame\n");
    let target = listen();
    let couplet = Couplet::start(&[&secret.of("listen:0"), &dial(&target)]);
    let lines: &[&[u8]] = &[
        b"open barley\n",
        b"open sesam\n",
        b"open sesame \n",
        b"\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &[b'x'; 5000],
    ];
    for (line, number) in lines.iter().zip(1..) {
        let client = connect(couplet.address('A'));
        say(&client, line);
        expect_closed(&client);
        couplet.events("refused", number);
    }
    // Nor a client that leaves before the line is whole.
    let client = connect(couplet.address('A'));
    say(&client, b"open sesame");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    expect_closed(&client);
    nobody_comes(&target);
}

#[test]
fn a_silent_client_is_closed() {
    let secret = Secret::new("open sesame");
    let target = listen();
    let timeout = "--handshake-timeout=1s";
    let couplet = Couplet::start(&[&secret.of("listen:0"), &dial(&target), timeout]);
    let silent = connect(couplet.address('A'));
    let slow = connect(couplet.address('A'));
    say(&slow, b"open ");
    let client = connect(couplet.address('A'));
    say(&client, b"open sesame\n");
    let server = accept(&target);
    expect_closed(&silent);
    expect_closed(&slow);
    couplet.events("refused", 2);
    // The timeout is for the line alone.
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
}

#[test]
fn a_token_is_sent_to_a_dialled_server() {
    let secret = Secret::new("open sesame\n");
    let target = listen();
    let couplet = Couplet::start(&["listen:0", &secret.of(&dial(&target))]);
    let client = connect(couplet.address('A'));
    let mut server = accept(&target);
    let mut line = [0; 12];
    std::io::Read::read_exact(&mut server, &mut line).unwrap();
    assert_eq!(&line, b"open sesame\n");
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
}

#[test]
fn a_client_with_any_token_of_the_list_passes() {
    let secret = Secret::new("# one a line\nopen sesame\r\nann: red\n");
    let target = listen();
    let couplet = Couplet::start(&[&secret.of("listen:0"), &dial(&target)]);
    for line in ["open sesame\n", "red\n"] {
        let client = connect(couplet.address('A'));
        say(&client, line.as_bytes());
        pattern::send(&client, 1, 1000);
        pattern::expect(&accept(&target), 1, 1000);
    }
    for line in ["ann: red\n", "# one a line\n"] {
        let client = connect(couplet.address('A'));
        say(&client, line.as_bytes());
        expect_closed(&client);
    }

    // One token alone is sent.
    Couplet::run(&["listen:0", &secret.of(&dial(&target))])
        .with(2)
        .said("line");
}

#[test]
fn two_clients_with_tokens_of_their_own_are_joined() {
    let (red, blue) = (Secret::new("red"), Secret::new("blue"));
    let couplet = Couplet::start(&[&red.of("listen:0"), &blue.of("listen:0")]);
    let wrong = connect(couplet.address('B'));
    say(&wrong, b"red\n");
    let a = connect(couplet.address('A'));
    say(&a, b"red\n");
    let b = connect(couplet.address('B'));
    say(&b, b"blue\n");
    pattern::send(&b, 1, 1000);
    pattern::expect(&a, 1, 1000);
    expect_closed(&wrong);
}

#[test]
fn a_tunnel_of_two_relays_is_opened_by_a_token() {
    let secret = Secret::new("open sesame\n");
    let target = listen();
    let far = Couplet::start(&[&secret.of("listen:0"), &dial(&target)]);
    let near = Couplet::start(&["listen:0", &secret.of(&far.dial('A'))]);
    for number in 0..3 {
        let client = connect(near.address('A'));
        let server = accept(&target);
        pattern::send(&client, number, 100_000);
        client.shutdown(std::net::Shutdown::Write).unwrap();
        pattern::expect_all(&server, number, 100_000);
        pattern::send(&server, number + 10, 100_000);
        drop(server);
        pattern::expect(&client, number + 10, 100_000);
        expect_end(&client);
    }
}
