//! Completions and the man page.

use std::io::Write;

use couplet_tests::{Couplet, finish, program};

/// What every one of them has to know of.
const FLAGS: [&str; 4] = ["idle-timeout", "log-traffic", "once", "reconnect"];

fn completions(shell: &str) -> String {
    let log = Couplet::run(&["completions", shell]).ok().log;
    for flag in FLAGS {
        assert!(log.contains(flag), "{shell} does not know of {flag}");
    }
    log
}

#[test]
fn completions_complete_in_bash() {
    let mut script = tempfile::NamedTempFile::new().unwrap();
    script.write_all(completions("bash").as_bytes()).unwrap();
    let ask = r#"
        . "$1"
        COMP_WORDS=(couplet --idl) COMP_CWORD=1
        _couplet couplet --idl couplet
        echo "${COMPREPLY[@]}"
    "#;
    let asked = finish(
        "bash",
        program("bash").args(["-c", ask, "bash"]).arg(script.path()),
    );
    assert_eq!(asked.ok().log.trim(), "--idle-timeout");
}

#[test]
fn completions_are_printed_for_other_shells() {
    assert!(completions("zsh").starts_with("#compdef couplet"));
    assert!(completions("fish").contains("complete -c couplet"));
    completions("elvish");
    completions("powershell");
    Couplet::run(&["completions", "tcsh"]).with(2).said("bash");
}

#[test]
fn a_reader_that_closes_the_pipe_early_is_no_failure() {
    for args in [
        &["completions", "bash"][..],
        &["completions", "zsh"],
        &["man"],
        &["explain", "listen:1", "listen:2"],
        &["--help"],
    ] {
        // Before it prints anything: its reader is gone.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let printed = Couplet::command(args).stdout(writer).output().unwrap();
        assert_eq!(printed.status.code(), Some(0), "{args:?}: {printed:?}");
        assert_eq!(printed.stderr, b"", "{args:?}: {printed:?}");
    }
}

#[test]
fn a_failure_to_print_is_reported() {
    for args in [&["completions", "bash"][..], &["man"]] {
        let full = std::fs::File::create("/dev/full").unwrap();
        let printed = Couplet::command(args).stdout(full).output().unwrap();
        assert_eq!(printed.status.code(), Some(1), "{args:?}: {printed:?}");
        let said = String::from_utf8_lossy(&printed.stderr);
        assert!(said.starts_with("couplet: No space left"), "{said}");
    }
}

#[test]
fn the_man_page_is_sound() {
    let page = Couplet::run(&["man"]).ok().said(".TH").log;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{page}").unwrap();
    let mut groff = program("groff");
    groff.args(["-man", "-Kutf8", "-Tutf8", "-P-cbou", "-ww"]);
    let log = finish("groff", groff.arg(file.path())).ok().log;
    assert!(!log.contains("warning:"), "{log}");
    for section in ["NAME", "SYNOPSIS", "OPTIONS", "NOTES AND EXAMPLES"] {
        assert!(
            log.lines().any(|line| line == section),
            "no {section}: {log}"
        );
    }
    // The examples can be copied from it.
    let example = "couplet dial:relay.example.org:9000 dial:127.0.0.1:6379 --reconnect";
    assert!(log.lines().any(|line| line.trim() == example), "{log}");
    for flag in FLAGS {
        assert!(log.contains(flag), "it does not know of {flag}: {log}");
    }
}
