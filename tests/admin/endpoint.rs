//! Where the endpoint listens, and what it says to curl.

use std::{fs, os::unix::fs::PermissionsExt};

use couplet_tests::{Couplet, finish, program};

use crate::Rig;

fn curl(args: &[&str]) -> couplet_tests::Finished {
    finish(
        "curl",
        program("curl").args(["-sS", "--max-time", "10"]).args(args),
    )
}

#[test]
fn a_unix_socket_is_for_its_owner_and_goes_with_the_process() {
    let rig = Rig::new("", &[]);
    let path = rig.folder.path().join("admin.sock");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let socket = ["--unix-socket", path.to_str().unwrap()];
    let table = curl(&[&socket[..], &["http://localhost/"]].concat())
        .ok()
        .log;
    assert!(
        table.starts_with("couplet ") && table.contains("relay"),
        "{table}"
    );
    // A name of an attacker's with our address, and a page of another origin.
    let code = ["-o", "/dev/null", "-w", "%{http_code}"];
    let asked = |args: &[&str]| curl(&[&socket[..], &code[..], args].concat()).ok().log;
    assert_eq!(asked(&["http://evil.example/v1/status"]), "421");
    assert_eq!(
        asked(&[
            "-H",
            "Origin: https://evil.example",
            "http://localhost/v1/status"
        ]),
        "403"
    );
    assert_eq!(
        asked(&["-X", "DELETE", "http://localhost/v1/pairs?all=true"]),
        "403"
    );
    let form = ["-d", "x=1", "http://localhost/v1/relays/relay/pause"];
    assert_eq!(asked(&form), "403");
    rig.couplet.terminate();
    rig.couplet.finish().ok();
    assert!(!path.exists(), "the socket is left behind");
}

#[test]
fn a_port_looks_and_a_token_lets_change() {
    let rig = Rig::new("", &[]);
    let url = format!("http://{}", rig.address());
    let _pair = rig.pair();
    let change = [
        "-X",
        "DELETE",
        "-H",
        "Couplet-Admin: 1",
        "-H",
        "Content-Type: application/json",
    ];
    let cut = curl(&[&change[..], &[&format!("{url}/v1/pairs?all=true")]].concat())
        .ok()
        .log;
    assert!(cut.contains("only looks"), "{cut}");
    drop(rig);

    let token = tempfile::NamedTempFile::new().unwrap();
    fs::write(token.path(), "0123456789abcdef0123456789abcdef\n").unwrap();
    let flag = format!("--admin-token=@{}", token.path().display());
    let rig = Rig::new("", &[&flag]);
    let url = format!("http://{}", rig.address());
    let _pair = rig.pair();
    assert!(
        curl(&[&format!("{url}/v1/status")])
            .ok()
            .log
            .contains("a token is needed")
    );
    let bearer = [
        "-H",
        "Authorization: Bearer 0123456789abcdef0123456789abcdef",
    ];
    let url = format!("{url}/v1/pairs?all=true");
    let all = [&change[..], &bearer, &[&url]].concat();
    assert_eq!(curl(&all).ok().log, "{\"cut\":1}");
    assert_eq!(rig.couplet.ended(1), "closed");
    rig.couplet.terminate();
    let log = rig.couplet.finish().ok().log;
    assert!(!log.contains("0123456789abcdef"), "a secret is in the log");
}

#[test]
fn an_address_of_the_network_needs_a_token() {
    let refused = Couplet::run(&["listen:0", "dial:localhost:1", "--admin=0.0.0.0:0"]);
    assert_eq!(refused.status, 2);
    assert!(
        refused
            .log
            .contains("`--admin-token=@FILE`, `allow=NETWORK`, or an address of this machine"),
        "{}",
        refused.log
    );
    let inline = [
        "listen:0",
        "dial:localhost:1",
        "--admin=0",
        "--admin-token=hunter2",
    ];
    let refused = Couplet::run(&inline);
    assert_eq!(refused.status, 2);
    assert!(!refused.log.contains("hunter2"), "{}", refused.log);
    // One that is in use is told before anything is listened on.
    let taken = couplet_tests::net::listen();
    let admin = format!("--admin={}", taken.local_addr().unwrap());
    let refused = Couplet::run(&["listen:0", "dial:localhost:1", &admin]);
    assert_eq!(refused.status, 1);
    assert!(
        refused.log.contains("in use") && !refused.log.contains("listening"),
        "{}",
        refused.log
    );
}
