use std::io;

use couplet_endpoint::{
    Conn, Origin,
    memory::{self, MemoryStream},
};
use couplet_pairing::Pair;
use couplet_relay::Relay;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;
use tower_layer::Layer;

use super::Writes;
use crate::observe::traffic_log::TrafficLogLayer;

/// A writer that can't.
struct Full;

impl io::Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Relays `a_says` and `b_says` through the layer, and tells what each has heard.
async fn relay(layer: TrafficLogLayer, a_says: &[u8], b_says: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut peer_a, a) = memory::connection(1024);
    let (mut peer_b, b) = memory::connection(1024);
    let conn = |io| Conn::new(io, Origin::Accepted);
    let relaying = layer
        .layer(Relay::new())
        .oneshot(Pair::new(conn(a), conn(b)));
    let talk = async |peer: &mut MemoryStream, says: &[u8]| {
        let mut heard = Vec::new();
        let (mut read, mut write) = tokio::io::split(peer);
        let writing = async {
            write.write_all(says).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let (_, read) = tokio::join!(writing, read.read_to_end(&mut heard));
        read.unwrap();
        heard
    };
    let a_talks = async {
        let heard = talk(&mut peer_a, a_says).await;
        drop(peer_a);
        heard
    };
    let b_talks = async {
        let heard = talk(&mut peer_b, b_says).await;
        drop(peer_b);
        heard
    };
    let (a_heard, b_heard, summary) = tokio::join!(a_talks, b_talks, relaying);
    summary.unwrap();
    (a_heard, b_heard)
}

#[tokio::test]
async fn bytes_pass_unchanged_both_ways() {
    let a_says: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let b_says = "Grüße \x1b[2J\n".repeat(500).into_bytes();
    let writes = Writes::default();
    for layer in [TrafficLogLayer::text(), TrafficLogLayer::hex()] {
        let layer = layer.to_writer(writes.clone());
        let (a_heard, b_heard) = relay(layer, &a_says, &b_says).await;
        assert_eq!(a_heard, b_says);
        assert_eq!(b_heard, a_says);
        let records = writes.take();
        for total in [a_says.len(), b_says.len()] {
            let end = format!("total={total} EOF\n");
            assert!(records.iter().any(|record| record.ends_with(&end)));
        }
        assert!(records.iter().all(|record| record.ends_with('\n')));
        assert!(!records.concat().contains('\x1b'));
    }
}

#[tokio::test]
async fn a_writer_that_fails_breaks_nothing_and_is_reported_once() {
    let reports = Writes::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(reports.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let layer = TrafficLogLayer::text().to_writer(Full);
    for _ in 0..2 {
        let (a_heard, b_heard) = relay(layer.clone(), b"one\ntwo", b"three").await;
        assert_eq!(a_heard, b"three");
        assert_eq!(b_heard, b"one\ntwo");
    }
    let reports: Vec<_> = reports.take();
    let warnings = reports.iter().filter(|report| report.contains("WARN"));
    let [warning] = warnings.collect::<Vec<_>>().try_into().unwrap();
    assert!(warning.contains("traffic log"), "{warning}");
}
