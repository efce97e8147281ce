//! A client is watched while its partner is dialled.

#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod helper;

use std::{convert::Infallible, future::pending, time::Duration};

use couplet_endpoint::{Conn, Info, Side, memory::MemoryStream};
use couplet_pairing::{PairError, Policy, WaitingCounts, dial_for_a};
use helper::{conn, reset};
use tokio::{io::AsyncWriteExt, task::JoinHandle};
use tower::{Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

/// A client whose dial never ends.
async fn dialled_for(
    conn: Conn<MemoryStream>,
) -> (JoinHandle<Result<(), PairError>>, WaitingCounts) {
    let never = service_fn(|_: Info| pending::<Result<Conn<MemoryStream>, Infallible>>());
    let (mut side, pairs) = dial_for_a(Policy::default(), never);
    let counts = pairs.counts();
    let call = side.ready().await.unwrap().call(conn);
    let call = tokio::spawn(async move {
        let _pairs = pairs;
        call.await
    });
    (call, counts)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_ends_without_a_byte_has_gone() {
    let (conn, mut peer) = conn();
    let (call, counts) = dialled_for(conn).await;
    peer.shutdown().await.unwrap();
    tokio::time::timeout(SECOND, call)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((counts.died(Side::A), counts.waiting(Side::A)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_spoken_before_its_end_waits_until_it_is_reset() {
    for spoke_to_relay in [true, false] {
        let (mut conn, mut peer) = conn();
        conn.info.has_spoken = spoke_to_relay;
        if !spoke_to_relay {
            peer.write_all(b"question").await.unwrap();
        }
        peer.shutdown().await.unwrap();
        let (mut call, counts) = dialled_for(conn).await;
        let waited = tokio::time::timeout(60 * SECOND, &mut call).await;
        assert!(waited.is_err(), "{spoke_to_relay}");
        reset(peer);
        tokio::time::timeout(2 * SECOND, call)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(counts.died(Side::A), 1);
    }
}
