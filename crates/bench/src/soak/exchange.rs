//! The two ends of a connection, each of which knows what it must hear.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::plan::{COURSES, Course, LEN, Plan};

/// What takes longer is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// How many failures are told.
const TOLD: usize = 10;

/// Beyond this many it is not worth going on.
const HOPELESS: u64 = 1000;

/// What has become of all connections.
#[derive(Debug, Default)]
pub(super) struct Counts {
    next: AtomicU64,
    open: AtomicU64,
    courses: [AtomicU64; COURSES.len()],
    failed: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// How an end of a connection comes about.
#[derive(Clone, Debug)]
pub(super) enum Way {
    Connect(SocketAddr),
    Accept(Arc<TcpListener>),
}

// ===== impl Way =====

impl Way {
    /// The next connection; none where it is time to look whether to stop.
    pub(super) async fn stream(&self, stop: &AtomicBool) -> Option<TcpStream> {
        let stream = match self {
            Self::Connect(addr) => TcpStream::connect(addr).await.ok(),
            Self::Accept(listener) => {
                let accepted = timeout(Duration::from_millis(200), listener.accept()).await;
                accepted.ok()?.ok().map(|(stream, _)| stream)
            }
        };
        match &stream {
            Some(stream) => stream.set_nodelay(true).ok()?,
            // A full accept queue, or no ports.
            None if !stop.load(Ordering::Relaxed) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            None => {}
        }
        stream
    }
}

// ===== impl Counts =====

impl Counts {
    /// Connections whose client has finished, as it should or not.
    pub(super) fn done(&self) -> u64 {
        let count = |course: &AtomicU64| course.load(Ordering::Relaxed);
        self.courses.iter().map(count).sum()
    }

    pub(super) fn by_course(&self) -> Vec<(&'static str, u64)> {
        let counts = self.courses.iter().map(|n| n.load(Ordering::Relaxed));
        COURSES
            .iter()
            .map(|(_, name, _)| *name)
            .zip(counts)
            .collect()
    }

    pub(super) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn is_hopeless(&self) -> bool {
        self.failed() > HOPELESS
    }

    pub(super) fn failures(&self) -> Vec<String> {
        self.failures.lock().expect("no holder panics").clone()
    }

    /// The client's end of the next connection.
    pub(super) async fn client(&self, setup: &str, stream: TcpStream) {
        let plan = Plan::random(self.next.fetch_add(1, Ordering::Relaxed));
        self.watched(setup, "client", plan, client(stream, plan))
            .await;
        self.courses[plan.course.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// The server's end of whichever connection it is.
    pub(super) async fn server(&self, setup: &str, mut stream: TcpStream) {
        let mut bytes = [0; LEN];
        // Where no partner comes any more, a waiting connection ends without a word.
        if stream.read_exact(&mut bytes).await.is_err() {
            return;
        }
        match Plan::read(&bytes) {
            Ok(plan) => {
                self.watched(setup, "server", plan, server(stream, plan))
                    .await
            }
            Err(error) => self.fail(format!("{setup}, server: {error}")),
        }
    }

    async fn watched(
        &self,
        setup: &str,
        end: &str,
        plan: Plan,
        exchange: impl Future<Output = anyhow::Result<()>>,
    ) {
        self.open.fetch_add(1, Ordering::Relaxed);
        let result = timeout(STUCK, exchange).await;
        self.open.fetch_sub(1, Ordering::Relaxed);
        let result = result.unwrap_or_else(|_| bail!("stuck for {STUCK:?}"));
        if let Err(error) = result {
            self.fail(format!("{setup}, {end}, {plan:?}: {error:#}"));
        }
    }

    fn fail(&self, why: String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut failures = self.failures.lock().expect("no holder panics");
        if failures.len() < TOLD {
            eprintln!("soak: {why}");
            failures.push(why);
        }
    }
}

// ===== the two ends =====

/// The server's answer to a plan, so that both are joined before anything happens.
const JOINED: u8 = b'!';

async fn client(mut stream: TcpStream, plan: Plan) -> anyhow::Result<()> {
    stream.write_all(&plan.write()).await.context("the plan")?;
    let joined = stream.read_u8().await.context("the answer to the plan")?;
    ensure!(joined == JOINED, "another answer to the plan");
    let (ours, theirs) = ((plan.id, plan.up), (plan.id + 1, plan.down));
    match plan.course {
        Course::ClientEndsFirst => {
            send(&mut stream, ours).await?;
            stream.shutdown().await.context("the end")?;
            hear_all(&mut stream, theirs).await
        }
        Course::ServerEndsFirst => {
            hear_all(&mut stream, theirs).await?;
            send(&mut stream, ours).await?;
            stream.shutdown().await.context("the end")?;
            // Until the server has heard it: a close would not wait.
            Ok(())
        }
        Course::Both => both(&mut stream, ours, theirs).await,
        Course::EarlyAnswer => {
            let (mut read, mut write) = stream.split();
            // It is refused once the server has closed, or goes on until the answer is here.
            let sending = async {
                while send(&mut write, (plan.id, 64 * 1024)).await.is_ok() {}
                std::future::pending().await
            };
            tokio::select! {
                heard = hear_all(&mut read, theirs) => heard,
                () = sending => unreachable!("it goes on"),
            }
        }
        Course::ClientResets => reset(stream, ours, plan.down).await,
        Course::ServerResets => is_reset(&mut stream, ours, theirs).await,
    }
}

async fn server(mut stream: TcpStream, plan: Plan) -> anyhow::Result<()> {
    stream
        .write_u8(JOINED)
        .await
        .context("the answer to the plan")?;
    let (ours, theirs) = ((plan.id + 1, plan.down), (plan.id, plan.up));
    match plan.course {
        Course::ClientEndsFirst => {
            hear_all(&mut stream, theirs).await?;
            send(&mut stream, ours).await?;
            stream.shutdown().await.context("the end")
        }
        Course::ServerEndsFirst => {
            send(&mut stream, ours).await?;
            stream.shutdown().await.context("the end")?;
            hear_all(&mut stream, theirs).await
        }
        Course::Both => both(&mut stream, ours, theirs).await,
        Course::EarlyAnswer => {
            send(&mut stream, ours).await?;
            stream.shutdown().await.context("the end")?;
            // Whatever the client still says, and however it ends.
            tokio::io::copy(&mut stream, &mut tokio::io::sink())
                .await
                .ok();
            Ok(())
        }
        Course::ClientResets => is_reset(&mut stream, ours, theirs).await,
        Course::ServerResets => reset(stream, ours, plan.up).await,
    }
}

type Stream = (u64, u64);

async fn both(stream: &mut TcpStream, ours: Stream, theirs: Stream) -> anyhow::Result<()> {
    let (mut read, mut write) = stream.split();
    let sending = async {
        send(&mut write, ours).await?;
        write.shutdown().await.context("the end")
    };
    tokio::try_join!(sending, hear_all(&mut read, theirs)).map(drop)
}

/// Sends some, hears some, and resets.
async fn reset(mut stream: TcpStream, ours: Stream, down: u64) -> anyhow::Result<()> {
    let (mut read, mut write) = stream.split();
    let hearing = async {
        let mut some = (&mut read).take(down / 2);
        tokio::io::copy(&mut some, &mut tokio::io::sink())
            .await
            .context("what it is sent")
    };
    tokio::try_join!(send(&mut write, ours), hearing)?;
    stream.set_zero_linger().context("the reset")?;
    Ok(())
}

/// Goes on until it is reset: what comes before has to be right, and an end would be made up.
async fn is_reset(stream: &mut TcpStream, ours: Stream, theirs: Stream) -> anyhow::Result<()> {
    // The kernel tells of a reset once, to the next write or the next read.
    let told_writer = AtomicBool::new(false);
    let (mut read, mut write) = stream.split();
    let sending = async {
        let sent = send(&mut write, ours).await;
        let error = sent
            .as_ref()
            .err()
            .and_then(|error| error.downcast_ref::<io::Error>());
        if error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset) {
            told_writer.store(true, Ordering::Relaxed);
        }
        std::future::pending().await
    };
    let hearing = async {
        let (heard, end) = hear(&mut read, theirs).await?;
        match end {
            Ok(()) if !told_writer.load(Ordering::Relaxed) => {
                bail!("an end after {heard} bytes, where there was a reset")
            }
            _ => Ok(()),
        }
    };
    tokio::select! {
        heard = hearing => heard,
        () = sending => unreachable!("it goes on"),
    }
}

// ===== bytes =====

const CHUNK: usize = 64 * 1024;

/// A prime, so that no buffer is as long.
const PERIOD: usize = 65_521;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let byte = |at: usize| ((at % PERIOD) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
    (0..PERIOD + CHUNK).map(|at| byte(at) as u8).collect()
});

/// Some bytes of a stream, which tell where they belong.
fn bytes(id: u64, at: u64, len: u64) -> &'static [u8] {
    let start = (id.wrapping_mul(7919).wrapping_add(at) % PERIOD as u64) as usize;
    let len = CHUNK.min(usize::try_from(len).unwrap_or(CHUNK));
    &BYTES[start..start + len]
}

async fn send(to: &mut (impl AsyncWrite + Unpin), (id, len): Stream) -> anyhow::Result<()> {
    let mut sent = 0;
    while sent < len {
        let piece = bytes(id, sent, len - sent);
        to.write_all(piece)
            .await
            .with_context(|| format!("sending, after {sent} bytes"))?;
        sent += piece.len() as u64;
    }
    Ok(())
}

/// Hears the whole stream, and its end.
async fn hear_all(from: &mut (impl AsyncRead + Unpin), stream: Stream) -> anyhow::Result<()> {
    let (heard, end) = hear(from, stream).await?;
    end.with_context(|| format!("hearing, after {heard} of {} bytes", stream.1))?;
    ensure!(
        heard == stream.1,
        "an end after {heard} of {} bytes",
        stream.1
    );
    Ok(())
}

/// Hears until the stream ends or fails: how much, and how.
async fn hear(
    from: &mut (impl AsyncRead + Unpin),
    (id, len): Stream,
) -> anyhow::Result<(u64, io::Result<()>)> {
    let mut heard = 0;
    let mut piece = vec![0; CHUNK.min(1 + len as usize)];
    loop {
        match from.read(&mut piece).await {
            Ok(0) => return Ok((heard, Ok(()))),
            Ok(n) => {
                let expected = bytes(id, heard, n as u64);
                ensure!(piece[..n] == *expected, "wrong bytes behind {heard}");
                heard += n as u64;
                ensure!(heard <= len, "more bytes than were sent");
            }
            Err(error) => return Ok((heard, Err(error))),
        }
    }
}
