//! Many connections over one: the frames of a carrier, at both ends.

use std::{
    convert::Infallible,
    future::ready,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use couplet_connector::{
    endpoint::{Conn, Endpoint, Origin},
    layers::mux::{MuxDial, MuxListen, plain},
};
use futures::{StreamExt, stream::FuturesOrdered};
use tokio::{io::AsyncReadExt, time::timeout};
use tower::{Service, service_fn};

use crate::stranger::{LONG, Scripted, Stranger, run, shown};

/// An end that takes streams, and one that opens them.
pub fn mux(data: &[u8]) {
    let Some(stranger) = Stranger::new(data) else {
        return;
    };
    // The two may differ: a carrier that breaks the protocol ends all its streams, and how many of them had
    // been handed out by then depends on when its bytes came.
    for stranger in [stranger, stranger.whole()] {
        let bytes: usize = takes(stranger).iter().map(Vec::len).sum();
        assert!(bytes <= stranger.bytes.len(), "more came than was sent");
    }
    opens(stranger);
}

/// The bytes of each stream.
fn takes(stranger: Stranger<'_>) -> Vec<Vec<u8>> {
    run(async {
        let carrier = Conn::new(stranger.io(), Origin::Accepted);
        let mut listen = MuxListen::new(One(Some(carrier)), plain::<Scripted>).streams(8);
        let mut reading = FuturesOrdered::new();
        // The carrier ends, and with it what comes from it.
        while let Ok(Some(Ok(mut conn))) = timeout(LONG, listen.next()).await {
            reading.push_back(async move {
                let mut bytes = Vec::new();
                // An end, an error and silence are all right.
                let _ = timeout(LONG, conn.io.read_to_end(&mut bytes)).await;
                bytes
            });
        }
        reading.collect().await
    })
}

/// A stream is opened only if the stranger opens it, too.
fn opens(stranger: Stranger<'_>) {
    let bytes: Arc<[u8]> = stranger.bytes.into();
    run(async {
        let dial = service_fn(move |()| {
            let stranger = Stranger {
                bytes: &bytes,
                ..stranger
            };
            let conn = Conn::new(stranger.io(), Origin::Dialled);
            ready(Ok::<_, Infallible>(conn))
        });
        let mut dial = MuxDial::new(dial, plain::<Scripted>);
        match timeout(LONG, dial.call(())).await {
            Ok(Ok(mut conn)) => {
                let mut heard = Vec::new();
                let _ = timeout(LONG, conn.io.read_to_end(&mut heard)).await;
                assert!(
                    heard.len() <= stranger.bytes.len(),
                    "more came than was sent"
                );
            }
            Ok(Err(error)) => drop(shown(&error)),
            Err(_) => panic!("it has a bound"),
        }
    });
}

/// An endpoint of one connection.
struct One(Option<Conn<Scripted>>);

impl futures::Stream for One {
    type Item = Result<Conn<Scripted>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

impl Endpoint for One {
    type Io = Scripted;
    type Error = Infallible;
}
