//! A throw-away ssh server, and the programs that go there by ssh.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
};

use couplet_tests::{
    Finished, Process, finish, need,
    net::{free_port, listens},
    pattern, program,
};
use tempfile::TempDir;

use crate::git::git_command;

/// A program of this name beside the server's files is the way to it, and no port is.
pub(crate) const PROXY: &str = "proxy";

const SIZE: usize = 32 * 1024 * 1024;

/// An ssh server with keys of its own, which accepts the user that runs the test.
pub(crate) struct Sshd {
    scratch: TempDir,
    _server: Process,
    port: u16,
}

/// The way to a server: where it is connected to.
pub(crate) struct Way {
    pub(crate) sshd: Sshd,
    pub(crate) port: u16,
}

// ===== impl Sshd =====

impl Sshd {
    pub(crate) fn start() -> Self {
        let scratch = TempDir::new().unwrap();
        let file = |name: &str| scratch.path().join(name);
        for key in ["host-key", "key"] {
            let mut command = program("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            finish("ssh-keygen", command.arg(file(key))).ok();
        }
        fs::copy(file("key.pub"), file("authorized-keys")).unwrap();
        let port = free_port();
        // Without SHLVL bash would read the user's `.bashrc`.
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\n\
             HostKey {}\n\
             AuthorizedKeysFile {}\n\
             PidFile none\n\
             UsePAM no\n\
             StrictModes no\n\
             MaxStartups 100\n\
             SetEnv SHLVL=1\n\
             PasswordAuthentication no\n\
             PermitRootLogin prohibit-password\n\
             Subsystem sftp internal-sftp\n",
            file("host-key").display(),
            file("authorized-keys").display(),
        );
        fs::write(file("config"), config).unwrap();
        if rustix::process::getuid().is_root() {
            // Where sshd is no service, no other program has made it.
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

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// `ssh -D`, a SOCKS5 proxy: it and its port.
    pub(crate) fn socks(self) -> (Process, u16, Self) {
        let proxy = free_port();
        let way = Way {
            port: self.port,
            sshd: self,
        };
        let mut ssh = program("ssh");
        ssh.args(way.options());
        ssh.args(["-N", "-D", &format!("127.0.0.1:{proxy}"), "-p"]);
        ssh.args([&way.port.to_string(), "127.0.0.1"]);
        let process = Process::spawn("ssh -D", &mut ssh);
        listens(proxy);
        (process, proxy, way.sshd)
    }

    pub(crate) fn dial(&self) -> String {
        format!("dial:127.0.0.1:{}", self.port)
    }
}

// ===== impl Way =====

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
        let proxy = self.sshd.file(PROXY);
        if proxy.exists() {
            let option = format!("ProxyCommand={}", proxy.display());
            options.extend(["-o".into(), option]);
        }
        options
    }

    pub(crate) fn ssh(&self, command: &str) -> Finished {
        let mut ssh = program("ssh");
        ssh.args(self.options())
            .args(["-p", &self.port.to_string(), "127.0.0.1", command]);
        finish("ssh", &mut ssh)
    }

    /// Copies a file there and back again.
    pub(crate) fn scp(&self) {
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

    /// The beginning of a command line that goes there.
    fn shell(&self) -> String {
        let ssh = need("ssh").display().to_string();
        [ssh, self.options().join(" ")].join(" ")
    }

    /// Copies a tree of this name, then only what has changed in it. `there` is what the other end
    /// runs.
    pub(crate) fn rsync(&self, name: &str, there: &str) {
        let tree = self.sshd.file(name);
        fs::create_dir(&tree).unwrap();
        for number in 0..200 {
            let file = tree.join(format!("file-{number}"));
            fs::write(file, pattern::bytes(number, 1 + number * 997)).unwrap();
        }
        let copied = self.sshd.file(&format!("copied-{name}"));
        let remote = format!("127.0.0.1:{}/", copied.display());
        let shell = format!("{} -p {}", self.shell(), self.port);
        for round in 0..2 {
            let mut rsync = program("rsync");
            rsync.args(["-a", "--checksum", "-e", &shell]);
            rsync.arg(format!("--rsync-path={there}"));
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

    /// Makes a repository with some history.
    pub(crate) fn repository(&self) -> PathBuf {
        let repository = self.sshd.file("repository");
        let repository_of = |command: &[&str]| {
            git(&[&["-C", &repository.display().to_string()], command].concat()).ok()
        };
        fs::create_dir(&repository).unwrap();
        repository_of(&["init", "--quiet"]);
        for number in 0..20 {
            let file = repository.join(format!("file-{number}"));
            fs::write(file, pattern::bytes(number, 1 + number * 50_000)).unwrap();
            repository_of(&["add", "."]);
            repository_of(&[
                "commit",
                "--quiet",
                "--message",
                &format!("number {number}"),
            ]);
        }
        repository
    }

    /// Clones the repository, under this name. `there` is what the other end runs.
    pub(crate) fn git_clone(&self, name: &str, there: &str) {
        let original = self.sshd.file("repository");
        let clone = self.sshd.file(name);
        let url = format!("ssh://127.0.0.1:{}{}", self.port, original.display());
        let mut cloning = git_command();
        cloning
            .env("GIT_SSH_COMMAND", self.shell())
            .args(["clone", "--quiet", "--upload-pack", there, &url])
            .arg(&clone);
        finish("git clone", &mut cloning).ok();
        let head = |of: &PathBuf| {
            let of = of.display().to_string();
            git(&["-C", &of, "rev-parse", "HEAD"]).ok().log
        };
        assert_eq!(head(&clone), head(&original));
        git(&["-C", &clone.display().to_string(), "fsck", "--strict"]).ok();
        for number in 0..20 {
            let file = File::open(clone.join(format!("file-{number}"))).unwrap();
            pattern::expect_all(file, number, 1 + number * 50_000);
        }
    }
}

fn git(args: &[&str]) -> Finished {
    finish("git", git_command().args(args))
}
