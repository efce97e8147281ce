//! Bounds over real sockets: what they let through is spliced, and a sender is held up.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(target_os = "linux")]

use std::{
    io,
    num::NonZeroU64,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use couplet_endpoint::{Conn, Io, Origin, io::Socket};
use couplet_layers::{BandwidthLayer, ByteRate, QuotaLayer};
use couplet_pairing::{CloseReason, Pair};
use couplet_relay::{Relay, RelayError, Summary};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::Instant,
};
use tower::{Service, ServiceExt};
use tower_layer::Layer;

const MIB: usize = 1024 * 1024;

/// Counts what is spliced from it.
struct Counted {
    io: TcpStream,
    spliced: Arc<AtomicU64>,
}

impl Io for Counted {
    fn inner_mut(&mut self) -> Option<&mut dyn Io> {
        Some(&mut self.io)
    }

    fn splice_source(&self) -> Option<Socket<'_>> {
        Some(Socket::tcp(&self.io).counted(&self.spliced))
    }

    fn splice_sink(&self) -> Option<Socket<'_>> {
        self.io.splice_sink()
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

couplet_endpoint::forward_async_write!(impl[] for Counted, io);

async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (dialled, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

struct Relayed {
    a: TcpStream,
    b: TcpStream,
    /// How many bytes from A were spliced.
    spliced: Arc<AtomicU64>,
    end: JoinHandle<Result<Summary, RelayError>>,
}

async fn relay<L>(layer: L) -> Relayed
where
    L: Layer<Relay>,
    L::Service: Service<Pair<Counted, TcpStream>, Response = Summary, Error = RelayError, Future: Send>
        + Send
        + 'static,
{
    let (a, io) = connection().await;
    let (b, b_io) = connection().await;
    let spliced = Arc::default();
    let a_io = Counted {
        io,
        spliced: Arc::clone(&spliced),
    };
    let a_conn = Conn::new(a_io, Origin::Accepted);
    let pair = Pair::new(a_conn, Conn::new(b_io, Origin::Dialled));
    let end = tokio::spawn(layer.layer(Relay::new()).oneshot(pair));
    Relayed { a, b, spliced, end }
}

fn rate(per_second: usize) -> ByteRate {
    ByteRate::per_second(NonZeroU64::new(per_second as u64).unwrap())
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7 + at / 65_521) as u8).collect()
}

/// The clock stands still but for what the bound waits for.
#[tokio::test(start_paused = true)]
async fn bytes_bounded_in_rate_are_spliced() {
    let Relayed {
        mut a,
        mut b,
        spliced,
        end,
    } = relay(BandwidthLayer::per_pair(rate(8 * MIB))).await;
    let sent = pattern(16 * MIB);
    let began = Instant::now();
    let mut heard = Vec::new();
    let send = async {
        a.write_all(&sent).await.unwrap();
        a.shutdown().await.unwrap();
    };
    let (_, read) = tokio::join!(send, b.read_to_end(&mut heard));
    read.unwrap();
    assert!(heard == sent, "{} bytes", heard.len());
    // All but the burst, a tenth of a second's.
    assert!(
        began.elapsed() >= Duration::from_millis(1900),
        "{:?}",
        began.elapsed()
    );
    drop(b);
    assert_eq!(end.await.unwrap().unwrap().a_to_b, 16 * MIB as u64);
    let spliced = spliced.load(Ordering::Relaxed);
    assert!(spliced > 8 * MIB as u64, "{spliced} bytes of 16 MiB");
}

/// As little as a segment a second: the sender's system holds it up.
#[tokio::test(start_paused = true)]
async fn a_bounded_sender_is_held_up() {
    let Relayed {
        mut a, mut b, end, ..
    } = relay(BandwidthLayer::per_pair(rate(1000))).await;
    let sending = tokio::spawn(async move { a.write_all(&vec![0; 64 * MIB]).await });
    let mut heard = vec![0; 3000];
    b.read_exact(&mut heard).await.unwrap();
    assert!(
        !sending.is_finished(),
        "the system holds less than was sent"
    );
    end.abort();
    sending.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_quota_is_exact_where_bytes_are_spliced() {
    let quota = 5 * MIB + 4321;
    let Relayed {
        mut a,
        mut b,
        spliced,
        end,
    } = relay(QuotaLayer::new(quota as u64)).await;
    let sent = pattern(16 * MIB);
    let mut heard = Vec::new();
    // It is cut off in the middle.
    let (_, read) = tokio::join!(a.write_all(&sent), b.read_to_end(&mut heard));
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(heard == sent[..quota], "{} bytes", heard.len());
    let summary = end.await.unwrap().unwrap();
    assert_eq!(summary.reason, CloseReason::QuotaExceeded);
    assert_eq!(summary.a_to_b, quota as u64);
    assert!(spliced.load(Ordering::Relaxed) > MIB as u64);
}
