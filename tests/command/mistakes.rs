//! What people get wrong at first: status 2, and a message that says what would be right.

use couplet_tests::Couplet;

#[track_caller]
fn wrong(args: &[&str], right: &str) {
    let finished = Couplet::run(args);
    assert_eq!(finished.status, 2, "{args:?}: {finished}");
    assert!(
        finished.log.contains(right),
        "{args:?} does not hear of `{right}`: {finished}"
    );
    let controls = |c: char| c.is_control() && c != '\n';
    assert!(!finished.log.contains(controls), "{args:?}: {finished}");
}

#[test]
fn a_mistake_in_a_side_is_pointed_at() {
    wrong(&[], "no side is given");
    wrong(&[], "`couplet listen:9000 dial:localhost:22`");
    wrong(&["listen:9000"], "one side is given");
    wrong(&["rendezvous"], "<LISTEN>");
    wrong(&["9000", "8000"], "listen:9000");
    wrong(&["listen:9000", "8000"], "listen:8000");
    wrong(
        &["127.0.0.1:9000", "listen:1"],
        "listen:127.0.0.1:9000` or `dial:127.0.0.1:9000",
    );
    wrong(&["listen", "listen:1"], "listen:[HOST:]PORT");
    wrong(&["listen:", "listen:1"], "port");
    wrong(&["listen:0.0.0.0", "listen:1"], "listen:0.0.0.0:PORT");
    wrong(&["listen:http", "listen:1"], "http");
    wrong(&["listen:70000", "listen:1"], "from 0 to 65535");
    wrong(&["listen:1", "dial:22"], "dial:HOST:PORT");
    wrong(&["listen:1", "dial:example.org"], "dial:example.org:PORT");
    wrong(&["listen:1", "dial:*:22"], "dial:HOST:PORT");
    wrong(&["listen:1", "dial:127.0.0.1:0"], "port");
    wrong(&["listen:::1:9000", "listen:1"], "[::1]:9000");
    wrong(&["tcp:9000", "listen:1"], "listen:");
    wrong(&["listen:1", "listen:2", "listen:3"], "two sides");
    wrong(&["listen:\u{1b}[2J\u{7}", "listen:1"], "\\u{1b}");
}

#[test]
fn a_mistake_in_a_side_option_is_pointed_at() {
    wrong(
        &["listen:1,loud", "listen:2"],
        "keep-alive, ack-timeout, user-timeout",
    );
    wrong(&["listen:1,tokn=@f", "listen:2"], "did you mean `token`?");
    wrong(
        &["listen:1,allow=10.0.0.0/8,127.0.0.1", "listen:2"],
        "`allow=10.0.0.0/8+127.0.0.1`",
    );
    wrong(&["listen:1,token=hunter2", "listen:2"], "token=@FILE");
    wrong(&["listen:1,allow=", "listen:2"], "`allow` needs a value");
    wrong(&["listen:1,sniff=", "listen:2"], "`sniff=TIME`");
    wrong(
        &["listen:1,token=@/nowhere/at/all", "listen:2"],
        "/nowhere/at/all",
    );
    wrong(&["listen:1,source=::1", "listen:2"], "dialled side");
    wrong(&["dial:h:1,reuse-port", "listen:2"], "listening side");
    wrong(&["listen:1,user-timeout=30", "listen:2"], "30s");
    wrong(&["listen:1,keep-alive=60s", "listen:2"], "60s/10s/5");
}

#[test]
fn a_mistake_in_a_flag_is_pointed_at() {
    let sides = ["listen:1", "dial:h:2"];
    let with = |flags: &[&'static str]| [&sides, flags].concat();
    wrong(&with(&["--idle-timeout=30"]), "30s");
    wrong(&with(&["--idle-timeout=soon"]), "30s");
    wrong(&with(&["--max-pairs=0"]), "--max-pairs");
    wrong(&with(&["--max-pairs=0"]), "1, or more");
    wrong(&with(&["--once=yes"]), "`--once` takes no value");
    wrong(&with(&["--wait-timeout=1s"]), "partner is dialled");
    wrong(&with(&["--reconnect"]), "two dialled sides");
    wrong(&with(&["--once", "--max-pairs=2"]), "--max-pairs");
    wrong(&with(&["--log-format=xml"]), "json");
    wrong(&with(&["--log-traffic=bin"]), "hex");
    wrong(&with(&["--log-traffic", "hex"]), "--log-traffic=hex");
    wrong(&with(&["--idle-timout=1s"]), "--idle-timeout");
    wrong(&with(&["-q", "-v"]), "--quiet");
    wrong(
        &["listen:1", "listen:2", "--connect-timeout=1s"],
        "neither side is dialled",
    );
    wrong(
        &["listen:1", "listen:2", "--handshake-timeout=1s"],
        "neither side has a handshake",
    );
}

#[test]
fn a_file_that_can_not_be_opened_has_a_remedy() {
    for (words, right) in [
        (
            &["listen:0", "dial:h:1", "--capture=/nonexistent/x.pcapng"][..],
            "`mkdir -p /nonexistent`",
        ),
        (
            &["listen:0", "dial:h:1", "--capture=/"],
            "name a file in it: `/trace.pcapng`",
        ),
        (
            &["keygen", "/nonexistent/new.key"],
            "`mkdir -p /nonexistent`",
        ),
    ] {
        Couplet::run(words).with(1).said(right);
    }
}

#[test]
fn a_secret_is_not_repeated_in_the_log() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    let side = format!("listen:0,token=@{}", file.display());
    let couplet = Couplet::start(&["-vv", &side, "listen:0", "--wait-timeout=1s"]);
    let address = couplet.address('A');
    let waits = couplet_tests::net::connect(address);
    couplet_tests::pattern::send(&waits, 1, 0);
    std::io::Write::write_all(&mut &waits, b"hunter2\n").unwrap();
    couplet.find("it is refused", |line| {
        line.contains("no partner came in time").then_some(())
    });
    couplet.terminate();
    let finished = couplet.finish().ok();
    assert!(!finished.log.contains("hunter2"), "{finished}");
}
