//! The match-maker on a real server.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod helper;

use std::{sync::Arc, time::Duration};

use couplet_connector::endpoint::Side;
use couplet_meeting::{
    engine::{Answer, Request},
    redis::{CheckError, Checked, RedisEngine, RedisError, RedisServer},
};
use helper::{
    ask, contract, meet, offer,
    server::{Program, Server},
};
use tokio::time::sleep;
use tower::ServiceExt;

/// Each test on each of the servers.
macro_rules! on_each_server {
    ($($name:ident,)*) => {
        mod redis_7 {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Program::Redis).await;
            })*
        }
        mod valkey_8 {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Program::Valkey).await;
            })*
        }
    };
}

on_each_server! {
    a_server_keeps_to_the_contract,
    two_that_arrive_at_once_meet_exactly_once,
    a_server_that_was_killed_is_used_again_when_it_is_back,
    scripts_that_the_server_forgot_are_loaded_again,
    a_server_that_became_a_replica_is_left_and_found_again_as_a_master,
    a_request_to_a_paused_server_is_late_and_asking_again_gives_the_answer,
    no_more_offers_of_a_key_and_side_are_kept_than_the_bound,
    a_server_without_memory_keeps_what_it_has_and_refuses_more,
    the_check_warns_of_a_server_that_may_drop_offers,
    a_server_asks_for_the_password_and_no_secret_is_shown,
    each_of_several_servers_has_its_share_of_the_keys,
    a_connection_ends_with_its_last_engine,
    a_server_that_runs_no_scripts_is_unfit,
    the_sentinels_lead_to_the_master_and_to_the_next_one,
    a_cluster_of_servers_keeps_to_the_contract,
}

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

async fn a_server_keeps_to_the_contract(on: Program) {
    let server = Server::start(on, &[]).await;
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

async fn two_that_arrive_at_once_meet_exactly_once(on: Program) {
    let server = Server::start(on, &[]).await;
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

async fn a_server_that_was_killed_is_used_again_when_it_is_back(on: Program) {
    let mut server = Server::start(on, &[]).await;
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

async fn scripts_that_the_server_forgot_are_loaded_again(on: Program) {
    let server = Server::start(on, &[]).await;
    let engine = engine(&server);
    connected(&engine).await;
    let one = offer(1, Side::A);
    assert_eq!(meet(&engine, &one).await, Answer::Waits);
    server.run(&["SCRIPT", "FLUSH", "SYNC"]).await;
    let found = meet(&engine, &offer(1, Side::B)).await;
    assert_eq!(found, Answer::Found(one.peer()));
}

async fn a_server_that_became_a_replica_is_left_and_found_again_as_a_master(on: Program) {
    let server = Server::start(on, &[]).await;
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

async fn a_request_to_a_paused_server_is_late_and_asking_again_gives_the_answer(on: Program) {
    let server = Server::start(on, &[]).await;
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

async fn no_more_offers_of_a_key_and_side_are_kept_than_the_bound(on: Program) {
    let server = Server::start(on, &[]).await;
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

async fn a_server_without_memory_keeps_what_it_has_and_refuses_more(on: Program) {
    let server = Server::start(on, &["--maxmemory-policy", "noeviction"]).await;
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

async fn the_check_warns_of_a_server_that_may_drop_offers(on: Program) {
    let server = Server::start(
        on,
        &["--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"],
    )
    .await;
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

async fn a_server_asks_for_the_password_and_no_secret_is_shown(on: Program) {
    let server = Server::start(on, &["--requirepass", "correct horse"]).await;
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
    for wrong in [
        "http://x",
        "redis://:pass@:x",
        "pass",
        "rediss://:pass@x:x",
        "redis+sentinel://pass/",
        "redis://x#insecure",
    ] {
        let error = RedisServer::new(wrong).unwrap_err().to_string();
        assert!(!error.contains("pass"), "{error}");
    }
}

async fn each_of_several_servers_has_its_share_of_the_keys(on: Program) {
    let servers = [
        Server::start(on, &[]).await,
        Server::start(on, &[]).await,
        Server::start(on, &[]).await,
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

async fn a_connection_ends_with_its_last_engine(on: Program) {
    let server = Server::start(on, &[]).await;
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

async fn a_server_that_runs_no_scripts_is_unfit(on: Program) {
    let server = Server::start(on, &[]).await;
    let limited = [
        "ACL",
        "SETUSER",
        "limited",
        "on",
        ">pass",
        "~*",
        "+@all",
        "-@scripting",
    ];
    server.run(&limited).await;
    let limited = RedisServer::new(&format!("{}?user=limited", server.url())).unwrap();
    let checked = RedisEngine::new([limited.password("pass")]).check().await;
    let [Err(error @ CheckError::Unfit { .. })] = &checked[..] else {
        panic!("{checked:?}");
    };
    let error = error.to_string();
    assert!(
        error.contains("it runs no scripts") && error.contains("Lua"),
        "{error}"
    );
}

async fn the_sentinels_lead_to_the_master_and_to_the_next_one(on: Program) {
    let [first, second] = [
        Server::at_port(on, &[]).await,
        Server::at_port(on, &[]).await,
    ];
    second.run(&["REPLICAOF", "127.0.0.1", &first.port()]).await;
    let sentinel = Server::sentinel(on, &first).await;
    let lists = async || {
        let replicas = sentinel.run(&["SENTINEL", "REPLICAS", "main"]).await;
        let replicas = redis::from_redis_value::<Vec<Vec<String>>>(replicas).unwrap();
        replicas.concat().contains(&second.port())
    };
    while !lists().await {
        sleep(Duration::from_millis(50)).await;
    }
    // The first does not answer, the second does.
    let url = format!(
        "redis+sentinel://127.0.0.1:1,127.0.0.1:{}/main",
        sentinel.port()
    );
    let server = RedisServer::new(&url).unwrap();
    assert!(server.is_by_sentinel());
    assert_eq!(&*server.name(), format!("{url}/0"));
    let engine = RedisEngine::new([server]);
    connected(&engine).await;
    let mut one = offer(1, Side::A);
    one.lease = Duration::from_secs(600);
    assert_eq!(meet(&engine, &one).await, Answer::Waits);
    assert_eq!(first.run(&["DBSIZE"]).await, redis::Value::Int(1));
    while second.run(&["DBSIZE"]).await != redis::Value::Int(1) {
        sleep(Duration::from_millis(10)).await;
    }
    drop(first);
    sentinel.run(&["SENTINEL", "FAILOVER", "main"]).await;
    until(|| !engine.is_connected()).await;
    connected(&engine).await;
    // The new master has what was replicated, not the scripts.
    let met = async { try_meet(&engine, 1, Side::B).await };
    assert!(matches!(met.await, Ok(Answer::Found(peer)) if peer == one.peer()));
}

async fn a_cluster_of_servers_keeps_to_the_contract(on: Program) {
    let servers = Server::cluster(on).await;
    let url = format!(
        "redis+cluster://127.0.0.1:1,127.0.0.1:{}",
        servers[1].port()
    );
    let engine = RedisEngine::new([RedisServer::new(&url).unwrap()]);
    connected(&engine).await;
    assert!(matches!(&engine.check().await[..], [Ok(Checked::Well(_))]));
    contract::holds(&engine, sleep).await;
    for of in 100..=160 {
        let one = offer(of, Side::A);
        assert_eq!(meet(&engine, &one).await, Answer::Waits);
        let found = meet(&engine, &offer(of, Side::B)).await;
        assert_eq!(found, Answer::Found(one.peer()));
    }
    for server in &servers {
        let keys = redis::from_redis_value::<u32>(server.run(&["DBSIZE"]).await).unwrap();
        assert!(keys > 8, "{keys}");
    }
    // One of them alone has some of the keys alone.
    let one = RedisServer::new(&format!("redis://127.0.0.1:{}", servers[0].port())).unwrap();
    let checked = RedisEngine::new([one]).check().await;
    let [Err(error @ CheckError::Unfit { .. })] = &checked[..] else {
        panic!("{checked:?}");
    };
    assert!(error.to_string().contains("redis+cluster://"), "{error}");
}

/// Debian's server alone: the other is built without TLS.
#[cfg(feature = "redis-tls")]
#[tokio::test]
async fn a_server_by_tls_is_known_by_its_certificate_and_knows_its_clients() {
    use couplet_meeting::redis::RedisTls;

    let (server, files) = Server::by_tls().await;
    let file = |name: &str| files.path().join(name);
    let url = format!("rediss://localhost:{}", server.port());
    let checked = async |tls: RedisTls| {
        let server = RedisServer::new(&url).unwrap().tls(tls).unwrap();
        let [checked] = &mut RedisEngine::new([server]).check().await[..] else {
            panic!("there is one");
        };
        match checked {
            Ok(_) => Ok(()),
            Err(error) => Err(couplet_connector::endpoint::Chain(error).to_string()),
        }
    };
    let known = RedisTls::new().certificate(file("client.pem"), file("client.key"));
    checked(known.clone().ca(file("ca.pem"))).await.unwrap();
    let other = checked(known.ca(file("other.pem"))).await.unwrap_err();
    assert!(other.contains("certificate"), "{other}");
    let stranger = checked(RedisTls::new().ca(file("ca.pem")))
        .await
        .unwrap_err();
    assert!(stranger.contains("can't be reached"), "{stranger}");
    let why = "CertificateRequired";
    assert_eq!(stranger.matches(why).count(), 1, "{stranger}");
    // What is wrong with a file is told at once.
    let server = || RedisServer::new(&url).unwrap();
    for (tls, what) in [
        (RedisTls::new().ca(file("absent.pem")), "absent.pem"),
        (RedisTls::new().ca(file("client.key.txt")), "no PEM block"),
    ] {
        let error = server().tls(tls).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let plain = RedisServer::new("redis://localhost").unwrap();
    let error = plain.tls(RedisTls::new()).unwrap_err().to_string();
    assert!(error.contains("rediss://"), "{error}");
}
