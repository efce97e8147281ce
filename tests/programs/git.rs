//! Git, as the tests run it.

use std::process::Command;

use couplet_tests::program;

/// Git, whatever is set up on this machine.
pub(crate) fn git_command() -> Command {
    let mut git = program("git");
    for (name, value) in [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_AUTHOR_NAME", "test"),
        ("GIT_AUTHOR_EMAIL", "test@example.org"),
        ("GIT_COMMITTER_NAME", "test"),
        ("GIT_COMMITTER_EMAIL", "test@example.org"),
    ] {
        git.env(name, value);
    }
    git
}
