//! A guest that may goes to the node where its partner waits, and to no other address.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use couplet_tests::{Couplet, net, net::free_port, pattern, until};
use tempfile::TempDir;

use crate::match_maker::{Brand, Redis};

/// Two nodes, a server behind a pool at the first, and guests at the second.
struct Rig {
    scratch: TempDir,
    redis: Redis,
    nodes: Vec<Couplet>,
    server: TcpListener,
}

// ===== impl Rig =====

impl Rig {
    /// `public` is where clients are told that the first node is; `PORT` in it is its port.
    fn start(public: &str) -> Self {
        let scratch = TempDir::new().unwrap();
        fs::write(scratch.path().join("secret"), "a secret of some bytes\n").unwrap();
        let mut rig = Self {
            scratch,
            redis: Redis::start(Brand::Redis),
            nodes: Vec::new(),
            server: net::listen(),
        };
        for node in 0..2 {
            let clients = free_port();
            let public = public.replace("PORT", &clients.to_string());
            let mut args = vec![
                "rendezvous".to_owned(),
                format!("listen:127.0.0.1:{clients}"),
                format!("--engine={}", rig.redis.url()),
                format!("--cluster=listen:127.0.0.1:{}", free_port()),
                format!(
                    "--cluster-secret=@{}",
                    rig.scratch.path().join("secret").display()
                ),
                format!("--node-name=node-{node}"),
                "--lease=3s".to_owned(),
            ];
            if node == 0 {
                args.push(format!("--public-addr={public}"));
            }
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            rig.nodes.push(Couplet::start(&args));
        }
        rig
    }

    fn node(&self, node: usize) -> SocketAddr {
        self.nodes[node].address('A')
    }

    /// What waits at the first node.
    fn home(&self, options: &str) -> Couplet {
        let home = Couplet::start(&[
            &format!("dial:{},rendezvous=a key,keep=1{options}", self.node(0)),
            &net::dial(&self.server),
        ]);
        self.nodes[0].events("waits for a partner with the same key", 1);
        home
    }

    /// The guests' own relay.
    fn guest(&self, options: &str) -> Couplet {
        Couplet::start(&[
            "listen:0",
            &format!("dial:{},rendezvous=a key{options}", self.node(1)),
        ])
    }

    /// A client of the guest talks to the server.
    fn talk(&self, guest: &Couplet) -> [TcpStream; 2] {
        let client = net::connect(guest.address('A'));
        let server = net::accept(&self.server);
        for (from, to) in [(&client, &server), (&server, &client)] {
            thread::scope(|scope| {
                scope.spawn(|| pattern::send(from, 7, 100_000));
                pattern::expect(to, 7, 100_000);
            });
        }
        [client, server]
    }
}

#[test]
fn a_guest_goes_to_the_node_where_its_partner_waits() {
    let rig = Rig::start("127.0.0.1:PORT");
    let _home = rig.home("");
    let port = rig.node(0).port();
    let guest = rig.guest(&format!(",rendezvous.redirect=127.0.0.0/8:{port}"));
    let [client, server] = rig.talk(&guest);
    guest.events("partner waits at another relay", 1);
    // The pair is the first node's alone, and no node has dialled another for it.
    rig.nodes[0].joined(1);
    let told = rig.nodes[1].events(
        "partner waits at another node, to which the client is sent",
        1,
    );
    assert_eq!(told[0]["to"], rig.node(0).to_string());
    assert!(!rig.nodes[1].lines().concat().contains("\"joined\""));
    // Half-close passes, as within a node.
    client.shutdown(std::net::Shutdown::Write).unwrap();
    net::expect_end(&server);
    drop(server);
    net::expect_end(&client);
}

#[test]
fn a_pool_with_its_guest_before_it_goes_to_the_guest() {
    let rig = Rig::start("127.0.0.1:PORT");
    // The one that waits is the client; the pool comes last, to the other node.
    let mut waits = net::connect(rig.node(0));
    let key = couplet_key("a key");
    writeln!(waits, "couplet/1 {key} b").unwrap();
    rig.nodes[0].events("waits for a partner with the same key", 1);
    let port = rig.node(0).port();
    let pool = Couplet::start(&[
        &format!(
            "dial:{},rendezvous=a key,rendezvous.redirect=127.0.0.1:{port},keep=2",
            rig.node(1)
        ),
        &net::dial(&rig.server),
    ]);
    let mut answer = [0; 3];
    waits.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ok\n");
    let server = net::accept(&rig.server);
    pattern::send(&server, 3, 5000);
    pattern::expect(&waits, 3, 5000);
    rig.nodes[0].joined(1);
    drop(pool);
}

#[test]
fn a_guest_goes_to_no_address_that_it_may_not_and_is_forwarded() {
    // An address that no machine has, and one that the guest does not name.
    for (public, redirect) in [
        ("192.0.2.1:PORT", ",rendezvous.redirect=127.0.0.1"),
        ("127.0.0.1:PORT", ",rendezvous.redirect=192.0.2.0/24"),
        ("127.0.0.1:PORT", ",rendezvous.redirect=127.0.0.1:1"),
    ] {
        let rig = Rig::start(public);
        let _home = rig.home("");
        let guest = rig.guest(redirect);
        let _pair = rig.talk(&guest);
        let told = guest.events("relay of the partner can't be reached from here", 1);
        assert!(
            told[0]["error"].to_string().contains("does not name it"),
            "{told:?}"
        );
        for node in &rig.nodes {
            node.joined(1);
        }
    }
}

#[test]
fn a_guest_whose_way_to_the_node_is_cut_is_forwarded() {
    // No program listens there.
    let port = free_port();
    let rig = Rig::start(&format!("127.0.0.1:{port}"));
    let _home = rig.home("");
    let guest = rig.guest(&format!(",rendezvous.redirect=127.0.0.0/8:{port}"));
    let _pair = rig.talk(&guest);
    let told = guest.events("relay of the partner can't be reached from here", 1);
    assert!(
        told[0]["error"].to_string().contains("cannot dial"),
        "{told:?}"
    );
    for node in &rig.nodes {
        node.joined(1);
    }
}

#[test]
fn a_guest_that_does_not_follow_is_never_sent_elsewhere() {
    let rig = Rig::start("127.0.0.1:PORT");
    let _home = rig.home("");
    let guest = rig.guest("");
    let _pair = rig.talk(&guest);
    let heard = rig.nodes[1].lines().concat();
    assert!(!heard.contains("to which the client is sent"), "{heard}");
    for node in &rig.nodes {
        node.joined(1);
    }
}

#[test]
fn a_pool_at_each_node_needs_no_redirect() {
    let rig = Rig::start("127.0.0.1:PORT");
    let home = rig.home(",rendezvous.redirect=127.0.0.1");
    let second = Couplet::start(&[
        &format!("dial:{},rendezvous=a key,keep=1", rig.node(1)),
        &net::dial(&rig.server),
    ]);
    rig.nodes[1].events("waits for a partner with the same key", 1);
    let port = rig.node(0).port();
    let guest = rig.guest(&format!(",rendezvous.redirect=127.0.0.1:{port}"));
    let _pair = rig.talk(&guest);
    rig.nodes[1].joined(1);
    until("the pool waits again", || {
        let told = rig.nodes[1].lines().concat();
        (told
            .matches("waits for a partner with the same key")
            .count()
            >= 2)
            .then_some(())
    });
    drop((home, second));
}

/// `printf %s NAME | sha256sum | cut -c-32`
fn couplet_key(name: &str) -> String {
    let output = couplet_tests::program("bash")
        .args([
            "-c",
            "printf %s \"$1\" | sha256sum | cut -c-32 | tr -d '\\n'",
            "bash",
            name,
        ])
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}
