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
fn a_tunnel_of_two_relays_compresses() {
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

/// What a side that is compressed makes of these bytes, and why the pair ended.
fn unpacked(compress: &str, packed: &[u8]) -> (Vec<u8>, String, Vec<String>) {
    let target = listen();
    let couplet = Couplet::start(&["listen:0", &format!("{},{compress}", dial(&target))]);
    let mut client = connect(couplet.address('A'));
    let mut server = accept(&target);
    let mut heard = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Refused, it takes no more.
            let _ = server.write_all(packed);
            let _ = server.shutdown(Shutdown::Write);
        });
        client.shutdown(Shutdown::Write).unwrap();
        let _ = client.read_to_end(&mut heard);
    });
    let reason = couplet.ended(1);
    (heard, reason, couplet.lines())
}

/// Half of it repeats itself, from near and from far.
fn mixed() -> Vec<u8> {
    let noise = pattern::bytes(1, 3 * MIB);
    [&noise[..], &b"the same again, ".repeat(MIB / 16), &noise].concat()
}

#[test]
fn output_of_the_zstd_and_lz4_commands_is_read_at_every_level() {
    let scratch = tempfile::tempdir().unwrap();
    let [plain, packed] = ["plain", "packed"].map(|it| scratch.path().join(it));
    fs::write(&plain, mixed()).unwrap();
    for (name, args) in [
        ("zstd", &["-1"][..]),
        ("zstd", &["-3"]),
        ("zstd", &["-9"]),
        ("zstd", &["-19"]),
        ("zstd", &["--fast=5", "--no-check"]),
        ("lz4", &["-1"]),
        ("lz4", &["-9", "-BD"]),
        // Small blocks, each with the one before as its dictionary.
        ("lz4", &["-9", "-B4", "-BD"]),
        ("lz4", &["-12", "-B4", "-BX"]),
        ("lz4", &["--fast=9", "-B6", "-BD", "-BX", "--no-frame-crc"]),
    ] {
        filter(name, &[args, &["-q", "-c"]].concat(), &plain, &packed);
        let packed = fs::read(&packed).unwrap();
        let (heard, reason, _) = unpacked(&format!("compress={name}"), &packed);
        assert!(
            heard == mixed(),
            "{name} {args:?}: {} bytes, {reason}",
            heard.len()
        );
        // A frame behind a frame, as `cat` of two files has it.
        let (heard, reason, _) = unpacked(&format!("compress={name}"), &packed.repeat(2));
        assert!(heard == mixed().repeat(2), "{name} {args:?}: {reason}");
    }
}

#[test]
fn a_frame_beyond_the_window_is_refused_and_read_with_a_larger_one() {
    let scratch = tempfile::tempdir().unwrap();
    let [plain, packed] = ["plain", "packed"].map(|it| scratch.path().join(it));
    fs::write(&plain, mixed()).unwrap();
    for (name, args, small, large) in [
        (
            "zstd",
            &["--ultra", "-22", "-q", "-c"][..],
            "8MiB",
            "128MiB",
        ),
        ("zstd", &["-3", "-q", "-c"], "1MiB", "2MiB"),
        ("lz4", &["-B7", "-q", "-c"], "1MiB", "4MiB"),
    ] {
        filter(name, args, &plain, &packed);
        let packed = fs::read(&packed).unwrap();
        let compress = |window| format!("compress={name},compress.window={window}");
        let (heard, reason, log) = unpacked(&compress(small), &packed);
        assert!(heard.is_empty() && reason == "B failed", "{name}: {reason}");
        assert!(
            log.iter().any(|line| line.contains("compress.window")),
            "{log:?}"
        );
        let (heard, reason, _) = unpacked(&compress(large), &packed);
        assert!(heard == mixed(), "{name}: {reason}");
    }
}

#[test]
fn python_reads_and_writes_the_same_format() {
    const PACK: &str = r"
import sys
plain = sys.stdin.buffer.read()
if sys.argv[1] == 'zstd':
    import zstandard
    c = zstandard.ZstdCompressor(level=int(sys.argv[2])).compressobj()
    sys.stdout.buffer.write(c.compress(plain) + c.flush())
else:
    import lz4.frame
    sys.stdout.buffer.write(lz4.frame.compress(plain, compression_level=int(sys.argv[2]),
        content_checksum=True, block_checksum=True))
";
    const UNPACK: &str = r"
import sys
wire = sys.stdin.buffer.read()
if sys.argv[1] == 'zstd':
    import zstandard
    sys.stdout.buffer.write(zstandard.ZstdDecompressor().decompressobj().decompress(wire))
else:
    import lz4.frame
    sys.stdout.buffer.write(lz4.frame.decompress(wire))
";
    let python = |program: &str, args: [&str; 2], input: &Path, output: &Path| {
        let mut python = couplet_tests::python_program("python");
        python
            .args(["-c", program])
            .args(args)
            .stdin(Stdio::from(File::open(input).unwrap()))
            .stdout(Stdio::from(File::create(output).unwrap()));
        assert!(python.status().unwrap().success(), "{args:?}");
    };
    let scratch = tempfile::tempdir().unwrap();
    let [plain, packed] = ["plain", "packed"].map(|it| scratch.path().join(it));
    for (name, level) in [("zstd", "3"), ("zstd", "19"), ("lz4", "0"), ("lz4", "9")] {
        fs::write(&plain, mixed()).unwrap();
        python(PACK, [name, level], &plain, &packed);
        let compress = format!("compress={name}");
        let (heard, reason, _) = unpacked(&compress, &fs::read(&packed).unwrap());
        assert!(heard == mixed(), "{name}: {reason}");

        let target = listen();
        let couplet = Couplet::start(&["listen:0", &format!("{},{compress}", dial(&target))]);
        let mut client = connect(couplet.address('A'));
        let mut server = accept(&target);
        let mut wire = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                client.write_all(&mixed()).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            });
            server.read_to_end(&mut wire).unwrap();
        });
        fs::write(&packed, wire).unwrap();
        python(UNPACK, [name, level], &packed, &plain);
        assert!(fs::read(&plain).unwrap() == mixed(), "{name}");
    }
}

#[test]
fn explain_prints_the_compression() {
    let mut explain = Couplet::command(&["explain", "listen:9000,compress=zstd:3", "dial:h:1"]);
    finish("couplet", &mut explain)
        .ok()
        .said("compress")
        .said("level 3 (side)");
}
