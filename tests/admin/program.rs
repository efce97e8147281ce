//! The routes of the process: the configuration, a check, the log's level, faults, and its end.

use std::{fs, path::PathBuf};

use couplet_tests::{
    Couplet, Finished,
    net::{accept, connect, expect_closed, listen},
    program,
};
use serde_json::{Value, json};

/// A file that runs, with a secret and faults.
struct Rig {
    folder: tempfile::TempDir,
    couplet: Couplet,
    server: std::net::TcpListener,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = listen();
        let text = format!(
            "admin = 'unix:admin.sock'\nlog-format = 'json'\n\
             [relay.slow]\na = 'listen:127.0.0.1:0'\nb = 'dial:{}'\nfault = ['latency:1ms']\nidle-timeout = '1h'\n\
             [relay.meets]\na = ['listen:127.0.0.1:0']\nb = ['dial:127.0.0.1:9', 'rendezvous=opensesame', 'keep=1']\n",
            server.local_addr().unwrap()
        );
        let file = folder.path().join("couplet.toml");
        fs::write(&file, text).unwrap();
        let couplet = Couplet::start_text(&["run", file.to_str().unwrap()]);
        couplet.events("all relays run", 1);
        Self {
            folder,
            couplet,
            server,
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    fn ctl(&self, args: &[&str]) -> Finished {
        let admin = format!("--admin=unix:{}", self.socket().display());
        Couplet::run(&[&["ctl"], args, &[&admin]].concat())
    }

    /// What curl gets: the status, and the body.
    fn curl(&self, args: &[&str], path: &str) -> (u16, String) {
        let mut curl = program("curl");
        curl.args(["--silent", "--write-out", "\n%{http_code}", "--unix-socket"])
            .arg(self.socket())
            .args(args)
            .arg(format!("http://localhost{path}"));
        let got = couplet_tests::finish("curl", &mut curl).ok().log;
        let (body, status) = got.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// A request that may change something.
    fn post(&self, path: &str) -> (u16, Value) {
        let headers = [
            "--request",
            "POST",
            "--header",
            "Couplet-Admin: 1",
            "--header",
            "Content-Type: application/json",
        ];
        let (status, body) = self.curl(&headers, path);
        (status, serde_json::from_str(&body).unwrap())
    }
}

#[test]
fn the_configuration_is_shown_without_its_secrets_and_can_be_checked_again() {
    let rig = Rig::new();
    let file = rig.ctl(&["config"]).ok().log;
    for part in [
        "[relay.slow]\n",
        "fault = \"latency:1ms\"\n",
        "idle-timeout = \"1h\"",
        "\"rendezvous=…\"",
    ] {
        assert!(file.contains(part), "no `{part}` in {file}");
    }
    let commands = rig.ctl(&["config", "--commands"]).ok().log;
    assert!(
        commands.contains("couplet listen:127.0.0.1:0 dial:") && commands.contains("--name=slow"),
        "{commands}"
    );
    for shown in [&file, &commands] {
        assert!(!shown.contains("opensesame"), "{shown}");
    }
    assert_eq!(rig.curl(&[], "/v1/config?as=json").0, 400);

    // What is shown is a file.
    let path = rig.folder.path().join("shown.toml");
    fs::write(&path, file.replace("rendezvous=…", "rendezvous=other")).unwrap();
    Couplet::run(&["check", path.to_str().unwrap()]).ok();
    let check = |text: &str, content_type: &str| {
        fs::write(&path, text).unwrap();
        let body = format!("@{}", path.display());
        let (status, body) = rig.curl(
            &[
                "--data-binary",
                &body,
                "--header",
                "Couplet-Admin: 1",
                "--header",
                &format!("Content-Type: {content_type}"),
            ],
            "/v1/check",
        );
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    let good = "[relay.x]\na = 'listen:1'\nb = 'dial:h:1'\n";
    let bad = "[relay.x]\na = 'listen:1,loud'\nb = 'dial:h'\nc = 1\n";
    let toml = "application/toml";
    assert_eq!(check(good, toml), (200, json!({"mistakes": 0})));
    let (status, problem) = check(bad, toml);
    assert_eq!(status, 422);
    let errors = problem["errors"].as_array().unwrap();
    let places: Vec<_> = errors.iter().map(|error| &error["line"]).collect();
    assert_eq!(places.len(), 3, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("3 mistakes"));
    let wrapped = json!({"toml": bad}).to_string();
    assert_eq!(check(&wrapped, "application/json").0, 422);
    assert_eq!(check("{}", "application/json").0, 400);
    assert_eq!(check(good, "text/plain").0, 415);
    // Nothing was changed by it.
    assert_eq!(rig.ctl(&["config"]).ok().log, file);
}

#[test]
fn faults_and_the_level_of_the_log_are_switched() {
    let rig = Rig::new();
    rig.ctl(&["faults", "slow", "off"]).ok();
    let told = rig.post("/v1/relays/slow/faults?on=true");
    assert_eq!(told, (200, json!({"name": "slow", "faults": true})));
    assert_eq!(rig.post("/v1/relays/slow/faults?on=yes").0, 400);
    assert_eq!(rig.post("/v1/relays/meets/faults?on=true").0, 404);
    assert_eq!(rig.post("/v1/relays/none/faults?on=true").0, 404);
    rig.ctl(&["faults", "slow", "loud"]).with(2);

    rig.ctl(&["log", "warn"]).ok();
    rig.ctl(&["pause", "slow"]).ok();
    rig.ctl(&["log", "info"]).ok();
    rig.ctl(&["resume", "slow"]).ok();
    rig.couplet.events("resumed by the admin endpoint", 1);
    let all = rig.couplet.lines();
    assert!(!all.iter().any(|line| line.contains("paused by the admin")));
    assert_eq!(rig.post("/v1/log?level=loud").0, 400);
    assert_eq!(rig.post("/v1/log").0, 400);
    // Only with what a request needs that changes something.
    for path in ["/v1/log?level=warn", "/v1/drain", "/v1/stop", "/v1/check"] {
        assert_eq!(rig.curl(&["--request", "POST"], path).0, 403, "{path}");
        assert_eq!(rig.curl(&[], path).0, 405, "{path}");
    }
    rig.couplet.terminate();
    rig.couplet.finish().ok();
}

#[test]
fn the_process_drains_and_stops() {
    let rig = Rig::new();
    let address = rig.couplet.address('A');
    let client = connect(address);
    let server = accept(&rig.server);
    rig.couplet.joined(1);
    assert_eq!(rig.ctl(&["stop"]).ok().log, "draining");
    rig.couplet
        .events("stopping: no new connections, live pairs may end", 1);
    couplet_tests::net::listens_no_more(address);
    // The endpoint answers while pairs end.
    let (status, problem) = rig.post("/v1/drain");
    assert_eq!(status, 409, "{problem}");
    assert_eq!(rig.ctl(&["stop", "--now"]).ok().log, "stopping");
    expect_closed(&client);
    drop(server);
    rig.couplet.finish().ok();
}
