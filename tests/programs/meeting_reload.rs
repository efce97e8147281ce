//! A service with nodes of a cluster: reloads, and a new process in place of the one that runs.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use couplet_tests::{Couplet, net, net::free_port, until};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::match_maker::{Brand, Redis};

/// A service with a node of its file, and a node of its own.
struct Rig {
    scratch: TempDir,
    redis: Redis,
    /// Of the clients and of the cluster, at the service and at the other node.
    ports: [[u16; 2]; 2],
    other: Option<Couplet>,
}

// ===== impl Rig =====

impl Rig {
    fn new() -> Self {
        let scratch = TempDir::new().unwrap();
        fs::write(scratch.path().join("secret"), "a secret of some bytes\n").unwrap();
        let mut rig = Self {
            scratch,
            redis: Redis::start(Brand::Redis),
            ports: [0; 2].map(|_| [0; 2].map(|_| free_port())),
            other: None,
        };
        rig.write("");
        let [clients, cluster] = rig.ports[1];
        rig.other = Some(Couplet::start(&[
            "rendezvous",
            &format!("listen:127.0.0.1:{clients}"),
            &format!("--engine={}", rig.redis.url()),
            &format!("--cluster=listen:127.0.0.1:{cluster}"),
            &format!("--cluster-secret=@{}", rig.path("secret")),
            "--node-name=other",
            "--lease=3s",
        ]));
        rig
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path().join(name).display().to_string()
    }

    /// The file has these keys of the node beside.
    fn write(&self, more: &str) {
        let [clients, cluster] = self.ports[0];
        let text = format!(
            "log-format = 'json'\n[rendezvous.meet]\na = 'listen:127.0.0.1:{clients}'\nengine = '{}'\n\
             cluster = 'listen:127.0.0.1:{cluster}'\ncluster-secret = '@{}'\nnode-name = 'one'\nlease = '3s'\n{more}",
            self.redis.url(),
            self.path("secret"),
        );
        fs::write(self.path("couplet.toml"), text).unwrap();
    }

    fn start(&self) -> Couplet {
        let take_over = format!("--take-over={}", self.path("next.sock"));
        let service = Couplet::start_text(&["run", &self.path("couplet.toml"), &take_over]);
        service.events("all relays run", 1);
        service
    }

    /// A client of this key and side comes to a node.
    fn come(&self, node: usize, key: u32, side: char) -> TcpStream {
        let mut client = net::connect(SocketAddr::from(([127, 0, 0, 1], self.ports[node][0])));
        writeln!(client, "couplet/1 {key:032x} {side}").unwrap();
        client
    }

    /// So many clients are offered to other nodes.
    fn offered(&self, number: u64) {
        until("they are offered", || {
            let keys = self.redis.run(&["KEYS", "couplet:*:[abn]"]);
            let keys = keys.lines().filter(|key| !key.is_empty());
            let all = keys.map(|key| self.redis.run(&["ZCARD", key]));
            let all: u64 = all
                .map(|number| number.trim().parse::<u64>().unwrap_or(0))
                .sum();
            (all == number).then_some(())
        });
    }

    /// Clients of both nodes meet, whichever came first.
    fn meet(&self, key: u32) -> [TcpStream; 2] {
        let mut waits = self.come((key % 2) as usize, key, 'a');
        self.offered(1);
        let mut comes = self.come(((key + 1) % 2) as usize, key, 'b');
        joined(&mut waits, &mut comes);
        [waits, comes]
    }
}

/// The two are each other's partners.
fn joined(one: &mut TcpStream, other: &mut TcpStream) {
    for client in [&mut *one, &mut *other] {
        let mut answer = [0; 3];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ok\n");
    }
    talk(one, other);
}

fn talk(one: &mut TcpStream, other: &mut TcpStream) {
    for said in [b"hello", b"again"] {
        one.write_all(said).unwrap();
        let mut heard = [0; 5];
        other.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, said);
        other.write_all(said).unwrap();
        one.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, said);
    }
}

fn reload(service: &Couplet, times: usize) {
    service.signal(Signal::HUP);
    service.events("reloaded", times);
}

#[test]
fn a_reload_leaves_a_node_as_it_is_that_has_not_changed() {
    let rig = Rig::new();
    let service = rig.start();
    let [mut one, mut other] = rig.meet(1);
    let mut waits = rig.come(0, 2, 'a');
    rig.offered(1);
    reload(&service, 1);
    // Its offer was neither taken back nor made again.
    rig.offered(1);
    let mut comes = rig.come(1, 2, 'b');
    joined(&mut waits, &mut comes);
    talk(&mut one, &mut other);
}

#[test]
fn clients_of_a_node_that_is_changed_wait_on_and_are_met_by_those_of_others() {
    let rig = Rig::new();
    let service = rig.start();
    let [mut one, mut other] = rig.meet(1);
    let mut waiting: Vec<_> = (10..14).map(|key| rig.come(0, key, 'a')).collect();
    rig.offered(4);
    // The same name and address, another setting; then another name.
    for (round, more) in [(1, "idle-timeout = '1h'\n"), (2, "idle-timeout = '2h'\n")] {
        rig.write(more);
        reload(&service, round);
        let mut waits = waiting.pop().unwrap();
        let mut comes = rig.come(1, 9 + waiting.len() as u32 + 1, 'b');
        joined(&mut waits, &mut comes);
        // And one that comes to the same node.
        let mut waits = waiting.pop().unwrap();
        let mut comes = rig.come(0, 9 + waiting.len() as u32 + 1, 'b');
        joined(&mut waits, &mut comes);
        talk(&mut one, &mut other);
    }
    // No offer of the node before is left.
    rig.offered(0);
    rig.meet(20);
    rig.meet(21);
}

#[test]
fn a_new_process_takes_a_node_over_and_its_clients_come_again() {
    let rig = Rig::new();
    let first = rig.start();
    let [mut one, mut other] = rig.meet(1);
    let waits = rig.come(0, 2, 'a');
    rig.offered(1);
    let second = rig.start();
    // The client that waited is let go, and comes to the new process.
    net::expect_closed(&waits);
    let mut waits = rig.come(0, 2, 'a');
    rig.offered(1);
    let mut comes = rig.come(1, 2, 'b');
    joined(&mut waits, &mut comes);
    rig.meet(3);
    rig.meet(4);
    // The live pair is the old process's, until it ends.
    talk(&mut one, &mut other);
    drop((one, other));
    first.finish();
    talk(&mut waits, &mut comes);
    drop(second);
}

#[test]
fn a_relay_becomes_a_node_and_is_none_any_more_at_a_reload() {
    let rig = Rig::new();
    let [clients, _] = rig.ports[0];
    let alone =
        format!("log-format = 'json'\n[rendezvous.meet]\na = 'listen:127.0.0.1:{clients}'\n");
    fs::write(rig.path("couplet.toml"), &alone).unwrap();
    let service = rig.start();
    let mut waits = rig.come(0, 1, 'a');
    service.events("waits for a partner with the same key", 1);
    rig.write("");
    reload(&service, 1);
    let mut comes = rig.come(1, 1, 'b');
    joined(&mut waits, &mut comes);
    let mut waits = rig.come(0, 2, 'a');
    rig.offered(1);
    fs::write(rig.path("couplet.toml"), &alone).unwrap();
    reload(&service, 2);
    rig.offered(0);
    let mut comes = rig.come(0, 2, 'b');
    joined(&mut waits, &mut comes);
}
