//! curl through the command to a web server.

use std::{fs::File, path::Path, process::Command};

use couplet_tests::{Couplet, Process, finish, pattern, program};
use tempfile::TempDir;

/// The size of the file.
pub(crate) const SIZE: usize = 32 * 1024 * 1024;

/// A web server with the file `large`.
pub(crate) struct Web {
    scratch: TempDir,
    _server: Process,
    pub(crate) port: u16,
}

impl Web {
    pub(crate) fn start() -> Self {
        let scratch = TempDir::new().unwrap();
        std::fs::write(scratch.path().join("large"), pattern::bytes(1, SIZE)).unwrap();
        let mut command = program("python3");
        command
            .args([
                "-u",
                "-m",
                "http.server",
                "0",
                "--bind",
                "127.0.0.1",
                "--directory",
            ])
            .arg(scratch.path());
        let server = Process::spawn("http.server", &mut command);
        let port = server.find("it serves", |line| {
            let (_, port) = line.split_once(" port ")?;
            port.split(' ').next()?.parse().ok()
        });
        Self {
            scratch,
            _server: server,
            port,
        }
    }

    fn behind(&self) -> Couplet {
        Couplet::start(&["listen:0", &format!("dial:127.0.0.1:{}", self.port)])
    }

    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path().join(name)
    }
}

fn curl(couplet: &Couplet, to: &Path) -> Command {
    let mut command = program("curl");
    command
        .args([
            "--fail",
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "60",
        ])
        .arg(format!("http://{}/large", couplet.address('A')))
        .arg("--output")
        .arg(to);
    command
}

#[test]
fn a_large_file() {
    let web = Web::start();
    let couplet = web.behind();
    let to = web.file("copy");
    finish("curl", &mut curl(&couplet, &to)).ok();
    pattern::expect_all(File::open(to).unwrap(), 1, SIZE);
}

#[test]
fn a_client_that_takes_its_time() {
    let web = Web::start();
    let couplet = web.behind();
    let to = web.file("copy");
    finish("curl", curl(&couplet, &to).arg("--limit-rate").arg("12M")).ok();
    pattern::expect_all(File::open(to).unwrap(), 1, SIZE);
}

#[test]
fn many_clients_at_a_time() {
    let web = Web::start();
    let couplet = web.behind();
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let to = web.file(&format!("copy-{number}"));
            (Process::spawn("curl", &mut curl(&couplet, &to)), to)
        })
        .collect();
    for (client, to) in clients {
        client.finish().ok();
        pattern::expect_all(File::open(to).unwrap(), 1, SIZE);
    }
}

#[test]
fn a_client_that_leaves_in_the_middle() {
    let web = Web::start();
    let couplet = web.behind();
    let to = web.file("part");
    // It finds itself too slow after a second, and leaves with status 28.
    let mut leaves = curl(&couplet, &to);
    leaves.args([
        "--limit-rate",
        "1M",
        "--speed-limit",
        "100000000",
        "--speed-time",
        "1",
    ]);
    finish("curl", &mut leaves).with(28);
    couplet.ended(1);
    finish("curl", &mut curl(&couplet, &to)).ok();
    pattern::expect_all(File::open(to).unwrap(), 1, SIZE);
}
