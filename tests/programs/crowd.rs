//! Clients that come to nodes until each has met its partner, and what they know of each other.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, Semaphore},
};

/// What each client says to its partner: its number, key and side, and bytes made of the number.
const SAYS: usize = 4096;

/// How long a client of a live node waits at most, whatever happens.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many pairs are on their way at a time.
const AT_A_TIME: usize = 100;

/// What is known of the clients: by the number of each attempt.
#[derive(Default)]
pub(crate) struct Book {
    /// The partner that each has read the bytes of to the end.
    met: HashMap<u64, u64>,
    pub(crate) failed: HashSet<u64>,
    wrong: Vec<String>,
    /// Why those failed during which no node was killed: the node, how far they had come, the error.
    pub(crate) dropped_live: Vec<String>,
}

/// The clients of some nodes.
pub(crate) struct Crowd {
    nodes: Vec<SocketAddr>,
    /// Counts when a node begins to be killed, and when it is dead.
    killed: AtomicU64,
    pub(crate) book: Mutex<Book>,
    news: Notify,
    numbers: AtomicU64,
}

// ===== impl Crowd =====

impl Crowd {
    /// Of nodes with these addresses.
    pub(crate) fn new(nodes: Vec<SocketAddr>) -> Self {
        Self {
            nodes,
            killed: AtomicU64::new(0),
            book: Mutex::default(),
            news: Notify::new(),
            numbers: AtomicU64::new(0),
        }
    }

    /// Kills a node: what fails meanwhile may fail because of it.
    pub(crate) fn kill(&self, kill: impl FnOnce()) {
        self.killed.fetch_add(1, Ordering::SeqCst);
        kill();
        self.killed.fetch_add(1, Ordering::SeqCst);
    }

    /// How often nodes were killed.
    pub(crate) fn kills(&self) -> u64 {
        self.killed.load(Ordering::SeqCst) / 2
    }

    /// So many pairs meet, and more until it is enough: a hundred at a time, one after the other with this pause.
    /// Returns how many there were.
    ///
    /// # Panics
    ///
    /// If a client is lost, or not all have met one other, and the right one.
    pub(crate) fn meet(
        self: &Arc<Self>,
        pairs: u64,
        pause: Duration,
        is_enough: impl Fn() -> bool,
    ) -> u64 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let met = runtime.block_on(async {
            let room = Arc::new(Semaphore::new(AT_A_TIME));
            let mut meeting = tokio::task::JoinSet::new();
            for key in 0.. {
                if key >= pairs && is_enough() {
                    break;
                }
                let room = Arc::clone(&room).acquire_owned().await.unwrap();
                let crowd = Arc::clone(self);
                meeting.spawn(async move {
                    tokio::join!(crowd.client(key, b'a'), crowd.client(key, b'b'));
                    drop(room);
                });
                tokio::time::sleep(pause).await;
            }
            meeting.join_all().await.len() as u64
        });
        let book = self.book.lock().unwrap();
        assert!(book.wrong.is_empty(), "wrong pairs: {:?}", book.wrong);
        // Each has met another, and no two the same.
        let partners: HashSet<_> = book.met.values().collect();
        assert_eq!(partners.len(), book.met.len(), "double pairs");
        assert_eq!(book.met.len() as u64, 2 * met);
        met
    }

    /// A client of a key and side comes to one node after the other until it and its partner have met each other.
    pub(crate) async fn client(&self, key: u64, side: u8) {
        let begun = Instant::now();
        loop {
            assert!(
                begun.elapsed() < PATIENCE,
                "key {key} {}: lost",
                char::from(side)
            );
            let number = self.numbers.fetch_add(1, Ordering::SeqCst);
            let killed = self.killed.load(Ordering::SeqCst);
            let node = usize::try_from(fastrand(number)).unwrap() % self.nodes.len();
            let mut stage = "";
            let attempt = self.attempt(number, node, key, side, &mut stage);
            let met = tokio::time::timeout(PATIENCE, attempt).await;
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
                    let after = self.killed.load(Ordering::SeqCst);
                    let is_live = is_there && killed == after && after.is_multiple_of(2);
                    let why = || format!("node {node}, {stage}: {error}");
                    self.failed(number, is_live.then(why));
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

    /// This attempt has failed; and why, if its node lives.
    fn failed(&self, number: u64, dropped_live: Option<String>) {
        let mut book = self.book.lock().unwrap();
        book.failed.insert(number);
        book.dropped_live.extend(dropped_live);
    }

    async fn attempt(
        &self,
        number: u64,
        node: usize,
        key: u64,
        side: u8,
        stage: &mut &str,
    ) -> io::Result<u64> {
        *stage = "connecting";
        let mut io = TcpStream::connect(self.nodes[node]).await?;
        let line = format!("couplet/1 {:032x} {}\n", key + 1, char::from(side));
        io.write_all(line.as_bytes()).await?;
        *stage = "waiting";
        let mut answer = [0; 3];
        io.read_exact(&mut answer).await?;
        *stage = "joined";
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
