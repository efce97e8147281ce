//! Routes from one relay of a file to another: one port, and a stack for each kind of client.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
};

use couplet_tests::{
    Couplet, finish,
    net::{accept, connect, connect_from, dial, expect_end, expect_reset, listen},
    pattern,
};
use rustix::process::Signal;

use crate::tls::{Pki, web};

/// A file with a relay that has routes, and with those to which they lead.
struct Rig {
    couplet: Couplet,
    folder: tempfile::TempDir,
    /// Where clients go for which there is no route.
    rest: TcpListener,
}

impl Rig {
    fn new(routes: &str, relays: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rest = listen();
        let text = format!(
            "log-format = 'json'\n\n[relay.edge]\na = 'listen:127.0.0.1:0,sniff=200ms'\n\
             b = '{},route=@routes'\nidle-timeout = '1h'\n{relays}",
            dial(&rest)
        );
        fs::write(folder.path().join("routes"), routes).unwrap();
        fs::write(folder.path().join("couplet.toml"), text).unwrap();
        let couplet = Couplet::start_text(&["run", &file(folder.path())]);
        couplet.events("all relays run", 1);
        Self {
            couplet,
            folder,
            rest,
        }
    }

    fn speaks(&self, bytes: &[u8]) -> TcpStream {
        let client = connect(self.couplet.address('A'));
        (&client).write_all(bytes).unwrap();
        client
    }

    /// Reads the file, and the routes, again.
    fn reload(&self, from: &str, to: &str, times: usize) {
        for name in ["routes", "couplet.toml"] {
            let path = self.folder.path().join(name);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace(from, to)).unwrap();
        }
        self.couplet.signal(Signal::HUP);
        self.couplet.events("reloaded", times);
    }
}

fn file(folder: &Path) -> String {
    folder.join("couplet.toml").display().to_string()
}

#[track_caller]
fn served(by: &TcpListener, client: &TcpStream, first: &[u8]) -> TcpStream {
    let server = accept(by);
    let mut heard = vec![0; first.len()];
    (&server).read_exact(&mut heard).unwrap();
    assert_eq!(heard, first);
    pattern::send(client, 1, 300_000);
    pattern::expect(&server, 1, 300_000);
    pattern::send(&server, 2, 300_000);
    pattern::expect(client, 2, 300_000);
    server
}

const SSH: &[u8] = b"SSH-2.0-test\r\n";

#[test]
fn one_port_has_a_stack_for_each_kind_of_client() {
    let pki = Pki::new();
    let (web, serving) = web(1);
    let certificate = pki.certificate("a.test");
    let key = pki.key("a.test");
    let (passed, ssh) = (listen(), listen());
    let relays = format!(
        "[relay.web]\na = 'listen:routes,tls={certificate},tls.key={key}'\nb = '{web}'\n\
         [relay.ssh]\na = 'listen:routes,max-per-addr=1'\nb = '{}'\n",
        dial(&ssh)
    );
    let routes = format!(
        "tls:a.test relay:web\ntls {}\nssh relay:ssh\n",
        passed.local_addr().unwrap()
    );
    let rig = Rig::new(&routes, &relays);

    let mut curl = pki.curl(&rig.couplet, "a.test");
    assert_eq!(finish("curl", &mut curl).ok().log, "hello");
    serving.join().unwrap();

    let client = rig.speaks(SSH);
    let server = served(&ssh, &client, SSH);
    // The limit is the other relay's.
    let other = connect_from([127, 0, 0, 2], rig.couplet.address('A'));
    (&other).write_all(SSH).unwrap();
    served(&ssh, &other, SSH);
    expect_reset(&rig.speaks(SSH));
    // Ends and resets pass as they do elsewhere.
    drop(server);
    expect_end(&client);
    let client = rig.speaks(b"something else\n");
    served(&rig.rest, &client, b"something else\n");
}

#[test]
fn a_reload_changes_where_routes_lead_and_loses_no_client() {
    let (one, two) = (listen(), listen());
    let relays = format!(
        "[relay.one]\na = 'listen:routes'\nb = '{}'\n[relay.two]\na = 'listen:routes'\nb = '{}'\n",
        dial(&one),
        dial(&two)
    );
    let rig = Rig::new("ssh relay:one\nhttp relay:two\n", &relays);
    let first = rig.speaks(SSH);
    let server = served(&one, &first, SSH);
    rig.reload(
        "ssh relay:one\nhttp relay:two",
        "ssh relay:two\nhttp relay:one",
        1,
    );
    let second = rig.speaks(SSH);
    served(&two, &second, SSH);
    // Another stack of the relay, and the same queue.
    rig.reload("a = 'listen:routes'", "a = 'listen:routes,max-conns=9'", 2);
    let third = rig.speaks(SSH);
    served(&two, &third, SSH);
    pattern::send(&server, 3, 1000);
    pattern::expect(&first, 3, 1000);
}

#[test]
fn a_line_may_lead_to_one_of_several_targets() {
    let (one, two) = (listen(), listen());
    let routes = format!(
        "ssh {}|{}\n",
        one.local_addr().unwrap(),
        two.local_addr().unwrap()
    );
    let rig = Rig::new(&routes, "");
    // The first, as long as it is there; what became of it is known to the next client.
    for _ in 0..2 {
        let client = rig.speaks(SSH);
        served(&one, &client, SSH);
    }
    let gone = one.local_addr().unwrap();
    drop(one);
    couplet_tests::net::listens_no_more(gone);
    for _ in 0..4 {
        let client = rig.speaks(SSH);
        served(&two, &client, SSH);
    }
    let down = rig.couplet.events("target is down", 1);
    assert_eq!(down[0]["target"], gone.to_string());
    // Another file, with the other way to balance of the side.
    let (three, four) = (listen(), listen());
    let more = format!(
        "ssh {}|{}\n",
        three.local_addr().unwrap(),
        four.local_addr().unwrap()
    );
    rig.reload(&routes, &more, 1);
    rig.reload("route=@routes", "route=@routes,balance=round-robin", 2);
    for server in [&three, &four, &three, &four] {
        let client = rig.speaks(SSH);
        served(server, &client, SSH);
    }
}

#[test]
fn a_relay_that_has_ended_takes_no_connection() {
    let target = listen();
    let relays = format!(
        "[relay.one]\na = 'listen:routes'\nb = '{}'\nonce = true\n",
        dial(&target)
    );
    let rig = Rig::new("ssh relay:one\n", &relays);
    let client = rig.speaks(SSH);
    drop(served(&target, &client, SSH));
    drop(client);
    rig.couplet.events("the relay has ended", 1);
    expect_reset(&rig.speaks(SSH));
    let refused = rig.couplet.events("refused", 1).remove(0);
    assert!(
        refused["error"]
            .as_str()
            .unwrap()
            .contains("no relay `one`")
    );
}

#[test]
fn routes_that_lead_nowhere_are_mistakes_of_the_file() {
    for (routes, relays, message, hint) in [
        (
            "ssh relay:onr",
            "[relay.one]\na = 'listen:routes'\nb = 'dial:[::1]:1'\n",
            "there is no relay `onr`",
            "did you mean `one`?",
        ),
        (
            "ssh relay:one",
            "[relay.one]\na = 'listen:0'\nb = 'dial:[::1]:1'\n",
            "`one` takes no connections of routes",
            "`a = \"listen:routes\"`",
        ),
        (
            "ssh refuse",
            "[relay.one]\na = 'listen:routes'\nb = 'dial:[::1]:1'\n",
            "no route leads to relay `one`",
            "relay:one",
        ),
        (
            "ssh relay:one",
            "[relay.one]\na = 'listen:routes,sniff'\nb = 'dial:[::1]:1,route=@routes'\n",
            "leads back to `one`",
            "without a circle",
        ),
        (
            "ssh relay:one",
            "[relay.one]\na = 'listen:routes,keep-alive=off'\nb = 'dial:[::1]:1'\n",
            "`keep-alive` is for a socket",
            "`listen:routes` has allow",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let edge = "[relay.edge]\na = 'listen:0,sniff'\nb = 'dial:[::1]:2,route=@routes'\n";
        fs::write(folder.path().join("routes"), routes).unwrap();
        fs::write(folder.path().join("couplet.toml"), edge.to_owned() + relays).unwrap();
        let said = Couplet::run(&["check", &file(folder.path())]).with(2);
        said.said(message).said(hint);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("routes");
    fs::write(&path, "ssh relay:one\n").unwrap();
    let side = format!("dial:[::1]:1,route=@{}", path.display());
    let alone = Couplet::run(&["listen:0,sniff", &side]).with(2);
    alone
        .said("a route leads to relay `one`")
        .said("couplet run FILE");
    let alone = Couplet::run(&["listen:routes", "dial:[::1]:1"]).with(2);
    alone.said("this one is alone").said("couplet run FILE");
}
