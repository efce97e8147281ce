//! Ready for what a balancer or a deployer asks: with a target that is up, with a file that runs.

use std::fs;

use couplet_tests::{
    Couplet, Finished,
    net::{dial, free_port, listen, listen_at},
    until,
};

struct Rig {
    folder: tempfile::TempDir,
    _couplet: Couplet,
}

impl Rig {
    fn new(relays: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("couplet.toml");
        let text = format!("log-format = 'json'\nadmin = ['unix:admin.sock']\n{relays}");
        fs::write(&file, text).unwrap();
        let couplet = Couplet::start_text(&["run", file.to_str().unwrap()]);
        couplet.events("all relays run", 1);
        Self {
            folder,
            _couplet: couplet,
        }
    }

    fn asks(&self, command: &[&str]) -> Finished {
        let admin = format!("--admin=unix:{}/admin.sock", self.folder.path().display());
        Couplet::run(&[command, &[&admin]].concat())
    }
}

#[test]
fn with_targets_a_relay_is_ready_while_one_of_them_is_up() {
    let (server, down) = (listen(), free_port());
    let address = server.local_addr().unwrap();
    let rig = Rig::new(&format!(
        "[relay.web]\na = 'listen:127.0.0.1:0'\nb = '{}|127.0.0.1:{down},check=50ms'\n\
         [relay.other]\na = 'listen:127.0.0.1:0'\nb = 'dial:127.0.0.1:{down}'\n",
        dial(&server)
    ));
    let targets = ["health", "--targets"];
    rig.asks(&targets).ok().said("ready");
    drop(server);
    until("both are down", || {
        (rig.asks(&targets).status == 1).then_some(())
    });
    rig.asks(&targets)
        .with(1)
        .said("web: no target of side b is up");
    // The relay itself is ready, and so is one of which nothing is known.
    rig.asks(&["health"]).ok();
    rig.asks(&["health", "--targets", "--relay=other"]).ok();
    let _server = listen_at(address);
    until("one is up again", || {
        (rig.asks(&targets).status == 0).then_some(())
    });
}

#[test]
fn a_deployer_waits_for_its_file() {
    let rig = Rig::new("[relay.web]\na = 'listen:127.0.0.1:0'\nb = 'dial:127.0.0.1:1'\n");
    let second = ["health", "--generation=2"];
    rig.asks(&["health", "--generation=1"]).ok().said("ready");
    rig.asks(&second)
        .with(1)
        .said("generation 1 runs, 2 is asked for");
    let file = rig.folder.path().join("couplet.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.clone() + "colour = 'red'\n").unwrap();
    rig.asks(&["ctl", "reload"]).with(1);
    rig.asks(&second)
        .with(1)
        .said("the last reload changed nothing")
        .said("colour");
    fs::write(&file, text + "idle-timeout = '1h'\n").unwrap();
    rig.asks(&["ctl", "reload"]).ok().said("generation 2");
    rig.asks(&second).ok();
}
