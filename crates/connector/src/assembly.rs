//! What every mode is put together with: the top of each side stack, and the loops.

use std::sync::Arc;

use couplet_endpoint::{BoxError, BoxIo, Conn, Endpoint, Side};
use couplet_layers::{
    LiveLimitLayer, SideStatsLayer, StatsLayer, live_limit::Live, stats::SideStatsService,
};
use couplet_pairing::{Policy, WaitingCounts};
use couplet_relay::Summary;
use futures::{FutureExt, StreamExt, stream::BoxStream};
use tokio::sync::Semaphore;
use tower::{Layer, Service, ServiceBuilder, limit::ConcurrencyLimitLayer};

use crate::{
    BoxPair, ConnectorError,
    lifecycle::Lifecycle,
    refusals::RefusalsLayer,
    seat::Partner,
    serve::{ServeError, serve_with},
    settings::Settings,
    track::TrackLayer,
};

/// A connector while it is being put together.
#[derive(Debug)]
pub struct Assembly {
    pub(crate) settings: Settings,
    pub(crate) lifecycle: Arc<Lifecycle>,
}

/// How many connections of a side may be open.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Open {
    /// The pairing bounds those that wait, the pair stack those that are joined.
    Unbounded,
    /// Each will be one pair.
    AtMost(usize),
}

// ===== impl Assembly =====

impl Assembly {
    pub(crate) fn policy(&self) -> Policy {
        self.settings.policy
    }

    /// How many connections may be open on a side each of whose connections brings its partner.
    pub(crate) fn open_for_pairs(&self) -> Open {
        self.settings
            .max_pairs
            .map_or(Open::Unbounded, Open::AtMost)
    }

    pub(crate) fn watch(&self, waiting: WaitingCounts) {
        self.lifecycle.stats().watch(waiting);
    }

    /// Spawns the loop that drives a side's connections into its stack.
    pub(crate) fn serve_side<E, S>(&self, side: Side, endpoint: E, open: Open, stack: S)
    where
        E: Endpoint,
        S: Service<Conn<BoxIo>, Response = (), Error: Into<BoxError>> + Send + 'static,
        S::Future: Send + 'static,
    {
        let limit = match open {
            Open::Unbounded => Semaphore::MAX_PERMITS,
            Open::AtMost(limit) => limit,
        };
        let heart = self.lifecycle.heart().clone();
        let stack = ServiceBuilder::new()
            .layer(LiveLimitLayer::new(limit))
            .map_request(move |conn: Conn<Live<E::Io>>| {
                heart.came();
                conn.on(side).boxed()
            })
            .layer(RefusalsLayer::new(
                Arc::clone(&self.lifecycle),
                side,
                self.settings.expects_one_pair(),
            ))
            .layer(self.side_stats(side))
            .service(stack);
        let lifecycle = Arc::clone(&self.lifecycle);
        let spawn = move |future| lifecycle.spawn_until_stopped(future);
        let lifecycle = Arc::clone(&self.lifecycle);
        let serving = serve_with(endpoint, stack, spawn).map(move |served| match served {
            Ok(()) => tracing::debug!(%side, "no more connections will come"),
            Err(ServeError::Requests(error)) => {
                lifecycle.fail(ConnectorError::side(side, error));
            }
            // The pairing has ended, and the connector is about to hear of it.
            Err(ServeError::Service(error)) => {
                tracing::debug!(%side, error, "no more connections are wanted");
            }
        });
        self.lifecycle.spawn_until_stopped(serving);
    }

    /// What dials a side for the other, and leads each connection through that side's stack.
    pub(crate) fn partner<D, S>(
        &self,
        side: Side,
        dial: D,
        stack: S,
    ) -> Partner<D, SideStatsService<S>> {
        Partner::new(dial, side, self.side_stats(side).layer(stack))
    }

    fn side_stats(&self, side: Side) -> SideStatsLayer {
        SideStatsLayer::new(self.lifecycle.stats().clone(), side)
    }

    /// Spawns the loop that drives the pairs into their stack. When no more pairs come, no more
    /// connections are wanted.
    pub(crate) fn serve_pairs<S>(&self, pairs: BoxStream<'static, BoxPair>, stack: S)
    where
        S: Service<BoxPair, Response = Summary, Error: Into<BoxError>> + Send + 'static,
        S::Future: Send + 'static,
    {
        let stack = ServiceBuilder::new()
            .option_layer(self.settings.max_pairs.map(ConcurrencyLimitLayer::new))
            .layer(StatsLayer::new(self.lifecycle.stats().clone()))
            .layer(TrackLayer::new(
                Arc::clone(&self.lifecycle),
                self.settings.hooks.clone(),
            ))
            .service(stack);
        let once = self.settings.once;
        let pairs = pairs.take(if once { 1 } else { usize::MAX });
        let lifecycle = Arc::clone(&self.lifecycle);
        let spawn = move |future| {
            lifecycle.spawn(future);
            if once {
                // Not when the stack asks for the next pair: it may have no room before this one's
                // end.
                lifecycle.stop();
            }
        };
        let lifecycle = Arc::clone(&self.lifecycle);
        let serving = serve_with(pairs.map(Ok::<_, BoxError>), stack, spawn);
        self.lifecycle
            .spawn_until_stopped(serving.map(move |served| {
                if let Err(error) = served {
                    tracing::debug!(%error, "no more pairs are wanted");
                }
                lifecycle.stop();
            }));
    }
}
