//! Relays that a file describes: `run`, `check`, `config` and `explain FILE`.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path};

use couplet_tests::{
    Couplet,
    net::{accept, connect, dial, listen},
    pattern,
};

/// A folder with this file in it, `couplet.toml`.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("couplet.toml"), text).unwrap();
    folder
}

fn file(folder: &tempfile::TempDir) -> String {
    folder
        .path()
        .join("couplet.toml")
        .to_str()
        .unwrap()
        .to_owned()
}

fn secret(path: &Path) {
    fs::write(path, "0123456789abcdef0123456789abcdef\n").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Where the relay of this name listens on side A.
fn address(couplet: &Couplet, relay: &str) -> SocketAddr {
    couplet.find("it runs", |line| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = event["message"] == "running" && event["relay"] == relay;
        is_it.then(|| event["a"].as_str().unwrap().parse().unwrap())
    })
}

#[test]
fn the_relays_of_a_file_run_in_one_process_and_drain_together() {
    let (one, two) = (listen(), listen());
    let text = format!(
        "log-format = 'json'\n[relay.one]\na = 'listen:127.0.0.1:0'\nb = '{}'\n\
         [relay.two]\na = 'listen:127.0.0.1:0'\nb = '{}'\n",
        dial(&one),
        dial(&two)
    );
    let folder = folder(&text);
    let couplet = Couplet::start_text(&["run", &file(&folder)]);
    let clients = [("one", one), ("two", two)].map(|(name, target)| {
        let client = connect(address(&couplet, name));
        (client, accept(&target))
    });
    couplet.terminate();
    couplet.events("stopping: no new connections, live pairs may end", 1);
    for (client, server) in clients {
        pattern::send(&client, 1, 1000);
        pattern::expect(&server, 1, 1000);
    }
    couplet.finish().ok();
}

#[test]
fn paths_start_from_the_folder_of_the_file_and_a_folder_is_all_its_files() {
    let target = listen();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("1.toml"), "log-format = 'json'\n").unwrap();
    let text = format!(
        "[relay.x]\na = 'listen:127.0.0.1:0,deny=@bad'\nb = '{}'\naccess-log = 'log'\n",
        dial(&target)
    );
    fs::write(path("2.toml"), text).unwrap();
    fs::write(path("no.txt"), "nothing").unwrap();
    fs::write(path("bad"), "192.0.2.0/24\n").unwrap();
    let given = folder.path().to_str().unwrap();
    let checked = Couplet::run(&["check", given]).ok();
    assert_eq!(checked.log, format!("{given}: fine: x"));
    let couplet = Couplet::start_text(&["run", given]);
    let client = connect(address(&couplet, "x"));
    drop((accept(&target), client));
    couplet.terminate();
    couplet.finish().ok();
    assert!(
        fs::read_to_string(path("log"))
            .unwrap()
            .contains("127.0.0.1")
    );
}

#[test]
fn mistakes_are_told_all_at_once_with_status_2_and_nothing_runs() {
    let folder = folder("threds = 2\n[relay.x]\na = 'listen:1,loud'\nb = 'dial:h'\n");
    let path = file(&folder);
    for tool in ["check", "run", "explain"] {
        let finished = Couplet::run(&[tool, &path]);
        assert_eq!(finished.status, 2, "{finished}");
        for part in [
            "error: couplet.toml:1:1: `threds` is not a key of the process\n  threds = 2\n  ^^^^^^\n  tip: did you mean `threads`?",
            "error: couplet.toml:3:15: `loud` is not an option of a side",
            "error: couplet.toml:4:12: a port is missing",
            "couplet: 3 mistakes",
        ] {
            assert!(
                finished.log.contains(part),
                "{tool}: no `{part}` in {finished}"
            );
        }
    }
    let gone = Couplet::run(&["run", "/nowhere/couplet.toml"]);
    assert_eq!(gone.status, 2, "{gone}");
    assert!(
        gone.log.contains("`/nowhere/couplet.toml` can't be read"),
        "{gone}"
    );
}

#[test]
fn a_port_that_is_taken_is_an_error_and_no_relay_runs() {
    let taken = listen();
    let text = format!(
        "[relay.x]\na = 'listen:127.0.0.1:0'\nb = 'dial:h:1'\n[relay.y]\na = 'listen:{}'\nb = 'dial:h:1'\n",
        taken.local_addr().unwrap()
    );
    let folder = folder(&text);
    let finished = Couplet::run(&["run", &file(&folder)]);
    assert_eq!(finished.status, 1, "{finished}");
    assert!(finished.log.contains("relay y: "), "{finished}");
}

#[test]
fn a_credential_is_read_where_systemd_has_put_it() {
    let folder = folder("[relay.x]\na = 'listen:1,token=@cred:client'\nb = 'dial:h:1'\n");
    let credentials = tempfile::tempdir().unwrap();
    secret(&credentials.path().join("client"));
    let path = file(&folder);
    let without = Couplet::run(&["check", &path]);
    assert_eq!(without.status, 2, "{without}");
    assert!(
        without
            .log
            .contains("`LoadCredential=client:/PATH` in the systemd unit"),
        "{without}"
    );
    let mut command = Couplet::command(&["check", &path]);
    command.env("CREDENTIALS_DIRECTORY", credentials.path());
    let checked = couplet_tests::finish("couplet", &mut command).ok();
    assert!(checked.log.contains("fine: x"), "{checked}");
}

#[test]
fn a_secret_that_others_can_read_is_a_mistake_with_strict() {
    let folder = folder("[relay.x]\na = 'listen:1,token=@secret'\nb = 'dial:h:1'\n");
    let file_of_secret = folder.path().join("secret");
    secret(&file_of_secret);
    fs::set_permissions(&file_of_secret, fs::Permissions::from_mode(0o644)).unwrap();
    let path = file(&folder);
    let warned = Couplet::run(&["check", &path]).ok();
    assert!(
        warned
            .log
            .contains("every user of this machine can read this secret"),
        "{warned}"
    );
    let strict = Couplet::run(&["check", "--strict", &path]);
    assert_eq!(strict.status, 2, "{strict}");
    assert!(strict.log.contains("`chmod 600 secret`"), "{strict}");
}

#[test]
fn a_command_line_is_written_as_a_file_that_says_the_same() {
    let args = [
        "listen:*:9000,max-conns=5,rate=3/s",
        "dial:localhost:22",
        "--idle-timeout=1h",
        "--bandwidth=1MiB/s",
        "--bandwidth=a-to-b:2MiB/s",
        "--name=ssh",
        "-q",
    ];
    let written = Couplet::run(&[&["config"], &args[..]].concat()).ok().log;
    assert_eq!(
        written,
        "quiet = true\n\n[relay.ssh]\n\
         a = [\"listen:*:9000\", \"max-conns=5\", \"rate=3/s\"]\n\
         b = \"dial:localhost:22\"\n\
         idle-timeout = \"1h\"\n\
         bandwidth = [\"1MiB/s\", \"a-to-b:2MiB/s\"]"
    );
    let folder = folder(&written);
    let of_file = Couplet::run(&["explain", &file(&folder)]).ok().log;
    let of_line = Couplet::run(&[&["explain"], &args[..]].concat()).ok().log;
    let (head, of_file) = of_file.split_at(of_file.find("side A").unwrap());
    assert_eq!(of_file, of_line);
    assert_eq!(
        head,
        "relay ssh\n  couplet 'listen:*:9000,max-conns=5,rate=3/s' dial:localhost:22 --name=ssh \
         --bandwidth=1MiB/s --bandwidth=a-to-b:2MiB/s --idle-timeout=1h --quiet\n"
    );
}
