//! `--privacy=addresses`: no client's whole address is written or answered anywhere.

use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr},
};

use couplet_tests::{
    finish,
    net::{accept, connect_from},
    program, until,
};

use crate::Rig;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 7, 77));

/// What there is to be seen of clients, together.
fn all_that_is_shown(rig: &Rig, log: &str) -> String {
    let mut shown = rig.couplet.lines().join("\n");
    shown += &fs::read_to_string(log).unwrap();
    for path in [
        "/",
        "/v1/pairs",
        "/v1/ended",
        "/v1/refused",
        "/v1/relays",
        "/metrics",
    ] {
        for accept in ["text/plain", "text/html"] {
            let mut curl = program("curl");
            curl.args(["-sS", "--max-time", "10", "--header"])
                .arg(format!("Accept: {accept}"))
                .arg(format!("http://{}{path}", rig.address()));
            shown += &finish("curl", &mut curl).ok().log;
        }
    }
    shown += &rig.ctl(&["pairs"]).ok().log;
    shown
}

/// A pair that is live, one that has ended, and a client that was refused.
fn seen(flags: &[&str]) -> String {
    let log = tempfile::NamedTempFile::new().unwrap();
    let log = log.path().to_str().unwrap();
    let access_log = format!("--access-log={log}");
    let flags = [&["--access-log-format=json", &access_log], flags].concat();
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), "opensesame\n").unwrap();
    let options = format!(
        ",attempts=9/1h,max-per-addr=2,token=@{}",
        secret.path().display()
    );
    let rig = Rig::new(&options, &flags);
    let join = || {
        let mut client = connect_from(CLIENT, rig.couplet.address('A'));
        client.write_all(b"opensesame\nhello").unwrap();
        let mut server = accept(&rig.server);
        server.read_exact(&mut [0; 5]).unwrap();
        (client, server)
    };
    let _live = join();
    drop(join());
    rig.couplet.ended(1);
    let mut guesses = connect_from(CLIENT, rig.couplet.address('A'));
    guesses.write_all(b"guess\n").unwrap();
    rig.couplet.events("refused", 1);
    until("both records", || {
        (fs::read_to_string(log).unwrap().lines().count() == 2).then_some(())
    });
    all_that_is_shown(&rig, log)
}

#[test]
fn a_client_is_its_network_wherever_it_is_shown() {
    let whole = seen(&[]);
    assert!(whole.contains("127.0.7.77"), "{whole}");
    let shortened = seen(&["--privacy=addresses"]);
    assert!(!shortened.contains("127.0.7.77"), "{shortened}");
    for shown in ["\"peer\":\"127.0.7.0:0\"", "failed attempt 1 of 127.0.7.0"] {
        assert!(shortened.contains(shown), "{shown} is not in {shortened}");
    }
}
