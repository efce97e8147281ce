//! The modes: which endpoints, and which pairing between them.

use std::{convert::Infallible, hash::Hash, net::SocketAddr};

use couplet_endpoint::{BoxError, BoxIo, Conn, Endpoint, Info, Io, Side, once, repeat};
use couplet_layers::{admission::live_limit::LiveLimit, observe::stats::SideStatsService};
use couplet_pairing::{
    DialFor, Keyed, Pair, Pairs, Place, dial_for_a, dial_for_b, rendezvous, rendezvous_keyed,
};
use futures::{Stream, StreamExt, stream::BoxStream};
use tower::{Layer, Service, util::Either};

use crate::{
    BoxPair,
    assembly::Assembly,
    seat::{Arrival, Partner, Seat, unwrap_drained},
};

/// Both sides come to us.
#[derive(Clone, Debug)]
pub struct ServerToServer<A, B>(pub(crate) A, pub(crate) B);

/// Both sides come to us, and those with the same key are joined.
#[derive(Clone, Debug)]
pub struct KeyedServers<A, B, K, S> {
    pub(crate) a: A,
    pub(crate) b: B,
    pub(crate) keyed: Keyed<K, S>,
}

/// All come to the same server, and those with the same key are joined.
#[derive(Clone, Debug)]
pub struct KeyedServer<E, K, S> {
    pub(crate) endpoint: E,
    pub(crate) keyed: Keyed<K, S>,
}

/// Side A comes to us, and for each of its connections side B is dialled.
#[derive(Clone, Debug)]
pub struct ServerToSocket<A, B>(pub(crate) A, pub(crate) B);

/// Side B comes to us, and for each of its connections side A is dialled; for one pair, side A is
/// dialled at once.
#[derive(Clone, Debug)]
pub struct SocketToServer<A, B>(pub(crate) A, pub(crate) B);

/// Side A is dialled, and then side B.
#[derive(Clone, Debug)]
pub struct SocketToSocket<A, B>(pub(crate) A, pub(crate) B);

/// Starts a mode with the layers of its sides.
#[diagnostic::on_unimplemented(
    message = "these endpoints and side layers can't be put together",
    note = "a side layer has to make a `Service<Conn<BoxIo>>` of whatever `Service<Conn<_>>` it is \
            given, its error has to be `Into<BoxError>`, and the stack of a side that is dialled for \
            the other has to be `Clone`"
)]
pub trait Mode<LA, LB> {
    /// Where each side listens.
    fn local_addrs(&self) -> [Option<SocketAddr>; 2];

    /// Spawns the sides' loops and returns their pairs.
    fn start(self, a: &LA, b: &LB, assembly: &Assembly) -> BoxStream<'static, BoxPair>;
}

/// The stack of a side that brings connections into the pairing.
pub trait SideStack:
    Service<Conn<BoxIo>, Response = (), Error: Into<BoxError>, Future: Send + 'static> + Send + 'static
{
}

/// The stack of a side that is dialled for the other.
pub trait PartnerStack:
    Service<
        Conn<BoxIo>,
        Response = Conn<BoxIo>,
        Error: Into<BoxError> + 'static,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

/// What dials a side: a [`Dial`](couplet_endpoint::Dial), or any other service that connects. It is
/// called with what is known of the connection it dials for, or, where it dials by itself, with
/// nothing.
pub trait Dials<R>:
    Service<R, Response = Conn<Self::Io>, Error: Into<BoxError> + 'static, Future: Send + 'static>
    + Clone
    + Send
    + 'static
{
    /// What the connections' bytes go through.
    type Io: Io;
}

/// The innermost service of a side for whose connections partners are dialled.
///
/// The limit, where there is one, is below the side's handshakes, so that who is silent in one takes no other's pair.
type Dialling<D, S> = Either<LiveLimit<Dialled<D, S>>, Dialled<D, S>>;

type Dialled<D, S> = Seat<DialFor<BoxIo, BoxIo, Partner<D, SideStatsService<S>>, BoxPair>>;

// ===== impl Mode =====

impl<A, B, LA, LB> Mode<LA, LB> for ServerToServer<A, B>
where
    A: Endpoint,
    B: Endpoint,
    LA: Layer<Seat<Place<BoxIo>>, Service: SideStack>,
    LB: Layer<Seat<Place<BoxIo>>, Service: SideStack>,
{
    fn local_addrs(&self) -> [Option<SocketAddr>; 2] {
        [self.0.local_addr(), self.1.local_addr()]
    }

    fn start(self, a: &LA, b: &LB, assembly: &Assembly) -> BoxStream<'static, BoxPair> {
        let (place_a, place_b, pairs) = rendezvous(assembly.policy());
        assembly.serve_side(Side::A, self.0, a.layer(Seat(place_a)));
        assembly.serve_side(Side::B, self.1, b.layer(Seat(place_b)));
        assembly.watch(pairs.counts());
        all(pairs).map(unwrap_drained).boxed()
    }
}

impl<A, B, K, S, LA, LB> Mode<LA, LB> for KeyedServers<A, B, K, S>
where
    A: Endpoint,
    B: Endpoint,
    K: Eq + Hash + Clone + Send + 'static,
    S: Eq + Clone + Send + 'static,
    LA: Layer<Seat<Place<BoxIo>>, Service: SideStack>,
    LB: Layer<Seat<Place<BoxIo>>, Service: SideStack>,
{
    fn local_addrs(&self) -> [Option<SocketAddr>; 2] {
        [self.a.local_addr(), self.b.local_addr()]
    }

    fn start(self, a: &LA, b: &LB, assembly: &Assembly) -> BoxStream<'static, BoxPair> {
        let (place, pairs) = rendezvous_keyed(assembly.policy(), self.keyed);
        assembly.serve_side(Side::A, self.a, a.layer(Seat(place.clone())));
        assembly.serve_side(Side::B, self.b, b.layer(Seat(place)));
        assembly.watch(pairs.counts());
        all(pairs).map(unwrap_drained).boxed()
    }
}

impl<E, K, S, LA, LB> Mode<LA, LB> for KeyedServer<E, K, S>
where
    E: Endpoint,
    K: Eq + Hash + Clone + Send + 'static,
    S: Eq + Clone + Send + 'static,
    LA: Layer<Seat<Place<BoxIo>>, Service: SideStack>,
{
    fn local_addrs(&self) -> [Option<SocketAddr>; 2] {
        [self.endpoint.local_addr(), None]
    }

    fn start(self, a: &LA, _: &LB, assembly: &Assembly) -> BoxStream<'static, BoxPair> {
        let (place, pairs) = rendezvous_keyed(assembly.policy(), self.keyed);
        assembly.serve_all(self.endpoint, a.layer(Seat(place)));
        assembly.watch(pairs.counts());
        all(pairs).map(unwrap_drained).boxed()
    }
}

impl<A, B, LA, LB> Mode<LA, LB> for ServerToSocket<A, B>
where
    A: Endpoint,
    B: Dials<Info>,
    LB: Layer<Arrival, Service: PartnerStack>,
    LA: Layer<Dialling<B, LB::Service>, Service: SideStack>,
{
    fn local_addrs(&self) -> [Option<SocketAddr>; 2] {
        [self.0.local_addr(), None]
    }

    fn start(self, a: &LA, b: &LB, assembly: &Assembly) -> BoxStream<'static, BoxPair> {
        let partner = assembly.partner(Side::B, self.1, b.layer(Arrival));
        let (service, pairs) = dial_for_a(assembly.policy(), partner);
        let innermost = assembly.pair_limit().layer(Seat(service));
        assembly.serve_side(Side::A, self.0, a.layer(innermost));
        assembly.watch(pairs.counts());
        all(pairs).boxed()
    }
}

impl<A, B, LA, LB> Mode<LA, LB> for SocketToServer<A, B>
where
    A: Dials<Info> + Dials<()>,
    B: Endpoint,
    LA: Layer<Arrival, Service: PartnerStack> + Layer<Seat<Place<BoxIo>>, Service: SideStack>,
    LB: Layer<Dialling<A, <LA as Layer<Arrival>>::Service>, Service: SideStack>
        + Layer<Seat<Place<BoxIo>>, Service: SideStack>,
{
    fn local_addrs(&self) -> [Option<SocketAddr>; 2] {
        [None, self.1.local_addr()]
    }

    fn start(self, a: &LA, b: &LB, assembly: &Assembly) -> BoxStream<'static, BoxPair> {
        if assembly.settings.once {
            let (place_a, place_b, pairs) = rendezvous(assembly.policy());
            let dialled = once::<A, <A as Dials<()>>::Io>(self.0);
            assembly.serve_side(Side::A, dialled, a.layer(Seat(place_a)));
            assembly.serve_side(Side::B, self.1, b.layer(Seat(place_b)));
            assembly.watch(pairs.counts());
            return all(pairs).map(unwrap_drained).boxed();
        }
        let partner = assembly.partner(Side::A, self.0, a.layer(Arrival));
        let (service, pairs) = dial_for_b(assembly.policy(), partner);
        let innermost = assembly.pair_limit().layer(Seat(service));
        assembly.serve_side(Side::B, self.1, b.layer(innermost));
        assembly.watch(pairs.counts());
        all(pairs).boxed()
    }
}

impl<A, B, LA, LB> Mode<LA, LB> for SocketToSocket<A, B>
where
    A: Dials<()>,
    B: Dials<Info>,
    LB: Layer<Arrival, Service: PartnerStack>,
    LA: Layer<Dialling<B, LB::Service>, Service: SideStack>,
{
    fn local_addrs(&self) -> [Option<SocketAddr>; 2] {
        [None, None]
    }

    fn start(self, a: &LA, b: &LB, assembly: &Assembly) -> BoxStream<'static, BoxPair> {
        let partner = assembly.partner(Side::B, self.1, b.layer(Arrival));
        let (service, pairs) = dial_for_a(assembly.policy(), partner);
        let stack = a.layer(assembly.pair_limit().layer(Seat(service)));
        // The next is dialled when this one's pair has ended.
        match assembly.settings.reconnect {
            Some(backoff) => {
                assembly.serve_side_in_turn(Side::A, repeat(self.0, backoff), stack);
            }
            None => assembly.serve_side_in_turn(Side::A, once(self.0), stack),
        }
        assembly.watch(pairs.counts());
        all(pairs).boxed()
    }
}

fn all<A: Send + 'static, B: Send + 'static>(
    pairs: Pairs<A, B>,
) -> impl Stream<Item = Pair<A, B>> + Send + 'static {
    pairs.map(|Ok::<_, Infallible>(pair)| pair)
}

// ===== what fits =====

impl<S> SideStack for S where
    S: Service<Conn<BoxIo>, Response = (), Error: Into<BoxError>, Future: Send + 'static>
        + Send
        + 'static
{
}

impl<S> PartnerStack for S where
    S: Service<
            Conn<BoxIo>,
            Response = Conn<BoxIo>,
            Error: Into<BoxError> + 'static,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static
{
}

impl<D, R, I> Dials<R> for D
where
    D: Service<R, Response = Conn<I>, Error: Into<BoxError> + 'static, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
    I: Io,
{
    type Io = I;
}
