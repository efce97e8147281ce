//! `--capture`: packets that tshark reads without a complaint.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
};

use couplet_tests::{
    Couplet, finish,
    net::{accept, connect, dial, expect_reset, listen, listen_at, reset},
    pattern,
    tshark::{self, count},
};

/// What follows the stream of that number: what its opener said, and what it was answered.
fn follow(file: &Path, stream: usize) -> [Vec<u8>; 2] {
    let printed = tshark::print(file, &["-q", "-z", &format!("follow,tcp,raw,{stream}")]);
    let mut said = [Vec::new(), Vec::new()];
    for line in printed.lines() {
        let digits = line.trim();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            continue;
        }
        let bytes = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
        said[usize::from(line.starts_with('\t'))].extend(bytes);
    }
    said
}

/// Nothing is malformed, every checksum is right, and nothing was lost, repeated or reordered.
#[track_caller]
fn is_sound(file: &Path) {
    let all = count(file, "frame");
    assert!(all > 0);
    assert_eq!(count(file, "_ws.malformed"), 0);
    assert_eq!(count(file, "tcp.checksum.status == \"Good\""), all);
    assert_eq!(count(file, "ip.checksum.status == \"Bad\""), 0);
    assert_eq!(count(file, "tcp.analysis.flags"), 0);
    assert_eq!(count(file, "tcp.len > 1460"), 0);
}

/// Both say something, at length and in turns, and end.
fn talk(client: TcpStream, server: TcpStream) {
    for round in 0..3 {
        (&client).write_all(&pattern::bytes(round, 20)).unwrap();
        pattern::expect(&server, round, 20);
        (&server)
            .write_all(&pattern::bytes(10 + round, 30))
            .unwrap();
        pattern::expect(&client, 10 + round, 30);
    }
    pattern::send(&client, 4, 300_000);
    client.shutdown(Shutdown::Write).unwrap();
    pattern::expect_all(&server, 4, 300_000);
    pattern::send(&server, 5, 100_000);
    drop(server);
    pattern::expect_all(&client, 5, 100_000);
}

/// What [`talk`] lets each of them say.
fn talked() -> [Vec<u8>; 2] {
    let turns = |first: usize, length| (0..3).flat_map(move |n| pattern::bytes(first + n, length));
    [
        turns(0, 20).chain(pattern::bytes(4, 300_000)).collect(),
        turns(10, 30).chain(pattern::bytes(5, 100_000)).collect(),
    ]
}

fn pair(couplet: &Couplet, target: &TcpListener) -> (TcpStream, TcpStream) {
    (connect(couplet.address('A')), accept(target))
}

fn stop(couplet: Couplet) {
    couplet.terminate();
    couplet.finish().ok();
}

#[test]
fn one_file_captures_all_pairs() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("trace.pcapng");
    let target = listen();
    let capture = format!("--capture={}", file.display());
    let couplet = Couplet::start(&["listen:0", &dial(&target), &capture]);
    for number in 1..=2 {
        let (client, server) = pair(&couplet, &target);
        talk(client, server);
        couplet.ended(number);
    }
    let (client, server) = pair(&couplet, &target);
    let peer = client.local_addr().unwrap();
    pattern::send(&client, 6, 100);
    pattern::expect(&server, 6, 100);
    reset(client);
    expect_reset(&server);
    couplet.ended(3);
    stop(couplet);

    is_sound(&file);
    for stream in 0..2 {
        assert!(follow(&file, stream) == talked(), "stream {stream}");
    }
    assert_eq!(follow(&file, 2), [pattern::bytes(6, 100), Vec::new()]);
    let of_the_last = format!("ip.src == 127.0.0.1 && tcp.srcport == {}", peer.port());
    assert_eq!(
        count(&file, &format!("{of_the_last} && tcp.flags.reset == 1")),
        1
    );
    assert_eq!(count(&file, "tcp.flags.reset == 1"), 1);
    assert_eq!(count(&file, "tcp.flags.fin == 1"), 4);
    let comments = tshark::print(
        &file,
        &[
            "-Y",
            "tcp.flags.syn == 1",
            "-T",
            "fields",
            "-e",
            "frame.comment",
        ],
    );
    let expected = format!("A {peer}, B {}", target.local_addr().unwrap());
    let mut named = comments
        .lines()
        .filter(|comment| comment.starts_with("session "));
    assert_eq!(named.clone().count(), 3, "{comments}");
    assert!(
        named.next_back().unwrap().ends_with(&expected),
        "{comments}"
    );
}

#[test]
fn both_families_in_one_conversation() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("trace.pcapng");
    let target = listen_at("[::1]:0".parse().unwrap());
    let capture = format!("--capture={}", file.display());
    let couplet = Couplet::start(&["listen:0", &dial(&target), &capture]);
    let (client, server) = pair(&couplet, &target);
    talk(client, server);
    couplet.ended(1);
    stop(couplet);
    is_sound(&file);
    assert_eq!(count(&file, "ip"), 0);
    assert!(follow(&file, 0) == talked());
}

#[test]
fn compressed_traffic_is_captured_in_the_clear() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("trace.pcapng");
    let target = listen();
    let capture = format!("--capture={}", file.display());
    let far = Couplet::start(&["listen:0,compress=zstd", &dial(&target), &capture]);
    let near = Couplet::start(&["listen:0", &format!("{},compress=zstd", far.dial('A'))]);
    let (client, server) = pair(&near, &target);
    talk(client, server);
    far.ended(1);
    stop(far);
    is_sound(&file);
    assert!(follow(&file, 0) == talked());
}

#[test]
fn capture_files_have_a_size() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("trace.pcapng");
    let target = listen();
    let capture = format!("--capture={}", file.display());
    let args = [
        "listen:0",
        &dial(&target),
        &capture,
        "--capture-roll=100KiB",
    ];
    let couplet = Couplet::start(&args);
    let (client, server) = pair(&couplet, &target);
    talk(client, server);
    couplet.ended(1);
    stop(couplet);
    let mut said = [Vec::new(), Vec::new()];
    let mut files = 0;
    for number in 1.. {
        let file = match number {
            1 => file.clone(),
            _ => scratch.path().join(format!("trace-{number}.pcapng")),
        };
        if !file.exists() {
            break;
        }
        files = number;
        assert!(fs::metadata(&file).unwrap().len() <= 100 * 1024);
        // In the middle of a stream the port tells which end opened it.
        let lines = tshark::print(
            &file,
            &["-T", "fields", "-e", "tcp.dstport", "-e", "tcp.payload"],
        );
        let port = target.local_addr().unwrap().port().to_string();
        for line in lines.lines() {
            let (to, digits) = line.split_once('\t').unwrap_or((line, ""));
            let bytes = digits
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
            said[usize::from(to != port)].extend(bytes);
        }
    }
    assert!(files >= 5, "{files} files");
    assert!(said == talked());
}

#[test]
fn a_file_for_each_pair_and_the_first_bytes_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let target = listen();
    let capture = format!("--capture-dir={}", scratch.path().display());
    let args = [
        "listen:0",
        &dial(&target),
        &capture,
        "--capture-limit=1000B",
    ];
    let couplet = Couplet::start(&args);
    for number in 1..=2 {
        let (client, server) = pair(&couplet, &target);
        talk(client, server);
        couplet.ended(number);
    }
    stop(couplet);
    let files: Vec<PathBuf> = fs::read_dir(scratch.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        is_sound(&file);
        assert!(follow(&file, 0) == talked().map(|said| said[..1000].to_vec()));
    }
}

#[test]
fn a_limited_capture_makes_up_no_end() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("trace.pcapng");
    let target = listen();
    let capture = format!("--capture={}", file.display());
    let args = ["listen:0", &dial(&target), &capture, "--capture-limit=1KiB"];
    let couplet = Couplet::start(&args);
    let (client, server) = pair(&couplet, &target);
    talk(client, server);
    couplet.ended(1);
    stop(couplet);
    assert_eq!(
        count(&file, "tcp.flags.fin == 1 || tcp.flags.reset == 1"),
        0
    );
}

#[test]
fn packets_may_go_to_standard_output() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("trace.pcapng");
    let target = listen();
    let couplet = Couplet::start_with_output(&file, &["listen:0", &dial(&target), "--capture=-"]);
    let (client, server) = pair(&couplet, &target);
    talk(client, server);
    couplet.ended(1);
    stop(couplet);
    is_sound(&file);
    assert!(follow(&file, 0) == talked());
}

#[test]
fn packets_wait_for_a_reader_that_comes_later() {
    let scratch = tempfile::tempdir().unwrap();
    let pipe = scratch.path().join("pipe");
    finish("mkfifo", std::process::Command::new("mkfifo").arg(&pipe)).ok();
    let target = listen();
    let capture = format!("--capture={}", pipe.display());
    let couplet = Couplet::start(&["listen:0", &dial(&target), &capture]);
    couplet.events("the capture waits for a reader of the named pipe", 1);
    let (client, server) = pair(&couplet, &target);
    talk(client, server);
    couplet.ended(1);
    let mut reader = fs::File::open(pipe).unwrap();
    let mut read = vec![0; 4];
    reader.read_exact(&mut read).unwrap();
    let rest = std::thread::spawn(move || {
        reader.read_to_end(&mut read).unwrap();
        read
    });
    stop(couplet);
    let file = scratch.path().join("trace.pcapng");
    fs::write(&file, rest.join().unwrap()).unwrap();
    is_sound(&file);
    assert!(follow(&file, 0) == talked());
}

#[test]
fn a_full_disk_harms_no_pair() {
    let target = listen();
    let couplet = Couplet::start(&["listen:0", &dial(&target), "--capture=/dev/full"]);
    for number in 1..=2 {
        let (client, server) = pair(&couplet, &target);
        talk(client, server);
        couplet.ended(number);
    }
    couplet.events("the capture stops: the file can't be written", 1);
    stop(couplet);
}

#[test]
fn a_capture_that_cannot_be_made_is_a_mistake() {
    Couplet::run(&["listen:0", "listen:0", "--capture=/nonexistent/x.pcapng"])
        .with(1)
        .said("/nonexistent/x.pcapng");
    Couplet::run(&["listen:0", "listen:0", "--capture-dir=/nonexistent"])
        .with(1)
        .said("/nonexistent");
    for (flag, other) in [
        ("--capture-limit=1KiB", "--capture=FILE"),
        ("--capture-roll=1KiB", "--capture"),
        ("--capture=x.pcapng --capture-dir=.", "--capture-dir"),
        ("--capture=x.pcapng --capture-limit=9", "`9KiB`"),
        (
            "--capture=- --capture-roll=1KiB",
            "--capture-roll does nothing on standard output",
        ),
        ("--capture=- --access-log=-", "standard output"),
    ] {
        let flags = flag.split(' ');
        let args: Vec<_> = ["listen:0", "listen:0"].into_iter().chain(flags).collect();
        Couplet::run(&args).with(2).said(other);
    }
    let explain = [
        "explain",
        "listen:0",
        "listen:0",
        "--capture=/nonexistent/x.pcapng",
    ];
    Couplet::run(&explain)
        .ok()
        .said("by copy, because of capture");
}
