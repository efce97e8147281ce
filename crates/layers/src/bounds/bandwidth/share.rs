use std::{
    sync::Arc,
    task::{Context, Poll},
};

use couplet_endpoint::Side;
use couplet_pairing::{Budget, Scope};

use super::bucket::{Bucket, Lane};

/// The two directions of a pair at a bucket.
#[derive(Debug)]
pub(super) struct Share {
    bucket: Arc<Bucket>,
    only: Option<Side>,
    a_to_b: Lane,
    b_to_a: Lane,
}

// ===== impl Share =====

impl Share {
    pub(super) fn new(bucket: Arc<Bucket>, only: Option<Side>) -> Self {
        Self {
            bucket,
            only,
            a_to_b: Lane::default(),
            b_to_a: Lane::default(),
        }
    }

    fn lane(&mut self, from: Side) -> (&Bucket, &mut Lane) {
        let lane = match from {
            Side::A => &mut self.a_to_b,
            Side::B => &mut self.b_to_a,
        };
        (&self.bucket, lane)
    }
}

impl Budget for Share {
    fn scope(&self) -> Scope {
        self.bucket.scope()
    }

    fn poll_reserve(&mut self, cx: &mut Context<'_>, from: Side, most: u32) -> Poll<u32> {
        if self.only.is_some_and(|only| only != from) {
            return Poll::Ready(most);
        }
        let (bucket, lane) = self.lane(from);
        bucket.poll_reserve(lane, cx, most)
    }

    fn settle(&mut self, from: Side, taken: u32) {
        if self.only.is_some_and(|only| only != from) {
            return;
        }
        let (bucket, lane) = self.lane(from);
        bucket.settle(lane, taken);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        for from in [Side::A, Side::B] {
            self.settle(from, 0);
        }
    }
}
