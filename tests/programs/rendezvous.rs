//! ssh, rsync and git to an ssh server from which, as from their own machine, one can only dial out.

use std::{fs, thread};

use couplet_tests::{Couplet, need};

use crate::{
    ssh::sessions,
    sshd::{Sshd, Way},
};

/// Through a rendezvous in the middle, which both ends dial: the README's recipe.
fn at_a_rendezvous(test: impl FnOnce(&Way, &Couplet)) {
    let sshd = Sshd::start();
    let secrets = sshd.file("secrets");
    fs::write(&secrets, "main: 0123456789abcdef\n").unwrap();
    let secrets = secrets.display();
    let relay = Couplet::start(&["rendezvous", "listen:0", &format!("--tokens=@{secrets}")]);
    let side = |side: &str| {
        let secret = format!("--secret=@{secrets}");
        let side = format!("--side={side}");
        let made = Couplet::run(&["token", &secret, "--key=home", &side, "--expires=1h"]).ok();
        let token = sshd.file(&side);
        fs::write(&token, made.log).unwrap();
        let token = token.display();
        format!(
            "{},rendezvous=home,rendezvous.token=@{token}",
            relay.dial('A')
        )
    };
    let _home = Couplet::start(&[&format!("{},keep=2", side("a")), &sshd.dial()]);
    let laptop = Couplet::start(&["listen:0", &side("b")]);
    let port = laptop.address('A').port();
    test(&Way { sshd, port }, &relay);
}

#[test]
fn netcats_meet_one_pair_after_the_other() {
    at_a_rendezvous(|way, _| {
        sessions(way);
        way.rsync("tree", "rsync");
        way.repository();
        way.git_clone("clone", &there("git", "git upload-pack"));
    });
}

/// Many more than the pool keeps, and none of them ends before all are there.
#[test]
fn sixteen_sessions_of_ssh_rsync_and_git_meet_at_once() {
    at_a_rendezvous(|way, relay| {
        way.repository();
        let gate = way.sshd.file("gate");
        let behind_the_gate = |command: &str| {
            let gate = gate.display();
            format!("until [ -e {gate} ]; do sleep 0.1; done; {command}")
        };
        let ssh = |number: usize| {
            let command = behind_the_gate(&format!("echo hello-{number}"));
            assert_eq!(way.ssh(&command).ok().log, format!("hello-{number}"));
        };
        let rsync = |number: usize| {
            let there = behind_the_gate(&there("rsync", "rsync"));
            way.rsync(&format!("tree-{number}"), &there);
        };
        let git = |number: usize| {
            let there = behind_the_gate(&there("git", "git upload-pack"));
            way.git_clone(&format!("clone-{number}"), &there);
        };
        thread::scope(|scope| {
            for number in 0..16 {
                scope.spawn(move || match number % 3 {
                    0 => ssh(number),
                    1 => rsync(number),
                    _ => git(number),
                });
            }
            relay.joined(16);
            fs::write(&gate, "").unwrap();
        });
        // The second time round of each of five.
        relay.joined(16 + 5);
    });
}

/// docs/recipes.md, a home behind a NAT with one connection.
#[test]
fn sessions_of_ssh_go_over_the_one_connection_of_a_home() {
    let sshd = Sshd::start();
    let secret = sshd.file("secret").display().to_string();
    Couplet::run(&["keygen", &secret, "--kind=secret"]).ok();
    let rendezvous = Couplet::start(&["rendezvous", "listen:0"]);
    let side = format!("{},rendezvous=@{secret},mux", rendezvous.dial('A'));
    let relay = Couplet::start(&["listen:0", &side]);
    let home = Couplet::start(&[&side, &sshd.dial()]);
    let way = Way {
        sshd,
        port: relay.address('A').port(),
    };
    thread::scope(|scope| {
        for number in 0..4 {
            let way = &way;
            scope.spawn(move || {
                let said = way.ssh(&format!("echo hello-{number}")).ok();
                assert_eq!(said.log, format!("hello-{number}"));
            });
        }
    });
    way.rsync("tree", "rsync");
    relay.events("ended", 5);
    for couplet in [&relay, &home] {
        assert_eq!(couplet.events("a carrier is there", 1).len(), 1);
    }
    // The carrier is one pair for the rendezvous, which was joined once.
    assert_eq!(rendezvous.events("joined", 1).len(), 1);
}

/// A command of this program, wherever it is: the other end's path may be another.
fn there(name: &str, command: &str) -> String {
    command.replacen(name, &need(name).display().to_string(), 1)
}
