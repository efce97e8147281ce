//! A real match-maker, at a Unix socket.

use std::{fs, process::Command, sync::Mutex};

use couplet_tests::{Process, program, python_program};
use tempfile::TempDir;

/// Which program it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Brand {
    Redis,
    Valkey,
}

pub(crate) struct Redis {
    brand: Brand,
    scratch: TempDir,
    server: Mutex<Option<Process>>,
}

// ===== impl Brand =====

impl Brand {
    pub(crate) fn program(self) -> Command {
        match self {
            Self::Redis => program("redis-server"),
            Self::Valkey => python_program("valkey-server"),
        }
    }
}

// ===== impl Redis =====

impl Redis {
    pub(crate) fn start(brand: Brand) -> Self {
        let redis = Self {
            brand,
            scratch: TempDir::new().unwrap(),
            server: Mutex::new(None),
        };
        redis.restart();
        redis
    }

    /// What `--engine` takes.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket())
    }

    fn socket(&self) -> String {
        self.scratch.path().join("s").display().to_string()
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(&self) {
        drop(self.server.lock().unwrap().take());
    }

    /// Kills it (SIGKILL), and starts it again with nothing in it.
    pub(crate) fn restart(&self) {
        let mut server = self.server.lock().unwrap();
        drop(server.take());
        let _ = fs::remove_file(self.socket());
        let mut command = self.brand.program();
        command
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .args(["--unixsocket", &self.socket(), "--dir"])
            .arg(self.scratch.path());
        let started = Process::spawn("match-maker", &mut command);
        started.find("it is ready", |line| {
            let line = line.to_lowercase();
            line.contains("ready to accept connections").then_some(())
        });
        *server = Some(started);
    }

    pub(crate) fn run(&self, words: &[&str]) -> String {
        let mut command = program("redis-cli");
        let output = command.args(["-s", &self.socket()]).args(words).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }
}
