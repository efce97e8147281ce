use std::{convert::Infallible, time::Duration};

use couplet_endpoint::{
    Conn, Info, find_cause,
    memory::{self, MemoryStream},
};
use couplet_pairing::{DialFor, Policy, dial_for_a};
use tokio_test::{assert_pending, assert_ready_err, task};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_layer::Layer;

use super::*;
use crate::{
    handshake::{HandshakeError, HandshakeLayer},
    testing::{conn, read_all},
};

const MINUTE: Duration = Duration::from_secs(60);

/// A connection from this address, and its peer.
fn from(peer: &str) -> (MemoryStream, Conn<MemoryStream>) {
    let (ours, theirs) = memory::connection(64);
    let mut conn = conn(theirs);
    conn.info.peer = Some(format!("{peer}:1000").parse().unwrap());
    (ours, conn)
}

/// A side whose handshake is passed by those from port 2000.
fn side(layer: AttemptsLayer) -> impl Service<Conn<MemoryStream>, Response = (), Error = BoxError> {
    let shake = async |conn: Conn<MemoryStream>| match conn.info.peer {
        Some(peer) if peer.port() == 2000 => Ok(conn),
        _ => Err("no"),
    };
    let place = service_fn(async |_| Ok::<_, Infallible>(()));
    ServiceBuilder::new()
        .layer(layer)
        .layer(HandshakeLayer::new(shake))
        .service(place)
}

async fn fails<S>(side: &mut S, peer: &str) -> BoxError
where
    S: Service<Conn<MemoryStream>, Response = (), Error = BoxError>,
{
    let (_peer, conn) = from(peer);
    side.ready().await.unwrap().call(conn).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_fails_too_often_is_refused_until_the_window_ends() {
    let attempts = Attempts::new(3, MINUTE);
    let mut side = side(AttemptsLayer::new(attempts.clone()));
    for number in 1..=3 {
        let error = fails(&mut side, "192.0.2.1").await;
        assert!(find_cause::<HandshakeError>(&*error).is_some());
        assert_eq!(
            error.downcast_ref().map(FailedAttempt::number),
            Some(number)
        );
    }
    // Even a client that would pass, and without a reply.
    let (mut peer, mut conn) = from("192.0.2.1");
    conn.info.peer.as_mut().unwrap().set_port(2000);
    let error = side.ready().await.unwrap().call(conn).await.unwrap_err();
    let refused: &TooManyAttempts = error.downcast_ref().unwrap();
    assert_eq!(refused.peer().to_string(), "192.0.2.1");
    assert_eq!((refused.failed(), refused.refused()), (3, 1));
    let (heard, end) = read_all(&mut peer).await;
    assert!(heard.is_empty() && end.is_ok());
    let again: Box<TooManyAttempts> = fails(&mut side, "192.0.2.1").await.downcast().unwrap();
    assert_eq!((again.failed(), again.refused()), (3, 2));
    // Others go on.
    let error = fails(&mut side, "192.0.2.2").await;
    assert!(find_cause::<HandshakeError>(&*error).is_some());

    let counts = attempts.counts();
    assert_eq!((counts.failed, counts.refused), (4, 2));
    tokio::time::advance(MINUTE).await;
    let error = fails(&mut side, "192.0.2.1").await;
    assert!(find_cause::<HandshakeError>(&*error).is_some());
}

#[tokio::test(start_paused = true)]
async fn clients_that_pass_or_have_no_address_are_not_counted() {
    let attempts = Attempts::new(1, MINUTE);
    let mut side = side(AttemptsLayer::new(attempts.clone()));
    for _ in 0..3 {
        let (_peer, mut passes) = from("192.0.2.1");
        passes.info.peer.as_mut().unwrap().set_port(2000);
        side.ready().await.unwrap().call(passes).await.unwrap();
        let (_peer, io) = memory::connection(64);
        let failed = side.ready().await.unwrap().call(conn(io)).await;
        assert!(find_cause::<HandshakeError>(&*failed.unwrap_err()).is_some());
    }
    assert_eq!(attempts.counts(), AttemptCounts::default());
}

#[tokio::test(start_paused = true)]
async fn errors_that_are_no_handshake_failure_are_not_counted() {
    let attempts = Attempts::new(1, MINUTE);
    let full = service_fn(async |_: Conn<MemoryStream>| Err::<(), BoxError>("full".into()));
    let mut below = AttemptsLayer::new(attempts.clone()).layer(full);
    for _ in 0..3 {
        let error = fails(&mut below, "192.0.2.1").await;
        assert_eq!(error.to_string(), "full");
    }
    let mut side = side(AttemptsLayer::new(attempts.clone()).counts_if(|_| false));
    for _ in 0..3 {
        fails(&mut side, "192.0.2.1").await;
    }
    assert_eq!(attempts.counts().failed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_times_out_is_a_failure() {
    let attempts = Attempts::new(1, MINUTE);
    let silence = async |conn: Conn<MemoryStream>| {
        std::future::pending::<()>().await;
        Ok::<_, Infallible>(conn)
    };
    let mut side = ServiceBuilder::new()
        .layer(AttemptsLayer::new(attempts.clone()))
        .layer(HandshakeLayer::new(silence))
        .service(service_fn(async |_| Ok::<_, Infallible>(())));
    fails(&mut side, "192.0.2.1").await;
    assert_eq!(attempts.counts().failed, 1);
}

#[tokio::test(start_paused = true)]
async fn with_a_delay_a_client_that_failed_is_delayed_and_may_pass() {
    let attempts = Attempts::new(1, MINUTE);
    let layer = AttemptsLayer::new(attempts.clone()).delay(Duration::from_secs(5));
    let mut side = side(layer);
    fails(&mut side, "192.0.2.1").await;

    let (_peer, mut passes) = from("192.0.2.1");
    passes.info.peer.as_mut().unwrap().set_port(2000);
    let mut call = task::spawn(side.ready().await.unwrap().call(passes));
    assert_pending!(call.poll());
    tokio::time::advance(Duration::from_millis(4999)).await;
    assert_pending!(call.poll());
    tokio::time::advance(Duration::from_millis(1)).await;
    call.await.unwrap();

    fails(&mut side, "192.0.2.1").await;
    let counts = attempts.counts();
    assert_eq!((counts.failed, counts.refused, counts.delayed), (2, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn the_number_of_delayed_clients_is_bounded() {
    let attempts = Attempts::new(1, MINUTE);
    let layer = AttemptsLayer::new(attempts.clone()).delay(Duration::from_secs(5));
    let mut side = side(layer);
    fails(&mut side, "192.0.2.1").await;
    let mut delayed = Vec::new();
    for _ in 0..256 {
        let mut call = task::spawn(side.ready().await.unwrap().call(from("192.0.2.1").1));
        assert_pending!(call.poll());
        delayed.push(call);
    }
    let mut surplus = task::spawn(side.ready().await.unwrap().call(from("192.0.2.1").1));
    assert!(assert_ready_err!(surplus.poll()).is::<TooManyAttempts>());
    // One that is let go makes room for another.
    delayed.pop();
    let mut call = task::spawn(side.ready().await.unwrap().call(from("192.0.2.1").1));
    assert_pending!(call.poll());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_delayed_no_more_and_fails_no_more() {
    let attempts = Attempts::new(1, MINUTE);
    let layer = AttemptsLayer::new(attempts.clone()).delay(Duration::from_secs(30));
    let mut side = side(layer);
    fails(&mut side, "192.0.2.1").await;
    let (mut peer, conn) = from("192.0.2.1");
    let call = task::spawn(side.ready().await.unwrap().call(conn));
    peer.abort();
    drop(peer);
    let left = tokio::time::timeout(Duration::from_secs(2), call).await;
    let error = left.unwrap().unwrap_err();
    assert!(error.is::<crate::Departed>(), "{error}");
    assert_eq!(attempts.counts().failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_not_blamed_for_the_handshake_of_its_partner() {
    let attempts = Attempts::new(1, MINUTE);
    let partner = HandshakeLayer::new(async |_: Conn<MemoryStream>| {
        Err::<Conn<MemoryStream>, _>("its certificate has expired")
    })
    .layer(service_fn(async |conn| Ok::<_, Infallible>(conn)));
    let dial = service_fn(move |_: Info| partner.clone().oneshot(conn(memory::connection(64).1)));
    let (place, _pairs): (DialFor<MemoryStream, _, _, _>, _) = dial_for_a(Policy::default(), dial);
    let mut side = AttemptsLayer::new(attempts.clone()).layer(place);
    for _ in 0..3 {
        let error = fails(&mut side, "192.0.2.1").await;
        assert!(find_cause::<HandshakeError>(&*error).is_some());
    }
    assert_eq!(attempts.counts(), AttemptCounts::default());
}
