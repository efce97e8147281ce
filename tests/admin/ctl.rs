//! `couplet ctl` and `couplet health`.

use couplet_tests::{
    Couplet,
    net::{accept, connect, expect_reset},
};

use crate::Rig;

#[test]
fn a_running_relay_is_asked_and_told() {
    let rig = Rig::new("", &[]);
    let (first, _server) = rig.pair();
    let (_second, _other) = rig.pair();
    let status = rig.ctl(&["status"]).ok().log;
    assert!(
        status.contains("relay") && status.contains("ready"),
        "{status}"
    );
    let pairs = rig.ctl(&["pairs", "--json"]).ok().log;
    let pairs: serde_json::Value = serde_json::from_str(&pairs).unwrap();
    assert_eq!(pairs["total"], 2);
    let listed = rig.ctl(&["pairs", "--limit=1"]).ok().log;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let id = pairs["pairs"][0]["id"].to_string();
    assert_eq!(rig.ctl(&["cut", &id]).ok().log.trim(), "1 cut");
    expect_reset(&first);
    let again = rig.ctl(&["cut", &id]);
    assert_eq!(again.status, 1);
    assert!(again.log.contains("is not live"), "{}", again.log);
    assert_eq!(rig.ctl(&["cut", "--older=1h"]).ok().log.trim(), "0 cut");
    assert_eq!(rig.ctl(&["cut"]).status, 2);
    assert_eq!(rig.ctl(&["pairs", "--sort=size"]).status, 2);
}

#[test]
fn a_paused_relay_is_not_healthy_and_a_drained_one_ends() {
    let rig = Rig::new("", &[]);
    let admin = format!("--admin={}", rig.socket());
    let health = || Couplet::run(&["health", &admin]);
    health().ok();
    assert_eq!(
        rig.ctl(&["pause", "relay"]).ok().log.trim(),
        "relay: paused"
    );
    let paused = health();
    assert_eq!(paused.status, 1);
    assert!(paused.log.contains("relay: paused"), "{}", paused.log);
    // A client waits in the accept queue, and is served later.
    let waiting = connect(rig.couplet.address('A'));
    assert_eq!(
        rig.ctl(&["resume", "relay"]).ok().log.trim(),
        "relay: ready"
    );
    health().ok();
    let server = accept(&rig.server);
    rig.couplet.joined(1);
    assert_eq!(rig.ctl(&["pause", "other"]).status, 1);
    assert_eq!(
        rig.ctl(&["drain", "relay"]).ok().log.trim(),
        "relay: draining"
    );
    drop((waiting, server));
    rig.couplet.finish().ok();
    assert_eq!(health_of_nothing(&admin).status, 1);
}

fn health_of_nothing(admin: &str) -> couplet_tests::Finished {
    let health = Couplet::run(&["health", admin]);
    assert!(health.log.contains("nothing answers"), "{}", health.log);
    health
}
