//! The same put together by hand: `serve`, a rendezvous, and tower's `ServiceBuilder`.

mod helper;

use std::{sync::Arc, time::Duration};

use couplet_connector::{
    endpoint::{BoxError, Side, memory},
    layers::{
        ExpectToken, HandshakeLayer, IdleTimeoutLayer, SideStatsLayer, Stats, StatsLayer, Token,
    },
    pairing::{Policy, dial_for_a, rendezvous},
    relay::Relay,
    serve,
};
use futures::StreamExt;
use helper::*;
use tower::ServiceBuilder;

const IDLE: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn two_listeners_are_paired_by_hand() {
    let (a_clients, listen_a) = memory::endpoint();
    let (b_clients, listen_b) = memory::endpoint();
    let stats = Stats::new();
    let token = Token::new("secret").unwrap();
    let (a, b, pairs) = rendezvous(Policy::default());
    stats.watch(pairs.counts());
    let a = ServiceBuilder::new()
        .timeout(10 * SECOND)
        .layer(SideStatsLayer::new(stats.clone(), Side::A))
        .layer(HandshakeLayer::new(ExpectToken::new(token)).timeout(None))
        .service(a);
    let pair = ServiceBuilder::new()
        .concurrency_limit(1)
        .layer(StatsLayer::new(stats.clone()))
        .layer(IdleTimeoutLayer::new(IDLE))
        .service(Relay::default());
    let a = tokio::spawn(serve(listen_a, a));
    let b = tokio::spawn(serve(listen_b, b));
    let pairs = tokio::spawn(serve(pairs, pair));

    let mut silent = a_clients.connect().await.unwrap();
    let ((), took) = timed(gone(&mut silent)).await;
    assert_eq!(took, 10 * SECOND);
    let mut live = Vec::new();
    for _ in 0..2 {
        let mut a = a_clients.connect().await.unwrap();
        say(&mut a, "secret\n").await;
        live.push((a, b_clients.connect().await.unwrap()));
    }
    let [(one_a, one_b), (two_a, two_b)] = &mut live[..] else {
        unreachable!("there are two");
    };
    joined(one_a, one_b).await;
    open(two_b).await;
    assert_eq!(stats.snapshot().a.waiting, 1);
    assert_eq!(stats.live_pairs(), 1);
    end(one_a).await;
    end(one_b).await;
    joined(two_a, two_b).await;
    let (((), ()), took) = timed(async { tokio::join!(gone(two_a), gone(two_b)) }).await;
    assert_eq!(took, IDLE);

    // It ends from its sides on.
    drop(a_clients);
    soon(a).await.unwrap().unwrap();
    soon(pairs).await.unwrap().unwrap();
    drop(b_clients);
    let _ended = soon(b).await.unwrap();
    no_task_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_proxy_is_built_by_hand() {
    let (clients, listen) = memory::endpoint();
    let (dial, mut servers) = memory::endpoint();
    let (a, pairs) = dial_for_a::<_, memory::MemoryStream, _>(Policy::default(), dial);
    let sides = tokio::spawn(serve(listen, a));
    let pairs = tokio::spawn(serve(pairs, Relay::new()));
    let mut client = clients.connect().await.unwrap();
    let mut server = soon(accept(&mut servers)).await;
    joined(&mut client, &mut server).await;

    // The sides' end is the pairs'; what was spawned goes on.
    drop(clients);
    soon(sides).await.unwrap().unwrap();
    soon(pairs).await.unwrap().unwrap();
    assert!(servers.next().await.is_none(), "nobody dials any more");
    joined(&mut client, &mut server).await;
    drop((client, server));
    no_task_left().await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_parts_frees_everything() {
    let held = Arc::new(());
    let (clients, listen) = memory::endpoint();
    let (a, b, pairs) = rendezvous::<memory::MemoryStream, memory::MemoryStream>(Policy::default());
    let guard = Arc::clone(&held);
    let a = ServiceBuilder::new()
        .map_request(move |conn| {
            let _ = &guard;
            conn
        })
        .service(a);
    let serving = tokio::spawn(serve(listen, a));
    let mut waits = clients.connect().await.unwrap();
    open(&mut waits).await;
    serving.abort();
    drop((b, pairs));
    soon(gone(&mut waits)).await;
    until(|| Arc::strong_count(&held) == 1).await;
    let refused: Result<_, BoxError> = clients.connect().await.map_err(Into::into);
    refused.unwrap_err();
    no_task_left().await;
}
