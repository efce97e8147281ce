//! SIGHUP, and files of secrets and lists.

use std::{fs, os::unix::fs::PermissionsExt};

use couplet_tests::{
    Couplet,
    net::{accept, connect, dial, listen},
    pattern,
};
use rustix::process::Signal;

#[test]
fn a_hangup_ends_no_relay_and_no_pair() {
    let target = listen();
    let couplet = Couplet::start(&["listen:0", &dial(&target)]);
    let client = connect(couplet.address('A'));
    let server = accept(&target);
    for number in 1..3 {
        couplet.signal(Signal::HUP);
        couplet.events("SIGHUP: no file to read again", number);
    }
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
    pattern::send(&connect(couplet.address('A')), 2, 1000);
    pattern::expect(&accept(&target), 2, 1000);
}

#[test]
fn a_list_that_was_emptied_is_a_warning() {
    let scratch = tempfile::tempdir().unwrap();
    let list = scratch.path().join("bad");
    fs::write(&list, "192.0.2.0/24 # them\n198.51.100.0/24\n").unwrap();
    let target = listen();
    let side = format!("listen:0,deny=@{}", list.display());
    let couplet = Couplet::start(&[&side, &dial(&target)]);
    for (text, message, before, entries) in [
        ("192.0.2.0/24\n", "read again", 2, 1),
        ("# nobody\n", "read again, and empty now", 1, 0),
        ("\n192.0.2.0/24\n", "read again", 0, 1),
    ] {
        fs::write(&list, text).unwrap();
        couplet.signal(Signal::HUP);
        couplet.find(&format!("{message}: {entries}"), |line| {
            let event: serde_json::Value = serde_json::from_str(line).ok()?;
            let counts = event["before"] == before && event["entries"] == entries;
            let level = match entries {
                0 => "WARN",
                _ => "INFO",
            };
            (event["message"] == message && counts && event["level"] == level).then_some(())
        });
    }
}

#[test]
fn a_secret_file_open_to_others_is_a_warning() {
    let scratch = tempfile::tempdir().unwrap();
    let secret = scratch.path().join("secret");
    fs::write(&secret, "0123456789abcdef0123456789abcdef\n").unwrap();
    let mode = |mode| fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
    let warning = "every user of this machine can read this secret";
    for option in ["token=@", "noise=psk:@"] {
        let side = format!("listen:0,{option}{}", secret.display());
        mode(0o606);
        Couplet::run(&[&side, "listen:0"])
            .with(2)
            .said("every user of this machine can write")
            .said("chmod 600");

        mode(0o600);
        let couplet = Couplet::start(&[&side, "listen:0"]);
        assert!(!couplet.lines().join("\n").contains(warning));
        mode(0o644);
        couplet.signal(Signal::HUP);
        couplet.find("a warning", |line| line.contains(warning).then_some(()));
        couplet.events("read again", 1);
        mode(0o666);
        couplet.signal(Signal::HUP);
        couplet.find("what was read before stays", |line| {
            line.contains("what was read before stays").then_some(())
        });

        mode(0o644);
        let couplet = Couplet::start(&[&side, "listen:0"]);
        couplet.find("a warning", |line| line.contains(warning).then_some(()));
    }
    let couplet = Couplet::start(&["listen:0", "dial:127.0.0.1:1,rendezvous=hunter2"]);
    let log = couplet.lines().join("\n");
    assert!(
        log.contains("rendezvous=@FILE") && !log.contains("hunter2"),
        "{log}"
    );
}

#[test]
fn public_keys_may_be_read_by_every_user_and_not_written() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str| scratch.path().join(name).display().to_string();
    for (kind, option) in [
        ("ed25519", format!("challenge=@{}", file("peers-ed25519"))),
        (
            "noise",
            format!(
                "noise=kk:@{},noise.peer=@{}",
                file("noise"),
                file("peers-noise")
            ),
        ),
    ] {
        let kind_of = format!("--kind={kind}");
        let key = Couplet::run(&["keygen", &file(kind), &kind_of]).ok().log;
        let peers = file(&format!("peers-{kind}"));
        fs::write(&peers, format!("{} a name\n", key.trim())).unwrap();
        let mode = |mode| fs::set_permissions(&peers, fs::Permissions::from_mode(mode)).unwrap();
        let side = format!("listen:0,{option}");

        mode(0o644);
        let couplet = Couplet::start(&[&side, "listen:0"]);
        assert!(!couplet.lines().join("\n").contains("WARN"), "{kind}");

        mode(0o646);
        Couplet::run(&[&side, "listen:0"])
            .with(2)
            .said("every user of this machine can write");
    }
}

#[test]
fn a_server_that_is_down_is_a_warning() {
    let side = format!("dial:127.0.0.1:{}", couplet_tests::net::free_port());
    let couplet = Couplet::start(&["listen:0", &side]);
    couplet_tests::net::connect_in_vain(couplet.address('A'));
    couplet.find("a warning with the target", |line| {
        (line.contains("\"WARN\"") && line.contains(&side["dial:".len()..])).then_some(())
    });
}
