//! Many connections over one: what `mux` makes of a side's endpoint.

use std::time::Duration;

use bytesize::ByteSize;
use couplet_connector::{Side, SideHandshake, SideLayers, endpoint::Endpoint};
use couplet_protocols::mux::{MuxDial, MuxListen, MuxWatch};

use crate::layer_spec::{Source, Sourced};

/// The carriers and the streams of a side, as its options say.
#[derive(Clone, Debug)]
pub(crate) struct MuxSpec {
    pub(crate) way: Sourced<MuxWay>,
    /// How many carriers: of a dialled side that takes streams the pool says it.
    pub(crate) carriers: Sourced<usize>,
    pub(crate) streams: Sourced<usize>,
    pub(crate) ping: Sourced<Option<Duration>>,
    /// What may be held for connections that are not read.
    pub(crate) unread: Sourced<ByteSize>,
    /// What a carrier goes through.
    pub(crate) layers: SideLayers,
    /// How they do.
    pub(crate) watch: MuxWatch,
}

/// Which end opens the streams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum MuxWay {
    /// This one.
    Open,
    /// The peer.
    Accept,
}

pub(crate) type CarriedDial<D> = MuxDial<D, SideHandshake>;

pub(crate) type CarriedListen<E> = MuxListen<E, SideHandshake>;

/// How long a process that ends waits for what its carriers have yet to send.
const PATIENCE: Duration = Duration::from_secs(5);

// ===== impl MuxSpec =====

impl MuxSpec {
    pub(crate) fn new(way: MuxWay) -> Self {
        Self {
            way: by_default(way),
            carriers: by_default(match way {
                MuxWay::Open => 16,
                MuxWay::Accept => 128,
            }),
            streams: by_default(1024),
            ping: by_default(Some(Duration::from_secs(30))),
            unread: by_default(ByteSize::mib(512)),
            layers: SideLayers::new(),
            watch: MuxWatch::default(),
        }
    }

    pub(crate) fn opens(&self) -> bool {
        self.way.value == MuxWay::Open
    }

    fn unread(&self) -> usize {
        usize::try_from(self.unread.value.as_u64()).unwrap_or(usize::MAX)
    }

    /// Opens streams of carriers that are dialled so.
    pub(crate) fn dial<D>(&self, carriers: D) -> CarriedDial<D> {
        MuxDial::new(carriers, self.layers.handshake(Side::B))
            .carriers(self.carriers.value)
            .streams(self.streams.value)
            .ping(self.ping.value)
            .unread(self.unread())
            .watch(self.watch.clone())
    }

    /// Takes the streams of these carriers.
    pub(crate) fn listen<E: Endpoint>(&self, carriers: E) -> CarriedListen<E> {
        MuxListen::new(carriers, self.layers.handshake(Side::A))
            .carriers(self.carriers.value)
            .streams(self.streams.value)
            .ping(self.ping.value)
            .unread(self.unread())
            .watch(self.watch.clone())
    }

    /// Waits until the carriers have ended, which send what their streams were given.
    pub(crate) async fn ended(&self) {
        let _ = tokio::time::timeout(PATIENCE, self.watch.carriers_ended()).await;
    }
}

fn by_default<T>(value: T) -> Sourced<T> {
    Sourced {
        value,
        from: Source::Default,
    }
}
