mod bounds;
mod records;
mod relay;
mod tracing;

use std::{
    future::{Ready, ready},
    io,
    sync::{Arc, Mutex},
};

use couplet_endpoint::{
    Conn, Origin,
    memory::{self, MemoryStream},
};
use couplet_pairing::{OwnedSession, Pair};
use tokio::io::AsyncReadExt;
use tower::{Service, service_fn};
use tower_layer::Layer;
use tracing_subscriber::fmt::MakeWriter;

use super::{Logged, TrafficLogLayer};

const HELLO: &[u8] = b"EHLO relay\r\nQUIT\x07";

/// Keeps each write apart.
#[derive(Clone, Default)]
struct Writes(Arc<Mutex<Vec<String>>>);

/// The two ends that were joined, wrapped, and the ends of the peers.
struct Joined {
    a: Logged<MemoryStream>,
    b: Logged<MemoryStream>,
    peer_a: MemoryStream,
    peer_b: MemoryStream,
    session: OwnedSession,
}

fn join(layer: &TrafficLogLayer) -> Joined {
    let (peer_a, a) = memory::connection(64 * 1024);
    let (peer_b, b) = memory::connection(64 * 1024);
    let conn = |io| Conn::new(io, Origin::Accepted);
    let inner = service_fn(|pair: Pair<_, _>| ready(Ok::<_, io::Error>(pair)));
    let mut service = layer.layer(inner);
    let future: Ready<_> = service.call(Pair::new(conn(a), conn(b)));
    let Pair { a, b, session } = future.into_inner().unwrap();
    Joined {
        a,
        b,
        peer_a,
        peer_b,
        session,
    }
}

/// Reads once.
async fn hear(io: &mut Logged<MemoryStream>) -> io::Result<Vec<u8>> {
    let mut heard = vec![0; 64];
    let n = io.read(&mut heard).await?;
    heard.truncate(n);
    Ok(heard)
}

// ===== impl Writes =====

impl Writes {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl io::Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let record = String::from_utf8(bytes.to_vec()).unwrap();
        self.0.lock().unwrap().push(record);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        panic!("not asked to")
    }
}

impl<'a> MakeWriter<'a> for Writes {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
