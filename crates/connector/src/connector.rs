use std::{error::Error as StdError, hash::Hash, sync::Arc, time::Duration};

use couplet_endpoint::{Backoff, BoxIo, Endpoint, Info, Side};
use couplet_layers::HandshakeLayer;
use couplet_pairing::{Attachment, CloseReason, Keyed, Session};
use couplet_relay::Relay;
use tower::{
    Layer,
    layer::util::{Identity, Stack},
};

use crate::{
    Handle, RelayEvent,
    assembly::Assembly,
    lifecycle::Lifecycle,
    mode::{
        ByKey, DialForA, DialForB, HasSideB, InTurn, ManyPairs, Meet, MeetByKey, Mode, Once,
        Reconnects, Waits,
    },
    settings::Settings,
    slot::Slot,
    stack::{Dials, PairStack, SideStack},
};

/// Joins the connections of two sides: make one with a constructor, add layers, and start it.
///
/// A connection, or a pair, meets the layers in the order in which they were added: the first layer is
/// the outermost. They are ordinary tower layers. The layers of a side make a service of `Conn<BoxIo>`,
/// those of the pair a service of [`BoxPair`](crate::BoxPair).
///
/// By default a connector joins any number of pairs, and ends with the end of a side, by [`close`] or by
/// [`shutdown`].
///
/// [`close`]: Handle::close
/// [`shutdown`]: Handle::shutdown
#[derive(Debug)]
#[must_use = "a connector does nothing until it is started"]
pub struct Connector<M, LA = Identity, LB = Identity, LP = Identity> {
    mode: M,
    side_a: LA,
    side_b: LB,
    pair: LP,
    settings: Settings,
}

// ===== impl Connector =====

/// The modes.
impl Connector<()> {
    /// Accepts clients on both sides, and joins the client that has waited longest on side A with the
    /// one that has waited longest on side B.
    ///
    /// A pool of dialled connections may stand in for a listener:
    /// [`Dial::pool`](couplet_endpoint::Dial::pool).
    pub fn listen_listen(a: impl Endpoint, b: impl Endpoint) -> Connector<Meet> {
        Connector::new(Meet::new(a, b))
    }

    /// Accepts all clients on one endpoint, and joins those with the same key: a rendezvous for many
    /// clients at once.
    ///
    /// A handshake in [`layer_a`](Self::layer_a) learns the key of a connection; side B has no layers.
    /// [`max_waiting`](Self::max_waiting) and [`wait_timeout`](Self::wait_timeout) bound the waiting
    /// connections; [`Keyed`] decides which connection is refused, and the reply. In the statistics all
    /// connections count as side A's, unless the handshake sets
    /// [`Info::side`](couplet_endpoint::Info::side).
    ///
    /// [`AnnounceJoin`](couplet_layers::AnnounceJoin) tells both peers of the join, for protocols that
    /// need it.
    pub fn keyed<K, S>(endpoint: impl Endpoint, keyed: Keyed<K, S>) -> Connector<MeetByKey>
    where
        K: Eq + Hash + Clone + Send + 'static,
        S: Eq + Clone + Send + 'static,
    {
        Connector::new(MeetByKey::new(endpoint, ByKey::new(keyed, None)))
    }

    /// As [`keyed`](Self::keyed), with partners from elsewhere, too: through the other end of this
    /// [`switchboard`](couplet_pairing::switchboard). The crate `couplet-meeting` uses it to join clients of
    /// several nodes.
    pub fn keyed_with<K, S>(
        endpoint: impl Endpoint,
        keyed: Keyed<K, S>,
        attachment: Attachment<BoxIo, K, S>,
    ) -> Connector<MeetByKey>
    where
        K: Eq + Hash + Clone + Send + 'static,
        S: Eq + Clone + Send + 'static,
    {
        let by_key = ByKey::new(keyed, Some(attachment));
        Connector::new(MeetByKey::new(endpoint, by_key))
    }

    /// Accepts clients on side A, and dials side B for each of them: a TCP proxy.
    ///
    /// `b` is a [`Dial`](couplet_endpoint::Dial), or any other service that [dials](Dials). It is called
    /// with the client's [`Info`](couplet_endpoint::Info), so it can choose the target by the client.
    pub fn listen_dial<B>(a: impl Endpoint, b: B) -> Connector<DialForA<B>>
    where
        B: Dials<Info>,
    {
        Connector::new(DialForA::new(a, b))
    }

    /// Accepts clients on side B, and dials side A for each of them. With [`once`](Self::once), side A is
    /// dialled at the start.
    pub fn dial_listen<A>(a: A, b: impl Endpoint) -> Connector<DialForB<A>> {
        Connector::new(DialForB::new(a, b))
    }

    /// Dials side A, and then side B. The connector ends with the pair, unless
    /// [`reconnect`](Connector::reconnect) is set.
    pub fn dial_dial<B>(a: impl Dials<()>, b: B) -> Connector<InTurn<B>>
    where
        B: Dials<Info>,
    {
        let mut connector = Connector::new(InTurn::new(a, b));
        connector.settings.dials_only = true;
        connector
    }
}

/// The modes by the original's names.
impl Connector<()> {
    /// Another name of [`listen_listen`](Self::listen_listen).
    pub fn server_to_server(a: impl Endpoint, b: impl Endpoint) -> Connector<Meet> {
        Self::listen_listen(a, b)
    }

    /// Another name of [`listen_dial`](Self::listen_dial).
    pub fn server_to_socket<B: Dials<Info>>(a: impl Endpoint, b: B) -> Connector<DialForA<B>> {
        Self::listen_dial(a, b)
    }

    /// Another name of [`dial_listen`](Self::dial_listen).
    pub fn socket_to_server<A>(a: A, b: impl Endpoint) -> Connector<DialForB<A>> {
        Self::dial_listen(a, b)
    }

    /// Another name of [`dial_dial`](Self::dial_dial).
    pub fn socket_to_socket<B: Dials<Info>>(a: impl Dials<()>, b: B) -> Connector<InTurn<B>> {
        Self::dial_dial(a, b)
    }
}

impl<LA, LB, LP> Connector<Meet, LA, LB, LP> {
    /// Joins connections with the same key, on either side, and not by the order in which they come. See
    /// [`keyed`](Connector::keyed).
    ///
    /// To join only connections of A with connections of B, give
    /// [`Info::side`](couplet_endpoint::Info::side) as the [side](Keyed::side).
    pub fn by_key<K, S>(self, keyed: Keyed<K, S>) -> Self
    where
        K: Eq + Hash + Clone + Send + 'static,
        S: Eq + Clone + Send + 'static,
    {
        self.map_mode(|meet| meet.by_key(ByKey::new(keyed, None)))
    }

    /// As [`by_key`](Self::by_key), where partners may also come from elsewhere: through the other end of this
    /// [`switchboard`](couplet_pairing::switchboard).
    pub fn by_key_with<K, S>(self, keyed: Keyed<K, S>, attachment: Attachment<BoxIo, K, S>) -> Self
    where
        K: Eq + Hash + Clone + Send + 'static,
        S: Eq + Clone + Send + 'static,
    {
        let by_key = ByKey::new(keyed, Some(attachment));
        self.map_mode(|meet| meet.by_key(by_key))
    }
}

impl<M> Connector<M> {
    fn new(mode: M) -> Self {
        Self {
            mode,
            side_a: Identity::new(),
            side_b: Identity::new(),
            pair: Identity::new(),
            settings: Settings::default(),
        }
    }
}

impl<M, LA, LB, LP> Connector<M, LA, LB, LP> {
    fn map_mode<T>(self, map: impl FnOnce(M) -> T) -> Connector<T, LA, LB, LP> {
        Connector {
            mode: map(self.mode),
            side_a: self.side_a,
            side_b: self.side_b,
            pair: self.pair,
            settings: self.settings,
        }
    }
}

/// The stacks.
impl<M, LA, LB, LP> Connector<M, LA, LB, LP> {
    /// Adds a layer to side A, below the earlier ones.
    pub fn layer_a<L>(self, layer: L) -> Connector<M, Stack<L, LA>, LB, LP> {
        Connector {
            mode: self.mode,
            side_a: Stack::new(layer, self.side_a),
            side_b: self.side_b,
            pair: self.pair,
            settings: self.settings,
        }
    }

    /// Adds a layer to side B, below the earlier ones.
    pub fn layer_b<L>(self, layer: L) -> Connector<M, LA, Stack<L, LB>, LP>
    where
        M: HasSideB,
    {
        Connector {
            mode: self.mode,
            side_a: self.side_a,
            side_b: Stack::new(layer, self.side_b),
            pair: self.pair,
            settings: self.settings,
        }
    }

    /// Adds a layer to the pair stack, below the earlier ones.
    pub fn layer_pair<L>(self, layer: L) -> Connector<M, LA, LB, Stack<L, LP>> {
        Connector {
            mode: self.mode,
            side_a: self.side_a,
            side_b: self.side_b,
            pair: Stack::new(layer, self.pair),
            settings: self.settings,
        }
    }

    /// Adds a step before the join, with a deadline of 10 s: it sees both connections, and may talk to
    /// either, choose the pair's transforms, or refuse the pair. Short for `HandshakeLayer::new(step)` on
    /// the pair stack; another [timeout](HandshakeLayer::timeout) is set on that layer.
    pub fn before_join<H>(self, step: H) -> Connector<M, LA, LB, Stack<HandshakeLayer<H>, LP>> {
        self.layer_pair(HandshakeLayer::new(step))
    }
}

/// The settings.
impl<M, LA, LB, LP> Connector<M, LA, LB, LP> {
    /// Joins one pair, and is done when that has ended. Side A of [`dial_listen`](Connector::dial_listen)
    /// is then dialled at the start.
    pub fn once(mut self) -> Connector<M::Once, LA, LB, LP>
    where
        M: Once,
    {
        self.settings.once = true;
        self.map_mode(M::once)
    }

    /// Dials both sides again, with this back-off, when their pair has ended or could not be made. For
    /// [`dial_dial`](Connector::dial_dial); the other modes go on anyway.
    pub fn reconnect(mut self, backoff: Backoff) -> Self
    where
        M: Reconnects,
    {
        self.settings.reconnects = true;
        self.mode.reconnect(backoff);
        self
    }

    /// Closes the connector when no pair has been live for this time, counted from the start or from the
    /// end of the last pair. Never, by default.
    pub fn close_when_idle(mut self, idle: Duration) -> Self {
        self.settings.close_when_idle = Some(idle);
        self
    }

    /// Bounds the live pairs. Further connections wait: in the pairing, where both sides accept; in the
    /// system's accept queue or behind their handshakes, without a dial, where partners are dialled. No
    /// bound by default.
    ///
    /// # Panics
    ///
    /// If `pairs` is 0, with which no pair would ever be joined.
    pub fn max_pairs(mut self, pairs: usize) -> Self
    where
        M: ManyPairs,
    {
        assert!(
            pairs > 0,
            "max_pairs is 0: no pair could be joined; 1 or more"
        );
        self.settings.max_pairs = Some(pairs);
        self
    }

    /// Bounds the connections of a side that wait for a partner, to connect or to be dialled, at a time.
    /// 1024 by default. At the bound the side accepts and dials no more until one has left, or until one of
    /// the address that holds most [gives way](couplet_pairing::Policy::max_waiting); a
    /// [`keyed`](Connector::keyed) connector counts all sides together, and refuses further ones.
    ///
    /// # Panics
    ///
    /// If `connections` is 0, with which no connection would ever be joined.
    pub fn max_waiting(mut self, connections: usize) -> Self {
        self.settings.policy = self.settings.policy.max_waiting(connections);
        self
    }

    /// The time that a connection waits for a partner to connect. 5 minutes by default, `None` for ever.
    pub fn wait_timeout(mut self, timeout: Option<Duration>) -> Self
    where
        M: Waits,
    {
        self.settings.policy = self.settings.policy.wait(timeout);
        self
    }

    /// The most bytes that are read ahead from a connection while it waits. 16 KiB by default. The rest
    /// stays in the kernel, whose back-pressure holds the sender up.
    pub fn read_ahead(mut self, bytes: usize) -> Self
    where
        M: Waits,
    {
        self.settings.policy = self.settings.policy.early(bytes);
        self
    }

    /// Moves bytes with this relay, which has the half-close timeout and the linger time.
    pub fn with_relay(mut self, relay: Relay) -> Self {
        self.settings.relay = relay;
        self
    }

    /// Takes over from a running connector, at the start: that one accepts no more clients from then on, and
    /// those in its accept queue are this one's, where both have the same
    /// [socket](couplet_endpoint::Listen::sockets). Its live pairs end as they began. Its connections
    /// that wait for a client of the other side, or for one with the same key, go on to wait here, where
    /// both connectors pair alike, unless this one [lets them go](Self::lets_waiting_go); those that it has dialled
    /// ahead are closed.
    ///
    /// The statistics and the [observers](Handle::observe) go on as one: both handles show both
    /// connectors' pairs, and [`close`](Handle::close) and the end of a [`shutdown`](Handle::shutdown) of
    /// this one end both's. [`on_join`](Self::on_join) and [`on_end`](Self::on_end) of this one are not
    /// called. The same [bound of pairs](Self::max_pairs) as before counts the pairs of both; another one counts this
    /// one's alone.
    pub fn succeeds(mut self, before: &Handle) -> Self {
        self.settings.before = Some(before.before());
        self
    }

    /// Closes the connections that wait in the connector [before](Self::succeeds), in place of taking them over.
    pub fn lets_waiting_go(mut self) -> Self {
        self.settings.lets_waiting_go = true;
        self
    }

    /// Calls this function with each session at its join. Short for [`Handle::observe`].
    pub fn on_join(self, joined: impl Fn(&Session) + Send + Sync + 'static) -> Self {
        self.settings.observers.add(move |event| {
            if let RelayEvent::Joined(session) = event {
                joined(session);
            }
        });
        self
    }

    /// Calls this function with each joined session at its end, with the reason and, if the pair stack or
    /// the relay failed, the error. Short for [`Handle::observe`].
    pub fn on_end(
        self,
        ended: impl Fn(&Session, CloseReason, Option<&(dyn StdError + 'static)>) + Send + Sync + 'static,
    ) -> Self {
        self.settings.observers.add(move |event| {
            if let RelayEvent::Ended {
                session,
                reason,
                error,
            } = event
            {
                ended(session, *reason, *error);
            }
        });
        self
    }
}

/// The start.
impl<M, LA, LB, LP> Connector<M, LA, LB, LP> {
    /// Starts the connector as tasks of the current tokio runtime, whether or not the handle is kept. The
    /// tasks have the [name](couplet_endpoint::RelayName) in whose scope this is called, so that a log can
    /// tell several connectors apart.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(self) -> Handle
    where
        LA: Layer<Slot, Service: SideStack>,
        LB: Layer<Slot, Service: SideStack>,
        LP: Layer<Relay, Service: PairStack>,
        M: Mode<LA::Service, LB::Service>,
    {
        let (local_addrs, pairing) = (self.mode.local_addrs(), self.mode.pairing());
        for (side, addr) in [Side::A, Side::B].into_iter().zip(&local_addrs) {
            if let Some(address) = addr {
                tracing::info!(%side, %address, "listening");
            }
        }
        let lifecycle = Arc::new(Lifecycle::new(&self.settings));
        let one_expected = self.settings.expects_one_pair();
        let relay = self.settings.relay.clone();
        let assembly = Assembly {
            settings: self.settings,
            lifecycle: Arc::clone(&lifecycle),
        };
        let (side_a, side_b) = (&self.side_a, &self.side_b);
        let (stack_a, stack_b) = (|slot| side_a.layer(slot), |slot| side_b.layer(slot));
        let pairs = self.mode.start(stack_a, stack_b, &assembly);
        assembly.serve_pairs(pairs, self.pair.layer(relay));
        if let Some(idle) = assembly.settings.close_when_idle {
            lifecycle.spawn_loop(Arc::clone(&lifecycle).close_when_idle(idle));
        }
        lifecycle.spawn_loop(lifecycle.timer_tick().clone().run());
        lifecycle.all_spawned();
        if let Some(before) = &assembly.settings.before {
            lifecycle.pause().set(before.is_paused);
            (before.retire)(lifecycle.places());
        }
        Handle::new(lifecycle, local_addrs, pairing, one_expected)
    }
}
