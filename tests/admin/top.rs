//! `couplet top` in a terminal of its own, of several relays.

use std::{
    io::{Read, Write},
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use couplet_tests::{Couplet, net::expect_reset, program, until};

use crate::several::Several;

/// A terminal in which it runs.
struct Terminal {
    child: Child,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    fn start(admin: &str) -> Self {
        let mut script = program("script");
        let command = format!(
            "stty rows 40 columns 150; exec {} top {admin}",
            Couplet::binary().display()
        );
        // A terminal of its own, whose keys come by the pipe.
        let mut child = script
            .args([
                "--quiet",
                "--flush",
                "--return",
                "--command",
                &command,
                "/dev/null",
            ])
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(40, 150, 0)));
        let (mut output, drawn) = (child.stdout.take().unwrap(), Arc::clone(&screen));
        thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut some) {
                drawn.lock().unwrap().process(&some[..n]);
            }
        });
        Self { child, screen }
    }

    fn press(&mut self, keys: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(keys.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn shows(&self, what: &str) {
        until(what, || self.text().contains(what).then_some(()));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn several_relays_are_shown_paused_and_cut() {
    let rig = Several::new();
    let (client, _server) = rig.pair("db");
    let (_other, _its) = rig.pair("web");
    let _waiting = rig.waiting(1);
    let mut top = Terminal::start(&rig.admin());
    top.shows("2 live pairs, by rate");
    let text = top.text();
    for relay in ["db", "meet", "web"] {
        let line = text
            .lines()
            .find(|line| line.trim_start_matches('│').starts_with(relay));
        let line = line.unwrap_or_else(|| panic!("no {relay} in\n{text}"));
        assert!(line.contains("ready"), "{line}");
    }
    // By age, the pair of `db` is the first.
    top.press("ss");
    top.shows("2 live pairs, by age");
    top.press("p");
    until("the relay is paused", || {
        let status = rig.ctl(&["status"]).ok().log;
        let line = status.lines().find(|line| line.starts_with("db"))?;
        line.contains("paused").then_some(())
    });
    top.shows("paused");
    top.press("c");
    top.shows("cut pair");
    top.press("n");
    top.press("j");
    top.press("k");
    top.press("c");
    top.shows("cut pair");
    top.press("y");
    expect_reset(&client);
    top.shows("1 live pairs");
    top.press("q");
    let status = until("its end", || top.child.try_wait().unwrap());
    assert!(status.success(), "{status}");
}

#[test]
fn what_is_wrong_from_the_start_is_told_on_the_terminal_as_it_was() {
    let top = Couplet::run(&["top", "--admin=unix:/nowhere/admin.sock"]);
    assert_eq!(top.status, 1);
    assert!(top.log.contains("nothing answers"), "{}", top.log);
}
