//! Proxies that check our health.

use super::*;

#[tokio::test]
async fn a_health_check_that_closes_goes_no_further() {
    for is_reset in [false, true] {
        for handshake in [required(), accepted()] {
            let (mut peer, io) = memory::connection(256);
            let shaking = tokio::spawn(handshake.handshake(from(io, "10.0.0.1:40000")));
            peer.write_all(&v2(0x20, 0, &[])).await.unwrap();
            tokio::task::yield_now().await; // The header is read before the reset.
            if is_reset {
                couplet_endpoint::Io::abort(&mut peer);
            }
            drop(peer);
            let ended = shaking.await.unwrap().unwrap_err();
            assert!(
                matches!(ended, ProxyHeaderRefused::HealthCheck(_)),
                "{ended}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_health_check_that_talks_or_listens_reaches_the_server() {
    for says in [&b""[..], b"EHLO\r\n"] {
        let (mut peer, io) = memory::connection(256);
        peer.write_all(&v2(0x20, 0, &[])).await.unwrap();
        let mut shaking = task::spawn(required().handshake(from(io, "10.0.0.1:40000")));
        assert_pending!(shaking.poll());
        peer.write_all(says).await.unwrap();
        if says.is_empty() {
            tokio::time::advance(Duration::from_millis(1001)).await;
        }
        let conn = assert_ready!(shaking.poll()).unwrap();
        drop(peer);
        assert_eq!(rest(conn).await, says);
    }
}
