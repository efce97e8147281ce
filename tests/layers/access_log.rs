//! `--access-log`: a line for each pair that has ended, and for each connection that was not joined.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use couplet_tests::{
    Couplet, Process, finish,
    net::{accept, connect, dial, expect_closed, expect_end, free_port, listen, listens},
    pattern, program, until,
};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// What Python makes of the lines: whether each has all that is expected of it, and no control
/// character raw.
const PYTHON: &str = r"
import json, sys
for line in open(sys.argv[1], encoding='ascii'):
    assert all(' ' <= c <= '~' for c in line.rstrip('\n')), line
    record = json.loads(line)
    legs = [record[leg] for leg in 'ab' if leg in record]
    assert len(legs) == {'pair': 2, 'connection': 1}[record['event']], line
    for leg in legs:
        assert leg['peer'].startswith('127.0.0.1:'), line
        assert isinstance(leg['received'], int) and isinstance(leg['sent'], int), line
    assert isinstance(record['duration'], float), line
    print(record['state'], record.get('a_to_b', '-'))
";

fn scratch() -> (TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("access.log");
    (scratch, file)
}

/// Waits for this many lines.
fn lines(file: &Path, number: usize) -> Vec<String> {
    until(&format!("{number} lines in {}", file.display()), || {
        let text = fs::read_to_string(file).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
        (lines.len() >= number && text.ends_with('\n')).then_some(lines)
    })
}

#[test]
fn access_log_lines_are_json() {
    let (scratch, file) = scratch();
    let secret = scratch.path().join("secret");
    fs::write(&secret, "open sesame\n").unwrap();
    let target = listen();
    let couplet = Couplet::start(&[
        &format!("listen:0,token=@{}", secret.display()),
        &dial(&target),
        &format!("--access-log={}", file.display()),
        "--access-log-format=json",
    ]);
    let client = connect(couplet.address('A'));
    (&client).write_all(b"open sesame\n").unwrap();
    pattern::send(&client, 1, 1000);
    let server = accept(&target);
    pattern::expect(&server, 1, 1000);
    drop(client);
    expect_end(&server);
    drop(server);
    lines(&file, 1);

    let stranger = connect(couplet.address('A'));
    (&stranger).write_all(b"\x1b[2J \xc2\x9b31m\n").unwrap();
    expect_closed(&stranger);
    lines(&file, 2);

    drop(target);
    let nobody_there = connect(couplet.address('A'));
    (&nobody_there).write_all(b"open sesame\n").unwrap();
    expect_closed(&nobody_there);
    let lines = lines(&file, 3);

    let pair: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(pair["a_to_b"], 1000);
    assert_eq!(
        pair["a"]["received"], 1012,
        "the token went over the wire, too"
    );
    assert_eq!(pair["b"]["sent"], 1000);
    assert_eq!(pair["b"]["origin"], "dialled");

    let mut python = program("python3");
    let judged = finish("python3", python.args(["-c", PYTHON]).arg(&file)).ok();
    assert_eq!(judged.log, "AF 1000\naR -\naP -");
}

#[test]
fn bytes_on_the_wire_and_decoded_bytes_are_logged() {
    let (_scratch, file) = scratch();
    let target = listen();
    let far = Couplet::start(&[
        "listen:0,compress=zstd",
        &dial(&target),
        &format!("--access-log={}", file.display()),
        "--access-log-format=json",
    ]);
    let near = Couplet::start(&["listen:0", &format!("{},compress=zstd", far.dial('A'))]);
    let client = connect(near.address('A'));
    let server = accept(&target);
    (&client).write_all(&[b'x'; 100_000]).unwrap();
    drop(client);
    let mut heard = Vec::new();
    (&server).read_to_end(&mut heard).unwrap();
    assert_eq!(heard, [b'x'; 100_000]);
    drop(server);
    let record: Value = serde_json::from_str(&lines(&file, 1)[0]).unwrap();
    assert_eq!(record["a_to_b"], 100_000);
    assert_eq!(record["b"]["sent"], 100_000);
    let received = record["a"]["received"].as_u64().unwrap();
    assert!((1..10_000).contains(&received), "{record}");
}

#[test]
fn a_client_that_waited_in_vain_is_logged() {
    let (_scratch, file) = scratch();
    let couplet = Couplet::start(&[
        "listen:0",
        "listen:0",
        "--wait-timeout=1s",
        &format!("--access-log={}", file.display()),
    ]);
    drop(connect(couplet.address('B')));
    let waits = connect(couplet.address('A'));
    expect_closed(&waits);
    let lines = lines(&file, 2);
    assert!(
        lines.iter().any(|line| line.contains("Z bG duration=")),
        "{lines:?}"
    );
    let expired = lines
        .iter()
        .find(|line| line.contains("Z aE duration=1."))
        .unwrap();
    let name = format!(" a={} ", waits.local_addr().unwrap());
    assert!(expired.contains(&name), "{expired}");
    drop(couplet);
}

/// Pairs have a line each, whatever else there is.
#[test]
fn a_flood_of_refusals_is_told_in_sum() {
    const MANY: usize = 300;
    for format in ["text", "json"] {
        let (scratch, file) = scratch();
        let secret = scratch.path().join("secret");
        fs::write(&secret, "open sesame\n").unwrap();
        let target = listen();
        let couplet = Couplet::start(&[
            &format!("listen:0,token=@{}", secret.display()),
            &dial(&target),
            &format!("--access-log={}", file.display()),
            &format!("--access-log-format={format}"),
        ]);
        for _ in 0..MANY {
            let mut client = connect(couplet.address('A'));
            // It may be refused already.
            let _ = client.write_all(b"guess\n");
            expect_closed(&client);
        }
        let mut client = connect(couplet.address('A'));
        client.write_all(b"open sesame\n").unwrap();
        drop((accept(&target), client));
        couplet.ended(1);
        couplet.signal(Signal::TERM);
        let text = until("the sum", || {
            let text = fs::read_to_string(&file).unwrap();
            text.contains("more").then_some(text)
        });
        let (sums, lines): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.contains("more"));
        assert_eq!(lines.len(), 50 + 1, "{text}");
        let count = MANY - 50;
        match format {
            "json" => {
                let sum = couplet_tests::schema::parse(sums[0]);
                assert_eq!(
                    (&sum["event"], &sum["more"]),
                    (&"more".into(), &count.into())
                );
                assert_eq!(
                    (&sum["state"], &sum["network"]),
                    (&"aR".into(), &"127.0.0.1".into())
                );
            }
            _ => {
                let end = format!(" aR more={count} network=127.0.0.1 reason=\"refused\"");
                assert!(sums[0].ends_with(&end), "{}", sums[0]);
            }
        }
    }
}

#[test]
fn a_file_that_was_moved_is_opened_anew() {
    let (scratch, file) = scratch();
    let target = listen();
    let couplet = Couplet::start(&[
        "listen:0",
        &dial(&target),
        &format!("--access-log={}", file.display()),
    ]);
    let moved = scratch.path().join("access.log.1");
    for number in 0..2 {
        let client = connect(couplet.address('A'));
        let server = accept(&target);
        pattern::send(&client, 1, 100);
        pattern::expect(&server, 1, 100);
        drop(client);
        expect_end(&server);
        drop(server);
        if number == 0 {
            lines(&file, 1);
            fs::rename(&file, &moved).unwrap();
            couplet.signal(Signal::HUP);
            couplet.events("opened anew", 1);
        }
    }
    assert_eq!(lines(&file, 1).len(), 1);
    assert_eq!(lines(&moved, 1).len(), 1);
}

#[test]
fn a_pair_that_goes_on_has_a_line_each_time() {
    let (_scratch, file) = scratch();
    let target = listen();
    let couplet = Couplet::start(&[
        "listen:0",
        &dial(&target),
        &format!("--access-log={}", file.display()),
        "--access-log-format=json",
        "--access-log-every=100ms",
    ]);
    let client = connect(couplet.address('A'));
    let server = accept(&target);
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
    for line in lines(&file, 2) {
        let record = couplet_tests::schema::parse(&line);
        let kind = (&record["event"], &record["state"], &record["reason"]);
        assert_eq!(kind, (&"live".into(), &"--".into(), &"goes on".into()));
    }
    drop((client, server));
    let last = until("the last line", || {
        let text = fs::read_to_string(&file).unwrap();
        let last = couplet_tests::schema::parse(text.lines().last()?);
        (last["event"] == "pair").then_some(last)
    });
    assert_eq!(last["a_to_b"], 1000);
}

#[test]
fn other_users_may_not_read_it() {
    use std::os::unix::fs::PermissionsExt;

    let (_scratch, file) = scratch();
    let access_log = format!("--access-log={}", file.display());
    let couplet = Couplet::start(&["listen:0", "listen:0", &access_log]);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
    couplet.terminate();
    couplet.finish().ok();
}

#[test]
fn a_full_disk_is_logged_with_the_number_of_lost_lines() {
    let target = listen();
    let couplet = Couplet::start(&["listen:0", &dial(&target), "--access-log=/dev/full"]);
    for number in 1..=2 {
        drop((connect(couplet.address('A')), accept(&target)));
        couplet.ended(number);
    }
    couplet.events("the access log can't be written", 1);
    couplet.terminate();
    let log = couplet.finish().ok().log;
    assert!(
        log.contains(r#""message":"the access log is incomplete","lines":2"#),
        "{log}"
    );
}

#[test]
fn the_access_log_may_be_standard_output() {
    let target = listen();
    let port = free_port();
    let side = format!("listen:{port}");
    let args = ["-q", &side, &dial(&target), "--once", "--access-log=-"];
    let couplet = Process::spawn("couplet", &mut Couplet::command(&args));
    listens(port);
    let client = connect(([127, 0, 0, 1], port).into());
    let server = accept(&target);
    drop(client);
    expect_end(&server);
    drop(server);
    let log = couplet.finish().ok().log;
    assert!(
        log.contains("Z AF session=") && log.lines().count() == 1,
        "{log}"
    );
}

#[test]
fn a_file_that_cannot_be_written_is_a_mistake() {
    let nowhere = "--access-log=/nonexistent/access.log";
    Couplet::run(&["listen:0", "listen:0", nowhere])
        .with(1)
        .said("/nonexistent/access.log can't be opened")
        .said("`mkdir -p /nonexistent`");
    Couplet::run(&["listen:0", "listen:0", "--access-log-format=json"])
        .with(2)
        .said("--access-log");
    let explained = Couplet::run(&["explain", "listen:0", "listen:0", nowhere]).ok();
    let shown = "access-log        path /nonexistent/access.log (flag), format text (default)";
    assert!(explained.log.contains(shown), "{}", explained.log);
}
