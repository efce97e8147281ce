//! Connecting to the first of several addresses that answers: RFC 8305, "Happy Eyeballs".

use std::{io, net::SocketAddr, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::timeout;

/// The Connection Attempt Delay of RFC 8305, section 5.
const DELAY: Duration = Duration::from_millis(250);

/// Alternates IPv6 and IPv4 (RFC 8305, section 4). The resolver has sorted the addresses (RFC 6724),
/// so the family of the first begins: IPv6, unless this machine has none.
pub(super) fn interleave(addrs: Vec<SocketAddr>) -> Vec<SocketAddr> {
    if addrs.len() < 2 {
        return addrs;
    }
    let begin_with_ipv6 = addrs.first().is_some_and(SocketAddr::is_ipv6);
    let count = addrs.len();
    let (first, second): (Vec<_>, Vec<_>) = addrs
        .into_iter()
        .partition(|addr| addr.is_ipv6() == begin_with_ipv6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::with_capacity(count);
    while turns.len() < count {
        turns.extend(first.next());
        turns.extend(second.next());
    }
    turns
}

/// Tries the addresses in turn, each 250 ms after the one before it, or at once when one fails;
/// the first to connect wins, and the others are dropped. `None` when all have failed.
///
/// `failed` has the failures in their order, also after this future is dropped.
pub(super) async fn race<T, C, F>(
    addrs: Vec<SocketAddr>,
    failed: &mut Vec<(SocketAddr, io::Error)>,
    connect: C,
) -> Option<T>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<T>>,
{
    if let [addr] = addrs[..] {
        // The common case: one address, nothing to race with, and no cost beyond the attempt.
        return match connect(addr).await {
            Ok(connected) => Some(connected),
            Err(error) => {
                failed.push((addr, error));
                None
            }
        };
    }
    let mut addrs = addrs.into_iter();
    let mut running = FuturesUnordered::new();
    loop {
        if let Some(addr) = addrs.next() {
            let connecting = connect(addr);
            running.push(async move { (addr, connecting.await) });
        }
        let done = if addrs.len() > 0 {
            match timeout(DELAY, running.next()).await {
                Ok(done) => done,
                Err(_) => continue,
            }
        } else {
            running.next().await
        };
        match done? {
            (_, Ok(connected)) => return Some(connected),
            (addr, Err(error)) => failed.push((addr, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::HashMap};

    use tokio::time::{Instant, sleep};

    use super::*;

    fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns() {
        let sorted = addrs(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1"]);
        let turns = addrs(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "[::3]:1"]);
        assert_eq!(interleave(sorted), turns);
        let ipv4_first = addrs(&["10.0.0.1:1", "[::1]:1", "[::2]:1"]);
        assert_eq!(interleave(ipv4_first.clone()), ipv4_first);
        assert_eq!(interleave(Vec::new()), []);
    }

    /// After how many milliseconds a port answers, and how.
    type Ports = &'static [(u16, u64, Result<(), io::ErrorKind>)];

    /// The result of a race: the winner and when, when each attempt began, which failed.
    #[derive(Debug, PartialEq)]
    struct Outcome {
        won: Option<u16>,
        at: u128,
        begun: Vec<(u16, u128)>,
        failed: Vec<u16>,
    }

    async fn outcome(ports: Ports) -> Outcome {
        let begin = Instant::now();
        let script: HashMap<_, _> = ports
            .iter()
            .map(|&(port, ms, how)| (port, (ms, how)))
            .collect();
        let begun = RefCell::new(Vec::new());
        let connect = |addr: SocketAddr| {
            begun
                .borrow_mut()
                .push((addr.port(), begin.elapsed().as_millis()));
            let (ms, how) = script[&addr.port()];
            async move {
                sleep(Duration::from_millis(ms)).await;
                how.map(|()| addr.port()).map_err(io::Error::from)
            }
        };
        let addrs = ports.iter().map(|(port, ..)| ([10, 0, 0, 1], *port).into());
        let mut failed = Vec::new();
        let won = race(addrs.collect(), &mut failed, connect).await;
        Outcome {
            won,
            at: begin.elapsed().as_millis(),
            begun: begun.into_inner(),
            failed: failed.iter().map(|(addr, _)| addr.port()).collect(),
        }
    }

    const NEVER: u64 = 1_000_000;
    const REFUSED: Result<(), io::ErrorKind> = Err(io::ErrorKind::ConnectionRefused);

    #[tokio::test(start_paused = true)]
    async fn an_address_that_answers_soon_is_the_only_one_tried() {
        let outcome = outcome(&[(1, 249, Ok(())), (2, 0, Ok(()))]).await;
        assert_eq!((outcome.won, outcome.at), (Some(1), 249));
        assert_eq!(outcome.begun, [(1, 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn black_holes_delay_the_next_by_a_quarter_second_each() {
        let outcome = outcome(&[(1, NEVER, Ok(())), (2, NEVER, Ok(())), (3, 20, Ok(()))]).await;
        assert_eq!((outcome.won, outcome.at), (Some(3), 520));
        assert_eq!(outcome.begun, [(1, 0), (2, 250), (3, 500)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_address_to_connect_wins() {
        let outcome = outcome(&[(1, 300, Ok(())), (2, 100, Ok(()))]).await;
        assert_eq!((outcome.won, outcome.at), (Some(1), 300));
        assert_eq!(outcome.begun, [(1, 0), (2, 250)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_address_starts_the_next_at_once() {
        let ports: Ports = &[
            (1, 10, REFUSED),
            (2, NEVER, Ok(())),
            (3, 0, REFUSED),
            (4, 5, Ok(())),
        ];
        let outcome = outcome(ports).await;
        assert_eq!((outcome.won, outcome.at), (Some(4), 265));
        assert_eq!(outcome.begun, [(1, 0), (2, 10), (3, 260), (4, 260)]);
        assert_eq!(outcome.failed, [1, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_race_fails_when_every_address_has() {
        let outcome = outcome(&[(1, 400, REFUSED), (2, 0, REFUSED)]).await;
        assert_eq!((outcome.won, outcome.at), (None, 400));
        assert_eq!(outcome.failed, [2, 1]);
    }
}
