//! A disk without room, at a reload and at a take-over.

use std::{fs, net::TcpListener, path::Path, process::Command};

use couplet_tests::{
    Couplet, Finished, Process, finish,
    net::{accept, connect, dial, listen},
    pattern,
};
use rustix::process::Signal;

use crate::is_wanted;

/// A folder with the file, and within it a full one, which has an empty file `log`.
struct Rig {
    folder: tempfile::TempDir,
    target: TcpListener,
    at: std::net::SocketAddr,
}

/// Mounts a disk that is full, and becomes the program.
const ON_FULL_DISK: &str = r#"
mount -t tmpfs -o size=16k,nr_inodes=3 none "$1"
touch "$1/log"
head -c 1000000 /dev/zero >"$1/all" 2>"/dev/null"
shift
exec "$@"
"#;

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("full")).unwrap();
        let rig = Self {
            folder,
            target: listen(),
            at: listen().local_addr().unwrap(),
        };
        rig.write("log", "");
        rig
    }

    /// A file whose access log is this one of the full disk.
    fn write(&self, log: &str, more: &str) {
        let (at, target) = (self.at, dial(&self.target));
        let text = format!(
            "[relay.x]\na = 'listen:{at}'\nb = '{target}'\naccess-log = 'full/{log}'\n{more}"
        );
        fs::write(self.path("couplet.toml"), text).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, command: &mut Command) {
        command
            .arg(Couplet::binary())
            .arg("run")
            .arg(self.path("couplet.toml"))
            .arg(format!("--take-over={}", self.path("next.sock").display()));
    }

    /// The first process, which sees the full disk.
    fn start(&self) -> Process {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", ON_FULL_DISK, "sh"])
            .arg(self.path("full"));
        self.run(&mut command);
        runs(Process::spawn("couplet", &mut command))
    }

    /// The next one, which sees the same.
    fn next(&self, first: &Process) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &first.id().to_string()]);
        self.run(&mut command);
        command
    }

    fn served(&self) {
        let client = connect(self.at);
        let server = accept(&self.target);
        echo(&client, &server);
    }
}

fn runs(process: Process) -> Process {
    process.find("all relays run", |line| {
        line.contains("all relays run").then_some(())
    });
    process
}

fn echo(client: &std::net::TcpStream, server: &std::net::TcpStream) {
    pattern::send(client, 1, 1000);
    pattern::expect(server, 1, 1000);
    pattern::send(server, 2, 1000);
    pattern::expect(client, 2, 1000);
}

/// Waits until this many lines have this in them.
fn says(process: &Process, text: &str, number: usize) {
    process.look(&format!("{number} times `{text}`"), |lines| {
        let number_of = lines.iter().filter(|line| line.contains(text)).count();
        (number_of >= number).then_some(())
    });
}

#[test]
fn a_full_disk_cuts_and_refuses_nobody() {
    if !is_wanted() {
        return;
    }
    let rig = Rig::new();
    let first = rig.start();
    assert!(!Path::exists(&rig.path("full/log")), "the disk is its own");
    let client = connect(rig.at);
    let server = accept(&rig.target);
    echo(&client, &server);
    rig.served();
    says(&first, "the access log can't be written", 1);

    let socket = "[relay.y]\na = 'listen:unix:full/y.sock'\nb = 'dial:127.0.0.1:1'\n";
    for (number, (log, more)) in [("log", socket), ("other", "")].into_iter().enumerate() {
        rig.write(log, more);
        first.signal(Signal::HUP);
        says(&first, "1 mistake: nothing has changed", number + 1);
        says(&first, "No space left on device", number + 2);
        let refused: Finished = finish("couplet", &mut rig.next(&first));
        refused.with(1).said("No space left on device");
        says(&first, "not taken over: this process goes on", number + 1);
        rig.served();
        echo(&client, &server);
    }
    // What is not written stops no other.
    rig.write("log", "idle-timeout = '1h'\n");
    first.signal(Signal::HUP);
    says(&first, "reloaded", 1);
    rig.served();
    let next = runs(Process::spawn("couplet", &mut rig.next(&first)));
    rig.served();
    says(&next, "the access log can't be written", 1);
    echo(&client, &server);
    drop((client, server));
    first.finish().ok();
    next.terminate();
    // Its last lines are missing, and it says so.
    next.finish().ok().said("the access log is incomplete");
}
