//! `allow=…` and `deny=…`.

use std::net::Shutdown;

use couplet_tests::{
    Couplet,
    net::{
        accept, connect, connect_from, connect_in_vain_from, dial, expect_closed, listen,
        nobody_comes,
    },
    pattern,
};

const FRIEND: [u8; 4] = [127, 0, 0, 1];
const FOE: [u8; 4] = [127, 0, 0, 2];

#[test]
fn clients_are_admitted_by_network() {
    let target = listen();
    for options in [
        "deny=127.0.0.2",
        "allow=127.0.0.1",
        "allow=127.0.0.0/8,deny=127.0.0.2/31+10.0.0.0/8",
        "deny=127.0.0.2,allow=127.0.0.0/8",
    ] {
        let couplet = Couplet::start(&[&format!("listen:*:0,{options}"), &dial(&target)]);
        let port = couplet.address('A').port();
        connect_in_vain_from(FOE, (FRIEND, port).into());
        let event = couplet.events("refused", 1).remove(0);
        let error = event["error"].as_str().unwrap();
        assert!(error.starts_with("access refused: address"), "{error}");
        let friend = connect_from(FRIEND, (FRIEND, port).into());
        let server = accept(&target);
        pattern::send(&friend, 1, 1000);
        friend.shutdown(Shutdown::Write).unwrap();
        pattern::expect_all(&server, 1, 1000);
    }
    nobody_comes(&target);
}

#[test]
fn the_networks_may_be_in_a_file() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("allowed");
    std::fs::write(&file, "# friends\n127.0.0.1 # the first\n\n::1\n").unwrap();
    let target = listen();
    let side = format!("listen:0,allow=@{}", file.display());
    let couplet = Couplet::start(&[&side, &dial(&target)]);
    connect_in_vain_from(FOE, couplet.address('A'));
    let friend = connect_from(FRIEND, couplet.address('A'));
    let server = accept(&target);
    pattern::send(&friend, 1, 1000);
    pattern::expect(&server, 1, 1000);

    std::fs::write(&file, "127.0.0.1\n  localhost\n").unwrap();
    Couplet::run(&[&side, &dial(&target)])
        .with(2)
        .said(", line 2, column 3: `localhost` is not a network");
}

#[test]
fn a_denied_server_is_not_dialled() {
    let target = listen();
    let port = target.local_addr().unwrap().port();
    let b = format!("dial:localhost:{port},deny=127.0.0.0/8+::1");
    let couplet = Couplet::start(&["listen:0", &b]);
    let client = connect(couplet.address('A'));
    // The reset may come before all of it is written.
    let _ = pattern::write(&client, 1, 1000);
    expect_closed(&client);
    nobody_comes(&target);
}

#[test]
fn explain_prints_the_access_rules() {
    Couplet::run(&[
        "explain",
        "listen:9000,allow=10.0.0.0/8+::1,deny=10.66.0.0/16",
        "dial:localhost:22",
    ])
    .ok()
    .said("  allow             networks 10.0.0.0/8+::1 (side)\n  deny              networks 10.66.0.0/16 (side)\n");
}
