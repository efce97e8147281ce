//! What a stranger can know of a connection's life, with the public interface alone: a layer that
//! reads the address of a client behind a proxy, and a log of all connections above it.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod helper;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use couplet_connector::{
    Connector,
    endpoint::{Conn, ConnEvent, ConnId, ConnObserver, Info, Io, Side, memory},
    layers::{Handshake, HandshakeLayer},
    pairing::{CloseReason, Refusal},
};
use futures::future::BoxFuture;
use helper::*;
use tokio::io::AsyncReadExt;
use tower::{Layer, Service};

/// A protocol of the test's own: one byte, the last of the client's address.
#[derive(Clone, Copy, Debug)]
struct ReadsClient;

impl<I: Io> Handshake<Conn<I>> for ReadsClient {
    type Output = Conn<I>;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, std::io::Result<Conn<I>>>;

    fn handshake(&self, mut conn: Conn<I>) -> Self::Future {
        Box::pin(async move {
            let last = conn.io.read_u8().await?;
            conn.info.peer = Some(SocketAddr::from(([192, 0, 2, last], 1)));
            conn.info.tell(ConnEvent::Learned);
            match last {
                0 => Err(std::io::ErrorKind::InvalidData.into()),
                _ => Ok(conn),
            }
        })
    }
}

/// Writes down what each connection came to.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<BTreeMap<ConnId, Line>>>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Line {
    peer: Option<SocketAddr>,
    events: Vec<ConnEvent>,
    is_gone: bool,
}

#[derive(Clone)]
struct Logged<S>(Log, S);

struct Observer(Log, ConnId);

impl<S> Layer<S> for Log {
    type Service = Logged<S>;

    fn layer(&self, inner: S) -> Logged<S> {
        Logged(self.clone(), inner)
    }
}

impl<I, S: Service<Conn<I>>> Service<Conn<I>> for Logged<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.1.poll_ready(cx)
    }

    fn call(&mut self, mut conn: Conn<I>) -> S::Future {
        let id = conn.info.id;
        self.0.0.lock().unwrap().insert(id, Line::default());
        conn.info.observe(Observer(self.0.clone(), id));
        self.1.call(conn)
    }
}

impl ConnObserver for Observer {
    fn on_event(&self, info: &Info, event: ConnEvent) {
        let mut lines = self.0.0.lock().unwrap();
        let line = lines.get_mut(&info.id).unwrap();
        line.peer = info.peer;
        line.events.push(event);
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        let mut lines = self.0.0.lock().unwrap();
        lines.get_mut(&self.1).unwrap().is_gone = true;
    }
}

impl Log {
    fn lines(&self) -> Vec<Line> {
        self.0.lock().unwrap().values().cloned().collect()
    }
}

fn peer(last: u8) -> Option<SocketAddr> {
    Some(SocketAddr::from(([192, 0, 2, last], 1)))
}

#[tokio::test(start_paused = true)]
async fn an_observer_hears_of_every_connection_and_its_client() {
    let log = Log::default();
    let (dial_a, listen_a) = memory::endpoint();
    let (dial_b, listen_b) = memory::endpoint();
    let relay = Connector::listen_listen(listen_a, listen_b)
        .layer_a((log.clone(), HandshakeLayer::new(ReadsClient)))
        .wait_timeout(Some(10 * SECOND))
        .start();
    let mut peers = Vec::new();
    for n in [7, 0, 8, 9] {
        let mut peer = dial_a.connect().await.unwrap();
        say(&mut peer, [n]).await;
        settle().await;
        peers.push(peer);
    }
    // The third goes while it waits, the fourth finds no partner.
    drop(peers.remove(2));
    let mut partner = dial_b.connect().await.unwrap();
    say(&mut peers[0], "hello").await;
    hears(&mut partner, "hello").await;
    let partner_id = eventually(async {
        loop {
            if let Some(ConnEvent::Joined(partner)) = log.lines()[0].events.get(2) {
                return *partner;
            }
            settle().await;
        }
    })
    .await;
    drop((partner, peers.remove(0)));
    tokio::time::sleep(11 * SECOND).await;
    settle().await;

    let lines = log.lines();
    assert!(lines.iter().all(|line| line.is_gone), "{lines:?}");
    let peers: Vec<_> = lines.iter().map(|line| line.peer).collect();
    assert_eq!(peers, [7, 0, 8, 9].map(peer));
    let ConnEvent::Ended(reason) = lines[0].events[4] else {
        panic!("{lines:?}");
    };
    assert_ne!(reason, CloseReason::Refused);
    assert_eq!(
        lines[0].events[..4],
        [
            ConnEvent::Learned,
            ConnEvent::Waits,
            ConnEvent::Joined(partner_id),
            ConnEvent::FirstByte(Side::A),
        ]
    );
    assert_eq!(lines[1].events, [ConnEvent::Learned]);
    let gone = [ConnEvent::Learned, ConnEvent::Waits, ConnEvent::Gone];
    assert_eq!(lines[2].events, gone);
    let expired = ConnEvent::Refused(Refusal::Expired);
    assert_eq!(lines[3].events[2..], [expired]);
    drop(relay);
}
