//! The load of `docs/meeting-figures`: a match-maker, and nodes.
//!
//! ```text
//! load trips URL SECONDS PORT PORT     in turn, each after a pause: a round trip to the match-maker and one to another
//!                                      process, a match within a node, a match of two nodes
//! load engine URL SECONDS IN_FLIGHT    matches of the match-maker alone
//! load nodes SECONDS IN_FLIGHT PORT…   matches of two clients: of one node, or of the next and the one after
//! load wait SECONDS CLIENTS FIRST PORT…   clients wait alone, with keys from this number on
//! ```
//!
//! Each prints one line of `name=value`.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use couplet_connector::endpoint::Side;
use couplet_meeting::{
    engine::{Answer, Key, NodeAddr, Offer, Request, Ticket},
    redis::{RedisEngine, RedisServer},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::ServiceExt;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long the first client waits before its partner comes: its offer is entered by then.
const BEFORE: Duration = Duration::from_millis(20);

/// How long JOIN and OK are on the wire, of nodes and clients with addresses of IPv4.
const REQUEST: usize = 135;
const ANSWER: usize = 96;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| -> Result<u64> { Ok(args.get(at).ok_or("too few words")?.parse()?) };
    let ports = |from: usize| -> Result<Vec<u16>> {
        let ports = args.iter().skip(from).map(|port| port.parse());
        Ok(ports.collect::<std::result::Result<_, _>>()?)
    };
    // One thread, as the nodes of the figures have, where the time of one is measured.
    let one = || Builder::new_current_thread().enable_all().build();
    let many = || Builder::new_multi_thread().enable_all().build();
    match args.first().map(String::as_str) {
        Some("trips") => one()?.block_on(trips(&args[1], number(2)?, ports(3)?)),
        Some("answer") => one()?.block_on(answer()),
        Some("engine") => many()?.block_on(engine(&args[1], number(2)?, number(3)?)),
        Some("nodes") => many()?.block_on(nodes(number(1)?, number(2)?, ports(3)?)),
        Some("wait") => many()?.block_on(wait(number(1)?, number(2)?, number(3)?, ports(4)?)),
        _ => Err("trips, engine, nodes or wait".into()),
    }
}

/// This many tasks do it one after the other; each says how long it took.
async fn measure<F>(
    seconds: u64,
    tasks: u64,
    act: impl Fn(u64) -> F + Send + Sync + 'static,
) -> Result<()>
where
    F: Future<Output = Result<Duration>> + Send,
{
    let (act, number) = (Arc::new(act), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let (act, number) = (Arc::clone(&act), Arc::clone(&number));
        running.spawn(async move {
            let mut took = Vec::new();
            while Instant::now() < end {
                took.push(act(number.fetch_add(1, Ordering::Relaxed)).await?);
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(took)
        });
    }
    let mut all = Vec::new();
    for took in running.join_all().await {
        all.extend(took?);
    }
    all.sort_unstable();
    let per_second = all.len() as f64 / begun.elapsed().as_secs_f64();
    println!(
        "done={} per_second={per_second:.0} p50_us={} p99_us={}",
        all.len(),
        quantile(&all, 0.5),
        quantile(&all, 0.99)
    );
    Ok(())
}

/// In microseconds, of sorted ones.
fn quantile(sorted: &[Duration], q: f64) -> u128 {
    sorted[((sorted.len() - 1) as f64 * q) as usize].as_micros()
}

/// What a match of two nodes is made of, in turn, so that all are of the same time.
async fn trips(url: &str, seconds: u64, ports: Vec<u16>) -> Result<()> {
    let &[here, there] = &ports[..] else {
        return Err("two ports".into());
    };
    let engine = connected(url).await?;
    let mut other = tokio::process::Command::new(std::env::current_exe()?)
        .arg("answer")
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let said = other.stdout.take();
    let said = said.ok_or("the other process says nothing")?;
    let addr = BufReader::new(said).lines().next_line().await?;
    let addr: SocketAddr = addr.ok_or("the other process has ended")?.parse()?;
    // So that each node has connections to the other.
    for number in 0..4 {
        meet([here, there], number).await?;
        meet([there, here], number).await?;
    }
    let mut took: [Vec<Duration>; 4] = Default::default();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut number = 4;
    while Instant::now() < end {
        took[0].push(find(&engine, number, BEFORE).await?);
        took[1].push(ask(addr).await?);
        took[2].push(meet([here, here], number).await?);
        number += 1;
        took[3].push(meet([here, there], number).await?);
        number += 1;
    }
    let mut said = vec![format!("done={}", took[0].len())];
    for (name, took) in ["engine", "node", "within", "across"].iter().zip(&mut took) {
        took.sort_unstable();
        said.push(format!(
            "{name}={} {name}_p99={}",
            quantile(took, 0.5),
            quantile(took, 0.99)
        ));
    }
    println!("{}", said.join(" "));
    Ok(())
}

/// Says where it listens, and answers each request: those of one node of another are as long.
async fn answer() -> Result<()> {
    let listen = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listen.local_addr()?);
    while let Ok((mut io, _)) = listen.accept().await {
        io.set_nodelay(true)?;
        tokio::spawn(async move {
            while io.read_exact(&mut [0; REQUEST]).await.is_ok() {
                io.write_all(&[0; ANSWER]).await?;
            }
            Ok::<_, io::Error>(())
        });
    }
    Ok(())
}

/// A round trip to another process, over a connection that was made before.
async fn ask(addr: SocketAddr) -> Result<Duration> {
    let mut io = TcpStream::connect(addr).await?;
    io.set_nodelay(true)?;
    sleep(BEFORE).await;
    let begun = Instant::now();
    io.write_all(&[0; REQUEST]).await?;
    io.read_exact(&mut [0; ANSWER]).await?;
    Ok(begun.elapsed())
}

async fn connected(url: &str) -> Result<RedisEngine> {
    let engine = RedisEngine::new([RedisServer::new(url)?]);
    while !engine.is_connected() {
        sleep(Duration::from_millis(10)).await;
    }
    Ok(engine)
}

async fn engine(url: &str, seconds: u64, in_flight: u64) -> Result<()> {
    let engine = connected(url).await?;
    measure(seconds, in_flight, move |number| {
        let engine = engine.clone();
        async move { find(&engine, number, Duration::ZERO).await }
    })
    .await
}

/// A match of the match-maker is two requests: one waits, the other, after this pause, finds it.
async fn find(engine: &RedisEngine, number: u64, pause: Duration) -> Result<Duration> {
    let home = NodeAddr::try_from("10.0.0.1:4001")?;
    let offer = |side| Offer {
        key: Key(u128::from(number).to_be_bytes()),
        side: Some(side),
        ticket: Ticket::random(),
        home: home.clone(),
        lease: Duration::from_secs(15),
        waited: None,
    };
    let request = Request::Meet(offer(Side::A));
    let waits = engine.clone().oneshot(request).await?;
    if !pause.is_zero() {
        sleep(pause).await;
    }
    let begun = Instant::now();
    let request = Request::Meet(offer(Side::B));
    let found = engine.clone().oneshot(request).await?;
    match (waits, found) {
        (Answer::Waits, Answer::Found(_)) => Ok(begun.elapsed()),
        other => Err(format!("{other:?}").into()),
    }
}

async fn nodes(seconds: u64, in_flight: u64, ports: Vec<u16>) -> Result<()> {
    measure(seconds, in_flight, move |number| {
        let at = |of: u64| ports[(of % ports.len() as u64) as usize];
        meet([at(number), at(number + 1)], number)
    })
    .await
}

/// From the second client's key to its answer.
async fn meet(ports: [u16; 2], number: u64) -> Result<Duration> {
    let mut first = come(ports[0], 1, number, 'a').await?;
    let mut second = TcpStream::connect(("127.0.0.1", ports[1])).await?;
    second.set_nodelay(true)?;
    sleep(BEFORE).await;
    let begun = Instant::now();
    say(&mut second, number, 'b').await?;
    joined(&mut second).await?;
    let took = begun.elapsed();
    joined(&mut first).await?;
    Ok(took)
}

async fn wait(seconds: u64, clients: u64, from: u64, ports: Vec<u16>) -> Result<()> {
    let mut waiting = Vec::new();
    for number in from..from + clients {
        // Each address of loopback has ports of its own.
        let last = u8::try_from(1 + number % 8)?;
        let port = ports[(number % ports.len() as u64) as usize];
        waiting.push(come(port, last, number, 'a').await?);
    }
    println!("waiting={}", waiting.len());
    sleep(Duration::from_secs(seconds)).await;
    Ok(())
}

async fn come(port: u16, last: u8, key: u64, side: char) -> io::Result<TcpStream> {
    let mut io = TcpStream::connect(SocketAddr::from(([127, 0, 0, last], port))).await?;
    io.set_nodelay(true)?;
    say(&mut io, key, side).await?;
    Ok(io)
}

async fn say(io: &mut TcpStream, key: u64, side: char) -> io::Result<()> {
    io.write_all(format!("couplet/1 {key:032x} {side}\n").as_bytes())
        .await
}

async fn joined(io: &mut TcpStream) -> Result<()> {
    let mut answer = [0; 3];
    io.read_exact(&mut answer).await?;
    match &answer {
        b"ok\n" => Ok(()),
        other => Err(String::from_utf8_lossy(other).into_owned().into()),
    }
}
