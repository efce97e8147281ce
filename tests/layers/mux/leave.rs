//! An end that takes no more says so: what is there goes on, what comes goes elsewhere.

use std::{fs, net::Shutdown};

use couplet_tests::{
    Couplet,
    net::{accept, connect, dial, free_port, listen},
    pattern,
};
use rustix::process::Signal;

use super::Tunnel;

#[test]
fn at_a_reload_connections_live_on_and_new_ones_go_by_the_new_file() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("couplet.toml");
    let (old, new) = (listen(), listen());
    let port = free_port();
    let write = |target| {
        let text = format!(
            "log-format = 'json'\n[relay.far]\na = \"listen:127.0.0.1:{port},mux\"\nb = \"{}\"\n",
            dial(target)
        );
        fs::write(&file, text).unwrap();
    };
    write(&old);
    let far = Couplet::start_text(&["run", &file.display().to_string()]);
    far.events("all relays run", 1);
    let near = Couplet::start(&["listen:127.0.0.1:0", &format!("dial:127.0.0.1:{port},mux")]);
    let client = connect(near.address('A'));
    let server = accept(&old);
    pattern::send(&client, 1, 1000);
    pattern::expect(&server, 1, 1000);
    assert_eq!(far.events("a carrier is there", 1)[0]["relay"], "far");
    write(&new);
    far.signal(Signal::HUP);
    far.events("reloaded", 1);
    near.events("a carrier takes no more streams", 1);
    for number in 2..5 {
        let client = connect(near.address('A'));
        let server = accept(&new);
        pattern::send(&client, number, 1000);
        pattern::expect(&server, number, 1000);
    }
    pattern::send(&server, 9, 500_000);
    drop(server);
    pattern::expect_all(&client, 9, 500_000);
    drop(client);
    near.events("a carrier has ended", 1);
}

#[test]
fn sigterm_lets_connections_end_and_their_carrier_with_them() {
    for far_ends in [true, false] {
        let Tunnel { near, far, server } = Tunnel::new(",mux", ",mux");
        let client = connect(near.address('A'));
        let served = accept(&server);
        pattern::send(&client, 1, 1000);
        pattern::expect(&served, 1, 1000);
        let (ends, stays) = match far_ends {
            true => (far, near),
            false => (near, far),
        };
        ends.terminate();
        ends.events("stopping: no new connections, live pairs may end", 1);
        pattern::send(&served, 2, 300_000);
        served.shutdown(Shutdown::Write).unwrap();
        pattern::expect_all(&client, 2, 300_000);
        drop((client, served));
        ends.finish().ok();
        stays.events("a carrier has ended", 1);
        assert_eq!(stays.ended(1), "finished, B first");
    }
}
