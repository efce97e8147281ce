//! What the command can't show of the library: a target that is chosen, a pool of dialled
//! connections.

#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use couplet_connector::{
    Connector, Handle,
    endpoint::{Dial, Info, Listen, Side},
};
use couplet_tests::{
    LIMIT,
    net::{BlackHole, accept, connect, expect_closed, expect_end, flood, listen, nobody_comes},
    pattern, until,
};
use tokio::runtime::Runtime;
use tower::ServiceExt;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn address(relay: &Handle, side: Side) -> SocketAddr {
    relay.local_addr(side).unwrap().tcp().unwrap()
}

#[test]
fn unanswered_dials_delay_no_other_client() {
    let hole = BlackHole::new();
    let target = listen();
    let good = target.local_addr().unwrap();
    let deaf = hole.address();
    // Clients from these ports are dialled into the black hole.
    let doomed = Arc::new(Mutex::new(HashSet::new()));

    let runtime = runtime();
    let chosen = Arc::clone(&doomed);
    let relay = runtime.block_on(async {
        let dial = tower::service_fn(move |client: Info| {
            let doomed = chosen.lock().unwrap().contains(&client.peer.unwrap());
            let target = if doomed { deaf } else { good };
            Dial::new(target)
                .connect_timeout(Duration::from_secs(600))
                .oneshot(client)
        });
        Connector::listen_dial(Listen::bind("127.0.0.1:0").await.unwrap(), dial).start()
    });
    let relay_at = address(&relay, Side::A);

    let stuck: Vec<_> = (0..64)
        .map(|_| (connect(relay_at), accept(&target)))
        .collect();
    for (client, server) in &stuck {
        flood(client);
        flood(server);
    }
    // Led astray before they connect: the mark is there when they are seen.
    let astray: Vec<_> = (0..20)
        .map(|_| {
            let mut doomed = doomed.lock().unwrap();
            let client = connect(relay_at);
            doomed.insert(client.local_addr().unwrap());
            client
        })
        .collect();
    nobody_comes(&target);

    let start = Instant::now();
    for number in 0..20 {
        let client = connect(relay_at);
        let server = accept(&target);
        pattern::send(&client, number, 100_000);
        pattern::expect(&server, number, 100_000);
        drop(client);
        expect_end(&server);
    }
    assert!(start.elapsed() < LIMIT / 2, "{:?}", start.elapsed());

    // Nor do they delay the end.
    runtime.block_on(relay.close());
    astray.iter().for_each(expect_closed);
}

#[test]
fn a_pool_of_dialled_connections_meets_clients() {
    let target = listen();
    let dial = Dial::new(target.local_addr().unwrap()).pool(3);
    let runtime = runtime();
    let relay = runtime.block_on(async {
        let listen = Listen::bind("127.0.0.1:0").await.unwrap();
        Connector::listen_listen(dial, listen).start()
    });

    let mut pool = [(); 3].map(|()| accept(&target));
    until("all of them wait", || {
        (relay.waiting(Side::A) == 3).then_some(())
    });
    // A connection that is dead before a client comes is dialled anew, and never joined.
    pool.rotate_left(1);
    let [second, third, first] = pool;
    drop(first);
    let fourth = accept(&target);
    for (server, number) in [second, third, fourth].iter().zip(1..) {
        let client = connect(address(&relay, Side::B));
        pattern::send(&client, number, 100_000);
        pattern::expect(server, number, 100_000);
        pattern::send(server, number + 10, 100_000);
        pattern::expect(&client, number + 10, 100_000);
    }
    runtime.block_on(relay.close());
}
