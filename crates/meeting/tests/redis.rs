//! The match-maker on a real server.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod helper;

use std::{sync::Arc, time::Duration};

use couplet_connector::endpoint::Side;
use couplet_meeting::{
    engine::{Answer, Request},
    redis::{CheckError, Checked, RedisEngine, RedisError, RedisServer},
};
use helper::{ask, contract, meet, offer, server::Server};
use tokio::time::sleep;
use tower::ServiceExt;

fn engine(server: &Server) -> RedisEngine {
    RedisEngine::new([RedisServer::new(&server.url()).expect("its address")])
}

async fn connected(engine: &RedisEngine) {
    until(|| engine.is_connected()).await;
}

async fn until(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    waited.expect("it comes true");
}

/// The answer, or none where the request fails.
async fn try_meet(
    engine: &RedisEngine,
    of: u8,
    side: impl Into<Option<Side>>,
) -> Result<Answer, RedisError> {
    let request = Request::Meet(offer(of, side));
    engine.clone().oneshot(request).await
}

#[tokio::test]
async fn a_server_keeps_to_the_contract() {
    let server = Server::start(&[]).await;
    let engine = engine(&server);
    connected(&engine).await;
    contract::holds(&engine, sleep).await;
    // All that is left ends by itself.
    let keys = server.run(&["KEYS", "*"]).await;
    for key in Vec::<String>::from_iter(redis::from_redis_value::<Vec<String>>(keys).unwrap()) {
        let ttl = server.run(&["PTTL", &key]).await;
        assert!(
            matches!(ttl, redis::Value::Int(1..) | redis::Value::Int(-2)),
            "{key}: {ttl:?}"
        );
    }
}

#[tokio::test]
async fn two_that_arrive_at_once_meet_exactly_once() {
    let server = Server::start(&[]).await;
    // Each on a connection of its own, as two nodes have.
    let engines = [engine(&server), engine(&server)];
    for one in &engines {
        connected(one).await;
    }
    for of in 0..200 {
        let ask = |at: usize, side| {
            let engine = engines[at].clone();
            async move { meet(&engine, &offer(of, side)).await }
        };
        let answers = tokio::join!(
            ask(0, Side::A),
            ask(1, Side::B),
            ask(0, Side::B),
            ask(1, Side::A)
        );
        let answers = [answers.0, answers.1, answers.2, answers.3];
        let found = answers.iter().filter(|it| matches!(it, Answer::Found(_)));
        assert_eq!(found.count(), 2, "{answers:?}");
        server.run(&["FLUSHALL"]).await;
    }
}

#[tokio::test]
async fn a_server_that_was_killed_is_used_again_when_it_is_back() {
    let mut server = Server::start(&[]).await;
    let engine = engine(&server);
    connected(&engine).await;
    assert_eq!(meet(&engine, &offer(1, Side::A)).await, Answer::Waits);
    server.kill().await;
    until(|| !engine.is_connected()).await;
    let away = try_meet(&engine, 1, Side::A).await;
    assert!(matches!(away, Err(RedisError::Away { .. })), "{away:?}");
    server.restart().await;
    connected(&engine).await;
    // It has forgotten all, the scripts too.
    assert_eq!(meet(&engine, &offer(1, Side::B)).await, Answer::Waits);
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_loaded_again() {
    let server = Server::start(&[]).await;
    let engine = engine(&server);
    connected(&engine).await;
    let one = offer(1, Side::A);
    assert_eq!(meet(&engine, &one).await, Answer::Waits);
    server.run(&["SCRIPT", "FLUSH", "SYNC"]).await;
    let found = meet(&engine, &offer(1, Side::B)).await;
    assert_eq!(found, Answer::Found(one.peer()));
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_left_and_found_again_as_a_master() {
    let server = Server::start(&[]).await;
    let engine = engine(&server);
    connected(&engine).await;
    assert_eq!(meet(&engine, &offer(1, Side::A)).await, Answer::Waits);
    server.run(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let refused = try_meet(&engine, 1, Side::A).await;
    assert!(
        matches!(refused, Err(RedisError::Failed { .. })),
        "{refused:?}"
    );
    until(|| !engine.is_connected()).await;
    let checked = engine.check().await;
    assert!(
        matches!(&checked[..], [Err(CheckError::Away { .. })]),
        "{checked:?}"
    );
    server.run(&["REPLICAOF", "NO", "ONE"]).await;
    connected(&engine).await;
    assert!(try_meet(&engine, 1, Side::A).await.is_ok());
}

#[tokio::test]
async fn a_request_to_a_paused_server_is_late_and_asking_again_gives_the_answer() {
    let server = Server::start(&[]).await;
    let engine = engine(&server).deadline(Duration::from_millis(100));
    connected(&engine).await;
    let (one, other) = (offer(1, Side::A), offer(1, Side::B));
    assert_eq!(meet(&engine, &one).await, Answer::Waits);
    server.run(&["CLIENT", "PAUSE", "400", "ALL"]).await;
    let late = engine.clone().oneshot(Request::Meet(other.clone())).await;
    assert!(matches!(late, Err(RedisError::Late { .. })), "{late:?}");
    let patient = engine.clone().deadline(Duration::from_secs(20));
    // The request that was given up was carried out: the partner is not lost.
    assert_eq!(meet(&patient, &other).await, Answer::Found(one.peer()));
}

#[tokio::test]
async fn no_more_offers_of_a_key_and_side_are_kept_than_the_bound() {
    let server = Server::start(&[]).await;
    let engine = engine(&server).per_key(2);
    connected(&engine).await;
    let kept = [offer(1, None), offer(2, Side::A), offer(2, Side::A)];
    for one in &kept {
        assert_eq!(meet(&engine, one).await, Answer::Waits);
    }
    let full = try_meet(&engine, 2, Side::A).await;
    assert!(matches!(full, Ok(Answer::Full)), "{full:?}");
    // Renewed all the same, and others have room.
    for one in &kept {
        assert_eq!(meet(&engine, one).await, Answer::Waits);
    }
    assert!(try_meet(&engine, 3, Side::A).await.is_ok());
    // Offers beyond their lease take no room.
    sleep(helper::LEASE).await;
    assert_eq!(meet(&engine, &offer(2, Side::A)).await, Answer::Waits);
}

#[tokio::test]
async fn a_server_without_memory_keeps_what_it_has_and_refuses_more() {
    let server = Server::start(&["--maxmemory-policy", "noeviction"]).await;
    let engine = engine(&server);
    connected(&engine).await;
    let one = offer(1, Side::A);
    assert_eq!(meet(&engine, &one).await, Answer::Waits);
    server.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = try_meet(&engine, 1, Side::B).await;
    assert!(
        matches!(refused, Err(RedisError::Failed { .. })),
        "{refused:?}"
    );
    assert!(engine.is_connected());
    // One that leaves makes room.
    let two = offer(1, Side::B);
    assert_eq!(
        ask(&engine, Request::Leave(two.clone())).await,
        Answer::Done
    );
    server.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(meet(&engine, &two).await, Answer::Found(one.peer()));
}

#[tokio::test]
async fn the_check_warns_of_a_server_that_may_drop_offers() {
    let server = Server::start(&["--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"]).await;
    let checked = engine(&server).check().await;
    let [Ok(Checked::Warning(warning))] = &checked[..] else {
        panic!("{checked:?}");
    };
    assert!(
        warning.contains("allkeys-lru") && warning.contains("noeviction"),
        "{warning}"
    );
    server
        .run(&["CONFIG", "SET", "maxmemory-policy", "noeviction"])
        .await;
    let checked = engine(&server).check().await;
    assert!(
        matches!(&checked[..], [Ok(Checked::Well(_))]),
        "{checked:?}"
    );
}

#[tokio::test]
async fn a_server_asks_for_the_password_and_no_secret_is_shown() {
    let server = Server::start(&["--requirepass", "correct horse"]).await;
    let with = |password: &str| {
        let server = RedisServer::new(&server.url()).unwrap().password(password);
        assert!(!format!("{server:?}").contains(password));
        RedisEngine::new([server])
    };
    let checked = with("wrong").check().await;
    let [Err(error @ CheckError::Away { source, .. })] = &checked[..] else {
        panic!("{checked:?}");
    };
    assert!(
        !format!("{error} {source}").contains("wrong"),
        "{error} {source}"
    );
    assert!(with("correct horse").check().await[0].is_ok());
    let url = RedisServer::new("redis://user:pass%20word@[::1]:7/3").unwrap();
    assert!(url.has_password());
    assert_eq!(&*url.name(), "redis://[::1]:7/3");
    for wrong in ["http://x", "redis://:pass@:x", "pass", "rediss://x"] {
        let error = RedisServer::new(wrong).unwrap_err().to_string();
        assert!(!error.contains("pass"), "{error}");
    }
}

#[tokio::test]
async fn each_of_several_servers_has_its_share_of_the_keys() {
    let servers = [
        Server::start(&[]).await,
        Server::start(&[]).await,
        Server::start(&[]).await,
    ];
    let address = |server: &Server| RedisServer::new(&server.url()).unwrap();
    let engine = RedisEngine::new(servers.each_ref().map(address));
    let mut reversed = servers.each_ref().map(address);
    reversed.reverse();
    let other = RedisEngine::new(reversed);
    connected(&engine).await;
    connected(&other).await;
    for of in 0..=60 {
        let one = offer(of, Side::A);
        assert_eq!(meet(&engine, &one).await, Answer::Waits);
        let found = meet(&other, &offer(of, Side::B)).await;
        assert_eq!(found, Answer::Found(one.peer()));
    }
    for server in &servers {
        // An answer of each meeting is kept.
        let keys = redis::from_redis_value::<u32>(server.run(&["DBSIZE"]).await).unwrap();
        assert!((8..40).contains(&keys), "{keys}");
    }
}

#[tokio::test]
async fn a_connection_ends_with_its_last_engine() {
    let server = Server::start(&[]).await;
    let engine = engine(&server);
    connected(&engine).await;
    let clients = async || {
        let list = server.run(&["CLIENT", "LIST"]).await;
        redis::from_redis_value::<String>(list)
            .unwrap()
            .lines()
            .count()
    };
    // With the one that asks.
    assert_eq!(clients().await, 2);
    let engine = Arc::new(engine);
    drop(engine);
    while clients().await > 1 {
        sleep(Duration::from_millis(5)).await;
    }
}
