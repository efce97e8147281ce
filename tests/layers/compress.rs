//! `compress`: a side that is compressed.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
};

use couplet_tests::{
    Couplet, finish,
    net::{accept, connect, dial, expect_end, expect_reset, listen},
    pattern, program,
};

const FORMATS: [&str; 3] = ["zstd", "zstd:19", "lz4"];
const MIB: usize = 1024 * 1024;

/// Two couplets whose facing sides are compressed, and what they lead to.
struct Tunnel {
    near: Couplet,
    far: Couplet,
    target: TcpListener,
}

impl Tunnel {
    fn start(format: &str) -> Self {
        let target = listen();
        let compress = format!(",compress={format}");
        let far = Couplet::start(&[&format!("listen:0{compress}"), &dial(&target)]);
        let near = Couplet::start(&["listen:0", &format!("{}{compress}", far.dial('A'))]);
        Self { near, far, target }
    }

    fn pair(&self) -> (TcpStream, TcpStream) {
        let client = connect(self.near.address('A'));
        (client, accept(&self.target))
    }
}

#[test]
fn a_tunnel_of_two() {
    for format in FORMATS {
        let tunnel = Tunnel::start(format);
        let (client, server) = tunnel.pair();
        // Each key arrives before the next is struck.
        for key in 0..20 {
            pattern::send(&client, key, 1);
            pattern::expect(&server, key, 1);
            pattern::send(&server, key, 3);
            pattern::expect(&client, key, 3);
        }
        let (up, down) = (&client, &server);
        std::thread::scope(|scope| {
            scope.spawn(|| pattern::send(up, 1, 4 * MIB));
            scope.spawn(|| pattern::send(down, 2, 4 * MIB));
            scope.spawn(|| pattern::expect(down, 1, 4 * MIB));
            scope.spawn(|| pattern::expect(up, 2, 4 * MIB));
        });
        drop((client, server));
        for couplet in [&tunnel.near, &tunnel.far] {
            assert!(couplet.ended(1).starts_with("finished"));
        }
    }
}

#[test]
fn each_direction_of_a_tunnel_ends_by_itself() {
    for format in FORMATS {
        let tunnel = Tunnel::start(format);
        for client_first in [true, false] {
            let (client, server) = tunnel.pair();
            let (first, second) = match client_first {
                true => (&client, &server),
                false => (&server, &client),
            };
            first.shutdown(Shutdown::Write).unwrap();
            expect_end(second);
            pattern::send(second, 1, MIB);
            pattern::expect(first, 1, MIB);
            second.shutdown(Shutdown::Write).unwrap();
            expect_end(first);
        }
    }
}

#[test]
fn a_tunnel_that_breaks_makes_up_no_end() {
    for format in FORMATS {
        let target = listen();
        let couplet =
            Couplet::start(&["listen:0", &format!("{},compress={format}", dial(&target))]);
        let client = connect(couplet.address('A'));
        let server = accept(&target);
        server.shutdown(Shutdown::Write).unwrap();
        expect_reset(&client);
        assert_eq!(couplet.ended(1), "B failed");
    }
}

/// Runs a file through a program.
fn filter(name: &str, args: &[&str], input: &Path, output: &Path) {
    let mut command: Command = program(name);
    command
        .args(args)
        .stdin(Stdio::from(File::open(input).unwrap()))
        .stdout(Stdio::from(File::create(output).unwrap()));
    assert!(command.status().unwrap().success(), "{name}");
}

#[test]
fn the_wire_is_what_the_program_of_that_name_speaks() {
    for (name, pack) in [
        ("zstd", &["-q", "-c", "--zstd=wlog=16"][..]),
        ("lz4", &["-q", "-c", "-B4", "-BI", "--no-frame-crc"]),
    ] {
        let scratch = tempfile::tempdir().unwrap();
        let [plain, packed, unpacked] =
            ["plain", "packed", "unpacked"].map(|it| scratch.path().join(it));
        let text = "the same again, ".repeat(MIB / 16);
        fs::write(&plain, &text).unwrap();
        filter(name, pack, &plain, &packed);

        let target = listen();
        let couplet = Couplet::start(&["listen:0", &format!("{},compress={name}", dial(&target))]);
        let mut client = connect(couplet.address('A'));
        let mut server = accept(&target);
        client.write_all(text.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut wire = Vec::new();
        server.read_to_end(&mut wire).unwrap();
        assert!(wire.len() < text.len() / 50, "{}", wire.len());
        server.write_all(&fs::read(&packed).unwrap()).unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).unwrap();
        assert!(heard == text, "{name}");

        fs::write(&packed, wire).unwrap();
        filter(name, &["-q", "-d", "-c"], &packed, &unpacked);
        assert!(fs::read_to_string(&unpacked).unwrap() == text, "{name}");
    }
}

#[test]
fn it_is_explained() {
    let mut explain = Couplet::command(&["explain", "listen:9000,compress=zstd:3", "dial:h:1"]);
    finish("couplet", &mut explain)
        .ok()
        .said("compress")
        .said("level 3 (side)");
}
