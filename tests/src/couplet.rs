use std::{
    net::SocketAddr,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::Command,
    sync::{Once, OnceLock},
};

use serde_json::Value;

use crate::{Finished, Process, finish, schema};

/// The command, running, with a log of JSON lines.
#[derive(Debug)]
pub struct Couplet(Process);

// ===== impl Couplet =====

impl Couplet {
    /// Starts it, and waits until it listens wherever it is to listen.
    pub fn start(args: &[&str]) -> Self {
        Self::start_as(Self::command(args).arg("--log-format=json"))
    }

    /// As [`start`](Self::start), with a log for people.
    pub fn start_text(args: &[&str]) -> Self {
        Self::start_as(&mut Self::command(args))
    }

    /// As [`start`](Self::start), with this many descriptors at most.
    pub fn start_with_descriptors(most: u32, args: &[&str]) -> Self {
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("ulimit -n {most}; exec \"$@\""), "bash"])
            .arg(Self::binary())
            .args(args)
            .arg("--log-format=json");
        Self::start_as(&mut command)
    }

    /// As [`start`](Self::start), in this network namespace.
    pub fn start_within(namespace: &str, args: &[&str]) -> Self {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", namespace])
            .arg(Self::binary())
            .args(args)
            .arg("--log-format=json");
        Self::start_as(&mut command)
    }

    /// As [`start`](Self::start), with its standard output in this file.
    pub fn start_with_output(file: &Path, args: &[&str]) -> Self {
        let mut command = Command::new("bash");
        command
            .args(["-c", "file=$1; shift; exec \"$@\" >\"$file\"", "bash"])
            .arg(file)
            .arg(Self::binary())
            .args(args)
            .arg("--log-format=json");
        Self::start_as(&mut command)
    }

    fn start_as(command: &mut Command) -> Self {
        allow_many();
        let arg = |arg: &std::ffi::OsStr| arg.to_str().unwrap().starts_with("listen:");
        let listening = command.get_args().filter(|given| arg(given)).count();
        let couplet = Self(Process::spawn("couplet", command));
        couplet.look("it listens", |lines| {
            let all = lines.iter().filter_map(|line| listening_at(line));
            (all.count() == listening).then_some(())
        });
        couplet
    }

    /// Runs it to its end.
    pub fn run(args: &[&str]) -> Finished {
        finish("couplet", &mut Self::command(args))
    }

    /// The command with these arguments.
    pub fn command(args: &[&str]) -> Command {
        let mut command = Command::new(Self::binary());
        command.args(args).env_remove("RUST_LOG");
        command
    }

    /// The program: built when it is first asked for, from the sources as they are now.
    ///
    /// With the profile, and into the target directory, of the test that asks.
    pub fn binary() -> &'static Path {
        static BINARY: OnceLock<PathBuf> = OnceLock::new();
        BINARY.get_or_init(|| {
            build(&["--package=couplet", "--bin=couplet", "--all-features"]).join("couplet")
        })
    }

    /// Where a side listens.
    pub fn address(&self, side: char) -> SocketAddr {
        self.find("it listens", |line| {
            let (at, address) = listening_at(line)?;
            (at == side).then(|| address.parse().unwrap())
        })
    }

    /// Where a side listens, as others dial it: `dial:127.0.0.1:9000`, `dial:unix:/run/app.sock`.
    pub fn dial(&self, side: char) -> String {
        let address = self.find("it listens", |line| {
            let (at, address) = listening_at(line)?;
            (at == side).then_some(address)
        });
        format!("dial:{address}")
    }

    /// The port of UDP on which a side listens for QUIC.
    pub fn quic_port(&self, side: char) -> u16 {
        self.find("it listens", |line| {
            let (at, address) = listening_at(line)?;
            let port = address.strip_prefix("quic:")?.rsplit(':').next()?;
            (at == side).then(|| port.parse().unwrap())
        })
    }

    /// Waits for this many events with this message, and returns them.
    pub fn events(&self, message: &str, number: usize) -> Vec<Value> {
        self.look(&format!("{number} times `{message}`"), |lines| {
            let events: Vec<_> = lines.iter().filter_map(|line| event(line)).collect();
            let events = events
                .into_iter()
                .filter(|event| event["message"] == message);
            let events: Vec<_> = events.collect();
            (events.len() >= number).then_some(events)
        })
    }

    /// Waits until this many pairs were joined.
    pub fn joined(&self, number: usize) {
        self.events("joined", number);
    }

    /// Waits until this many pairs have ended, and returns why the last of them did.
    pub fn ended(&self, number: usize) -> String {
        let last = self.events("ended", number).pop().unwrap();
        last["reason"].as_str().unwrap().to_owned()
    }

    /// Waits for its end.
    pub fn finish(self) -> Finished {
        let finished = self.0.finish();
        for line in finished.log.lines() {
            event(line);
        }
        finished
    }
}

impl Deref for Couplet {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl DerefMut for Couplet {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.0
    }
}

/// An example, built as the command is.
pub fn example(name: &str) -> Command {
    let built = build(&["--package=couplet-examples", "--example", name]);
    Command::new(built.join("examples").join(name))
}

/// Builds something, and returns the directory it is in.
fn build(what: &[&str]) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().unwrap().parent().unwrap();
    let profile = match built.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        profile => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .args(["build", "--quiet"])
        .args(what)
        .arg(format!("--profile={profile}"))
        .arg("--target-dir")
        .arg(built.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    // Cargo tells the test of its package, and build scripts that look at that (ring's) would be run anew
    // for this build, and anew for the next test.
    for (name, _) in std::env::vars_os() {
        let of_test = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
        ];
        if of_test
            .iter()
            .any(|part| name.to_string_lossy().starts_with(part))
        {
            build.env_remove(name);
        }
    }
    // Not with a bound: what it takes to build depends on what has been built.
    assert!(build.status().unwrap().success(), "{what:?} can't be built");
    built.to_owned()
}

/// Raises the limit of descriptors of this process, the test: it has both ends of many pairs.
fn allow_many() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    static DONE: Once = Once::new();
    DONE.call_once(|| {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit).unwrap();
    });
}

/// `… listening side=A address=127.0.0.1:9000`, or the same as JSON.
fn listening_at(line: &str) -> Option<(char, String)> {
    let (side, address) = match event(line) {
        Some(event) => (
            event["side"].as_str()?.to_owned(),
            event["address"].as_str()?.to_owned(),
        ),
        None => {
            let (_, fields) = line.split_once(" listening side=")?;
            let (side, address) = fields.split_once(" address=")?;
            // Behind it is the relay's name, if it has one.
            let address = address.split(' ').next()?;
            (side.to_owned(), address.to_owned())
        }
    };
    Some((side.chars().next()?, address))
}

/// The event of a line of JSON.
///
/// # Panics
///
/// If such a line is not as docs/logs.md has it.
fn event(line: &str) -> Option<Value> {
    line.starts_with('{').then(|| schema::parse(line))
}
