//! Ends a session that would move more bytes than its quota.
//!
//! Exactly the quota's bytes are delivered. A session that ends by itself with that many is not
//! changed. When one byte more comes, the delivered bytes arrive, both peers see a reset, and the
//! reason is [`QuotaExceeded`](couplet_pairing::CloseReason::QuotaExceeded).
//!
//! The bytes of both directions count together, unless the quota is for
//! [one of them alone](QuotaLayer::only). They are counted as by the [meter](couplet_pairing::Meter):
//! after transforms. The layer bounds the relay's reads, and wraps no io.
//!
//! **Where:** anywhere on a pair stack. **Splice:** costs none. **Memory:** a hundred bytes a pair.

use std::task::{Context, Poll};

use couplet_endpoint::Side;
use couplet_pairing::{Budget, Pair, Scope};

use crate::mapped::{MapRequest, Mapped, mapped_layer};

/// Ends sessions that have used up their quota of bytes. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct QuotaLayer {
    bytes: u64,
    only: Option<Side>,
}

/// Ends sessions that have used up their quota of bytes: made by [`QuotaLayer`].
pub type Quota<S> = Mapped<QuotaLayer, S>;

/// The rest of a quota.
#[derive(Debug)]
struct Left {
    bytes: u64,
    only: Option<Side>,
    /// The part that is reserved, for one direction at a time, as no direction waits for a quota.
    set_aside: u32,
}

// ===== impl QuotaLayer =====

impl QuotaLayer {
    /// At most this many bytes a session, both directions together. With 0, a session ends at its first
    /// byte.
    pub const fn new(bytes: u64) -> Self {
        Self { bytes, only: None }
    }

    /// Counts the bytes from this side alone: with [`Side::A`], the direction A to B. The whole session
    /// ends.
    #[must_use]
    pub const fn only(mut self, from: Side) -> Self {
        self.only = Some(from);
        self
    }
}

mapped_layer!(QuotaLayer);

impl<A, B> MapRequest<Pair<A, B>> for QuotaLayer {
    type Request = Pair<A, B>;

    fn map_request(&self, mut pair: Pair<A, B>) -> Pair<A, B> {
        pair.session.limit(Left {
            bytes: self.bytes,
            only: self.only,
            set_aside: 0,
        });
        pair
    }
}

// ===== impl Left =====

impl Left {
    fn counts(&self, from: Side) -> bool {
        self.only.is_none_or(|only| only == from)
    }
}

impl Budget for Left {
    fn scope(&self) -> Scope {
        Scope::Quota
    }

    fn poll_reserve(&mut self, _: &mut Context<'_>, from: Side, most: u32) -> Poll<u32> {
        if !self.counts(from) {
            return Poll::Ready(most);
        }
        self.set_aside = u32::try_from(self.bytes).map_or(most, |left| left.min(most));
        self.bytes -= u64::from(self.set_aside);
        Poll::Ready(self.set_aside)
    }

    fn settle(&mut self, from: Side, taken: u32) {
        if self.counts(from) {
            self.bytes += u64::from(self.set_aside - taken);
            self.set_aside = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use couplet_pairing::CloseReason;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::testing::{Relayed, assert_reset, read_all, read_some, relay};

    #[tokio::test]
    async fn a_quota_passes_its_bytes_and_not_one_more() {
        for quota in [0, 1, 10, 99] {
            let Relayed {
                mut a, mut b, end, ..
            } = relay(QuotaLayer::new(quota), 1024);
            a.write_all(&[7; 100]).await.unwrap();
            let (heard, ended) = read_all(&mut b).await;
            assert_eq!(heard.len() as u64, quota);
            assert_reset(&ended);
            assert_reset(&read_all(&mut a).await.1);
            let summary = end.await.unwrap().unwrap();
            assert_eq!(summary.reason, CloseReason::QuotaExceeded);
            assert_eq!(summary.a_to_b, quota);
        }
    }

    #[tokio::test]
    async fn a_pair_that_ends_at_its_quota_has_finished() {
        for quota in [0, 100, u64::MAX] {
            let Relayed {
                mut a, mut b, end, ..
            } = relay(QuotaLayer::new(quota), 1024);
            let sent = vec![7; quota.min(200) as usize];
            a.write_all(&sent).await.unwrap();
            a.shutdown().await.unwrap();
            let (heard, ended) = read_all(&mut b).await;
            assert_eq!(heard, sent);
            ended.unwrap();
            b.shutdown().await.unwrap();
            let summary = end.await.unwrap().unwrap();
            assert_eq!(summary.reason, CloseReason::Finished(Side::A));
        }
    }

    #[tokio::test]
    async fn both_directions_count() {
        let Relayed {
            mut a, mut b, end, ..
        } = relay(QuotaLayer::new(100), 1024);
        a.write_all(&[1; 60]).await.unwrap();
        assert_eq!(read_some(&mut b, 60).await, [1; 60]);
        b.write_all(&[2; 60]).await.unwrap();
        let (heard, ended) = read_all(&mut a).await;
        assert_eq!(heard, [2; 40]);
        assert_reset(&ended);
        let summary = end.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::QuotaExceeded);
    }

    #[tokio::test]
    async fn a_quota_of_one_direction_leaves_the_other_alone() {
        let layer = QuotaLayer::new(100).only(Side::B);
        let Relayed {
            mut a, mut b, end, ..
        } = relay(layer, 1024);
        a.write_all(&[1; 1000]).await.unwrap();
        assert_eq!(read_some(&mut b, 1000).await, [1; 1000]);
        b.write_all(&[2; 101]).await.unwrap();
        assert_eq!(read_all(&mut a).await.0, [2; 100]);
        assert_reset(&read_all(&mut b).await.1);
        let summary = end.await.unwrap().unwrap();
        assert_eq!(summary.reason, CloseReason::QuotaExceeded);
    }
}
