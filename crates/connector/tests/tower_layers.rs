//! tower's own layers, unchanged, on a side stack and on the pair stack.

mod helper;

use std::io;

use couplet_connector::{
    endpoint::{BoxIo, Conn, Side},
    layers::HandshakeLayer,
    pairing::CloseReason,
};
use helper::*;
use tokio::io::AsyncReadExt;
use tower::{
    limit::{ConcurrencyLimitLayer, RateLimitLayer},
    load_shed::LoadShedLayer,
    timeout::TimeoutLayer,
};

/// A handshake that takes as long as the peer does to say a byte.
async fn hear_a_byte(mut conn: Conn<BoxIo>) -> io::Result<Conn<BoxIo>> {
    conn.io.read_u8().await?;
    Ok(conn)
}

// ===== Timeout =====

/// On a side it is the deadline of all that is below.
#[tokio::test(start_paused = true)]
async fn timeout_on_a_side() {
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .layer_a(TimeoutLayer::new(5 * SECOND))
        .layer_a(HandshakeLayer::new(hear_a_byte).timeout(None))
        .start();
    let mut silent = rig.meet(Side::A).await;
    let ((), took) = timed(gone(&mut silent)).await;
    assert_eq!(took, 5 * SECOND);

    // A place in the pairing is taken at once: to wait there is not below.
    let mut a = rig.meet(Side::A).await;
    say(&mut a, "!").await;
    settle().await;
    tokio::time::advance(100 * SECOND).await;
    let mut b = rig.meet(Side::B).await;
    joined(&mut a, &mut b).await;
    close(&relay).await;
}

/// On the pair stack it drops the session.
#[tokio::test(start_paused = true)]
async fn timeout_on_the_pair() {
    let told = Told::default();
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .layer_pair(TimeoutLayer::new(5 * SECOND))
        .on_end(told.on_end())
        .start();
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    let (((), ()), took) = timed(async { tokio::join!(gone(&mut a), gone(&mut b)) }).await;
    assert_eq!(took, 5 * SECOND);
    assert_eq!(told.reasons(), [CloseReason::Dropped]);
    close(&relay).await;
}

// ===== ConcurrencyLimit =====

/// On a side it bounds those on their way to a place.
#[tokio::test(start_paused = true)]
async fn concurrency_limit_on_a_side() {
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .layer_a(ConcurrencyLimitLayer::new(1))
        .layer_a(HandshakeLayer::new(hear_a_byte).timeout(None))
        .start();
    let mut silent = rig.meet(Side::A).await;
    let mut next = rig.meet(Side::A).await;
    say(&mut next, "!").await;
    let mut b = rig.meet(Side::B).await;
    open(&mut b).await;

    say(&mut silent, "!").await;
    joined(&mut silent, &mut b).await;
    let mut b = rig.meet(Side::B).await;
    joined(&mut next, &mut b).await;
    close(&relay).await;
}

/// On the pair stack it bounds the live pairs; the others wait in the pairing.
#[tokio::test(start_paused = true)]
async fn concurrency_limit_on_the_pair() {
    let (connector, mut rig) = listen_listen();
    let relay = connector.layer_pair(ConcurrencyLimitLayer::new(1)).start();
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    let [mut next_a, mut next_b] = rig.pair().await;
    open(&mut next_b).await;
    assert_eq!(relay.waiting(Side::A), 1);

    drop((a, b));
    joined(&mut next_a, &mut next_b).await;
    close(&relay).await;
}

// ===== RateLimit =====

/// On a side it bounds how many connections are taken in a time.
#[tokio::test(start_paused = true)]
async fn rate_limit_on_a_side() {
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .layer_a(RateLimitLayer::new(1, 10 * SECOND))
        .start();
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    let [mut a, mut b] = rig.pair().await;
    let ((), took) = timed(exchange(&mut a, &mut b)).await;
    assert_eq!(took, 10 * SECOND);
    close(&relay).await;
}

/// On the pair stack it bounds how many pairs are joined in a time.
#[tokio::test(start_paused = true)]
async fn rate_limit_on_the_pair() {
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .layer_pair(RateLimitLayer::new(1, 10 * SECOND))
        .start();
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    let [mut a, mut b] = rig.pair().await;
    settle().await;
    assert_eq!(relay.waiting(Side::B), 1);
    let ((), took) = timed(exchange(&mut a, &mut b)).await;
    assert_eq!(took, 10 * SECOND);
    close(&relay).await;
}

// ===== LoadShed =====

/// On a side it refuses what would have had to wait.
#[tokio::test(start_paused = true)]
async fn load_shed_on_a_side() {
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .layer_a(LoadShedLayer::new())
        .layer_a(ConcurrencyLimitLayer::new(1))
        .layer_a(HandshakeLayer::new(hear_a_byte).timeout(None))
        .start();
    let mut slow = rig.meet(Side::A).await;
    let mut too_many = rig.meet(Side::A).await;
    soon(gone(&mut too_many)).await;
    assert_eq!(relay.snapshot().a.refused, 1);

    say(&mut slow, "!").await;
    let mut b = rig.meet(Side::B).await;
    joined(&mut slow, &mut b).await;
    close(&relay).await;
}

/// On the pair stack it refuses the pair that would have had to wait.
#[tokio::test(start_paused = true)]
async fn load_shed_on_the_pair() {
    let told = Told::default();
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .layer_pair(LoadShedLayer::new())
        .layer_pair(ConcurrencyLimitLayer::new(1))
        .on_join(told.on_join())
        .start();
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    let [mut next_a, mut next_b] = rig.pair().await;
    soon(gone(&mut next_a)).await;
    soon(gone(&mut next_b)).await;
    assert_eq!(told.joins(), 1);
    joined(&mut a, &mut b).await;
    close(&relay).await;
}
