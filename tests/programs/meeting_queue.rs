//! Two listening sides at several nodes: the first client of one side is joined with the first of the other, whichever
//! node each came to.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use couplet_tests::{Couplet, net, net::free_port, program, until};
use tempfile::TempDir;

use crate::match_maker::{Brand, Redis};

struct Nodes {
    redis: Redis,
    nodes: Vec<Couplet>,
    ports: Vec<[u16; 4]>,
    scratch: TempDir,
}

// ===== impl Nodes =====

impl Nodes {
    fn start(brand: Brand, number: usize) -> Self {
        let scratch = TempDir::new().unwrap();
        fs::write(scratch.path().join("secret"), "a secret of some bytes\n").unwrap();
        let mut nodes = Self {
            redis: Redis::start(brand),
            nodes: Vec::new(),
            ports: (0..number).map(|_| [0; 4].map(|_| free_port())).collect(),
            scratch,
        };
        for node in 0..number {
            nodes.nodes.push(nodes.node(node, "jobs"));
        }
        nodes
    }

    fn node(&self, node: usize, queue: &str) -> Couplet {
        let [a, b, cluster, admin] = self.ports[node];
        Couplet::start(&[
            &format!("listen:127.0.0.1:{a}"),
            &format!("listen:127.0.0.1:{b}"),
            &format!("--engine={}", self.redis.url()),
            &format!("--cluster=listen:127.0.0.1:{cluster}"),
            &format!(
                "--cluster-secret=@{}",
                self.scratch.path().join("secret").display()
            ),
            &format!("--queue={queue}"),
            "--lease=3s",
            &format!("--admin={admin}"),
        ])
    }

    /// A client comes to a side of a node, and is in line by the time that this returns.
    fn come(&self, node: usize, side: usize, number: u8, waiting: u64) -> TcpStream {
        let address = SocketAddr::from(([127, 0, 0, 1], self.ports[node][side]));
        let mut client = net::connect(address);
        client.write_all(&[number]).unwrap();
        self.offered(waiting);
        client
    }

    /// So many clients are in line, at the match-maker.
    fn offered(&self, number: u64) {
        until("they are in line", || {
            let keys = self.redis.run(&["KEYS", "couplet:*:[ab]"]);
            let lines = keys.lines().filter(|key| !key.is_empty());
            let all = lines.map(|key| self.redis.run(&["ZCARD", key]));
            let all: u64 = all
                .map(|number| number.trim().parse::<u64>().unwrap_or(0))
                .sum();
            (all == number).then_some(())
        });
    }

    fn get(&self, node: usize, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}/{path}", self.ports[node][3]);
        let output = program("curl").args(["-s", &url]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The number of the partner.
fn partner(client: &mut TcpStream) -> u8 {
    let mut heard = [0];
    client.read_exact(&mut heard).unwrap();
    heard[0]
}

fn first_come_first_joined(brand: Brand) {
    let nodes = Nodes::start(brand, 3);
    // In turn at each node, also of both sides of one node.
    let at = [0, 1, 2, 2, 1, 0, 0, 2, 1];
    let mut waiting: Vec<_> = (0..)
        .zip(at)
        .map(|(number, node)| nodes.come(node, 0, number, u64::from(number) + 1))
        .collect();
    for (number, node) in (0..).zip([1, 1, 0, 2, 0, 2, 1, 0, 2]) {
        let left = 8 - u64::from(number);
        let mut client = nodes.come(node, 1, 100 + number, left);
        assert_eq!(partner(&mut client), number, "at node {node}");
        assert_eq!(partner(&mut waiting[usize::from(number)]), 100 + number);
    }
}

#[test]
fn the_first_to_come_are_joined_first_whichever_node_each_came_to() {
    first_come_first_joined(Brand::Redis);
}

#[test]
fn the_same_with_valkey() {
    first_come_first_joined(Brand::Valkey);
}

#[test]
fn clients_of_another_queue_are_not_met() {
    let nodes = Nodes::start(Brand::Redis, 1);
    let others = Nodes {
        redis: Redis::start(Brand::Redis),
        nodes: Vec::new(),
        ports: vec![[0; 4].map(|_| free_port())],
        scratch: TempDir::new().unwrap(),
    };
    drop(others.redis);
    let [a, b, cluster, _] = others.ports[0];
    let _other = Couplet::start(&[
        &format!("listen:127.0.0.1:{a}"),
        &format!("listen:127.0.0.1:{b}"),
        &format!("--engine={}", nodes.redis.url()),
        &format!("--cluster=listen:127.0.0.1:{cluster}"),
        &format!(
            "--cluster-secret=@{}",
            nodes.scratch.path().join("secret").display()
        ),
        "--queue=other",
    ]);
    let mut one = nodes.come(0, 0, 1, 1);
    let mut stranger = net::connect(([127, 0, 0, 1], b).into());
    stranger.write_all(&[2]).unwrap();
    nodes.offered(2);
    let mut other = nodes.come(0, 1, 3, 1);
    assert_eq!((partner(&mut one), partner(&mut other)), (3, 1));
}

#[test]
fn without_the_match_maker_each_node_joins_its_own_in_their_order() {
    let nodes = Nodes::start(Brand::Redis, 2);
    // One that the match-maker knows, at the other node.
    let mut there = nodes.come(1, 0, 9, 1);
    nodes.redis.kill();
    let address = |side: usize| SocketAddr::from(([127, 0, 0, 1], nodes.ports[0][side]));
    let come = |side: usize, number: u8| {
        let mut client = net::connect(address(side));
        client.write_all(&[number]).unwrap();
        client
    };
    let mut first = come(0, 1);
    until("it is degraded", || {
        nodes.get(0, "ready").contains("degraded").then_some(())
    });
    let mut second = come(0, 2);
    nodes.nodes[0].events("waits for a partner with the same key", 2);
    for waiting in [(&mut first, 1, 101), (&mut second, 2, 102)] {
        let (waiting, number, partners) = waiting;
        let mut client = come(1, partners);
        assert_eq!(partner(&mut client), number);
        assert_eq!(partner(waiting), partners);
    }
    // Another waits for the other node's, until the match-maker is back.
    let mut third = come(1, 103);
    nodes.redis.restart();
    assert_eq!((partner(&mut third), partner(&mut there)), (9, 103));
}
