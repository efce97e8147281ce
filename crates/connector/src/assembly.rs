//! The common parts of all modes: the top of each side stack, and the loops.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use couplet_endpoint::{BoxError, BoxIo, Conn, Info, Io, Replay, Side, is_caused_by};
use couplet_layers::{
    LiveLimitLayer, SideStatsLayer, StatsLayer, observe::stats::SideStatsService,
};
use couplet_pairing::{Pair, PairingEnded, Pairs, Policy, dial_for_a, dial_for_b};
use futures::{FutureExt, StreamExt, stream::BoxStream};
use tower::{Layer, Service, ServiceBuilder, limit::GlobalConcurrencyLimitLayer};

use crate::{
    BoxPair, ConnectorError,
    incoming::Incoming,
    lifecycle::Lifecycle,
    refusals::RefusalsLayer,
    serve::{ServeError, serve_with},
    settings::Settings,
    slot::{DialFor, Partner, Passage, Slot},
    stack::{Dials, PairStack, SideStack},
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

    /// For each connection of side A, dials a partner on side B and leads it through that side's stack.
    /// Returns the innermost service of side A's stack, and the pairs.
    pub(crate) fn dial_for_a<S>(
        &self,
        dial: impl Dials<Info>,
        stack_b: impl FnOnce(Slot) -> S,
    ) -> (Slot, BoxStream<'static, BoxPair>)
    where
        S: SideStack + Clone,
    {
        let partner = self.partner(Side::B, dial, stack_b);
        let (service, pairs) = dial_for_a(self.settings.policy, partner);
        (self.pair_limited(service), self.joined(pairs))
    }

    /// As [`dial_for_a`](Self::dial_for_a), with the sides exchanged.
    pub(crate) fn dial_for_b<S>(
        &self,
        dial: impl Dials<Info>,
        stack_a: impl FnOnce(Slot) -> S,
    ) -> (Slot, BoxStream<'static, BoxPair>)
    where
        S: SideStack + Clone,
    {
        let partner = self.partner(Side::A, dial, stack_a);
        let (service, pairs) = dial_for_b(self.settings.policy, partner);
        (self.pair_limited(service), self.joined(pairs))
    }

    /// Dials a side for the other side, and leads each connection through the dialled side's stack.
    fn partner<D: Dials<Info>, S: SideStack + Clone>(
        &self,
        side: Side,
        dial: D,
        stack: impl FnOnce(Slot) -> S,
    ) -> Partner<D, SideStatsService<Passage<S>>> {
        let stack = Passage::new(side, stack);
        let stack = self.side_stats(side).layer(stack);
        Partner::new(side, dial, stack, Arc::clone(&self.lifecycle))
    }

    /// Bounds the pairs, from the dial of the partner on. The bound is below the side's handshakes, so
    /// that a client that is silent in a handshake takes no pair.
    fn pair_limited(&self, service: impl DialFor + Clone) -> Slot {
        match self.settings.max_pairs {
            None => Slot::dial_for(service),
            Some(pairs) => Slot::dial_for(LiveLimitLayer::new(pairs).layer(Boxing(service))),
        }
    }

    /// Counts the waiting connections, and unwraps ios without bytes read ahead.
    pub(crate) fn joined(
        &self,
        pairs: Pairs<Replay<BoxIo>, Replay<BoxIo>>,
    ) -> BoxStream<'static, BoxPair> {
        self.lifecycle.watch(pairs.counts());
        pairs.map(|Ok(pair)| unwrap_drained(pair)).boxed()
    }

    /// Spawns the loop that drives a side's connections into its stack.
    pub(crate) fn serve_side(&self, side: Side, incoming: Incoming, stack: impl SideStack) {
        self.serve_conns(side, incoming, self.topped(side, Some(side), stack));
    }

    /// As [`serve_side`](Self::serve_side), for connections of either side: they count as side A's, and a
    /// handshake says which side they are on.
    pub(crate) fn serve_all(&self, incoming: Incoming, stack: impl SideStack) {
        self.serve_conns(Side::A, incoming, self.topped(Side::A, None, stack));
    }

    /// As [`serve_side`](Self::serve_side), but takes the next connection only when the one before is
    /// closed.
    pub(crate) fn serve_in_turn(&self, side: Side, incoming: Incoming, stack: impl SideStack) {
        let stack = Boxing(self.topped(side, Some(side), stack));
        let stack = LiveLimitLayer::new(1).layer(stack);
        self.serve_conns(side, incoming, stack);
    }

    /// A side stack below the common top of all side stacks. Its connections count as those of `side`, and
    /// are on the side `on`, if any.
    fn topped(
        &self,
        side: Side,
        on: Option<Side>,
        stack: impl SideStack,
    ) -> impl Service<Conn<BoxIo>, Error: Into<BoxError>, Future: Send + 'static> + Send + 'static
    {
        let timer_tick = self.lifecycle.timer_tick().clone();
        ServiceBuilder::new()
            .map_request(move |mut conn: Conn<BoxIo>| {
                timer_tick.came();
                conn.info.side = on;
                conn
            })
            .layer(RefusalsLayer::new(
                Arc::clone(&self.lifecycle),
                side,
                self.settings.expects_one_pair(),
            ))
            .layer(self.side_stats(side))
            .service(stack)
    }

    fn serve_conns<S>(&self, side: Side, incoming: Incoming, stack: S)
    where
        S: Service<Conn<BoxIo>, Error: Into<BoxError>, Future: Send + 'static> + Send + 'static,
    {
        let conns = incoming.until_drained(side, Arc::clone(&self.lifecycle));
        let lifecycle = Arc::clone(&self.lifecycle);
        let spawn = move |future| lifecycle.spawn_until_stopped(future);
        let lifecycle = Arc::clone(&self.lifecycle);
        let serving = serve_with(conns, stack, spawn).map(move |served| match served {
            Ok(()) => tracing::debug!(%side, "no more connections will come"),
            // The connector learns of it by the error.
            Err(ServeError::Service(error)) if is_caused_by::<PairingEnded>(&*error) => {
                tracing::debug!(%side, error, "no more connections are wanted");
            }
            Err(ServeError::Service(error) | ServeError::Requests(error)) => {
                let source = error.into();
                lifecycle.fail(ConnectorError::Side { side, source });
            }
        });
        self.lifecycle.spawn_loop(serving);
    }

    fn side_stats(&self, side: Side) -> SideStatsLayer {
        SideStatsLayer::new(self.lifecycle.stats().clone(), side)
    }

    /// A pair stack below the common top of all pair stacks.
    fn pair_stack<S>(
        &self,
        stack: S,
    ) -> impl Service<BoxPair, Response = (), Error: Into<BoxError>, Future: Send + 'static>
    + Send
    + 'static
    where
        S: PairStack,
    {
        let places = self.lifecycle.pair_places();
        let places = places.map(|pairs| Arc::clone(&pairs.places));
        ServiceBuilder::new()
            .option_layer(places.map(GlobalConcurrencyLimitLayer::with_semaphore))
            .layer(StatsLayer::new(self.lifecycle.stats().clone()))
            .layer(TrackLayer::new(Arc::clone(&self.lifecycle)))
            .service(stack)
    }

    /// Spawns the loop that drives the pairs into their stack. At the end of the pairs the sides stop.
    pub(crate) fn serve_pairs<S>(&self, pairs: BoxStream<'static, BoxPair>, stack: S)
    where
        S: PairStack,
    {
        let stack = self.pair_stack(stack);
        let once = self.settings.once;
        let pairs = pairs.take(if once { 1 } else { usize::MAX });
        let lifecycle = Arc::clone(&self.lifecycle);
        let spawn = move |future| {
            lifecycle.spawn(future);
            if once {
                // Not when the stack asks for the next pair, which may be only after this one's end.
                lifecycle.stop();
            }
        };
        let lifecycle = Arc::clone(&self.lifecycle);
        let serving = serve_with(pairs.map(Ok::<_, BoxError>), stack, spawn);
        self.lifecycle
            .spawn_loop(serving.map(move |served| match served {
                Ok(()) => lifecycle.stop(),
                Err(ServeError::Service(error) | ServeError::Requests(error)) => {
                    let source = error.into();
                    lifecycle.fail(ConnectorError::PairStack { source });
                }
            }));
    }
}

/// Takes connections of any io and hands them on boxed.
#[derive(Clone, Debug)]
struct Boxing<S>(S);

// ===== impl Boxing =====

impl<I: Io, S: Service<Conn<BoxIo>>> Service<Conn<I>> for Boxing<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, conn: Conn<I>) -> S::Future {
        self.0.call(conn.boxed())
    }
}

/// A pair without the wrappers of ios without bytes read ahead.
fn unwrap_drained(pair: Pair<Replay<BoxIo>, Replay<BoxIo>>) -> BoxPair {
    fn unwrap(io: Replay<BoxIo>) -> BoxIo {
        if io.ahead().is_empty() {
            io.into_parts().0
        } else {
            Box::new(io)
        }
    }
    pair.map_a(unwrap).map_b(unwrap)
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
