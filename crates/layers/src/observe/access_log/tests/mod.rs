mod output;
mod pairs;
mod reasons;
mod sides;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use couplet_endpoint::{BoxError, Conn, Io, Replay, memory::MemoryStream};
use couplet_pairing::{Pairs, Policy, WaitSlot, rendezvous};
use couplet_relay::RelayError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{AccessLog, Counted, Record};
use crate::Identity;

/// The records that were made.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<Record>>>);

impl Records {
    fn log(&self) -> AccessLog {
        let records = Arc::clone(&self.0);
        AccessLog::new(move |record| records.lock().unwrap().push(record.clone()))
            .clock(|| std::time::UNIX_EPOCH + Duration::new(1_795_425_302, 123_456))
    }

    fn take(&self) -> Vec<Record> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// The only one there is.
    #[track_caller]
    fn one(&self) -> Record {
        let [record] = self.take().try_into().expect("one record");
        record
    }
}

fn relay_error(error: BoxError) -> RelayError {
    *error.downcast().unwrap()
}

type Pairing = (
    WaitSlot<Counted<MemoryStream>>,
    WaitSlot<Counted<MemoryStream>>,
    Pairs<Replay<Counted<MemoryStream>>, Replay<Counted<MemoryStream>>>,
);

fn meeting() -> Pairing {
    rendezvous(Policy::default().wait(Some(Duration::from_secs(60))))
}

/// A handshake of one byte and a second, by which the peer is known.
async fn knock<I: Io>(mut conn: Conn<I>) -> io::Result<Conn<I>> {
    match conn.io.read_u8().await? {
        b'!' => {
            conn.io.write_all(b"welcome").await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            conn.info.extensions.insert(Identity::new("al\u{1b}ice"));
            conn.info.peer = Some("[::ffff:10.0.0.1]:4711".parse().unwrap());
            Ok(conn)
        }
        _ => Err(io::Error::other("no\u{9b}")),
    }
}

async fn turns() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
