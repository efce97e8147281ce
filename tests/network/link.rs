//! Two network namespaces, and a bad link between them.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::IpAddr,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use couplet_tests::{Couplet, finish, need, until};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace, and the only address in it beside loopback.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    device: String,
    pub(crate) ip: IpAddr,
}

/// Two namespaces, and what is between them. All of it is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) near: Namespace,
    pub(crate) far: Namespace,
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

// ===== impl Link =====

impl Link {
    /// Packets of at most this many bytes pass, and such things happen to them: see `link.py`.
    pub(crate) fn new(mtu: u32, conditions: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = format!(
            "{}{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let names = [format!("n{id}"), format!("f{id}")];
        let mut process = Command::new(need("python3"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/network/link.py"))
            .args(&names)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let [near, far] = [1, 2].map(|host| {
            let name = &names[host - 1];
            until("the device of the link", || {
                let device = format!("/sys/class/net/{name}");
                std::fs::exists(device).unwrap().then_some(())
            });
            Namespace::with(name, mtu, host)
        });
        let mut link = Self {
            near,
            far,
            process,
            commands,
            answers,
        };
        link.set(conditions);
        link
    }

    /// Such things happen from now on.
    pub(crate) fn set(&mut self, conditions: &str) {
        writeln!(self.commands, "{conditions}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "set\n", "{conditions}");
    }

    /// Nothing passes any more, and neither end is told.
    pub(crate) fn cut(&mut self) {
        self.set(r#"{"loss": 1}"#);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// ===== impl Namespace =====

impl Namespace {
    pub(crate) fn with(device: &str, mtu: u32, host: usize) -> Self {
        let name = format!("couplet-{device}");
        let ip = format!("10.77.0.{host}");
        for command in [
            format!("netns add {name}"),
            format!("link set {device} netns {name} mtu {mtu}"),
            format!("-n {name} link set lo up"),
            format!("-n {name} address add {ip}/24 dev {device}"),
            format!("-n {name} link set {device} up"),
        ] {
            run_ip(&command);
        }
        Self {
            name,
            device: device.into(),
            ip: ip.parse().unwrap(),
        }
    }

    /// Does it in here: sockets that are made belong to this namespace.
    pub(crate) fn within<T: Send>(&self, task: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let moved = scope.spawn(|| {
                let namespace = File::open(format!("/run/netns/{}", self.name)).unwrap();
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), kind).unwrap();
                task()
            });
            moved.join().unwrap()
        })
    }

    /// The command, in here.
    pub(crate) fn couplet(&self, args: &[&str]) -> Couplet {
        Couplet::start_within(&self.name, args)
    }

    /// The same, without waiting for it to listen.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(Couplet::binary());
        command.args(args);
        command
    }

    /// A program, in here.
    pub(crate) fn program(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// From now on, programs that are started in here find this in `/etc/resolv.conf`.
    pub(crate) fn resolves_with(&self, text: &str) {
        let folder = self.etc();
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("resolv.conf"), text).unwrap();
    }

    /// The same of `/etc/hosts`; also for those that run already, where it was there at their start.
    pub(crate) fn hosts(&self, text: &str) {
        let folder = self.etc();
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("hosts"), text).unwrap();
    }

    /// What ip-netns(8) puts over `/etc`.
    fn etc(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.name)
    }

    /// Takes the device down, or up.
    pub(crate) fn device(&self, state: &str) {
        run_ip(&format!(
            "-n {} link set {} {state}",
            self.name, self.device
        ));
        if state == "up" {
            // It was there until the device went down.
            run_ip(&format!(
                "-n {} route replace 10.77.0.0/24 dev {}",
                self.name, self.device
            ));
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.etc());
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .status();
    }
}

fn run_ip(args: &str) {
    let mut command = Command::new("ip");
    finish("ip", command.args(args.split(' '))).ok();
}
