//! Dials through proxies, in memory.

use std::time::Duration;

use couplet_endpoint::{Chain, Dial, DialAddr, memory};
use couplet_layers::Via;
use futures::StreamExt;
use tokio::io::AsyncWriteExt;
use tower::ServiceExt;

use super::*;
use crate::{
    SocksConnect,
    testing::{read_all, read_some},
};

fn target(text: &str) -> DialAddr {
    text.parse().expect("a target")
}

const METHOD: &[u8] = &[5, 0];
const REPLY: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

#[tokio::test]
async fn a_chain_asks_each_proxy_for_the_next() {
    let (dial, mut proxies) = memory::endpoint();
    let first = Via::new(dial, SocksConnect::new());
    let second = Via::new(first.to(target("second:1080")), SocksConnect::new());
    let dialling = tokio::spawn(second.oneshot(target("example.org:22")));
    let mut proxy = proxies.next().await.unwrap().unwrap().io;
    for name in [&b"\x06second\x04\x38"[..], b"\x0bexample.org\x00\x16"] {
        assert_eq!(read_some(&mut proxy, 3).await, [5, 1, 0]);
        proxy.write_all(METHOD).await.unwrap();
        assert_eq!(read_some(&mut proxy, 4).await, [5, 1, 0, 3]);
        assert_eq!(read_some(&mut proxy, name.len()).await, name);
        proxy.write_all(REPLY).await.unwrap();
    }
    proxy.write_all(b"hello").await.unwrap();
    drop(proxy);
    let mut conn = dialling.await.unwrap().unwrap();
    assert_eq!(conn.info.target.as_deref(), Some(&target("example.org:22")));
    assert_eq!(read_all(&mut conn.io).await.0, b"hello");
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_proxy_is_none_of_the_target() {
    let (dial, mut proxies) = memory::endpoint();
    let via = Via::new(dial, SocksConnect::new());
    let dialling = tokio::spawn(via.clone().oneshot(target("example.org:22")));
    let mut proxy = proxies.next().await.unwrap().unwrap().io;
    proxy.write_all(&[5, 0, 5, 5]).await.unwrap();
    let error = dialling.await.unwrap().unwrap_err();
    assert_eq!(DialFailure::of(&error), DialFailure::Refused);
    let second = Via::new(via.clone().to(target("second:1080")), SocksConnect::new());
    let dialling = tokio::spawn(second.oneshot(target("example.org:22")));
    let mut proxy = proxies.next().await.unwrap().unwrap().io;
    proxy.write_all(&[5, 0, 5, 5]).await.unwrap();
    let error = dialling.await.unwrap().unwrap_err();
    assert_eq!(DialFailure::of(&error), DialFailure::Other);
    assert_eq!(
        Chain(&error).to_string(),
        "cannot dial example.org:22 through a proxy, which is not reached: cannot dial \
         second:1080 through a proxy: proxy answers: connection refused by the target (SOCKS5 \
         reply 05)"
    );
    // A proxy that answers nothing.
    let deadline = Duration::from_secs(3);
    let waiting = via.timeout(deadline).oneshot(target("example.org:22"));
    let error = waiting.await.unwrap_err();
    assert_eq!(DialFailure::of(&error), DialFailure::TimedOut);
    let shown = error.to_string();
    assert_eq!(
        shown,
        "cannot dial example.org:22 through a proxy, no answer within 3s"
    );
}

#[tokio::test]
async fn a_proxy_that_can_not_be_dialled_is_named() {
    let dial = Dial::to("127.0.0.1:1").unwrap();
    let via = Via::new(dial, SocksConnect::new()).to(target("example.org:22"));
    let error = via.oneshot(()).await.unwrap_err();
    assert_eq!(DialFailure::of(&error), DialFailure::Other);
    let shown = Chain(&error).to_string();
    assert!(
        shown.contains("which is not reached: cannot dial 127.0.0.1:1"),
        "{shown}"
    );
}
