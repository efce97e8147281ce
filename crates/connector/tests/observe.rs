//! What a running relay tells, and how it is paused.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

mod helper;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use couplet_connector::{
    Connector, Handle, RelayEvent,
    endpoint::{Side, memory},
    layers::{ExpectToken, HandshakeLayer, RefusalCause, Token},
    mode::Pairing,
};
use futures::StreamExt;
use helper::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::advance,
};

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn of(relay: &Handle) -> Self {
        let heard = Self::default();
        let log = heard.clone();
        relay.observe(move |event| {
            let line = match event {
                RelayEvent::Joined(session) => format!("joined {}", session.is_relaying()),
                RelayEvent::Ended { reason, .. } => format!("ended {}", reason.termination_state()),
                RelayEvent::Refused(refused) => {
                    format!(
                        "refused {} {} {}",
                        refused.side,
                        refused.cause,
                        refused.error.is_some()
                    )
                }
                RelayEvent::Waits(info) => format!("waits {}", info.side.unwrap()),
                RelayEvent::Leaves(info) => format!("leaves {}", info.side.unwrap()),
                _ => "?".to_owned(),
            };
            log.0.lock().unwrap().push(line);
        });
        heard
    }

    async fn is(&self, expected: &[&str]) {
        let heard = || self.0.lock().unwrap().clone();
        for _ in 0..10_000 {
            if heard() == expected {
                return;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(heard(), expected);
    }
}

fn count(relay: &Handle, side: Side, cause: RefusalCause) -> u64 {
    let refusals = relay.stats().refusals(side);
    refusals.into_iter().find(|(it, _)| *it == cause).unwrap().1
}

#[tokio::test(start_paused = true)]
async fn an_observer_hears_what_the_log_tells() {
    let (clients, listen) = memory::endpoint();
    let (target, mut servers) = memory::endpoint();
    let relay = Connector::listen_dial(listen, target)
        .layer_a(HandshakeLayer::new(ExpectToken::new(
            Token::new("secret").unwrap(),
        )))
        .start();
    assert_eq!(relay.pairing(), Pairing::DialFor(Side::B));
    let heard = Heard::of(&relay);
    // An observer that panics disturbs no other.
    relay.observe(|_| panic!("in an observer"));

    let mut guesser = clients.connect().await.unwrap();
    guesser.write_all(b"guess\n").await.unwrap();
    soon(guesser.read(&mut [0])).await.unwrap_err();
    heard.is(&["refused A token true"]).await;
    assert_eq!(count(&relay, Side::A, RefusalCause::Token), 1);

    let mut client = clients.connect().await.unwrap();
    settle().await;
    advance(Duration::from_millis(30)).await;
    client.write_all(b"secret\nhello").await.unwrap();
    let mut server = soon(servers.next()).await.unwrap().unwrap().io;
    let mut hello = [0; 5];
    soon(server.read_exact(&mut hello)).await.unwrap();
    drop((client, server));
    until(|| relay.live_pairs() == 0).await;
    heard
        .is(&["refused A token true", "joined true", "ended AF"])
        .await;
    let stats = relay.stats();
    assert_eq!(
        stats.handshakes(Side::A).counts[5],
        1,
        "30 ms is at most 50 ms"
    );
    assert_eq!(stats.handshakes(Side::B).count(), 1);
    assert_eq!(stats.dial_durations(Side::B).count(), 1);
    assert_eq!(stats.durations().count(), 1);
    let finished: u64 = stats
        .ended()
        .filter(|(state, _)| *state == "AF")
        .map(|(_, n)| n)
        .sum();
    assert_eq!((finished, stats.moved().bytes(Side::A)), (1, 5));
    relay.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_rendezvous_refuses_is_told_once() {
    let (a, listen_a) = memory::endpoint();
    let (_b, listen_b) = memory::endpoint();
    let relay = Connector::listen_listen(listen_a, listen_b)
        .wait_timeout(Some(SECOND))
        .start();
    let heard = Heard::of(&relay);
    let _client = a.connect().await.unwrap();
    heard.is(&["waits A"]).await;
    advance(SECOND).await;
    heard
        .is(&["waits A", "leaves A", "refused A expired false"])
        .await;
    assert_eq!(count(&relay, Side::A, RefusalCause::Expired), 1);
    drop(a.connect().await.unwrap());
    until(|| count(&relay, Side::A, RefusalCause::Gone) == 1).await;
    relay.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_relay_takes_no_connection_and_keeps_its_pairs() {
    let (clients, listen) = memory::endpoint();
    let (target, mut servers) = memory::endpoint();
    let relay = Connector::listen_dial(listen, target).start();
    let mut client = clients.connect().await.unwrap();
    let mut server = soon(servers.next()).await.unwrap().unwrap().io;
    relay.pause();
    assert!(relay.is_paused());
    settle().await;
    let mut late = {
        let clients = clients.clone();
        tokio::spawn(async move { clients.connect().await.unwrap() })
    };
    settle().await;
    assert_eq!(
        relay.snapshot().a.connections,
        1,
        "the accept queue is left alone"
    );
    joined(&mut client, &mut server).await;
    relay.resume();
    let mut other = soon(servers.next()).await.unwrap().unwrap().io;
    let mut late = soon(&mut late).await.unwrap();
    joined(&mut late, &mut other).await;
    assert!(!relay.is_paused() && !relay.is_draining());
    // A drain ends a pause.
    relay.pause();
    drop((client, server, late, other));
    soon(relay.shutdown(SECOND)).await;
    assert!(relay.is_draining() && relay.is_done());
}
