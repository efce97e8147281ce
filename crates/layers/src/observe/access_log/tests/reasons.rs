use std::{convert::Infallible, io, time::Duration};

use bytes::{Bytes, BytesMut};
use couplet_endpoint::{Io, Side, memory};
use couplet_pairing::{CloseReason, Pair};
use couplet_relay::Relay;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::codec::{Decoder, Encoder};
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::{Records, relay_error};
use crate::{
    Codec, HandshakeLayer, IdleTimeoutLayer, MaxLifetimeLayer, TransformLayer,
    observe::access_log::{AccessLogLayer, End},
    testing::{Relayed, conn, read_all, relay},
};

/// The letters of the record of a pair which ends as `end` has it.
async fn letters(end: impl AsyncFnOnce(Relayed)) -> &'static str {
    let records = Records::default();
    let layers = ServiceBuilder::new()
        .map_err(relay_error)
        .layer(AccessLogLayer::new(records.log()))
        .layer(IdleTimeoutLayer::new(Duration::from_secs(100)))
        .layer(MaxLifetimeLayer::new(Duration::from_secs(1000)));
    let relayed = relay(layers, 64);
    let done = relayed.end.abort_handle();
    end(relayed).await;
    while !done.is_finished() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    records.one().end.termination_state()
}

#[tokio::test(start_paused = true)]
async fn each_reason_has_its_letters() {
    let ended = async |Relayed { a, b, end, .. }| {
        drop(a);
        drop(b);
        end.await.unwrap().unwrap();
    };
    assert_eq!(letters(ended).await, "AF");
    let b_first = async |Relayed { mut a, b, .. }| {
        drop(b);
        read_all(&mut a).await.1.unwrap();
    };
    assert_eq!(letters(b_first).await, "BF");
    let reset = async |Relayed { mut a, b, .. }| {
        a.abort();
        drop(a);
        drop(b);
    };
    assert_eq!(letters(reset).await, "AR");
    let half_closed = async |Relayed {
                                 a: _a, mut b, end, ..
                             }| {
        b.shutdown().await.unwrap();
        end.await.unwrap().unwrap();
    };
    assert_eq!(letters(half_closed).await, "BH");
    let idle = async |Relayed {
                          a: _a, b: _b, end, ..
                      }| drop(end.await);
    assert_eq!(letters(idle).await, "TI");
    let busy = async |Relayed {
                          mut a, mut b, end, ..
                      }| {
        while !end.is_finished() {
            if a.write_all(b"x").await.is_ok() {
                let _ = b.read(&mut [0]).await;
            }
            tokio::time::sleep(Duration::from_secs(50)).await;
        }
    };
    assert_eq!(letters(busy).await, "TL");
    for (reason, expected) in [(CloseReason::Closed, "OC"), (CloseReason::Shutdown, "OS")] {
        let closed = async |Relayed {
                                a: _a,
                                b: _b,
                                session,
                                end,
                            }| {
            session.close(reason);
            end.await.unwrap().unwrap();
        };
        assert_eq!(letters(closed).await, expected);
    }
    let dropped = async |Relayed {
                             a: _a, b: _b, end, ..
                         }| {
        tokio::task::yield_now().await;
        end.abort();
        end.await.unwrap_err();
    };
    assert_eq!(letters(dropped).await, "ID");
}

#[tokio::test]
async fn a_pair_that_fails_or_is_refused_says_why() {
    let records = Records::default();
    let transform = TransformLayer::new().a_to_b(|| Codec::new(Fails, Fails));
    let layers = ServiceBuilder::new()
        .layer(AccessLogLayer::new(records.log()))
        .layer(transform)
        .service(Relay::new());
    let (mut a, a_io) = memory::connection(64);
    let (_b, b_io) = memory::connection(64);
    a.write_all(b"x").await.unwrap();
    layers
        .oneshot(Pair::new(conn(a_io), conn(b_io)))
        .await
        .unwrap_err();
    let record = records.one();
    assert_eq!(record.end, End::Pair(CloseReason::Failed(Side::A)));
    assert_eq!(
        record.error.unwrap(),
        "transform failed: not \u{1b}[31m this"
    );

    let step = HandshakeLayer::new(async |_: Pair<(), ()>| Err::<(), _>(io::Error::other("no")));
    let refuses = ServiceBuilder::new()
        .layer(AccessLogLayer::new(records.log()))
        .layer(step)
        .service(service_fn(async |()| Ok::<_, Infallible>(())));
    refuses
        .oneshot(Pair::new(conn(()), conn(())))
        .await
        .unwrap_err();
    let record = records.one();
    assert_eq!(record.end.termination_state(), "PR");
    assert!(record.error.unwrap().ends_with(": no"));
}

/// A codec that takes nothing.
struct Fails;

impl Decoder for Fails {
    type Item = Bytes;
    type Error = io::Error;

    fn decode(&mut self, src: &mut BytesMut) -> io::Result<Option<Bytes>> {
        match src.is_empty() {
            true => Ok(None),
            false => Err(io::Error::other("not \u{1b}[31m this")),
        }
    }
}

impl Encoder<Bytes> for Fails {
    type Error = io::Error;

    fn encode(&mut self, _: Bytes, _: &mut BytesMut) -> io::Result<()> {
        Ok(())
    }
}
