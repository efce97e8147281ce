//! `signed-token`, `challenge` and `attempts`, with what `couplet token` and `couplet keygen` make.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use couplet_tests::{
    Couplet,
    net::{
        accept, connect, connect_from, connect_in_vain, dial, expect_closed, listen, nobody_comes,
    },
    pattern,
};
use tempfile::TempDir;

fn file(scratch: &TempDir, name: &str, text: &str) -> String {
    let path = scratch.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Makes a key in this file, and returns its public half.
fn keygen(path: &Path, kind: &str) -> String {
    let made = Couplet::run(&["keygen", path.to_str().unwrap(), "--kind", kind]).ok();
    made.log.trim().to_owned()
}

fn say(mut to: &TcpStream, line: &str) {
    to.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn joined(client: &TcpStream, server: &TcpStream) {
    pattern::send(client, 1, 1000);
    pattern::expect(server, 1, 1000);
    pattern::send(server, 2, 1000);
    pattern::expect(client, 2, 1000);
}

#[test]
fn a_signed_token_opens_the_side_it_is_for() {
    let scratch = tempfile::tempdir().unwrap();
    let secrets = "new: 0123456789abcdef\nold: fedcba9876543210\n";
    let secrets = file(&scratch, "secrets", secrets);
    let from = format!("--secret=@{secrets}");
    let token_for = |key: &str, more: &[&str]| {
        let key = format!("--key={key}");
        let args = [&["token", &from, &key, "--expires=1h"], more].concat();
        Couplet::run(&args).ok().log.trim().to_owned()
    };
    let token = |more: &[&str]| token_for("demo", more);
    let target = listen();
    let side = format!("listen:0,signed-token=@{secrets},signed-token.key=demo");
    let couplet = Couplet::start(&[&side, &dial(&target)]);
    for token in [token(&[]), token(&["--side=a"]), token(&["--id=old"])] {
        let client = connect(couplet.address('A'));
        say(&client, &token);
        joined(&client, &accept(&target));
    }
    let forged = token(&[]).replace(".any.", ".a.");
    for token in [token(&["--side=b"]), forged, token_for("other", &[])] {
        let client = connect(couplet.address('A'));
        say(&client, &token);
        expect_closed(&client);
    }
    let errors = couplet.events("refused", 3);
    let causes = format!("{errors:?}");
    assert!(causes.contains("the other side"), "{causes}");
    assert!(causes.contains("another key"), "{causes}");
    assert!(causes.contains("signature does not match"), "{causes}");
    assert!(!causes.contains("couplet1."), "{causes}");
    nobody_comes(&target);

    // Dialled, it is sent.
    let sent = file(&scratch, "token", &(token(&[]) + "\n"));
    let near = format!("{},signed-token=@{sent}", couplet.dial('A'));
    let near = Couplet::start(&["listen:0", &near]);
    joined(&connect(near.address('A')), &accept(&target));
}

#[test]
fn tokens_are_made_of_files_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let short = file(&scratch, "short", "# mine\nmain: short\n");
    let args = |secret: &str| {
        let secret = format!("--secret={secret}");
        Couplet::run(&["token", &secret, "--key=k", "--expires=1h"])
    };
    args("main: 0123456789abcdef").with(2).said("@FILE");
    args(&format!("@{short}")).with(2).said("line 2, column 7");
    let good = file(&scratch, "good", "main: 0123456789abcdef");
    let from = format!("--secret=@{good}");
    Couplet::run(&["token", &from, "--key=k", "--expires=1h", "--id=other"])
        .with(1)
        .said("no secret `other`");
    Couplet::run(&["token", &from, "--key=k", "--expires=30"])
        .with(2)
        .said("unit");
}

#[test]
fn a_client_with_a_known_key_passes() {
    let scratch = tempfile::tempdir().unwrap();
    let (known, other) = (scratch.path().join("known"), scratch.path().join("other"));
    let public = keygen(&known, "ed25519");
    keygen(&other, "ed25519");
    let authorized = file(&scratch, "authorized", &format!("{public} laptop\n"));
    let target = listen();
    let far = format!("listen:0,challenge=@{authorized},challenge.context=backup");
    let far = Couplet::start(&[&far, &dial(&target)]);
    let near = |key: &Path, more: &str| {
        let side = format!("{},challenge=@{}{more}", far.dial('A'), key.display());
        Couplet::start(&["listen:0", &side])
    };
    let good = near(&known, ",challenge.context=backup");
    joined(&connect(good.address('A')), &accept(&target));
    for bad in [near(&other, ",challenge.context=backup"), near(&known, "")] {
        connect_in_vain(bad.address('A'));
    }
    far.events("refused", 2);
    // Asked at once, and a wrong answer is not answered.
    let client = connect(far.address('A'));
    let mut asked = String::new();
    BufReader::new(&client).read_line(&mut asked).unwrap();
    assert!(asked.starts_with("couplet-challenge1 "), "{asked}");
    say(&client, "couplet-answer1 please");
    expect_closed(&client);
    nobody_comes(&target);
}

#[test]
fn a_key_is_for_its_owner_and_never_overwritten() {
    let scratch = tempfile::tempdir().unwrap();
    for (kind, private, public) in [
        ("ed25519", "ed25519-private:", "ed25519:"),
        ("noise", "noise-private:", "noise:"),
        ("secret", "", ""),
    ] {
        let path = scratch.path().join(kind);
        let printed = keygen(&path, kind);
        let written = fs::read_to_string(&path).unwrap();
        assert!(written.starts_with(private));
        assert!(printed.starts_with(public));
        assert!(!printed.contains(written.trim()));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        Couplet::run(&["keygen", path.to_str().unwrap()])
            .with(1)
            .said("is there already, and is not overwritten");
        assert_eq!(fs::read_to_string(&path).unwrap(), written);
    }
    // One kind is not taken for another.
    let noise = scratch.path().join("noise");
    let side = format!("dial:localhost:1,challenge=@{}", noise.display());
    let wrong = Couplet::run(&["listen:0", &side]).with(2);
    assert!(wrong.log.contains("`ed25519-private:`"), "{wrong}");
}

#[test]
fn a_client_that_fails_too_often_is_refused_and_others_are_not() {
    let scratch = tempfile::tempdir().unwrap();
    let secret = file(&scratch, "secret", "open sesame\n");
    let target = listen();
    let side = format!("listen:0,attempts=2/10m,token=@{secret}");
    let couplet = Couplet::start(&[&side, &dial(&target)]);
    let address = couplet.address('A');
    for _ in 0..2 {
        let client = connect(address);
        say(&client, "guess");
        expect_closed(&client);
    }
    let failed = couplet.events("refused", 2).pop().unwrap();
    assert_eq!(
        failed["error"],
        "failed attempt 2 of 127.0.0.1: handshake failed: first line is not the token"
    );
    for number in 1..=2 {
        connect_in_vain(address);
        let refused = couplet.events("refused", 2 + number).pop().unwrap();
        let why = format!(
            "too many handshakes of 127.0.0.1 have failed: 2, and {number} refused for that"
        );
        assert_eq!(refused["error"], why);
    }
    let other = connect_from([127, 0, 0, 2], address);
    say(&other, "open sesame");
    joined(&other, &accept(&target));
}

/// Silent clients of one address take all slots for handshakes, and more would. A client of another
/// address is served all the same, long before their deadline of a minute.
#[test]
fn silent_clients_of_one_address_keep_no_other_out() {
    // Of 1024 slots.
    const SILENT: usize = 1100;
    allow_descriptors(SILENT as u64 + 200);
    let scratch = tempfile::tempdir().unwrap();
    let secret = file(&scratch, "secret", "open sesame\n");
    let target = listen();
    let side = format!("listen:0,token=@{secret}");
    let couplet = Couplet::start(&[&side, &dial(&target), "--handshake-timeout=60s"]);
    let address = couplet.address('A');
    let silent: Vec<_> = (0..SILENT).map(|_| connect(address)).collect();
    let other = connect_from([127, 0, 0, 2], address);
    say(&other, "open sesame");
    joined(&other, &accept(&target));
    couplet.find("who gave way", |line| {
        line.contains("gave way to a newcomer").then_some(())
    });
    drop(silent);
}

fn allow_descriptors(needed: u64) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = Some(needed);
        setrlimit(Resource::Nofile, limit).unwrap();
    }
}
