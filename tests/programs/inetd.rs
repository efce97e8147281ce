//! Programs that talk on their standard input and output: started by the command, as inetd started them.

use std::{fs, path::Path, process::Command};

use couplet_tests::{Couplet, finish, pattern};

use crate::git::git_command;

fn git(directory: &Path, args: &[&str]) -> Command {
    let mut git = git_command();
    git.current_dir(directory).args(args);
    git
}

/// The recipe "A program for each client".
#[test]
fn git_daemon_serves_a_clone_to_each_client() {
    let scratch = tempfile::tempdir().unwrap();
    let served = scratch.path().join("served");
    let repository = served.join("repository");
    fs::create_dir_all(&repository).unwrap();
    fs::write(repository.join("file"), pattern::bytes(1, 2_000_000)).unwrap();
    for args in [
        &["init", "--quiet"][..],
        &["add", "."],
        &["commit", "--quiet", "--message", "first"],
    ] {
        finish("git", &mut git(&repository, args)).ok();
    }
    let base = format!("--base-path={}", served.display());
    let exec = format!("exec:git daemon --inetd --export-all {base}");
    let couplet = Couplet::start(&["listen:0,max-conns=4", &exec]);
    let port = couplet.address('A').port();
    for name in ["one", "two"] {
        let url = format!("git://127.0.0.1:{port}/repository");
        finish(
            "git clone",
            &mut git(scratch.path(), &["clone", "--quiet", &url, name]),
        )
        .ok();
        let cloned = fs::read(scratch.path().join(name).join("file")).unwrap();
        assert!(cloned == pattern::bytes(1, 2_000_000));
    }
    let missing = format!("git://127.0.0.1:{port}/missing");
    let refused = finish("git clone", &mut git(scratch.path(), &["clone", &missing]));
    refused
        .with(128)
        .said("access denied or repository not exported");
}
