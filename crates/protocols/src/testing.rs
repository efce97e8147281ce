//! Helpers for the tests of several protocols.

#[cfg(any(feature = "mux", feature = "quic"))]
pub(crate) mod streams;

use std::{io, time::Duration};

use couplet_endpoint::{Conn, Io, Origin};
use couplet_pairing::{Pair, Session};
use couplet_relay::{Relay, RelayError, Summary};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    task::JoinHandle,
};
use tower::{Service, ServiceExt};
use tower_layer::Layer;

pub(crate) type End = Result<Summary, RelayError>;

pub(crate) fn conn<I>(io: I) -> Conn<I> {
    Conn::new(io, Origin::Accepted)
}

/// Relays between two ios.
pub(crate) fn relay_between<L, A: Io, B: Io>(layer: L, a: A, b: B) -> (Session, JoinHandle<End>)
where
    L: Layer<Relay>,
    L::Service:
        Service<Pair<A, B>, Response = Summary, Error = RelayError, Future: Send> + Send + 'static,
{
    let pair = Pair::new(conn(a), conn(b));
    let session = pair.session.handle();
    let relaying = layer.layer(Relay::new()).oneshot(pair);
    (session, tokio::spawn(relaying))
}

/// Reads until the stream ends or fails.
pub(crate) async fn read_all(peer: &mut (impl AsyncRead + Unpin)) -> (Vec<u8>, io::Result<()>) {
    let mut heard = Vec::new();
    let end = in_time(peer.read_to_end(&mut heard)).await;
    (heard, end.map(drop))
}

/// Reads this many bytes.
pub(crate) async fn read_some(peer: &mut (impl AsyncRead + Unpin), len: usize) -> Vec<u8> {
    let mut heard = vec![0; len];
    in_time(peer.read_exact(&mut heard)).await.unwrap();
    heard
}

/// What never comes is a failure, not a test that hangs.
async fn in_time<F: Future>(reading: F) -> F::Output {
    let watchdog = Duration::from_secs(60);
    let read = tokio::time::timeout(watchdog, reading).await;
    read.expect("what the test expects to read comes")
}

#[track_caller]
pub(crate) fn assert_reset(end: &io::Result<()>) {
    let kind = end.as_ref().map_err(io::Error::kind);
    assert_eq!(kind, Err(io::ErrorKind::ConnectionReset));
}

/// An error and all it was caused by, as a log shows them.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    couplet_endpoint::Chain(error).to_string()
}

/// What is known of a client that has come over a Unix socket.
pub(crate) fn of_user(uid: u32, gid: u32) -> couplet_endpoint::Info {
    let mut info = couplet_endpoint::Info::new(couplet_endpoint::Origin::Accepted);
    let socket: couplet_endpoint::UnixAddr = "/run/app.sock".parse().unwrap();
    info.extensions
        .insert(couplet_endpoint::UnixPeer::new(socket, uid, gid, 9));
    info
}
