use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use super::*;
use crate::{conn::Origin, memory};

/// A server that is switched off and on, and counts.
#[derive(Clone, Debug, Default)]
struct Server {
    is_off: Arc<AtomicBool>,
    dialled: Arc<AtomicUsize>,
}

impl Server {
    fn off(&self, is_off: bool) {
        self.is_off.store(is_off, Relaxed);
    }

    /// How often it was dialled since it was last asked.
    fn dialled(&self) -> usize {
        self.dialled.swap(0, Relaxed)
    }
}

impl Service<()> for Server {
    type Response = Conn<memory::MemoryStream>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        self.dialled.fetch_add(1, Relaxed);
        std::future::ready(match self.is_off.load(Relaxed) {
            true => Err(io::ErrorKind::ConnectionRefused.into()),
            false => {
                let (io, mut peer) = memory::connection(64);
                tokio::spawn(async move {
                    use tokio::io::AsyncWriteExt;
                    let _ = peer.write_all(b"220 ready\r\n").await;
                });
                Ok(Conn::new(io, Origin::Dialled))
            }
        })
    }
}

fn servers<const N: usize>() -> [Server; N] {
    std::array::from_fn(|_| Server::default())
}

fn targets(servers: &[Server]) -> Targets<Server> {
    let name = |at: usize| format!("{at}");
    let all = servers.iter().enumerate();
    Targets::new(all.map(|(at, server)| Target::new(name(at), server.clone())))
}

fn up(targets: &Targets<Server>) -> Vec<bool> {
    targets
        .watch()
        .status()
        .map(|target| target.is_up)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_dial_goes_on_with_the_next_target_and_one_that_is_down_is_left_out() {
    let servers = servers::<3>();
    let targets = targets(&servers).max_failures(2);
    servers[0].off(true);
    for _ in 0..5 {
        targets.connect(None).await.unwrap();
    }
    assert_eq!(servers.each_ref().map(Server::dialled), [2, 5, 0]);
    assert_eq!(up(&targets), [false, true, true]);
    // After a second one dial tries it.
    tokio::time::advance(Duration::from_secs(1)).await;
    servers[0].off(false);
    targets.connect(None).await.unwrap();
    assert_eq!(servers.each_ref().map(Server::dialled), [1, 0, 0]);
    assert_eq!(up(&targets), [true, true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_for_the_time_when_no_other_is_up() {
    let [one, two, backup] = servers::<3>();
    let targets = Targets::new([
        Target::new("backup", backup.clone()).backup(),
        Target::new("one", one.clone()),
        Target::new("two", two.clone()),
    ])
    .balance(Balance::RoundRobin)
    .max_failures(1);
    for _ in 0..4 {
        targets.connect(None).await.unwrap();
    }
    assert_eq!((one.dialled(), two.dialled(), backup.dialled()), (2, 2, 0));
    one.off(true);
    two.off(true);
    targets.connect(None).await.unwrap();
    targets.connect(None).await.unwrap();
    assert_eq!((one.dialled(), two.dialled(), backup.dialled()), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn where_all_are_down_the_client_is_refused_at_once_or_after_a_time() {
    let servers = servers::<2>();
    let targets = targets(&servers).max_failures(1);
    servers.iter().for_each(|server| server.off(true));
    let error = targets.connect(None).await.unwrap_err();
    assert!(!error.are_down());
    let text = Chain(&error).to_string();
    assert_eq!(text, "none of 2 targets can be reached: connection refused");
    let begin = Instant::now();
    let error = targets.connect(None).await.unwrap_err();
    assert_eq!(error.to_string(), "all 2 targets are down");
    assert_eq!((begin.elapsed(), servers[0].dialled()), (Duration::ZERO, 1));
    // Each is tried once a second, then every two.
    let patient = targets.clone().retry(Duration::from_secs(10));
    let begin = Instant::now();
    assert!(patient.connect(None).await.is_err());
    assert_eq!(begin.elapsed(), Duration::from_secs(10));
    assert_eq!(servers[0].dialled(), 3);
    servers[1].off(false);
    patient.connect(None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_live_connections_of_each_target_are_known() {
    let servers = servers::<2>();
    let targets = targets(&servers).balance(Balance::Least);
    let mut conns = Vec::new();
    for _ in 0..6 {
        conns.push(targets.connect(None).await.unwrap());
    }
    let live = || -> Vec<_> { targets.watch().status().map(|target| target.live).collect() };
    assert_eq!(live(), [3, 3]);
    conns.clear();
    assert_eq!(live(), [0, 0]);
    let dials: u64 = targets.watch().status().map(|target| target.dials).sum();
    assert_eq!(dials, 6);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_this_machine_takes_no_target_down() {
    #[derive(Clone, Debug)]
    struct NoPort;
    impl Service<()> for NoPort {
        type Response = Conn<memory::MemoryStream>;
        type Error = io::Error;
        type Future = std::future::Ready<io::Result<Self::Response>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            std::future::ready(Err(io::ErrorKind::AddrNotAvailable.into()))
        }
    }
    let targets = Targets::new([Target::new("one", NoPort)]).max_failures(1);
    for _ in 0..3 {
        assert!(!targets.connect(None).await.unwrap_err().are_down());
    }
}

#[tokio::test(start_paused = true)]
async fn checks_take_a_target_down_and_bring_it_up_without_clients() {
    let servers = servers::<2>();
    let check = Check::new()
        .every(Duration::from_secs(2))
        .send(b"EHLO\r\n")
        .expect(b"ready");
    let targets = targets(&servers).check(&check);
    let after = async |seconds| tokio::time::sleep(Duration::from_secs(seconds)).await;
    after(1).await;
    assert_eq!(up(&targets), [true, true]);
    servers[0].off(true);
    after(2).await;
    assert_eq!(up(&targets), [true, true], "one may be chance");
    after(2).await;
    assert_eq!(up(&targets), [false, true]);
    servers[0].dialled();
    targets
        .connect(Some(Ipv4Addr::LOCALHOST.into()))
        .await
        .unwrap();
    assert_eq!(servers[0].dialled(), 0);
    servers[0].off(false);
    after(2).await;
    assert_eq!(up(&targets), [true, true]);
    drop(targets);
    after(1).await;
    servers[0].dialled();
    after(10).await;
    assert_eq!(servers[0].dialled(), 0, "the checks have ended");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_expected_fails_a_check() {
    let servers = servers::<1>();
    let check = Check::new().expect(b"OK").fall(1);
    let targets = targets(&servers).check(&check);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(up(&targets), [false]);
    assert!(targets.connect(None).await.unwrap_err().are_down());
}
