//! vsock, where the system has it, and the Unix socket of a hypervisor.

use std::net::Shutdown;

use couplet_tests::{
    Couplet, hypervisor,
    net::{accept, connect, dial, expect_closed, listen},
    pattern,
};

#[test]
fn a_port_of_a_machine_is_asked_for_at_its_hypervisor() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("vm.sock");
    let guest = listen();
    hypervisor(&path, 5000, guest.local_addr().unwrap());
    let side = format!("dial:unix:{},vsock-connect=5000", path.display());
    let couplet = Couplet::start(&["listen:0", &side]);
    let (client, served) = (connect(couplet.address('A')), accept(&guest));
    // A server that speaks first.
    pattern::send(&served, 1, 100_000);
    pattern::expect(&client, 1, 100_000);
    pattern::send(&client, 2, 300_000);
    client.shutdown(Shutdown::Write).unwrap();
    pattern::expect_all(&served, 2, 300_000);
    pattern::send(&served, 3, 300_000);
    served.shutdown(Shutdown::Write).unwrap();
    pattern::expect_all(&client, 3, 300_000);
}

#[test]
fn a_port_on_which_no_program_listens_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("vm.sock");
    hypervisor(&path, 5000, listen().local_addr().unwrap());
    let side = format!("dial:unix:{},vsock-connect=22", path.display());
    let couplet = Couplet::start(&["listen:0", &side]);
    expect_closed(&connect(couplet.address('A')));
    let refused = couplet.events("refused", 1).remove(0);
    let error = refused["error"].as_str().unwrap();
    assert!(
        error.contains("no program of the machine listens on port 22"),
        "{error}"
    );
}

#[test]
fn it_is_for_the_unix_socket_of_a_hypervisor() {
    Couplet::run(&["listen:0", "dial:h:1,vsock-connect=22"])
        .with(2)
        .said("`vsock-connect` is for a dialled Unix socket")
        .said("dial:vsock:CID:PORT");
    Couplet::run(&["listen:0", "dial:unix:/x,vsock-connect=all"])
        .with(2)
        .said("`all` is not a port of vsock");
}

/// Nothing goes to the host of this machine in place of the machine itself.
#[test]
fn a_machine_reaches_itself_or_the_start_says_why_not() {
    let server = listen();
    let mut listens = Couplet::command(&["listen:vsock:local:0", &dial(&server), "--once"]);
    let far = couplet_tests::Process::spawn("couplet", listens.arg("--log-format=json"));
    let address = far.look("it listens, or says why not", |lines| {
        lines
            .iter()
            .find_map(|line| match line.split_once("vsock:1:") {
                _ if line.contains("modprobe vsock") => Some(None),
                Some((_, rest)) if line.contains("\"listening\"") => {
                    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
                    Some(Some(format!("dial:vsock:local:{digits}")))
                }
                _ => None,
            })
    });
    let Some(side) = address else {
        far.finish().with(1);
        Couplet::run(&["listen:0", "dial:vsock:local:9"])
            .with(1)
            .said("modprobe vsock");
        return;
    };
    let near = Couplet::start(&["listen:0", &side]);
    let (client, served) = (connect(near.address('A')), accept(&server));
    pattern::send(&client, 1, 3_000_000);
    client.shutdown(Shutdown::Write).unwrap();
    pattern::expect_all(&served, 1, 3_000_000);
    pattern::send(&served, 2, 3_000_000);
    drop(served);
    pattern::expect_all(&client, 2, 3_000_000);
    far.finish().ok();
}

#[test]
fn what_vsock_does_not_have_is_a_mistake_and_explained() {
    for (side, said) in [
        (
            "listen:vsock:9000,allow=10.0.0.0/8",
            "`allow` is for peers with an address",
        ),
        (
            "dial:vsock:3:9000,source=192.0.2.1",
            "`source` is for TCP, not for vsock",
        ),
        (
            "dial:vsock:9000",
            "a dialled machine needs its number (CID)",
        ),
    ] {
        Couplet::run(&["explain", side, "stdio"]).with(2).said(said);
    }
    Couplet::run(&["explain", "listen:vsock:9000", "dial:h:1"])
        .ok()
        .said("a connection that is cut reads as one that has ended")
        .said("A to B: by splice");
}
