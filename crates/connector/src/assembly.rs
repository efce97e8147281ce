//! What every mode is put together with: the top of each side stack, and the loops.

use std::sync::Arc;

use couplet_endpoint::{BoxError, Conn, Endpoint, Io, Side};
use couplet_layers::{
    LiveLimitLayer, SideStatsLayer, StatsLayer, observe::stats::SideStatsService,
};
use couplet_pairing::{Policy, WaitingCounts};
use couplet_relay::Summary;
use futures::{FutureExt, StreamExt, stream::BoxStream};
use tokio::sync::Semaphore;
use tower::{
    Layer, Service, ServiceBuilder,
    layer::util::Identity,
    limit::ConcurrencyLimitLayer,
    util::{Either, option_layer},
};

use crate::{
    BoxPair, ConnectorError,
    lifecycle::Lifecycle,
    modes::SideStack,
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

// ===== impl Assembly =====

impl Assembly {
    pub(crate) fn policy(&self) -> Policy {
        self.settings.policy
    }

    /// Bounds the pairs where each connection brings its partner, from the dial on.
    pub(crate) fn pair_limit(&self) -> Either<LiveLimitLayer, Identity> {
        option_layer(self.settings.max_pairs.map(LiveLimitLayer::new))
    }

    pub(crate) fn watch(&self, waiting: WaitingCounts) {
        self.lifecycle.stats().watch(waiting);
    }

    /// Spawns the loop that drives a side's connections into its stack.
    pub(crate) fn serve_side<E: Endpoint>(&self, side: Side, endpoint: E, stack: impl SideStack) {
        self.serve_conns(side, endpoint, self.topped(side, Some(side), stack));
    }

    /// As [`serve_side`](Self::serve_side), for connections of either side: they count as A's, and
    /// which they are on is for a handshake to say.
    pub(crate) fn serve_all<E: Endpoint>(&self, endpoint: E, stack: impl SideStack) {
        self.serve_conns(Side::A, endpoint, self.topped(Side::A, None, stack));
    }

    /// As [`serve_side`](Self::serve_side), but asks for the next connection only when the one
    /// before has been closed.
    pub(crate) fn serve_side_in_turn<E: Endpoint>(
        &self,
        side: Side,
        endpoint: E,
        stack: impl SideStack,
    ) {
        let stack = LiveLimitLayer::new(1).layer(self.topped(side, Some(side), stack));
        self.serve_conns(side, endpoint, stack);
    }

    /// A side stack with what is above all of them. Its connections count as those of `side`, and
    /// are on the side `on`, if on any.
    fn topped<I: Io>(
        &self,
        side: Side,
        on: Option<Side>,
        stack: impl SideStack,
    ) -> impl Service<Conn<I>, Error: Into<BoxError>, Future: Send + 'static> + Send + 'static {
        let heart = self.lifecycle.heart().clone();
        ServiceBuilder::new()
            .map_request(move |mut conn: Conn<I>| {
                heart.came();
                conn.info.side = on;
                conn.boxed()
            })
            .layer(RefusalsLayer::new(
                Arc::clone(&self.lifecycle),
                side,
                self.settings.expects_one_pair(),
            ))
            .layer(self.side_stats(side))
            .service(stack)
    }

    fn serve_conns<E, S>(&self, side: Side, endpoint: E, stack: S)
    where
        E: Endpoint,
        S: Service<Conn<E::Io>, Error: Into<BoxError>, Future: Send + 'static> + Send + 'static,
    {
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

    /// A pair stack with what is above all of them.
    fn pair_stack<S>(
        &self,
        stack: S,
    ) -> impl Service<BoxPair, Response = (), Error: Into<BoxError>, Future: Send + 'static>
    + Send
    + 'static
    where
        S: Service<BoxPair, Response = Summary, Error: Into<BoxError>> + Send + 'static,
        S::Future: Send + 'static,
    {
        // What is more than a semaphore counts is as good as endless.
        let max_pairs = self.settings.max_pairs;
        let max_pairs = max_pairs.map(|pairs| pairs.min(Semaphore::MAX_PERMITS));
        ServiceBuilder::new()
            .option_layer(max_pairs.map(ConcurrencyLimitLayer::new))
            .layer(StatsLayer::new(self.lifecycle.stats().clone()))
            .layer(TrackLayer::new(Arc::clone(&self.lifecycle)))
            .service(stack)
    }

    /// Spawns the loop that drives the pairs into their stack. When no more pairs come, no more
    /// connections are wanted.
    pub(crate) fn serve_pairs<S>(&self, pairs: BoxStream<'static, BoxPair>, stack: S)
    where
        S: Service<BoxPair, Response = Summary, Error: Into<BoxError>> + Send + 'static,
        S::Future: Send + 'static,
    {
        let stack = self.pair_stack(stack);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use couplet_layers::IdleTimeoutLayer;
    use couplet_relay::Relay;

    use super::*;

    fn future<S: Service<BoxPair>>(_: &S) -> usize {
        size_of::<S::Future>()
    }

    /// What a pair's task holds while the pair is idle, with its statistics and its idle timeout.
    /// tokio rounds a task up to a multiple of 128 bytes and takes some 110 of them itself: this is
    /// the most that fits into 512.
    #[test]
    fn a_pair_is_small() {
        let settings = Settings::default();
        let lifecycle = Arc::new(Lifecycle::new(&settings));
        let assembly = Assembly {
            settings,
            lifecycle,
        };
        let stack = assembly
            .pair_stack(IdleTimeoutLayer::new(Duration::from_secs(3600)).layer(Relay::new()));
        assert!(future(&stack) <= 400, "{}", future(&stack));
    }
}
