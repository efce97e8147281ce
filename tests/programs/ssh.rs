//! ssh, scp and rsync to a throw-away ssh server: behind a port that is forwarded, and behind a
//! NAT, where no client can connect to it.

use std::{fs, os::unix::fs::PermissionsExt};

use couplet_tests::{Certificate, Couplet, hypervisor};

use crate::sshd::{PROXY, Sshd, Way};

/// Through a port that is forwarded.
fn forwarded(test: impl Fn(&Way)) {
    let sshd = Sshd::start();
    let couplet = Couplet::start(&["listen:0", &sshd.dial()]);
    let port = couplet.address('A').port();
    test(&Way { sshd, port });
}

/// Through a relay in the middle, to which the server's side connects from behind its NAT: the
/// README's recipe.
fn behind_a_nat(test: impl Fn(&Way)) {
    let sshd = Sshd::start();
    let secret = sshd.file("secret");
    fs::write(&secret, "a shared secret\n").unwrap();
    let middle = Couplet::start(&["rendezvous", "listen:0"]);
    let meet = format!("{},rendezvous=@{}", middle.dial('A'), secret.display());
    let door = Couplet::start(&["listen:0", &meet]);
    let _home = Couplet::start(&[&format!("{meet},keep=2"), &sshd.dial()]);
    let port = door.address('A').port();
    test(&Way { sshd, port });
}

/// Through two relays with a compressed line between them.
fn compressed(test: impl Fn(&Way)) {
    let sshd = Sshd::start();
    let far = Couplet::start(&["listen:0,compress=zstd", &sshd.dial()]);
    let line = format!("{},compress=zstd", far.dial('A'));
    let near = Couplet::start(&["listen:0", &line]);
    let port = near.address('A').port();
    test(&Way { sshd, port });
}

/// Through standard input and output of the command: ssh's `ProxyCommand`.
fn through_a_proxy_command(test: impl Fn(&Way)) {
    let sshd = Sshd::start();
    let dial = sshd.dial();
    by_stdio(sshd, &dial, test);
}

/// The same over wss, which Couplet serves itself: docs/recipes.md, through what lets web traffic alone pass.
fn over_wss(test: impl Fn(&Way)) {
    let sshd = Sshd::start();
    let pem = sshd.file("pem");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&pem, made.cert.pem() + &made.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(&pem, fs::Permissions::from_mode(0o600)).unwrap();
    let pem = pem.display();
    let far = Couplet::start(&[
        &format!("listen:127.0.0.1:0,tls={pem},ws=/relay"),
        &sshd.dial(),
    ]);
    let dial = format!("{},tls=localhost,tls.ca={pem},ws=/relay", far.dial('A'));
    by_stdio(sshd, &dial, test);
}

/// docs/recipes.md, through a network that loses packets.
fn over_quic(test: impl Fn(&Way)) {
    let sshd = Sshd::start();
    let certificate = Certificate::new();
    let far = Couplet::start(&[&certificate.listens(), &sshd.dial()]);
    let dials = certificate.dials(far.quic_port('A'));
    let near = Couplet::start(&["listen:0", &dials]);
    let port = near.address('A').port();
    test(&Way { sshd, port });
}

/// docs/recipes.md, a virtual machine behind the Unix socket of its hypervisor.
fn to_a_virtual_machine(test: impl Fn(&Way)) {
    let sshd = Sshd::start();
    let socket = sshd.file("vm.sock");
    let guest = Couplet::start(&["listen:0", &sshd.dial()]);
    hypervisor(&socket, 22, guest.address('A'));
    let dials = format!("dial:unix:{},vsock-connect=22", socket.display());
    let host = Couplet::start(&["listen:0", &dials]);
    let port = host.address('A').port();
    test(&Way { sshd, port });
}

#[test]
fn ssh_and_rsync_go_over_quic() {
    over_quic(|way| {
        sessions(way);
        rsync(way);
    });
}

#[test]
fn ssh_and_rsync_go_to_a_virtual_machine() {
    to_a_virtual_machine(|way| {
        sessions(way);
        rsync(way);
    });
}

fn by_stdio(sshd: Sshd, dial: &str, test: impl Fn(&Way)) {
    let couplet = Couplet::binary().display();
    let script = format!("#!/bin/sh\nexec {couplet} stdio {dial}\n");
    fs::write(sshd.file(PROXY), script).unwrap();
    fs::set_permissions(sshd.file(PROXY), fs::Permissions::from_mode(0o755)).unwrap();
    test(&Way { sshd, port: 22 });
}

#[test]
fn ssh_and_rsync_go_over_wss() {
    over_wss(|way| {
        sessions(way);
        rsync(way);
    });
}

#[test]
fn ssh_scp_rsync_and_git_go_through_a_proxy_command() {
    through_a_proxy_command(|way| {
        sessions(way);
        way.scp();
        rsync(way);
        way.repository();
        way.git_clone("clone", "git-upload-pack");
    });
}

fn rsync(way: &Way) {
    way.rsync("tree", "rsync");
}

pub(crate) fn sessions(way: &Way) {
    for number in 0..4 {
        let word = format!("hello-{number}");
        assert_eq!(way.ssh(&format!("echo {word}")).ok().log, word);
    }
    way.ssh("exit 7").with(7);
}

#[test]
fn sessions_through_a_forwarded_port() {
    forwarded(sessions);
}

#[test]
fn sessions_behind_a_nat() {
    behind_a_nat(sessions);
}

#[test]
fn scp_through_a_forwarded_port() {
    forwarded(Way::scp);
}

#[test]
fn scp_behind_a_nat() {
    behind_a_nat(Way::scp);
}

#[test]
fn rsync_through_a_forwarded_port() {
    forwarded(rsync);
}

#[test]
fn rsync_behind_a_nat() {
    behind_a_nat(rsync);
}

#[test]
fn sessions_through_a_compressed_line() {
    compressed(sessions);
}

#[test]
fn rsync_through_a_compressed_line() {
    compressed(rsync);
}
