use std::{collections::HashMap, net::Ipv4Addr};

use couplet_endpoint::{
    Conn, Side,
    memory::{self, MemoryStream},
};
use couplet_pairing::CloseReason;
use futures::FutureExt;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;
use tokio_test::assert_pending;
use tower::{Service, ServiceBuilder, ServiceExt, layer::util::Identity, limit::ConcurrencyLimit};
use tower_layer::Layer;

use super::{Open, come, enter, from, give_back, refused, why};
use crate::{
    ConnLimitLayer, LimitCounts, OverLimit, SideStatsLayer, Stats,
    admission::limits::Limit,
    testing::{becomes_ready, conn, read_all, relay_between},
};

#[tokio::test]
async fn the_limit_holds_for_each_address() {
    let counts = LimitCounts::new();
    let layer = ConnLimitLayer::per_address(2).counts(counts.clone());
    let mut service = layer.layer(give_back());
    let first = enter(&mut service, [10, 0, 0, 1]).await;
    let _second = enter(&mut service, [10, 0, 0, 1]).await;
    let why = refused(&mut service, [10, 0, 0, 1]).await;
    assert_eq!(why, OverLimit::Refused(Limit::ConnsPerAddress(2)));
    let text = "connection over the limit of 2 open connections of one address";
    assert_eq!(why.to_string(), text);
    let _other = enter(&mut service, [10, 0, 0, 2]).await;
    drop(first);
    let _third = enter(&mut service, [10, 0, 0, 1]).await;
    refused(&mut service, [10, 0, 0, 1]).await;
    assert_eq!((counts.admitted(), counts.refused()), (4, 2));
}

#[tokio::test]
async fn services_of_a_shared_layer_count_together() {
    let counted = async |layer: ConnLimitLayer| {
        let mut one = layer.layer(give_back());
        let mut other = layer.clone().layer(give_back());
        let open = enter(&mut one, [10, 0, 0, 1]).await;
        let (_, coming) = come(&mut other, [10, 0, 0, 1]).await;
        let is_in = coming
            .now_or_never()
            .expect("it is refused or let in")
            .is_ok();
        drop(open);
        enter(&mut other, [10, 0, 0, 1]).await;
        is_in
    };
    for layer in [ConnLimitLayer::overall(1), ConnLimitLayer::per_address(1)] {
        assert!(counted(layer.clone()).await);
        assert!(!counted(layer.shared()).await);
    }
}

#[tokio::test]
async fn the_limit_holds_for_all_together() {
    let mut service = ConnLimitLayer::overall(2).layer(give_back());
    let first = enter(&mut service, [10, 0, 0, 1]).await;
    let _second = enter(&mut service, [10, 0, 0, 2]).await;
    let why = refused(&mut service, [10, 0, 0, 3]).await;
    assert_eq!(
        why.to_string(),
        "connection over the limit of 2 open connections"
    );
    drop(first);
    let _third = enter(&mut service, [10, 0, 0, 3]).await;
}

#[tokio::test]
async fn an_ipv6_network_is_one_client() {
    let mut service = ConnLimitLayer::per_address(1).layer(give_back());
    let _open = enter(&mut service, [0x2001, 0xdb8, 0, 1, 0, 0, 0, 1]).await;
    refused(&mut service, [0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]).await;
    let _other = enter(&mut service, [0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]).await;
    let _v4 = enter(&mut service, [192, 0, 2, 7]).await;
    refused(&mut service, Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped()).await;
}

#[tokio::test]
async fn connections_without_an_address_are_one_client() {
    let mut service = ConnLimitLayer::per_address(1).layer(give_back());
    let unix = || conn(memory::connection(64).0);
    let _open = service.ready().await.unwrap().call(unix()).await.unwrap();
    let outcome = service.ready().await.unwrap().call(unix()).await;
    assert!(matches!(why(outcome), OverLimit::Refused(_)));
}

#[tokio::test]
async fn a_refused_client_gets_no_reply_and_is_counted() {
    let stats = Stats::new();
    let mut service = ServiceBuilder::new()
        .layer(SideStatsLayer::new(stats.clone(), Side::A))
        .layer(ConnLimitLayer::overall(0))
        .service(give_back());
    let (mut peer, conn) = from([10, 0, 0, 1]);
    peer.write_all(b"let me in").await.unwrap();
    let refusing = service.ready().await.unwrap().call(conn);
    // The connection is closed at once, not when the outcome is looked at.
    assert!(read_all(&mut peer).await.0.is_empty());
    refusing.await.unwrap_err();
    assert_eq!(stats.snapshot().a.refused, 1);
}

#[tokio::test]
async fn a_joined_connection_is_open_until_its_pair_has_ended() {
    let mut service = ConnLimitLayer::per_address(1).layer(give_back());
    let opened = enter(&mut service, [10, 0, 0, 1]).await;
    let (_b, b_io) = memory::connection(64);
    let (session, end) = relay_between(Identity::new(), opened.io, b_io);
    refused(&mut service, [10, 0, 0, 1]).await;
    session.close(CloseReason::Closed);
    end.await.unwrap().unwrap();
    enter(&mut service, [10, 0, 0, 1]).await;
    assert_eq!(service.limiter().clients(), 0);
}

#[tokio::test]
async fn a_refusal_takes_nothing_of_the_inner_service() {
    let inner = ConcurrencyLimit::new(give_back(), 1);
    let mut service = ConnLimitLayer::overall(0).layer(inner);
    for _ in 0..3 {
        refused(&mut service, [10, 0, 0, 1]).await;
    }
}

#[tokio::test]
async fn readiness_is_the_inner_services_and_never_cloned() {
    let full = ConcurrencyLimit::new(give_back::<Open>(), 1);
    let mut other = full.clone();
    let mut service = ConnLimitLayer::overall(1).layer(full);
    ServiceExt::<Conn<MemoryStream>>::ready(&mut service)
        .await
        .unwrap();
    assert_pending!(becomes_ready::<Conn<MemoryStream>, _>(&mut service.clone()).poll());
    let mut ready = becomes_ready(&mut other);
    assert_pending!(ready.poll());
    drop(service);
    assert!(ready.is_woken());
}

#[tokio::test]
async fn a_limit_may_be_as_good_as_none() {
    let mut service = ConnLimitLayer::overall(usize::MAX).layer(give_back());
    enter(&mut service, [10, 0, 0, 1]).await;
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Comes(u8),
    /// The oldest of an address.
    Goes(u8),
}

proptest! {
    /// A connection is let in if and only if fewer than the limit are open; a client without one is
    /// forgotten.
    #[test]
    fn the_count_is_that_of_open_connections(
        limit in 0..4_usize,
        steps in proptest::collection::vec(
            prop_oneof![(0..4_u8).prop_map(Step::Comes), (0..4_u8).prop_map(Step::Goes)],
            0..60,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut service = ConnLimitLayer::per_address(limit).layer(give_back());
            let mut open: HashMap<u8, Vec<_>> = HashMap::new();
            for step in steps {
                match step {
                    Step::Comes(host) => {
                        let of_host = open.entry(host).or_default();
                        let (_, coming) = come(&mut service, [10, 0, 0, host]).await;
                        match coming.await {
                            Ok(conn) => of_host.push(conn),
                            Err(_) => prop_assert_eq!(of_host.len(), limit),
                        }
                        prop_assert!(of_host.len() <= limit);
                    }
                    Step::Goes(host) => {
                        if let Some(of_host) = open.get_mut(&host) && !of_host.is_empty() {
                            of_host.remove(0);
                        }
                    }
                }
                let clients = open.values().filter(|conns| !conns.is_empty()).count();
                prop_assert_eq!(service.limiter().clients(), clients);
            }
            Ok(())
        })?;
    }
}
