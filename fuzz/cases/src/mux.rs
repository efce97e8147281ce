//! Many connections over one: the frames of a carrier, at both ends.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::ready,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use couplet_connector::endpoint::{Conn, Endpoint, Origin};
use couplet_protocols::mux::{MuxDial, MuxListen, plain};
use futures::{StreamExt, stream::FuturesOrdered};
use tokio::{io::AsyncReadExt, time::timeout};
use tower::{Service, service_fn};

use crate::stranger::{LONG, Scripted, Stranger, run, shown};

/// An end that takes streams, and one that opens them.
pub fn mux(data: &[u8]) {
    let Some(stranger) = Stranger::new(data) else {
        return;
    };
    for stranger in [stranger, stranger.whole()] {
        let bytes: usize = takes(stranger, FEW).iter().map(Vec::len).sum();
        assert!(bytes <= stranger.bytes.len(), "more came than was sent");
        // A carrier that breaks the protocol ends all its streams, and how many of them had been handed out by
        // then depends on when its bytes came.
        if let Some(mut said) = said(stranger.bytes) {
            let mut heard = takes(stranger, usize::from(u16::MAX));
            said.sort();
            heard.sort();
            assert_eq!(heard, said);
        }
    }
    opens(stranger);
}

/// Fewer streams than some inputs open.
const FEW: usize = 8;

/// The bytes of each stream.
fn takes(stranger: Stranger<'_>, streams: usize) -> Vec<Vec<u8>> {
    run(async {
        let carrier = Conn::new(stranger.io(), Origin::Accepted);
        let mut listen = MuxListen::new(One(Some(carrier)), plain::<Scripted>).streams(streams);
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

/// What each stream of a carrier brings that keeps the protocol, as far as it goes; `None` of one that breaks it.
fn said(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    const SYN: u8 = 1;
    const ACK: u8 = 2;
    const FIN: u8 = 4;
    const RST: u8 = 8;
    let mut streams = BTreeMap::<u32, (bool, Vec<u8>)>::new();
    let mut own = None;
    while let Some((header, rest)) = bytes.split_first_chunk() {
        bytes = rest;
        let [0, kind, 0, flags, i1, i2, i3, i4, l1, l2, l3, l4] = *header else {
            return None;
        };
        let (id, len) = (
            u32::from_be_bytes([i1, i2, i3, i4]),
            u32::from_be_bytes([l1, l2, l3, l4]),
        );
        let data = match kind {
            0 => bytes.split_off(..len as usize)?,
            // A window never becomes too large.
            1 if len < 1 << 20 => &[],
            2 if id == 0 && flags & ACK == 0 => continue,
            _ => return None,
        };
        if flags & SYN != 0 {
            // Each number is that of one stream.
            let is_new = id % 2 == 1 && !streams.contains_key(&id) && flags & RST == 0;
            is_new.then(|| streams.insert(id, (false, Vec::new())))?;
            own.get_or_insert(id);
        }
        let (is_over, said) = streams.get_mut(&id)?;
        // What is the carrier's own does not end before it.
        let ends = flags & (FIN | RST) != 0;
        if *is_over || (flags & RST != 0 && !data.is_empty()) || (ends && own == Some(id)) {
            return None;
        }
        *is_over = ends;
        said.extend_from_slice(data);
    }
    let (_, control) = streams.remove(&own?)?;
    let (2, pings) = control.split_first()? else {
        return None;
    };
    let keeps = bytes.is_empty() && pings.iter().all(|byte| (1..=3).contains(byte));
    keeps.then_some(())?;
    let mut all = Vec::new();
    for (_, bytes) in streams.into_values() {
        match bytes.split_first() {
            Some((1, bytes)) => all.push(pieces(bytes)?),
            Some(_) => return None,
            // It never opens.
            None => {}
        }
    }
    Some(all)
}

/// The bytes of a stream without their lengths, if none comes behind its end.
fn pieces(mut framed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let [high, low, rest @ ..] = framed {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        if len == 0 {
            return rest.is_empty().then_some(bytes);
        }
        let (piece, rest) = rest.split_at(len.min(rest.len()));
        bytes.extend_from_slice(piece);
        framed = rest;
    }
    Some(bytes)
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
