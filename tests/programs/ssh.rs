//! ssh, scp and rsync to a throw-away ssh server: behind a port that is forwarded, and behind a
//! NAT, where nobody can connect to it.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
};

use couplet_tests::{
    Couplet, Finished, Process, finish, need,
    net::{free_port, listens},
    pattern, program,
};
use tempfile::TempDir;

const SIZE: usize = 32 * 1024 * 1024;

/// An ssh server with keys of its own, which lets in whoever runs the test.
struct Sshd {
    scratch: TempDir,
    _server: Process,
    port: u16,
}

/// The way to a server: where it is connected to.
struct Way {
    sshd: Sshd,
    port: u16,
}

impl Sshd {
    fn start() -> Self {
        let scratch = TempDir::new().unwrap();
        let file = |name: &str| scratch.path().join(name);
        for key in ["host-key", "key"] {
            let mut command = program("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            finish("ssh-keygen", command.arg(file(key))).ok();
        }
        fs::copy(file("key.pub"), file("authorized-keys")).unwrap();
        let port = free_port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\n\
             HostKey {}\n\
             AuthorizedKeysFile {}\n\
             PidFile none\n\
             UsePAM no\n\
             StrictModes no\n\
             PasswordAuthentication no\n\
             PermitRootLogin prohibit-password\n\
             Subsystem sftp internal-sftp\n",
            file("host-key").display(),
            file("authorized-keys").display(),
        );
        fs::write(file("config"), config).unwrap();
        if rustix::process::getuid().is_root() {
            // Where it is no service, nobody else has made it.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let mut command = program("sshd");
        let server = Process::spawn("sshd", command.args(["-D", "-e", "-f"]).arg(file("config")));
        listens(port);
        Self {
            scratch,
            _server: server,
            port,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn dial(&self) -> String {
        format!("dial:127.0.0.1:{}", self.port)
    }
}

impl Way {
    fn options(&self) -> Vec<String> {
        let key = self.sshd.file("key");
        let mut options = vec!["-F".into(), "none".into(), "-i".into()];
        options.push(key.display().to_string());
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
        ] {
            options.extend(["-o".into(), option.into()]);
        }
        options
    }

    fn ssh(&self, command: &str) -> Finished {
        let mut ssh = program("ssh");
        ssh.args(self.options())
            .args(["-p", &self.port.to_string(), "127.0.0.1", command]);
        finish("ssh", &mut ssh)
    }

    /// Copies a file there and back again.
    fn scp(&self) {
        let [original, there, back] = ["original", "there", "back"].map(|it| self.sshd.file(it));
        fs::write(&original, pattern::bytes(1, SIZE)).unwrap();
        let remote = format!("127.0.0.1:{}", there.display());
        let copy = |command: &mut Command| {
            command
                .args(self.options())
                .args(["-P", &self.port.to_string()]);
        };
        let mut to = program("scp");
        copy(&mut to);
        finish("scp", to.arg(&original).arg(&remote)).ok();
        pattern::expect_all(File::open(&there).unwrap(), 1, SIZE);
        let mut from = program("scp");
        copy(&mut from);
        finish("scp", from.arg(&remote).arg(&back)).ok();
        pattern::expect_all(File::open(&back).unwrap(), 1, SIZE);
    }

    /// Copies a tree, then only what has changed in it.
    fn rsync(&self) {
        let tree = self.sshd.file("tree");
        fs::create_dir(&tree).unwrap();
        for number in 0..200 {
            let file = tree.join(format!("file-{number}"));
            fs::write(file, pattern::bytes(number, 1 + number * 997)).unwrap();
        }
        let copied = self.sshd.file("copied-tree");
        let remote = format!("127.0.0.1:{}/", copied.display());
        let shell = [
            need("ssh").display().to_string(),
            self.options().join(" "),
            format!("-p {}", self.port),
        ];
        for round in 0..2 {
            let mut rsync = program("rsync");
            rsync.args(["-a", "--checksum", "-e", &shell.join(" ")]);
            rsync.arg(format!("{}/", tree.display())).arg(&remote);
            finish("rsync", &mut rsync).ok();
            for number in 0..200 {
                let length = match (number, round) {
                    (7, 1) => 123_456,
                    _ => 1 + number * 997,
                };
                let file = File::open(copied.join(format!("file-{number}"))).unwrap();
                pattern::expect_all(file, number, length);
            }
            fs::write(tree.join("file-7"), pattern::bytes(7, 123_456)).unwrap();
        }
    }
}

/// Through a port that is forwarded.
fn forwarded(test: impl Fn(&Way)) {
    let sshd = Sshd::start();
    let couplet = Couplet::start(&["listen:0", &sshd.dial()]);
    let port = couplet.address('A').port();
    test(&Way { sshd, port });
}

/// Through a relay in the middle, to which the server's side connects from behind its NAT: the
/// README's recipe.
fn behind_a_nat(test: impl Fn(&Way)) {
    let sshd = Sshd::start();
    let secret = sshd.file("secret");
    fs::write(&secret, "a shared secret\n").unwrap();
    let middle = Couplet::start(&["rendezvous", "listen:0"]);
    let meet = format!("{},rendezvous=@{}", middle.dial('A'), secret.display());
    let door = Couplet::start(&["listen:0", &meet]);
    let _home = Couplet::start(&[&format!("{meet},keep=2"), &sshd.dial()]);
    let port = door.address('A').port();
    test(&Way { sshd, port });
}

/// Through a rendezvous in the middle, which both ends dial: the README's recipe.
fn at_a_rendezvous(test: impl Fn(&Way)) {
    let sshd = Sshd::start();
    let secrets = sshd.file("secrets");
    fs::write(&secrets, "main: 0123456789abcdef\n").unwrap();
    let secrets = secrets.display();
    let relay = Couplet::start(&["rendezvous", "listen:0", &format!("--tokens=@{secrets}")]);
    let side = |side: &str| {
        let secret = format!("--secret=@{secrets}");
        let side = format!("--side={side}");
        let made = Couplet::run(&["token", &secret, "--key=home", &side, "--expires=1h"]).ok();
        let token = sshd.file(&side);
        fs::write(&token, made.log).unwrap();
        let token = token.display();
        format!(
            "{},rendezvous=home,rendezvous.token=@{token}",
            relay.dial('A')
        )
    };
    let _home = Couplet::start(&[&format!("{},keep=2", side("a")), &sshd.dial()]);
    let laptop = Couplet::start(&["listen:0", &side("b")]);
    let port = laptop.address('A').port();
    test(&Way { sshd, port });
}

/// Through two relays with a compressed line between them.
fn compressed(test: impl Fn(&Way)) {
    let sshd = Sshd::start();
    let far = Couplet::start(&["listen:0,compress=zstd", &sshd.dial()]);
    let line = format!("{},compress=zstd", far.dial('A'));
    let near = Couplet::start(&["listen:0", &line]);
    let port = near.address('A').port();
    test(&Way { sshd, port });
}

fn sessions(way: &Way) {
    for number in 0..4 {
        let word = format!("hello-{number}");
        assert_eq!(way.ssh(&format!("echo {word}")).ok().log, word);
    }
    way.ssh("exit 7").with(7);
}

#[test]
fn sessions_through_a_forwarded_port() {
    forwarded(sessions);
}

#[test]
fn sessions_behind_a_nat() {
    behind_a_nat(|way| {
        sessions(way);
        sessions_at_once(way);
    });
}

/// As many at once as the pool has not.
fn sessions_at_once(way: &Way) {
    std::thread::scope(|scope| {
        for number in 0..4 {
            scope.spawn(move || {
                let word = format!("hello-{number}");
                assert_eq!(way.ssh(&format!("sleep 1; echo {word}")).ok().log, word);
            });
        }
    });
}

#[test]
fn sessions_at_a_rendezvous() {
    at_a_rendezvous(|way| {
        sessions(way);
        sessions_at_once(way);
    });
}

#[test]
fn rsync_at_a_rendezvous() {
    at_a_rendezvous(Way::rsync);
}

#[test]
fn scp_through_a_forwarded_port() {
    forwarded(Way::scp);
}

#[test]
fn scp_behind_a_nat() {
    behind_a_nat(Way::scp);
}

#[test]
fn rsync_through_a_forwarded_port() {
    forwarded(Way::rsync);
}

#[test]
fn rsync_behind_a_nat() {
    behind_a_nat(Way::rsync);
}

#[test]
fn sessions_through_a_compressed_line() {
    compressed(sessions);
}

#[test]
fn rsync_through_a_compressed_line() {
    compressed(Way::rsync);
}
