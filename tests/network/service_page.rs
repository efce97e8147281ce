//! docs/service.md, command by command, in a machine of its own: its ports and folders are the page's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use couplet_tests::{Couplet, Process, finish, need, program, until};

use crate::is_wanted;

/// What stands in blocks of `text` and is not run: it changes the system, or needs systemd as its first
/// process. The units are checked by tests/command/systemd.rs, the package and the
/// image by packaging/debian/test and packaging/container/test.
const NOT_RUN: &[&str] = &[
    "apt install",
    "docker ",
    "install ",
    "kill -USR2",
    "packaging/debian/build",
    "systemctl ",
];

/// The blocks of this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    page.split(&fence)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// Network and mounts of its own, with `/run/couplet`, as systemd makes it.
struct Machine {
    keeper: Process,
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        const KEEPS: &str = "ip link set lo up && mount -t tmpfs none /run && mkdir /run/couplet && \
             echo ready && exec sleep infinity";
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-c", KEEPS]);
        let keeper = Process::spawn("keeper", &mut command);
        keeper.find("it is ready", |line| (line == "ready").then_some(()));
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        std::os::unix::fs::symlink(root.join("docs"), folder.path().join("docs")).unwrap();
        Self { keeper, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A line of the page, as it stands there.
    fn command(&self, line: &str) -> Command {
        let couplet = Couplet::binary().parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        // Another mount namespace begins at its root.
        let folder = self.folder.path().display();
        let mut command = Command::new("nsenter");
        command
            .args(["--net", "--mount", "--target"])
            .arg(self.keeper.id().to_string())
            .args(["sh", "-c", &format!("cd '{folder}' && exec {line}")])
            .env("PATH", format!("{}:{path}", couplet.display()));
        command
    }

    fn does(&self, line: &str) -> String {
        finish(line, &mut self.command(line)).ok().log
    }

    /// What is served there.
    fn curl(&self, url: &str) -> Option<String> {
        let line = format!("curl --silent --fail --max-time 10 '{url}'");
        let said = finish(&line, &mut self.command(&line));
        (said.status == 0).then_some(said.log)
    }

    /// Starts what goes on, and waits until it says this.
    fn runs(&self, line: &str, says: &str) -> Process {
        let process = Process::spawn(line, &mut self.command(line));
        process.find(says, |line| line.contains(says).then_some(()));
        process
    }
}

#[test]
fn every_command_of_the_page_does_what_the_page_says() {
    if !is_wanted() {
        return;
    }
    for needed in ["promtool", "prometheus", "systemd-socket-activate"] {
        need(needed);
    }
    program("curl");
    let page = format!("{}/../docs/service.md", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(page).unwrap();
    for block in blocks(&page, "text") {
        // Files and what a command prints are no commands.
        if block.starts_with('#') || block.starts_with('$') {
            continue;
        }
        for line in block.lines() {
            let is_known = NOT_RUN.iter().any(|known| line.starts_with(known));
            assert!(is_known, "`{line}` is not run: a block of `sh` is");
        }
    }

    let machine = Machine::new();
    let mut file = blocks(&page, "toml").remove(0);
    fs::write(machine.path("couplet.toml"), &file).unwrap();
    fs::write(
        machine.path("prometheus.yml"),
        blocks(&page, "yaml").remove(0),
    )
    .unwrap();
    let mut done = 0;
    let mut running: Option<Process> = None;
    for line in blocks(&page, "sh").iter().flat_map(|block| block.lines()) {
        done += 1;
        if line.contains("--take-over") {
            // The first, and the one after it.
            drop(running.take());
            let first = machine.runs(line, "all relays run");
            running = Some(machine.runs(line, "all relays run"));
            first.finish().ok().said("taken over");
        } else if line.starts_with("couplet run ") {
            running = Some(machine.runs(line, "all relays run"));
            let metrics = machine.curl("http://127.0.0.1:9180/metrics").unwrap();
            assert!(metrics.contains(r#"couplet_ready{relay="postgres"} 1"#));
            assert!(machine.curl("http://127.0.0.1:9180/").is_some());
        } else if line == "couplet ctl reload" {
            // As the page says.
            let sockets = r#"admin = ["9180", "unix:/run/couplet/admin.sock"]"#;
            assert!(page.contains(sockets));
            file = file.replace(r#"admin = "9180""#, sockets);
            fs::write(machine.path("couplet.toml"), &file).unwrap();
            drop(running.take());
            running = Some(machine.runs("couplet run couplet.toml", "all relays run"));
            let changed = file.replace("max-conns=500", "max-conns=400");
            assert_ne!(changed, file);
            fs::write(machine.path("couplet.toml"), &changed).unwrap();
            let said = machine.does(line);
            assert!(
                said.contains("changed: postgres") && said.contains("same: meet"),
                "{said}"
            );
        } else if line.starts_with("prometheus ") {
            let _prometheus = machine.runs(line, "Server is ready");
            let api = |what: &str| machine.curl(&format!("http://127.0.0.1:9090/api/v1/{what}"));
            let rules = api("rules").unwrap();
            assert!(
                rules.contains("CoupletReloadFailed") && rules.contains("CoupletDown"),
                "{rules}"
            );
            until("it is scraped", || {
                let up = api("query?query=couplet_config_generation")?;
                up.contains(r#""instance":"127.0.0.1:9180""#).then_some(())
            });
        } else if line.starts_with("systemd-socket-activate ") {
            let couplet = machine.runs(line, "Listening on");
            let _ = machine.curl("http://127.0.0.1:8080/");
            couplet.find("it takes the client", |line| {
                line.contains("listening side=A").then_some(())
            });
        } else {
            let said = machine.does(line);
            if line.starts_with("couplet config ") {
                assert!(said.contains("[relay.ssh]"), "{said}");
            }
            if line.starts_with("couplet explain ") {
                assert!(
                    said.contains("relay postgres") && said.contains("rendezvous meet"),
                    "{said}"
                );
            }
        }
    }
    assert!(done >= 10, "only {done} commands were found");
}
