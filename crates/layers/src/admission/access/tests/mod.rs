#[cfg(feature = "access-list")]
mod list;
#[cfg(feature = "access-list")]
mod networks;

use std::convert::Infallible;

use couplet_endpoint::{
    BoxError, Conn, Info, Side, is_caused_by,
    memory::{self, MemoryStream},
};
use tokio::io::AsyncWriteExt;
use tokio_test::assert_pending;
use tower::{Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_layer::Layer;

use super::*;
use crate::{
    Identity, SideStatsLayer, Stats,
    testing::{becomes_ready, chain, conn, read_all},
};

type Admitted = Conn<MemoryStream>;

async fn admit(conn: Admitted) -> Result<Admitted, Infallible> {
    Ok(conn)
}

fn untouched() -> impl Service<Admitted, Response = Admitted, Error = Infallible> {
    service_fn(async |_: Admitted| panic!("called for one who may not pass"))
}

fn nobody(_: &Info) -> Result<(), &'static str> {
    Err("nobody may")
}

fn everybody(_: &Info) -> Result<(), BoxError> {
    Ok(())
}

#[tokio::test]
async fn a_closure_decides_by_the_info_of_outer_layers() {
    let friends = AccessLayer::new(|info: &Info| match info.extensions.get::<Identity>() {
        Some(who) if who.name() == "friend" => Ok(()),
        Some(_) => Err("not a friend"),
        None => Err("a stranger"),
    });
    let mut service = friends.layer(service_fn(admit));
    for (name, outcome) in [
        (Some("friend"), None),
        (Some("foe"), Some("access refused: not a friend")),
        (None, Some("access refused: a stranger")),
    ] {
        let (_peer, io) = memory::connection(64);
        let mut conn = conn(io);
        if let Some(name) = name {
            conn.info.extensions.insert(Identity::new(name));
        }
        let admitted = service.ready().await.unwrap().call(conn).await;
        let refused = admitted.err().map(|error| chain(&*error));
        assert_eq!(refused.as_deref(), outcome);
    }
}

#[tokio::test]
async fn a_denied_client_gets_no_reply_and_is_counted() {
    let stats = Stats::new();
    let mut service = ServiceBuilder::new()
        .layer(SideStatsLayer::new(stats.clone(), Side::A))
        .layer(AccessLayer::new(nobody))
        .service(untouched());
    let (mut peer, io) = memory::connection(64);
    peer.write_all(b"let me in").await.unwrap();
    let refusing = service.ready().await.unwrap().call(conn(io));
    // The connection is closed at once, not when the outcome is looked at.
    assert!(read_all(&mut peer).await.0.is_empty());
    let error = refusing.await.unwrap_err();
    assert!(is_caused_by::<AccessRefused>(&*error));
    assert_eq!(stats.snapshot().a.refused, 1);
}

#[tokio::test]
async fn an_allowed_client_goes_on_with_its_early_bytes() {
    let service = AccessLayer::new(everybody).layer(service_fn(admit));
    let (mut peer, io) = memory::connection(64);
    peer.write_all(b"hello").await.unwrap();
    drop(peer);
    let mut admitted = service.oneshot(conn(io)).await.unwrap();
    assert_eq!(read_all(&mut admitted.io).await.0, b"hello");
}

#[tokio::test]
async fn a_refusal_takes_no_place() {
    let inner = ConcurrencyLimit::new(untouched(), 1);
    let mut service = AccessLayer::new(nobody).layer(inner);
    for _ in 0..3 {
        let (_peer, io) = memory::connection(64);
        let refusing = service.ready().await.unwrap().call(conn(io));
        refusing.await.unwrap_err();
    }
}

#[tokio::test]
async fn readiness_is_the_inner_services() {
    let full = ConcurrencyLimit::new(service_fn(admit), 1);
    let mut other = full.clone();
    let mut service = AccessLayer::new(everybody).layer(full);
    service.ready().await.unwrap();
    let mut ready = becomes_ready(&mut other);
    assert_pending!(ready.poll());
    assert_pending!(becomes_ready(&mut service.clone()).poll());
    drop(service);
    assert!(ready.is_woken());
}
