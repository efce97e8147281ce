//! Through a real relay.

use std::io;

use couplet_endpoint::{Side, find_cause};
use couplet_pairing::CloseReason;
use tokio::io::AsyncWriteExt;
use tower::layer::util::Identity;

use super::*;
use crate::testing::{assert_reset, read_all, read_some, relay_between};

#[tokio::test]
async fn bytes_and_ends_pass_in_both_directions() {
    let (server, mut client) = joined(1024).await;
    let (b_io, mut b) = memory::connection(1024);
    let (_, end) = relay_between(Identity::new(), server, b_io);
    client.write_all(b"question").await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(read_some(&mut b, 8).await, b"question");
    client.shutdown().await.unwrap();
    let (rest, ended) = read_all(&mut b).await;
    assert!(rest.is_empty());
    ended.unwrap();
    b.write_all(b"answer").await.unwrap();
    drop(b);
    let (heard, ended) = read_all(&mut client).await;
    assert_eq!(heard, b"answer");
    ended.unwrap();
    let summary = end.await.unwrap().unwrap();
    assert_eq!(summary.reason, CloseReason::Finished(Side::A));
    assert_eq!((summary.a_to_b, summary.b_to_a), (8, 6));
}

#[tokio::test]
async fn a_stream_that_is_cut_is_a_reset_for_the_other_side() {
    let (server, mut client) = joined(1024).await;
    let (b_io, mut b) = memory::connection(1024);
    let (_, end) = relay_between(Identity::new(), server, b_io);
    client.write_all(b"half a mess").await.unwrap();
    client.flush().await.unwrap();
    drop(client);
    let (heard, ended) = read_all(&mut b).await;
    assert_eq!(heard, b"half a mess");
    assert_reset(&ended);
    let error = end.await.unwrap().unwrap_err();
    assert_eq!(error.summary().reason, CloseReason::Failed(Side::A));
    let error: &io::Error = find_cause(&error).unwrap();
    let cause = error.get_ref().and_then(|error| error.downcast_ref());
    assert!(matches!(cause, Some(TlsError::Truncated)));
}

#[tokio::test]
async fn a_reset_of_the_other_side_resets_the_tls_side() {
    let (server, mut client) = joined(1024).await;
    let (b_io, mut b) = memory::connection(1024);
    let (_, end) = relay_between(Identity::new(), server, b_io);
    b.write_all(b"half").await.unwrap();
    couplet_endpoint::Io::abort(&mut b);
    drop(b);
    let (heard, ended) = read_all(&mut client).await;
    assert_eq!(heard, b"half");
    assert_reset(&ended);
    let error = end.await.unwrap().unwrap_err();
    assert_eq!(error.summary().reason, CloseReason::Reset(Side::B));
}
