mod departure;
mod fair;
mod slots;

use std::{
    convert::Infallible,
    future::pending,
    io,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{
    BoxError, Conn, Io, Replay, find_cause,
    memory::{self, MemoryStream},
};
use couplet_pairing::{CloseReason, Pair};
use couplet_relay::Relay;
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
};
use tokio_test::{
    assert_pending, assert_ready, assert_ready_eq, assert_ready_err, assert_ready_ok, task,
};
use tower::{Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_layer::Layer;

use super::{Handshake, HandshakeError, HandshakeLayer, HandshakeRequest};
use crate::{
    ExpectToken, Token, TokenRefused, TransformLayer, map_bytes,
    testing::{assert_reset, becomes_ready, chain, conn, read_all},
};

const SECOND: Duration = Duration::from_secs(1);

/// An inner service that must not be used.
#[derive(Clone)]
struct Untouchable;

/// Expects a byte, and keeps the bytes behind it.
struct Expect(u8);

/// A handshake that ends when the test says so.
#[derive(Clone, Default)]
struct ByHand(Arc<Mutex<Option<oneshot::Sender<Result<(), io::Error>>>>>);

impl HandshakeRequest for () {}

impl HandshakeRequest for i32 {}

// ===== impl Untouchable =====

impl<R> Service<R> for Untouchable {
    type Response = ();
    type Error = Infallible;
    type Future = std::future::Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        panic!("polled before the handshake has succeeded")
    }

    fn call(&mut self, _: R) -> Self::Future {
        panic!("called before the handshake has succeeded")
    }
}

// ===== impl Expect =====

impl<I: Io> Handshake<Conn<I>> for Expect {
    type Output = Conn<Replay<I>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Output>>;

    fn handshake(&self, conn: Conn<I>) -> Self::Future {
        let expected = self.0;
        Box::pin(async move {
            let mut conn = conn.map_io(Replay::new);
            conn.io.read_ahead(64).await?;
            if conn.io.ahead().first() != Some(&expected) {
                return Err(io::Error::other("not what was expected"));
            }
            conn.io.consume(1);
            Ok(conn)
        })
    }
}

impl Clone for Expect {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

// ===== impl ByHand =====

impl ByHand {
    fn succeed(&self) {
        let done = self.0.lock().unwrap().take();
        done.expect("one is shaking").send(Ok(())).unwrap();
    }

    fn fail(&self, error: io::Error) {
        let done = self.0.lock().unwrap().take();
        done.expect("one is shaking").send(Err(error)).unwrap();
    }
}

impl<R: Send + 'static> Handshake<R> for ByHand {
    type Output = R;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<R>>;

    fn handshake(&self, request: R) -> Self::Future {
        let (done, doing) = oneshot::channel();
        *self.0.lock().unwrap() = Some(done);
        Box::pin(async move {
            doing.await.expect("the test holds it")?;
            Ok(request)
        })
    }
}

// ===== helpers =====

/// Never done; keeps the request.
async fn silence<R>(request: R) -> Result<R, Infallible> {
    let _kept = request;
    pending().await
}

async fn no<R>(_: R) -> Result<R, io::Error> {
    Err(io::Error::other("no"))
}

/// An innermost service that gives the request back.
fn give_back<R>() -> impl Service<R, Response = R, Error = Infallible, Future: Send> + Clone + Send
where
    R: Send,
{
    service_fn(async |request| Ok(request))
}

async fn assert_ended(peer: &mut MemoryStream) {
    let (heard, end) = read_all(peer).await;
    assert!(heard.is_empty(), "a refused peer is told nothing");
    end.unwrap();
}

// ===== what it does =====

#[tokio::test]
async fn a_closure_shakes_hands() {
    let (mut peer, io) = memory::connection(64);
    let service = HandshakeLayer::new(async |mut conn: Conn<MemoryStream>| {
        conn.io.write_all(b"name?").await?;
        let len = conn.io.read_u8().await?;
        let mut name = vec![0; len.into()];
        conn.io.read_exact(&mut name).await?;
        conn.info.extensions.insert(name);
        io::Result::Ok(conn)
    });
    let shaking = tokio::spawn(service.layer(give_back()).oneshot(conn(io)));

    let mut asked = [0; 5];
    peer.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"name?");
    peer.write_all(b"\x03bob!").await.unwrap();
    let mut conn = shaking.await.unwrap().unwrap();
    assert_eq!(conn.info.extensions.get::<Vec<u8>>().unwrap(), b"bob");
    assert_eq!(conn.io.read_u8().await.unwrap(), b'!');
}

#[tokio::test]
async fn two_handshakes_run_in_the_order_of_the_stack() {
    let stack = ServiceBuilder::new()
        .layer(HandshakeLayer::new(Expect(b'1')))
        .layer(HandshakeLayer::new(Expect(b'2')))
        .service(give_back());
    let (mut peer, io) = memory::connection(64);
    peer.write_all(b"12rest").await.unwrap();
    drop(peer);
    let mut conn = stack.clone().oneshot(conn(io)).await.unwrap();
    assert_eq!(read_all(&mut conn.io).await.0, b"rest");

    let (mut peer, io) = memory::connection(64);
    peer.write_all(b"21rest").await.unwrap();
    assert!(stack.oneshot(crate::testing::conn(io)).await.is_err());
}

#[tokio::test]
async fn bytes_read_ahead_are_left_for_the_inner_service() {
    let sent = b"secret\nrest";
    for cut in 1..sent.len() {
        let (mut peer, io) = memory::connection(64);
        let token = ExpectToken::new(Token::new("secret").unwrap());
        let service = HandshakeLayer::new(token).layer(give_back());
        let mut shaking = task::spawn(service.oneshot(conn(io)));
        peer.write_all(&sent[..cut]).await.unwrap();
        let shaken = match shaking.poll() {
            Poll::Ready(shaken) => shaken,
            Poll::Pending => {
                peer.write_all(&sent[cut..]).await.unwrap();
                assert_ready!(shaking.poll())
            }
        };
        let mut conn = shaken.unwrap();
        if cut > "secret".len() {
            peer.write_all(&sent[cut..]).await.unwrap();
        }
        drop(peer);
        assert_eq!(read_all(&mut conn.io).await.0, b"rest");
    }
}

#[tokio::test]
async fn a_silent_peer_holds_up_no_other() {
    let handshake = HandshakeLayer::new(Expect(b'!')).bound(2);
    let mut service = handshake.layer(give_back());
    let (_silent, silent_io) = memory::connection(64);
    let (mut peer, io) = memory::connection(64);

    let mut silent = task::spawn(service.ready().await.unwrap().call(conn(silent_io)));
    assert_pending!(silent.poll());
    peer.write_all(b"!").await.unwrap();
    let other = service.ready().await.unwrap().call(conn(io));
    other.await.unwrap();
    assert_pending!(silent.poll());
}

// ===== on a pair =====

#[tokio::test]
async fn a_pair_handshake_chooses_the_transforms_of_its_pair() {
    // Side A says which it wants.
    let step = HandshakeLayer::new(async |mut pair: Pair<MemoryStream, MemoryStream>| {
        let wanted = pair.a.read_u8().await?;
        pair.b.write_all(b"[joined]").await?;
        let transforms = match wanted {
            b'u' => TransformLayer::new().a_to_b(|| map_bytes(|b| b.to_ascii_uppercase())),
            _ => TransformLayer::new(),
        };
        io::Result::Ok(transforms.apply(pair))
    });
    for (says, hears) in [(b"uhello", b"[joined]HELLO"), (b"-hello", b"[joined]hello")] {
        let (mut a, a_io) = memory::connection(64);
        let (mut b, b_io) = memory::connection(64);
        let pair = Pair::new(conn(a_io), conn(b_io));
        let session = pair.session.handle();
        let serving = tokio::spawn(step.layer(Relay::new()).oneshot(pair));
        a.write_all(says).await.unwrap();
        drop(a);
        let (heard, end) = read_all(&mut b).await;
        end.unwrap();
        assert_eq!(heard, hears);
        drop(b);
        let summary = serving.await.unwrap().unwrap();
        assert_eq!(summary.a_to_b, 5, "the step's bytes are its own");
        assert_eq!(summary.session, session.id());
    }
}

#[tokio::test]
async fn a_pair_that_is_refused_has_ended_so() {
    let (mut a, a_io) = memory::connection(64);
    let (mut b, b_io) = memory::connection(64);
    let pair = Pair::new(conn(a_io), conn(b_io));
    let session = pair.session.handle();
    let refused = HandshakeLayer::new(no).layer(Untouchable).oneshot(pair);
    assert_eq!(chain(&*refused.await.unwrap_err()), "handshake failed: no");
    assert_eq!(session.ended().await, CloseReason::Refused);
    assert_ended(&mut a).await;
    assert_ended(&mut b).await;
}

// ===== the deadline =====

#[tokio::test(start_paused = true)]
async fn the_deadline_is_exact() {
    for (layer, timeout) in [
        (HandshakeLayer::new(silence::<()>), 10 * SECOND),
        (
            HandshakeLayer::new(silence).timeout(Some(3 * SECOND)),
            3 * SECOND,
        ),
    ] {
        let mut service = layer.layer(Untouchable);
        let mut shaking = task::spawn(service.ready().await.unwrap().call(()));
        assert_pending!(shaking.poll());
        tokio::time::advance(timeout - Duration::from_millis(1)).await;
        assert_pending!(shaking.poll());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(shaking.is_woken());
        let error = assert_ready_err!(shaking.poll());
        let expected = format!("handshake not done within {timeout:?}");
        assert_eq!(chain(&*error), expected);
        let error: Box<HandshakeError> = error.downcast().unwrap();
        assert!(matches!(*error, HandshakeError::Timeout(t) if t == timeout));
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_a_handshake_may_last() {
    let handshake = ByHand::default();
    let layer = HandshakeLayer::new(handshake.clone()).timeout(None);
    let mut service = layer.layer(give_back());
    let mut shaking = task::spawn(service.ready().await.unwrap().call(()));
    assert_pending!(shaking.poll());
    tokio::time::advance(Duration::from_secs(1_000_000)).await;
    assert!(!shaking.is_woken());
    handshake.succeed();
    assert_ready_ok!(shaking.poll());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_does_not_cover_the_inner_service() {
    let inner = ConcurrencyLimit::new(give_back(), 1);
    let mut busy = inner.clone();
    busy.ready().await.unwrap();
    let handshake = ByHand::default();
    let mut service = HandshakeLayer::new(handshake.clone()).layer(inner);
    let mut shaking = task::spawn(service.ready().await.unwrap().call(()));
    assert_pending!(shaking.poll());
    handshake.succeed();
    assert_pending!(shaking.poll());
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_pending!(shaking.poll());
    drop(busy);
    assert_ready_ok!(shaking.poll());
}

// ===== how it fails =====

#[tokio::test]
async fn a_refusal_has_its_reason() {
    let (mut peer, io) = memory::connection(64);
    peer.write_all(b"guess\n").await.unwrap();
    let token = ExpectToken::new(Token::new("secret").unwrap());
    let service = HandshakeLayer::new(token).layer(Untouchable);
    let error = service.oneshot(conn(io)).await.unwrap_err();
    assert_eq!(error.to_string(), "handshake failed");
    let cause = error.source().unwrap().downcast_ref();
    assert!(matches!(cause, Some(TokenRefused::Mismatch)));
    assert!(find_cause::<HandshakeError>(&*error).is_some());
}

#[tokio::test]
async fn errors_of_the_inner_service_are_passed_on_unchanged() {
    let fails = service_fn(async |()| Err::<(), _>(io::Error::from(io::ErrorKind::AddrInUse)));
    let service = HandshakeLayer::new(async |()| Ok::<_, BoxError>(())).layer(fails);
    let error = service.oneshot(()).await.unwrap_err();
    let error: Box<io::Error> = error.downcast().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_fails_is_closed() {
    let (mut peer, io) = memory::connection(64);
    let refused = HandshakeLayer::new(no).layer(Untouchable);
    assert!(refused.oneshot(conn(io)).await.is_err());
    assert_ended(&mut peer).await;

    let (mut peer, io) = memory::connection(64);
    let late = HandshakeLayer::new(silence).layer(Untouchable);
    assert!(late.oneshot(conn(io)).await.is_err());
    assert_ended(&mut peer).await;
}

#[tokio::test]
async fn a_connection_that_is_dropped_is_closed_in_every_state() {
    let inner = ConcurrencyLimit::new(
        service_fn(async |conn: Conn<MemoryStream>| silence(conn).await),
        1,
    );
    // In the handshake, waiting for the inner service, served by it.
    for (shaken, inner_ready) in [(false, false), (true, false), (true, true)] {
        let mut other = inner.clone();
        if !inner_ready {
            other.ready().await.unwrap();
        }
        let (mut peer, io) = memory::connection(64);
        let handshake = ByHand::default();
        let mut service = HandshakeLayer::new(handshake.clone()).layer(inner.clone());
        let mut shaking = task::spawn(service.ready().await.unwrap().call(conn(io)));
        assert_pending!(shaking.poll());
        if shaken {
            handshake.succeed();
            assert_pending!(shaking.poll());
        }
        let mut reading = task::spawn(peer.read_u8());
        assert_pending!(reading.poll());
        drop(shaking);
        assert_ready_err!(reading.poll());
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_is_a_failure() {
    let (mut peer, io) = memory::connection(64);
    peer.write_all(b"secr").await.unwrap();
    peer.abort();
    drop(peer);
    let token = ExpectToken::new(Token::new("secret").unwrap());
    let error = HandshakeLayer::new(token)
        .layer(Untouchable)
        .oneshot(conn(io))
        .await
        .unwrap_err();
    let cause = find_cause::<io::Error>(&*error).unwrap();
    assert_reset(&Err(cause.kind().into()));
}
