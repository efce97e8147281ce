//! Clients that came to different nodes meet, by a real Redis: with everything that can go wrong.
//!
//! `COUPLET_MEETING_PAIRS=10000` makes more pairs; `COUPLET_TEST_REDIS=PROGRAM` takes another server, such as
//! valkey-server.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    net::SocketAddr,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use couplet_tests::{Couplet, Process, net::free_port, program, until};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, Semaphore},
};

/// What each client says to its partner: its number, key and side, and bytes made of the number.
const SAYS: usize = 4096;

/// How long a client of a live node waits at most, whatever happens.
const PATIENCE: Duration = Duration::from_secs(120);

struct Redis {
    scratch: TempDir,
    server: Mutex<Option<Process>>,
}

impl Redis {
    fn start() -> Self {
        let redis = Self {
            scratch: TempDir::new().unwrap(),
            server: Mutex::new(None),
        };
        redis.restart();
        redis
    }

    fn socket(&self) -> String {
        self.scratch.path().join("s").display().to_string()
    }

    /// Kills it (SIGKILL), and starts it again with nothing in it.
    fn restart(&self) {
        let mut server = self.server.lock().unwrap();
        drop(server.take());
        let _ = fs::remove_file(self.socket());
        let mut command = match std::env::var_os("COUPLET_TEST_REDIS") {
            Some(program) => Command::new(program),
            None => program("redis-server"),
        };
        command
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .args(["--unixsocket", &self.socket(), "--dir"])
            .arg(self.scratch.path());
        let started = Process::spawn("redis-server", &mut command);
        started.find("it is ready", |line| {
            let line = line.to_lowercase();
            line.contains("ready to accept connections").then_some(())
        });
        *server = Some(started);
    }

    fn run(&self, words: &[&str]) -> String {
        let mut command = program("redis-cli");
        let output = command.args(["-s", &self.socket()]).args(words).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }
}

/// Three nodes at fixed ports, some of which are dead at times.
struct Nodes {
    secret: String,
    engine: String,
    ports: Vec<[u16; 3]>,
    alive: Mutex<Vec<Option<Couplet>>>,
    /// How often nodes were killed.
    killed: AtomicU64,
    _scratch: TempDir,
}

impl Nodes {
    fn start(redis: &Redis, number: usize) -> Self {
        let scratch = TempDir::new().unwrap();
        let secret = scratch.path().join("secret");
        fs::write(&secret, "a secret of some bytes\n").unwrap();
        let nodes = Self {
            secret: format!("--cluster-secret=@{}", secret.display()),
            engine: format!("--engine=redis+unix://{}", redis.socket()),
            ports: (0..number).map(|_| [0; 3].map(|_| free_port())).collect(),
            alive: Mutex::new((0..number).map(|_| None).collect()),
            killed: AtomicU64::new(0),
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
        self.killed.fetch_add(1, Ordering::SeqCst);
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

/// What is known of the clients: by the number of each attempt.
#[derive(Default)]
struct Book {
    /// The partner that each has read the bytes of to the end.
    met: HashMap<u64, u64>,
    failed: HashSet<u64>,
    wrong: Vec<String>,
    dropped_live: u64,
}

struct Test {
    nodes: Nodes,
    book: Mutex<Book>,
    news: Notify,
    numbers: AtomicU64,
}

impl Test {
    /// A client of a key and side comes to one node after the other until it and its partner have met each other.
    async fn client(&self, key: u64, side: u8) {
        let begun = Instant::now();
        loop {
            assert!(
                begun.elapsed() < PATIENCE,
                "key {key} {}: lost",
                char::from(side)
            );
            let number = self.numbers.fetch_add(1, Ordering::SeqCst);
            let killed = self.nodes.killed.load(Ordering::SeqCst);
            let node = usize::try_from(fastrand(number)).unwrap() % self.nodes.ports.len();
            let met = tokio::time::timeout(PATIENCE, self.attempt(number, node, key, side)).await;
            let met = met.unwrap_or_else(|_| {
                panic!(
                    "key {key} {}: number {number} lost at node {node}",
                    char::from(side)
                )
            });
            let partner = match met {
                Ok(partner) => partner,
                Err(error) => {
                    let is_there = error.kind() != io::ErrorKind::ConnectionRefused;
                    let is_live = killed == self.nodes.killed.load(Ordering::SeqCst);
                    self.failed(number, is_there && is_live);
                    self.news.notify_waiters();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            };
            self.book.lock().unwrap().met.insert(number, partner);
            self.news.notify_waiters();
            // The partner has to have met this one, too; if its node died meanwhile, both come again.
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                {
                    let book = self.book.lock().unwrap();
                    if book.met.get(&partner) == Some(&number) {
                        return;
                    }
                    if book.failed.contains(&partner) {
                        break;
                    }
                }
                news.await;
            }
            let mut book = self.book.lock().unwrap();
            book.met.remove(&number);
            book.failed.insert(number);
        }
    }

    /// This attempt has failed, though its node lives.
    fn failed(&self, number: u64, is_live: bool) {
        let mut book = self.book.lock().unwrap();
        book.failed.insert(number);
        book.dropped_live += u64::from(is_live);
    }

    async fn attempt(&self, number: u64, node: usize, key: u64, side: u8) -> io::Result<u64> {
        let mut io = TcpStream::connect(self.nodes.address(node)).await?;
        let line = format!("couplet/1 {:032x} {}\n", key + 1, char::from(side));
        io.write_all(line.as_bytes()).await?;
        let mut answer = [0; 3];
        io.read_exact(&mut answer).await?;
        if &answer != b"ok\n" {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let (mut read, mut write) = io.split();
        let said = said(number, key, side);
        let mut heard = Vec::new();
        let sending = async {
            write.write_all(&said).await?;
            // Half-close: the other direction goes on.
            write.shutdown().await
        };
        let (sent, read) = tokio::join!(sending, read.read_to_end(&mut heard));
        sent?;
        read?;
        if heard.len() < SAYS {
            // A node has died in the middle: nothing wrong has come.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let partner = u64::from_be_bytes(heard[..8].try_into().unwrap());
        let other = if side == b'a' { b'b' } else { b'a' };
        if heard != self::said(partner, key, other) {
            let head = &heard[..17];
            let wrong = format!(
                "{number} of key {key}, {side} has heard {head:?}, {} bytes",
                heard.len()
            );
            self.book.lock().unwrap().wrong.push(wrong);
        }
        Ok(partner)
    }
}

fn said(number: u64, key: u64, side: u8) -> Vec<u8> {
    let mut said = [&number.to_be_bytes()[..], &key.to_be_bytes(), &[side]].concat();
    let mut state = number;
    while said.len() < SAYS {
        state = fastrand(state);
        said.extend(state.to_be_bytes());
    }
    said.truncate(SAYS);
    said
}

/// SplitMix64.
fn fastrand(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// So many pairs meet, a hundred at a time, while trouble goes on. Returns what it was like.
fn meet(pairs: u64, trouble: impl FnOnce(&Redis, &Nodes, &AtomicBool) + Send) -> (Test, Redis) {
    let redis = Redis::start();
    let nodes = Nodes::start(&redis, 3);
    let test = Arc::new(Test {
        nodes,
        book: Mutex::default(),
        news: Notify::new(),
        numbers: AtomicU64::new(0),
    });
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| trouble(&redis, &test.nodes, &over));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let met = runtime.block_on(async {
            let room = Arc::new(Semaphore::new(100));
            let mut meeting = tokio::task::JoinSet::new();
            for key in 0..pairs {
                let room = Arc::clone(&room).acquire_owned().await.unwrap();
                let test = Arc::clone(&test);
                meeting.spawn(async move {
                    tokio::join!(test.client(key, b'a'), test.client(key, b'b'));
                    drop(room);
                });
            }
            meeting.join_all().await.len()
        });
        over.store(true, Ordering::SeqCst);
        assert_eq!(met as u64, pairs);
    });
    let Ok(test) = Arc::try_unwrap(test) else {
        panic!("all clients have ended");
    };
    let book = test.book.lock().unwrap();
    assert!(book.wrong.is_empty(), "wrong pairs: {:?}", book.wrong);
    // Each has met another, and no two the same.
    let partners: HashSet<_> = book.met.values().collect();
    assert_eq!(partners.len(), book.met.len(), "double pairs");
    assert_eq!(book.met.len() as u64, 2 * pairs);
    println!(
        "{pairs} pairs met; {} attempts failed, {} of them with no node killed meanwhile; {} nodes killed; there {}, here {}, gone {}, unreachable {}, unclaimed {}",
        book.failed.len(),
        book.dropped_live,
        test.nodes.killed.load(Ordering::SeqCst),
        test.nodes.count("joined_there"),
        test.nodes.count("joined_here"),
        test.nodes.count("gone_there"),
        test.nodes.count("unreachable"),
        test.nodes.count("unclaimed"),
    );
    drop(book);
    (test, redis)
}

fn pairs(default: u64) -> u64 {
    let pairs = std::env::var("COUPLET_MEETING_PAIRS").ok();
    pairs.map_or(default, |pairs| pairs.parse().unwrap())
}

#[test]
fn clients_of_three_nodes_meet_and_no_byte_is_lost() {
    let (test, _redis) = meet(pairs(500), |_, _, _| {});
    let book = test.book.lock().unwrap();
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

#[test]
fn a_match_maker_that_is_wiped_paused_full_and_killed_loses_nobody() {
    let (test, _redis) = meet(pairs(500), |redis, _, over| {
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
    let book = test.book.lock().unwrap();
    assert_eq!(
        book.failed.len(),
        0,
        "the nodes live, so nobody had to come again"
    );
}

#[test]
fn nodes_that_are_killed_take_only_their_own_clients_with_them() {
    let (test, _redis) = meet(pairs(500), |redis, nodes, over| {
        for round in 0.. {
            if over.load(Ordering::SeqCst) {
                return;
            }
            nodes.kill(round % 3);
            thread::sleep(Duration::from_millis(300));
            nodes.revive(round % 3);
            if round % 4 == 3 {
                redis.run(&["FLUSHALL"]);
            }
            thread::sleep(Duration::from_millis(700));
        }
    });
    assert!(test.nodes.killed.load(Ordering::SeqCst) > 0);
}

#[test]
fn a_node_without_its_match_maker_is_ready_and_degraded_and_joins_its_own_clients() {
    let redis = Redis::start();
    let nodes = Nodes::start(&redis, 1);
    assert_eq!(nodes.get(0, "ready"), r#"{"not_ready":{},"ready":true}"#);
    drop(redis.server.lock().unwrap().take());
    let test = Test {
        nodes,
        book: Mutex::default(),
        news: Notify::new(),
        numbers: AtomicU64::new(0),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        tokio::join!(test.client(1, b'a'), test.client(1, b'b'));
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
    redis.restart();
    let ready = r#"{"not_ready":{},"ready":true}"#;
    until("it is not degraded", || {
        (test.nodes.get(0, "ready") == ready).then_some(())
    });
    assert!(
        test.nodes
            .get(0, "metrics")
            .contains("couplet_engine_connected{relay=\"relay\"} 1")
    );
}
