//! The four modes over TCP sockets: addresses, counts, and every byte of a large transfer.

mod helper;

use couplet_connector::{
    Connector,
    endpoint::{Dial, Listen, Side},
    mode::Mode,
    pairing::CloseReason,
    stack::Slot,
};
use futures::StreamExt;
use helper::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Joins a pair over sockets, and tells what they are and how it ended.
async fn over_sockets(
    connector: Connector<impl Mode<Slot, Slot>>,
    mut meet: impl AsyncFnMut(&couplet_connector::Handle) -> [TcpStream; 2],
) {
    let relay = connector.start();
    let mut sessions = relay.session_stream();
    let [a, b] = eventually(meet(&relay)).await;
    let session = eventually(sessions.next()).await.expect("it is joined");
    for (side, peer) in [(Side::A, &a), (Side::B, &b)] {
        let info = session.info(side);
        assert_eq!(info.peer, peer.local_addr().ok());
        assert_eq!(info.local, peer.peer_addr().ok());
        let listens = relay.local_addr(side);
        assert!(listens.is_err() || listens.ok().and_then(|at| at.tcp()) == info.local);
    }
    const MANY: usize = 3_000_001;
    const FEW: usize = 100_003;
    let (a, b) = (send_and_hear(a, MANY, FEW), send_and_hear(b, FEW, MANY));
    eventually(a).await.expect("it is whole");
    eventually(b).await.expect("it is whole");
    let reason = eventually(session.ended()).await;
    assert!(matches!(reason, CloseReason::Finished(_)), "{reason}");
    assert_eq!(session.meter().bytes(Side::A), MANY as u64);
    assert_eq!(session.meter().bytes(Side::B), FEW as u64);
    let address = [(std::net::Ipv4Addr::LOCALHOST.into(), 1)];
    for side in SIDES {
        assert_eq!(relay.stats().addresses(side), address);
    }
    eventually(relay.close()).await;
    relay.done().await.expect("nothing has failed");
}

/// Sends so much, ends, and hears so much and the end.
fn send_and_hear(peer: TcpStream, send: usize, expect: usize) -> JoinHandle<()> {
    tokio::spawn(async move {
        let (mut read, mut write) = peer.into_split();
        let sending = async {
            write.write_all(&vec![7; send]).await.expect("it is read");
            end(&mut write).await;
        };
        let mut heard = Vec::new();
        let ((), read) = tokio::join!(sending, read.read_to_end(&mut heard));
        assert_eq!(read.expect("no reset"), expect);
    })
}

#[tokio::test]
async fn over_sockets_every_connection_has_its_own_addresses() {
    async fn listen() -> Listen {
        Listen::bind("127.0.0.1:0").await.unwrap()
    }
    async fn target() -> (TcpListener, Dial) {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dial = Dial::new(target.local_addr().unwrap());
        (target, dial)
    }
    async fn come(relay: &couplet_connector::Handle, side: Side) -> TcpStream {
        let addr = relay.local_addr(side).expect("it listens");
        TcpStream::connect(addr.to_string()).await.unwrap()
    }
    async fn accept(target: &TcpListener) -> TcpStream {
        target.accept().await.unwrap().0
    }

    let connector = Connector::listen_listen(listen().await, listen().await);
    over_sockets(connector, async |relay| {
        [come(relay, Side::A).await, come(relay, Side::B).await]
    })
    .await;

    let (target, dial) = target().await;
    let connector = Connector::listen_dial(listen().await, dial.clone());
    over_sockets(connector, async |relay| {
        [come(relay, Side::A).await, accept(&target).await]
    })
    .await;

    let connector = Connector::dial_listen(dial.clone(), listen().await);
    over_sockets(connector, async |relay| {
        let b = come(relay, Side::B).await;
        [accept(&target).await, b]
    })
    .await;

    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to_other = Dial::new(other.local_addr().unwrap());
    let connector = Connector::dial_dial(dial, to_other);
    over_sockets(connector, async |_| {
        [accept(&target).await, accept(&other).await]
    })
    .await;
}
