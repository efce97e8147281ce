//! `couplet explain`: the same arguments, and the stacks they make.

use couplet_tests::Couplet;

fn explain(args: &[&str]) -> String {
    Couplet::run(&[&["explain"], args].concat()).ok().log
}

#[test]
fn each_setting_and_where_it_came_from() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    let a = format!("listen:9000,user-timeout=5s,token=@{}", file.display());
    let explained = explain(&[
        &a,
        "dial:localhost:22,source=127.0.0.1",
        "--handshake-timeout=3s",
        "--idle-timeout=1h",
        "--log-traffic=hex",
        "--threads=2",
    ]);
    let expected = format!(
        "side A: listen:127.0.0.1:9000
  sockets           keep-alive 60s/10s/5 (default), user-timeout 5s (side)
  token             file {} (side), handshake-timeout 3s (flag)
side B: dial:localhost:22
  sockets           keep-alive 60s/10s/5 (default), user-timeout never (default), connect-timeout 10s (default), source 127.0.0.1 (side)
pairing
  dial-for
pair
  log-traffic       format hex (flag)
  idle-timeout      time 1h (flag)
  relay             half-close-timeout 1m (default)
threads
  2, each with pairs of its own
bytes
  A to B: by copy: log-traffic shows them
  B to A: by copy: log-traffic shows them
",
        file.display()
    );
    assert_eq!(explained, expected.trim_end());
    assert!(!explained.contains("hunter2"));
}

#[test]
fn which_threads_move_them() {
    let proxy = ["listen:9000", "dial:localhost:22"];
    let with = |args: &[&str]| explain(&[&proxy, args].concat());
    assert!(with(&["--threads=3"]).contains("3, each with pairs of its own"));
    assert!(with(&["--threads=3", "--max-pairs=9"]).contains("3, with all pairs together"));
    assert!(with(&["--threads=1"]).contains("threads\n  1\n"));
    assert!(with(&["--once"]).contains("threads\n  1\n"));
    let rendezvous = explain(&["listen:9000", "listen:9001", "--threads=3"]);
    assert!(rendezvous.contains("3, with all pairs together"));
}

#[test]
#[cfg(target_os = "linux")]
fn how_bytes_move() {
    let spliced = explain(&["listen:9000", "dial:localhost:22"]);
    assert!(
        spliced.contains("A to B: by splice where much moves\n"),
        "{spliced}"
    );
    let waiting = explain(&["listen:9000", "listen:9001"]);
    assert!(waiting.contains("A to B: by splice where much moves, once what was read ahead"));
}

#[test]
fn a_mistake_is_as_without_it() {
    Couplet::run(&["explain", "listen:9000,tokn=@f", "listen:9001"])
        .with(2)
        .said("`tokn` is not an option of a side");
    Couplet::run(&["explain", "listen:9000"])
        .with(2)
        .said("<B>");
}

#[test]
fn it_relays_nothing() {
    let taken = couplet_tests::net::listen();
    let a = format!("listen:{}", taken.local_addr().unwrap());
    explain(&[&a, "dial:localhost:22"]);
}
