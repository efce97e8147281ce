//! A process with several relays names, in each line, the relay that the line is of.

use std::{fs, io::Write, path::Path};

use couplet_tests::{
    Couplet,
    net::{expect_closed, unix},
    schema, until,
};
use rustix::process::Signal;

use crate::service::{greeted, server};

/// Is it a line with this message, and of this relay?
fn is(format: &str, line: &str, message: &str, relay: &str) -> bool {
    match format {
        "json" if line.starts_with('{') => {
            let event = schema::parse(line);
            event["message"] == message && event["relay"] == relay
        }
        "json" => false,
        _ => {
            let names = |line: &str| line.contains(&format!(" relay={relay} "));
            line.contains(&format!(" {message} ")) && names(&format!("{line} "))
        }
    }
}

fn access_log_has(path: &Path, state: &str, relay: &str) {
    until("a record with the relay's name", || {
        let text = fs::read_to_string(path).unwrap_or_default();
        let is_it = |line: &str| match line.starts_with('{') {
            true => {
                let record = schema::parse(line);
                record["state"] == state && record["relay"] == relay
            }
            false => line.contains(&format!(" {state} relay={relay} ")),
        };
        text.lines().any(is_it).then_some(())
    });
}

#[test]
fn each_line_of_a_relay_names_it() {
    let target = server(b'0');
    for format in ["text", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("secret"), "open sesame\n").unwrap();
        let file = format!(
            "log-format = '{format}'\n\
             [defaults]\naccess-log = 'access.log'\naccess-log-format = '{format}'\n\
             [relay.first]\na = 'listen:unix:first.sock'\nb = '{target}'\n\
             [relay.second]\na = ['listen:unix:second.sock', 'token=@secret']\nb = '{target}'\n\
             [rendezvous.third]\na = 'listen:unix:third.sock'\nwait-timeout = '1ms'\n"
        );
        fs::write(path("couplet.toml"), file).unwrap();
        let couplet = Couplet::start_text(&["run", path("couplet.toml").to_str().unwrap()]);
        let says = |message: &str, relay: &str| {
            couplet.find(&format!("`{message}` of {relay}"), |line| {
                is(format, line, message, relay).then_some(())
            });
        };
        for relay in ["first", "second", "third"] {
            says("listening", relay);
            says("running", relay);
        }
        couplet.find("all run", |line| {
            line.contains("all relays run").then_some(())
        });
        assert_eq!(greeted(&unix::connect(&path("first.sock"))), '0');
        says("joined", "first");
        says("ended", "first");
        let mut guesses = unix::connect(&path("second.sock"));
        guesses.write_all(b"guess\n").unwrap();
        expect_closed(&guesses);
        says("refused", "second");
        couplet.signal(Signal::HUP);
        says("read again", "second");
        says("opened anew", "first");
        access_log_has(&path("access.log"), "AF", "first");
        access_log_has(&path("access.log"), "aR", "second");
        // More of the same than are told one by one.
        for _ in 0..60 {
            let mut guesses = unix::connect(&path("second.sock"));
            guesses.write_all(b"guess\n").unwrap();
            expect_closed(&guesses);
        }
        couplet.terminate();
        let log = couplet.finish().ok().log;
        assert!(
            log.lines()
                .any(|line| is(format, line, "refused: more of the same", "second")),
            "{log}"
        );
        access_log_has(&path("access.log"), "aR", "second");
    }
}
