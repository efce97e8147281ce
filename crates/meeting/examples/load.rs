//! The load of `docs/meeting-figures`: a match-maker, and nodes.
//!
//! ```text
//! load engine URL SECONDS IN_FLIGHT [rest] matches of the match-maker alone; with `rest` each after a pause
//! load echo SECONDS IN_FLIGHT [rest]       round trips of one byte on loopback, to another process
//! load nodes SECONDS IN_FLIGHT PORT…       matches of two clients: of one node, or of the next and the one after
//! load wait SECONDS CLIENTS PORT…          clients wait alone
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
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::ServiceExt;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long the first client waits before its partner comes: its offer is entered by then.
const BEFORE: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| -> Result<u64> { Ok(args.get(at).ok_or("too few words")?.parse()?) };
    let ports = || -> Result<Vec<u16>> {
        Ok(args[3..]
            .iter()
            .map(|port| port.parse())
            .collect::<std::result::Result<_, _>>()?)
    };
    match args.first().map(String::as_str) {
        Some("engine") => engine(&args[1], number(2)?, number(3)?, rests(&args)).await,
        Some("echo") => echo(number(1)?, number(2)?, rests(&args)).await,
        Some("echoes") => echoes().await,
        Some("nodes") => nodes(number(1)?, number(2)?, ports()?).await,
        Some("wait") => wait(number(1)?, number(2)?, ports()?).await,
        _ => Err("engine, echo, nodes or wait".into()),
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
    let quantile = |q: f64| all[((all.len() - 1) as f64 * q) as usize].as_micros();
    println!(
        "done={} per_second={per_second:.0} p50_us={} p99_us={}",
        all.len(),
        quantile(0.5),
        quantile(0.99)
    );
    Ok(())
}

/// A match is two requests: one waits, the other finds it.
async fn engine(url: &str, seconds: u64, in_flight: u64, rests: Duration) -> Result<()> {
    let engine = RedisEngine::new([RedisServer::new(url)?]);
    while !engine.is_connected() {
        sleep(Duration::from_millis(10)).await;
    }
    let home = NodeAddr::try_from("10.0.0.1:4001")?;
    measure(seconds, in_flight, move |number| {
        let (engine, home) = (engine.clone(), home.clone());
        async move {
            let offer = |side| Offer {
                key: Key(u128::from(number).to_be_bytes()),
                side: Some(side),
                ticket: Ticket::random(),
                home: home.clone(),
                lease: Duration::from_secs(15),
                waited: None,
            };
            let waits = engine
                .clone()
                .oneshot(Request::Meet(offer(Side::A)))
                .await?;
            sleep(rests).await;
            let begun = Instant::now();
            let found = engine.oneshot(Request::Meet(offer(Side::B))).await?;
            match (waits, found) {
                (Answer::Waits, Answer::Found(_)) => Ok(begun.elapsed()),
                other => Err(format!("{other:?}").into()),
            }
        }
    })
    .await
}

/// The pause before each, as long as a match of nodes has one: everything has gone to sleep by then.
fn rests(args: &[String]) -> Duration {
    match args.last().map(String::as_str) {
        Some("rest") => BEFORE,
        _ => Duration::ZERO,
    }
}

/// Says where it listens, and sends back each byte.
async fn echoes() -> Result<()> {
    let listen = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listen.local_addr()?);
    while let Ok((mut io, _)) = listen.accept().await {
        io.set_nodelay(true)?;
        tokio::spawn(async move {
            let (mut read, mut write) = io.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
    }
    Ok(())
}

async fn echo(seconds: u64, in_flight: u64, rests: Duration) -> Result<()> {
    let mut other = tokio::process::Command::new(std::env::current_exe()?)
        .arg("echoes")
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let said = other
        .stdout
        .take()
        .ok_or("the other process says nothing")?;
    let addr = BufReader::new(said).lines().next_line().await?;
    let addr: SocketAddr = addr.ok_or("the other process has ended")?.parse()?;
    let ready: Arc<tokio::sync::Mutex<Vec<TcpStream>>> = Arc::default();
    measure(seconds, in_flight, move |_| {
        let ready = Arc::clone(&ready);
        async move {
            let kept = ready.lock().await.pop();
            let mut io = match kept {
                Some(io) => io,
                None => TcpStream::connect(addr).await?,
            };
            io.set_nodelay(true)?;
            sleep(rests).await;
            let begun = Instant::now();
            io.write_all(b"x").await?;
            io.read_exact(&mut [0]).await?;
            let took = begun.elapsed();
            ready.lock().await.push(io);
            Ok(took)
        }
    })
    .await
}

async fn nodes(seconds: u64, in_flight: u64, ports: Vec<u16>) -> Result<()> {
    measure(seconds, in_flight, move |number| {
        let at = |of: u64| ports[(of % ports.len() as u64) as usize];
        let ports = [at(number), at(number + 1)];
        async move {
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
    })
    .await
}

async fn wait(seconds: u64, clients: u64, ports: Vec<u16>) -> Result<()> {
    let mut waiting = Vec::new();
    for number in 0..clients {
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
