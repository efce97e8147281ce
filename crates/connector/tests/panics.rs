//! A panic in a layer or a closure of the program's own ends its connection alone, or the relay with
//! an error that names it.

mod helper;

use std::{
    convert::Infallible,
    io,
    sync::Arc,
    task::{Context, Poll},
};

use couplet_connector::{
    BoxError, BoxPair, Connector, ConnectorError,
    endpoint::{BoxIo, Conn, Info, Side, memory},
    layers::{HandshakeLayer, TransformLayer, map_bytes},
    pairing::{CloseReason, Keyed, Refusal},
};
use helper::*;
use tower::{Service, layer::layer_fn};

/// Panics when it is asked for readiness for the third time.
#[derive(Clone)]
struct Unready<S> {
    inner: S,
    asked: u32,
}

impl<R, S: Service<R>> Service<R> for Unready<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.asked += 1;
        assert!(self.asked < 3, "as it was told");
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.inner.call(request)
    }
}

fn causes(error: &ConnectorError) -> String {
    let mut causes = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes += &format!(": {cause}");
        next = cause.source();
    }
    causes
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_readiness_of_the_pair_stack_ends_the_relay() {
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .layer_pair(layer_fn(|inner| Unready { inner, asked: 0 }))
        .start();
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    let [_c, _d] = rig.pair().await;
    // The live pairs go on to their end.
    until(|| !rig.is_listened_to()).await;
    joined(&mut a, &mut b).await;
    drop((a, b, _c, _d));
    let error = soon(relay.done()).await.unwrap_err();
    assert_eq!(causes(&error), "pair stack failed: panic: as it was told");
    no_task_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_readiness_of_a_side_stack_ends_the_relay() {
    let (connector, mut rig) = listen_dial();
    let relay = connector
        .layer_a(layer_fn(|inner| Unready { inner, asked: 0 }))
        .start();
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    let [c, d] = rig.pair().await;
    until(|| !rig.is_listened_to()).await;
    joined(&mut a, &mut b).await;
    drop((a, b, c, d));
    let error = soon(relay.done()).await.unwrap_err();
    assert_eq!(causes(&error), "side A failed: panic: as it was told");
    no_task_left().await;
}

/// Readiness that fails is no silence either.
#[tokio::test(start_paused = true)]
async fn an_error_in_the_readiness_of_a_stack_ends_the_relay() {
    #[derive(Clone)]
    struct Fails;
    impl Service<Conn<BoxIo>> for Fails {
        type Response = ();
        type Error = BoxError;
        type Future = std::future::Ready<Result<(), BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Err("it can't be ready".into()))
        }

        fn call(&mut self, _: Conn<BoxIo>) -> Self::Future {
            unreachable!("it is never ready")
        }
    }
    let (connector, _rig) = listen_listen();
    let relay = connector.layer_b(layer_fn(|_| Fails)).start();
    let error = soon(relay.done()).await.unwrap_err();
    assert_eq!(causes(&error), "side B failed: it can't be ready");
    no_task_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_panics_ends_its_connection_alone() {
    for early in [true, false] {
        let handshake = move |conn: Conn<BoxIo>| {
            let first = conn.info.extensions.get::<First>().is_some();
            assert!(!(early && first), "as it was told");
            async move {
                assert!(!first, "as it was told");
                Ok::<_, Infallible>(conn)
            }
        };
        every_mode!(|connector, rig| {
            if rig.mode != "dial + dial" {
                let mark = mark_the_first();
                let relay = connector
                    .layer_a(HandshakeLayer::new(mark))
                    .layer_a(HandshakeLayer::new(handshake))
                    .start();
                let mut first = rig.meet(rig.order[0]).await;
                if rig.is_dialled(Side::A) {
                    soon(gone(&mut rig.meet(Side::A).await)).await;
                }
                soon(gone(&mut first)).await;
                let [mut a, mut b] = rig.pair().await;
                joined(&mut a, &mut b).await;
                close(&relay).await;
            }
        });
    }
}

struct First;

/// Marks the first connection that comes.
fn mark_the_first()
-> impl Fn(Conn<BoxIo>) -> std::future::Ready<Result<Conn<BoxIo>, Infallible>> + Clone {
    let came = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    move |mut conn| {
        if !came.swap(true, std::sync::atomic::Ordering::Relaxed) {
            conn.info.extensions.insert(First);
        }
        std::future::ready(Ok(conn))
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_closure_that_panics_ends_its_connection_alone() {
    for of_side in [false, true] {
        let (clients, listen) = memory::endpoint();
        let panics = |info: &Info| info.extensions.get::<First>().is_some();
        let keyed = Keyed::new(move |info: &Info| {
            assert!(of_side || !panics(info), "as it was told");
            Some(1)
        })
        .side(move |info| {
            assert!(!of_side || !panics(info), "as it was told");
            info.side
        })
        .refusal_reply(SECOND, |_, _| panic!("as it was told"));
        let relay = Connector::keyed(listen, keyed)
            .layer_a(HandshakeLayer::new(mark_the_first()))
            .start();
        let mut refused = soon(clients.connect()).await.unwrap();
        soon(gone(&mut refused)).await;
        let counts = relay.snapshot();
        assert_eq!(counts.a.refused, 1, "{}", Refusal::UnknownKey);
        let mut a = soon(clients.connect()).await.unwrap();
        let mut b = soon(clients.connect()).await.unwrap();
        joined(&mut a, &mut b).await;
        close(&relay).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_changes_nothing() {
    let (connector, mut rig) = listen_listen();
    let observed = |mut conn: Conn<BoxIo>| {
        conn.info.observe(|_: &Info, _| panic!("as it was told"));
        std::future::ready(Ok::<_, Infallible>(conn))
    };
    let relay = connector
        .layer_a(HandshakeLayer::new(observed))
        .layer_b(HandshakeLayer::new(observed))
        .start();
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_only_its_pair() {
    let transform = || {
        TransformLayer::new().a_to_b(|| {
            map_bytes(|bytes| {
                assert!(!bytes.starts_with(b"panic"), "as it was told");
                bytes
            })
        })
    };
    every_mode!(|connector, rig| {
        if rig.mode != "dial + dial" {
            let told = Told::default();
            let relay = connector
                .layer_pair(transform())
                .on_join(told.on_join())
                .on_end(told.on_end())
                .start();
            let [mut a, mut b] = rig.pair().await;
            joined(&mut a, &mut b).await;
            let [mut bad_a, mut bad_b] = rig.pair().await;
            joined(&mut bad_a, &mut bad_b).await;
            say(&mut bad_a, "panic").await;
            soon(gone(&mut bad_a)).await;
            soon(gone(&mut bad_b)).await;
            until(|| told.reasons() == [CloseReason::Dropped]).await;
            assert_eq!(relay.live_pairs(), 1);
            joined(&mut a, &mut b).await;
            let [mut a, mut b] = rig.pair().await;
            joined(&mut a, &mut b).await;
            assert_eq!(told.joins(), 3);
            close(&relay).await;
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_call_ends_only_its_pair_or_connection() {
    let (connector, mut rig) = listen_listen();
    let panics_at = |nth: usize| {
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        move || {
            let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert_ne!(n, nth, "as it was told");
        }
    };
    let (on_a, on_pair) = (Arc::new(panics_at(1)), Arc::new(panics_at(1)));
    let relay = connector
        .layer_a(HandshakeLayer::new(move |conn: Conn<BoxIo>| {
            on_a();
            std::future::ready(io::Result::Ok(conn))
        }))
        .before_join(move |pair: BoxPair| {
            on_pair();
            std::future::ready(io::Result::Ok(pair))
        })
        .start();
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    // The second on side A.
    soon(gone(&mut rig.meet(Side::A).await)).await;
    // The second pair.
    let [mut bad_a, mut bad_b] = rig.pair().await;
    soon(gone(&mut bad_a)).await;
    soon(gone(&mut bad_b)).await;
    joined(&mut a, &mut b).await;
    let [mut a, mut b] = rig.pair().await;
    joined(&mut a, &mut b).await;
    assert_eq!(relay.live_pairs(), 2);
    close(&relay).await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_ends_only_its_pair() {
    let (connector, mut rig) = listen_listen();
    let relay = connector
        .on_end(|_, _, _| panic!("as it was told"))
        .close_when_idle(10 * SECOND)
        .start();
    for _ in 0..3 {
        let [mut a, mut b] = rig.pair().await;
        joined(&mut a, &mut b).await;
    }
    until(|| relay.live_pairs() == 0).await;
    let (done, took) = timed(relay.done()).await;
    done.unwrap();
    assert_eq!(took, 10 * SECOND);
    no_task_left().await;
}
