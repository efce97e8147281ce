//! Three nodes and a Redis with a replica and a sentinel, each in a namespace of its own, and clients that come to
//! random nodes while links are cut and bad, nodes are killed, and Redis has trouble of every kind.
//!
//! `COUPLET_MEETING_PAIRS=10000` makes more pairs.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use couplet_tests::{Couplet, Process, need, until};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{crowd::Crowd, is_wanted, match_maker::Brand, mesh::Mesh};

/// The places of the mesh, by the last number of their addresses.
const NODES: [usize; 3] = [2, 3, 4];
const REDIS: usize = 5;

const MASTER: u16 = 6379;
const REPLICA: u16 = 6380;
const SENTINEL: u16 = 26379;

/// How many kinds of trouble there are.
const TROUBLES: usize = 11;

/// How long each trouble lasts.
const LASTS: Duration = Duration::from_secs(2);

struct Cluster {
    brand: Brand,
    mesh: Mesh,
    scratch: TempDir,
    /// By their ports.
    redis: Mutex<Vec<(u16, Process)>>,
    nodes: Mutex<Vec<Option<Couplet>>>,
}

// ===== impl Cluster =====

impl Cluster {
    fn start(brand: Brand) -> Self {
        let scratch = TempDir::new().unwrap();
        fs::write(scratch.path().join("secret"), "a secret of some bytes\n").unwrap();
        let cluster = Self {
            brand,
            mesh: Mesh::new(5),
            scratch,
            redis: Mutex::default(),
            nodes: Mutex::new(NODES.iter().map(|_| None).collect()),
        };
        let ip = cluster.mesh.places[REDIS - 1].ip.to_string();
        cluster.server(MASTER, &[]);
        cluster.server(REPLICA, &["--replicaof", &ip, "6379"]);
        let file = cluster.scratch.path().join("sentinel.conf");
        let watched = format!(
            "port {SENTINEL}\nprotected-mode no\nsentinel monitor main {ip} {MASTER} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
        );
        fs::write(&file, watched).unwrap();
        let mut sentinel = cluster.redis_server();
        sentinel.arg(&file).arg("--sentinel");
        let sentinel = Process::spawn("sentinel", &mut sentinel);
        cluster.redis.lock().unwrap().push((SENTINEL, sentinel));
        until("the sentinel knows the replica", || {
            let known = cluster.ask(SENTINEL, &["SENTINEL", "REPLICAS", "main"]);
            known.contains(&REPLICA.to_string()).then_some(())
        });
        for node in 0..NODES.len() {
            cluster.revive(node);
        }
        cluster
    }

    fn redis_server(&self) -> Command {
        let server = self.brand.program();
        self.mesh.places[REDIS - 1].program(Path::new(server.get_program()))
    }

    fn server(&self, port: u16, options: &[&str]) {
        let mut server = self.redis_server();
        server
            .args(["--port", &port.to_string(), "--protected-mode", "no"])
            .args([
                "--save",
                "",
                "--appendonly",
                "no",
                "--repl-diskless-sync-delay",
                "0",
            ])
            .arg("--dir")
            .arg(self.scratch.path())
            .args(options);
        let started = Process::spawn("redis-server", &mut server);
        started.find("it is ready", |line| {
            line.contains("eady to accept connections").then_some(())
        });
        self.redis.lock().unwrap().push((port, started));
    }

    fn ask(&self, port: u16, words: &[&str]) -> String {
        let place = &self.mesh.places[REDIS - 1];
        let mut command = place.program(&need("redis-cli"));
        let command = command.args(["-h", &place.ip.to_string(), "-p", &port.to_string()]);
        let output = command.args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// The port of the master, as the sentinel knows it.
    fn master(&self) -> u16 {
        until("there is a master", || {
            let known = self.ask(SENTINEL, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
            known.lines().nth(1)?.trim().parse().ok()
        })
    }

    /// Kills the master (SIGKILL), and starts it again as a replica once another one has taken over.
    fn fail_over(&self) {
        let lost = self.master();
        let mut redis = self.redis.lock().unwrap();
        redis.retain(|(port, _)| *port != lost);
        drop(redis);
        let taken = until("another one has taken over", || {
            Some(self.master()).filter(|master| *master != lost)
        });
        let ip = self.mesh.places[REDIS - 1].ip.to_string();
        self.server(lost, &["--replicaof", &ip, &taken.to_string()]);
    }

    /// Kills the master (SIGKILL), and starts it again at once, with nothing in it.
    fn restart(&self) {
        let lost = self.master();
        let mut redis = self.redis.lock().unwrap();
        redis.retain(|(port, _)| *port != lost);
        drop(redis);
        self.server(lost, &[]);
    }

    fn revive(&self, node: usize) {
        let place = &self.mesh.places[NODES[node] - 1];
        let ip = place.ip;
        let couplet = place.couplet(&[
            "rendezvous",
            "listen:*:4000",
            "--max-waiting=100000",
            &format!(
                "--engine=redis+sentinel://{}:{SENTINEL}/main",
                self.mesh.places[REDIS - 1].ip
            ),
            &format!("--cluster=listen:{ip}:4001,allow=10.77.0.0/24"),
            &format!(
                "--cluster-secret=@{}",
                self.scratch.path().join("secret").display()
            ),
            &format!("--node-name=node-{node}"),
            "--lease=3s",
        ]);
        self.nodes.lock().unwrap()[node] = Some(couplet);
    }

    fn trouble(&self, crowd: &Crowd, rounds: &AtomicUsize, over: &AtomicBool) {
        let between = |one: usize, other: usize, conditions: &str| {
            self.mesh
                .set(&format!(r#"{{"between": [{one}, {other}], {conditions}}}"#));
        };
        for round in 0.. {
            if over.load(Ordering::SeqCst) {
                return;
            }
            let [one, other] = [NODES[round % 3], NODES[(round + 1) % 3]];
            match round % TROUBLES {
                0 => {
                    between(one, other, r#""loss": 1"#);
                    thread::sleep(LASTS);
                    between(one, other, r#""loss": 0"#);
                }
                1 => {
                    self.mesh.set(
                        r#"{"loss": 0.03, "duplicate": 0.02, "delay": 0.01, "jitter": 0.005}"#,
                    );
                    thread::sleep(LASTS);
                    self.mesh
                        .set(r#"{"loss": 0, "duplicate": 0, "delay": 0, "jitter": 0}"#);
                }
                2 => {
                    between(one, REDIS, r#""loss": 1"#);
                    thread::sleep(LASTS);
                    between(one, REDIS, r#""loss": 0"#);
                }
                3 => drop(self.ask(self.master(), &["FLUSHALL"])),
                4 => drop(self.ask(self.master(), &["CLIENT", "PAUSE", "1500", "ALL"])),
                5 => {
                    let master = self.master();
                    self.ask(master, &["CONFIG", "SET", "maxmemory", "1"]);
                    thread::sleep(Duration::from_millis(500));
                    self.ask(master, &["CONFIG", "SET", "maxmemory", "0"]);
                }
                6 => drop(self.ask(SENTINEL, &["SENTINEL", "FAILOVER", "main"])),
                7 => {
                    crowd.kill(|| drop(self.nodes.lock().unwrap()[round % 3].take()));
                    thread::sleep(Duration::from_millis(500));
                    self.revive(round % 3);
                }
                8 => self.fail_over(),
                9 => {
                    let node = &self.nodes.lock().unwrap()[round % 3];
                    let node = node.as_ref().unwrap();
                    node.signal(Signal::STOP);
                    thread::sleep(LASTS);
                    node.signal(Signal::CONT);
                }
                _ => self.restart(),
            }
            rounds.store(round + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(300));
        }
    }
}

/// Ends the trouble, also where a client is lost.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn clients_of_three_nodes_meet_whatever_happens_to_links_nodes_and_redis() {
    meet_through_all(Brand::Redis);
}

#[test]
fn the_same_with_valkey() {
    meet_through_all(Brand::Valkey);
}

fn meet_through_all(brand: Brand) {
    if !is_wanted() {
        return;
    }
    let pairs = std::env::var("COUPLET_MEETING_PAIRS").ok();
    let pairs = pairs.map_or(400, |pairs| pairs.parse().unwrap());
    let cluster = Cluster::start(brand);
    let address = |place: &usize| SocketAddr::new(cluster.mesh.places[place - 1].ip, 4000);
    let crowd = Arc::new(Crowd::new(NODES.iter().map(address).collect()));
    let (over, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    // Until each trouble was there.
    let all = || rounds.load(Ordering::SeqCst) >= TROUBLES;
    let pairs = thread::scope(|scope| {
        let trouble = scope.spawn(|| cluster.trouble(&crowd, &rounds, &over));
        let ended = Over(&over);
        let meet = || {
            crowd.meet(pairs, Duration::from_millis(25), || {
                all() || trouble.is_finished()
            })
        };
        let pairs = cluster.mesh.places[0].within(meet);
        drop(ended);
        trouble.join().unwrap();
        pairs
    });
    let rounds = rounds.load(Ordering::SeqCst);
    let book = crowd.book.lock().unwrap();
    println!(
        "{pairs} pairs met through {rounds} troubles; {} nodes killed; {} attempts failed, {} of them with no node killed meanwhile: {:#?}",
        crowd.kills(),
        book.failed.len(),
        book.dropped_live.len(),
        book.dropped_live,
    );
}
