use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Context;

/// Where a program is.
pub(super) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        // Where daemons are, which may be missing in the path.
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .context("it is not installed")
}

/// All that a program says when it is asked something.
pub(super) fn said(command: &mut Command) -> String {
    let Ok(output) = command.stdin(Stdio::null()).output() else {
        return String::new();
    };
    [output.stdout, output.stderr]
        .map(|said| String::from_utf8_lossy(&said).into_owned())
        .concat()
}

/// The first word after some text, which is where programs put their version.
pub(super) fn word_after<'a>(text: &'a str, before: &str) -> &'a str {
    let word = text
        .split_once(before)
        .and_then(|(_, rest)| rest.split_whitespace().next());
    word.unwrap_or("of unknown version")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found() {
        for (text, before, version) in [
            (
                "HAProxy version 2.6.12-1 2026/10/17 -",
                "version ",
                "2.6.12-1",
            ),
            ("nginx version: nginx/1.22.1\n", "nginx/", "1.22.1"),
            (
                "socat by X\nsocat version 1.7.4.4 on 6",
                "version ",
                "1.7.4.4",
            ),
            ("?", "version ", "of unknown version"),
        ] {
            assert_eq!(word_after(text, before), version);
        }
    }

    #[test]
    fn programs_are_found() {
        assert!(program("sh").is_ok());
        assert!(program("there-is-no-such-program").is_err());
        assert_eq!(said(Command::new("echo").arg("hi")), "hi\n");
    }
}
