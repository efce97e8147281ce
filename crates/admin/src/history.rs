use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use couplet_connector::Side;
use tokio::time::{MissedTickBehavior, interval};

use crate::relays::Relays;

/// Two minutes, one a second, and the one before the first.
const SAMPLES: usize = 121;

/// The counters of all relays together, each second of the last two minutes.
#[derive(Debug, Default)]
pub(crate) struct History {
    samples: Mutex<VecDeque<Sample>>,
    kept: AtomicBool,
}

/// The counters of all relays together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) live: u64,
    pub(crate) waiting: u64,
    pub(crate) joined: u64,
    pub(crate) refused: u64,
    pub(crate) a_to_b: u64,
    pub(crate) b_to_a: u64,
}

// ===== impl History =====

impl History {
    /// Takes a sample each second, as long as the relays are of interest. The first call counts.
    pub(crate) fn keep(self: &Arc<Self>, relays: &Arc<Relays>) {
        if self.kept.swap(true, Ordering::Relaxed) {
            return;
        }
        tokio::spawn(sample(Arc::downgrade(self), Arc::downgrade(relays)));
    }

    /// The samples, the oldest first.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.iter().copied().collect()
    }

    fn add(&self, sample: Sample) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == SAMPLES {
            samples.pop_front();
        }
        samples.push_back(sample);
    }
}

async fn sample(history: Weak<History>, relays: Weak<Relays>) {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        seconds.tick().await;
        let (Some(history), Some(relays)) = (history.upgrade(), relays.upgrade()) else {
            return;
        };
        history.add(Sample::take(&relays));
    }
}

// ===== impl Sample =====

impl Sample {
    pub(crate) fn take(relays: &Relays) -> Self {
        let mut sum = Self::default();
        for relay in relays.all() {
            let stats = relay.handle().stats();
            let snapshot = stats.snapshot();
            sum.live += snapshot.live_pairs as u64;
            sum.joined += snapshot.total_pairs;
            sum.a_to_b += snapshot.a_to_b;
            sum.b_to_a += snapshot.b_to_a;
            sum.waiting += snapshot.a.waiting + snapshot.b.waiting;
            for side in [Side::A, Side::B] {
                sum.refused += stats.refusals(side).iter().map(|(_, n)| n).sum::<u64>();
            }
        }
        sum
    }
}
