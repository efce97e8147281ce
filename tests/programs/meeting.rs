//! Clients that came to different nodes meet, by a real Redis: with everything that can go wrong.
//!
//! `COUPLET_MEETING_PAIRS=10000` makes more pairs.

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use couplet_tests::{Couplet, net::free_port, program, until};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    crowd::Crowd,
    match_maker::{Brand, Redis},
};

/// Three nodes at fixed ports, some of which are dead at times.
struct Nodes {
    secret: String,
    engine: String,
    ports: Vec<[u16; 3]>,
    alive: Mutex<Vec<Option<Couplet>>>,
    _scratch: TempDir,
}

impl Nodes {
    fn start(redis: &Redis, number: usize) -> Self {
        let scratch = TempDir::new().unwrap();
        let secret = scratch.path().join("secret");
        fs::write(&secret, "a secret of some bytes\n").unwrap();
        let nodes = Self {
            secret: format!("--cluster-secret=@{}", secret.display()),
            engine: format!("--engine={}", redis.url()),
            ports: (0..number).map(|_| [0; 3].map(|_| free_port())).collect(),
            alive: Mutex::new((0..number).map(|_| None).collect()),
            _scratch: scratch,
        };
        for node in 0..number {
            nodes.revive(node);
        }
        nodes
    }

    fn revive(&self, node: usize) {
        let [clients, cluster, admin] = self.ports[node];
        let couplet = Couplet::start(&[
            "rendezvous",
            &format!("listen:127.0.0.1:{clients}"),
            "--max-waiting=100000",
            &self.engine,
            &format!("--cluster=listen:127.0.0.1:{cluster}"),
            &self.secret,
            &format!("--node-name=node-{node}"),
            "--lease=3s",
            &format!("--admin={admin}"),
        ]);
        self.alive.lock().unwrap()[node] = Some(couplet);
    }

    fn kill(&self, node: usize) {
        let killed = self.alive.lock().unwrap()[node].take();
        drop(killed);
    }

    fn address(&self, node: usize) -> SocketAddr {
        ([127, 0, 0, 1], self.ports[node][0]).into()
    }

    fn get(&self, node: usize, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}/{path}", self.ports[node][2]);
        let output = program("curl").args(["-s", &url]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// A count of all nodes together, as their metrics tell it.
    fn count(&self, event: &str) -> u64 {
        let series = format!("event=\"{event}\"}} ");
        let all = (0..self.ports.len()).map(|node| {
            let metrics = self.get(node, "metrics");
            let line = metrics.lines().find(|line| line.contains(&series));
            line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
                .unwrap_or(0)
        });
        all.sum()
    }
}

struct Test {
    nodes: Nodes,
    crowd: Arc<Crowd>,
}

/// So many pairs meet, a hundred at a time, while trouble goes on. Returns what it was like.
fn meet(
    brand: Brand,
    pairs: u64,
    trouble: impl FnOnce(&Redis, &Test, &AtomicBool) + Send,
) -> (Test, Redis) {
    let redis = Redis::start(brand);
    let nodes = Nodes::start(&redis, 3);
    let addresses = (0..3).map(|node| nodes.address(node)).collect();
    let crowd = Arc::new(Crowd::new(addresses));
    let test = Test { nodes, crowd };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| trouble(&redis, &test, &over));
        // Also where it panics, so that the trouble ends.
        let _over = Over(&over);
        test.crowd.meet(pairs, Duration::ZERO, || true);
    });
    let book = test.crowd.book.lock().unwrap();
    println!(
        "{pairs} pairs met; {} attempts failed, {} of them with no node killed meanwhile; {} nodes killed; there {}, here {}, kept ready {}, gone {}, unreachable {}, unclaimed {}",
        book.failed.len(),
        book.dropped_live.len(),
        test.crowd.kills(),
        test.nodes.count("joined_there"),
        test.nodes.count("joined_here"),
        test.nodes.count("kept_ready"),
        test.nodes.count("gone_there"),
        test.nodes.count("unreachable"),
        test.nodes.count("unclaimed"),
    );
    drop(book);
    (test, redis)
}

/// Ends the trouble.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn pairs(brand: Brand) -> u64 {
    let pairs = std::env::var("COUPLET_MEETING_PAIRS").ok();
    pairs.map_or_else(
        || match brand {
            Brand::Redis => 500,
            Brand::Valkey => 200,
        },
        |pairs| pairs.parse().unwrap(),
    )
}

/// Each test on each of the servers.
macro_rules! on_each_server {
    ($($name:ident,)*) => {
        mod redis {
            $(#[test]
            fn $name() {
                super::$name(super::Brand::Redis);
            })*
        }
        mod valkey {
            $(#[test]
            fn $name() {
                super::$name(super::Brand::Valkey);
            })*
        }
    };
}

on_each_server! {
    clients_of_three_nodes_meet_and_no_byte_is_lost,
    a_match_maker_that_is_wiped_paused_full_and_killed_loses_nobody,
    nodes_that_are_killed_take_only_their_own_clients_with_them,
    a_node_without_its_match_maker_is_ready_and_degraded_and_joins_its_own_clients,
}

fn clients_of_three_nodes_meet_and_no_byte_is_lost(brand: Brand) {
    let (test, _redis) = meet(brand, pairs(brand), |_, _, _| {});
    let book = test.crowd.book.lock().unwrap();
    assert_eq!(
        book.failed.len(),
        0,
        "nothing went wrong, and nobody had to come again"
    );
    // Two of three pairs cross nodes.
    let (there, here) = (
        test.nodes.count("joined_there"),
        test.nodes.count("joined_here"),
    );
    assert_eq!(there, here);
    assert!(there > 0);
}

fn a_match_maker_that_is_wiped_paused_full_and_killed_loses_nobody(brand: Brand) {
    let (test, _redis) = meet(brand, pairs(brand), |redis, _, over| {
        for round in 0.. {
            if over.load(Ordering::SeqCst) {
                return;
            }
            match round % 5 {
                0 => drop(redis.run(&["FLUSHALL"])),
                1 => drop(redis.run(&["CLIENT", "PAUSE", "1500", "ALL"])),
                2 => drop(redis.run(&["SCRIPT", "FLUSH"])),
                3 => {
                    redis.run(&["CONFIG", "SET", "maxmemory", "1"]);
                    thread::sleep(Duration::from_millis(500));
                    redis.run(&["CONFIG", "SET", "maxmemory", "0"]);
                }
                _ => redis.restart(),
            }
            thread::sleep(Duration::from_millis(300));
        }
    });
    let book = test.crowd.book.lock().unwrap();
    assert_eq!(
        book.failed.len(),
        0,
        "the nodes live, so nobody had to come again"
    );
}

fn nodes_that_are_killed_take_only_their_own_clients_with_them(brand: Brand) {
    let (test, _redis) = meet(brand, pairs(brand), |redis, test, over| {
        for round in 0.. {
            if over.load(Ordering::SeqCst) {
                return;
            }
            test.crowd.kill(|| test.nodes.kill(round % 3));
            thread::sleep(Duration::from_millis(300));
            test.nodes.revive(round % 3);
            if round % 4 == 3 {
                redis.run(&["FLUSHALL"]);
            }
            thread::sleep(Duration::from_millis(700));
        }
    });
    assert!(test.crowd.kills() > 0);
}

fn a_node_without_its_match_maker_is_ready_and_degraded_and_joins_its_own_clients(brand: Brand) {
    let redis = Redis::start(brand);
    let nodes = Nodes::start(&redis, 1);
    assert_eq!(nodes.get(0, "ready"), r#"{"not_ready":{},"ready":true}"#);
    redis.kill();
    let crowd = Arc::new(Crowd::new(vec![nodes.address(0)]));
    let test = Test { nodes, crowd };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        tokio::join!(test.crowd.client(1, b'a'), test.crowd.client(1, b'b'));
    });
    // One that waits alone finds out.
    let waits = runtime.spawn(TcpStream::connect(test.nodes.address(0)));
    let mut waits = runtime.block_on(waits).unwrap().unwrap();
    runtime
        .block_on(waits.write_all(format!("couplet/1 {:032x}\n", 9).as_bytes()))
        .unwrap();
    let degraded = r#"{"degraded":{"relay":"match-maker away"},"not_ready":{},"ready":true}"#;
    until("it is degraded", || {
        (test.nodes.get(0, "ready") == degraded).then_some(())
    });
    // It tries again and again, and does nothing else.
    test.nodes.alive.lock().unwrap()[0].as_ref().unwrap().rest();
    redis.restart();
    let ready = r#"{"not_ready":{},"ready":true}"#;
    until("it is not degraded", || {
        (test.nodes.get(0, "ready") == ready).then_some(())
    });
    let metrics = test.nodes.get(0, "metrics");
    assert!(metrics.contains("couplet_engine_connected{relay=\"relay\"} 1"));
    // Each event of the page, and no other.
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/meeting.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, page) = page.split_once("| `event` | |\n|---|---|\n").unwrap();
    let rows = page.lines().take_while(|line| line.starts_with("| "));
    let mut events: Vec<_> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap().split(','))
        .map(|event| event.trim().trim_matches('`'))
        .collect();
    let shown = metrics.lines().filter_map(|line| {
        let (_, event) = line
            .strip_prefix("couplet_meeting_events_total{")?
            .split_once("event=\"")?;
        Some(event.split('"').next().unwrap())
    });
    let mut shown: Vec<_> = shown.collect();
    events.sort_unstable();
    shown.sort_unstable();
    assert_eq!(events, shown);
}
