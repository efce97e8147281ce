//! A layer of a stack, with its description for `couplet explain`.

use std::fmt;

use couplet_connector::{
    Conn, PairLayers, Side, SideLayers,
    endpoint::{BoxIo, Io},
    layers::{FaultSwitch, Handshake, HandshakeLayer, HandshakeTimes},
    stack::{PairSlot, PairStack, SideStack, Slot},
};
use tower::Layer;

use crate::{
    layer_watch::LayerWatch,
    reload::OnReload,
    splice::{self, Bytes},
};

/// One layer of a stack: `layers` is the list it is alone in.
#[derive(Clone, Debug)]
pub(crate) struct LayerSpec<L> {
    pub(crate) name: &'static str,
    pub(crate) settings: Vec<Setting>,
    pub(crate) layers: L,
    /// What it does to the bytes. On a side: those read from the peer, those written to it. On the pair:
    /// A to B, B to A.
    bytes: Answer<L>,
    /// What it does at SIGHUP.
    pub(crate) on_reload: Option<OnReload>,
    /// What can be seen of it at work.
    pub(crate) watch: LayerWatch,
    /// It is a fault, which can be switched.
    pub(crate) switch: Option<FaultSwitch>,
    /// A number that a setting shows rounded.
    pub(crate) exact: Option<u64>,
}

#[derive(Clone, Debug)]
enum Answer<L> {
    Known([Bytes; 2]),
    Asked(fn(&L) -> [Bytes; 2]),
}

/// A setting as it is in effect.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) from: Source,
}

/// Where a setting came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Source {
    Default,
    Flag,
    Side,
}

/// A value, and where it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) from: Source,
}

// ===== impl LayerSpec =====

impl<L> LayerSpec<L> {
    /// Layers that hand on the io that they are given.
    pub(crate) fn new(name: &'static str, layers: L) -> Self {
        Self {
            name,
            settings: Vec::new(),
            layers,
            bytes: Answer::Known([Bytes::Untouched; 2]),
            on_reload: None,
            watch: LayerWatch::default(),
            switch: None,
            exact: None,
        }
    }

    /// A setting shows this number rounded.
    pub(crate) const fn exactly(mut self, number: u64) -> Self {
        self.exact = Some(number);
        self
    }

    /// What it does to the bytes of each direction.
    pub(crate) fn bytes(&self) -> [Bytes; 2] {
        match self.bytes {
            Answer::Known(bytes) => bytes,
            Answer::Asked(ask) => ask(&self.layers),
        }
    }

    /// The bytes from this side, or all, go through it. For layers that can't be asked: they begin with the
    /// relay, or touch some pairs by chance.
    pub(crate) fn copies(mut self, only: Option<Side>) -> Self {
        let bytes = |from| match only {
            Some(only) if only != from => Bytes::Untouched,
            _ => Bytes::Copied,
        };
        self.bytes = Answer::Known([Side::A, Side::B].map(bytes));
        self
    }

    /// What it does at SIGHUP.
    pub(crate) fn on_reload(mut self, does: impl Into<Option<OnReload>>) -> Self {
        self.on_reload = does.into();
        self
    }

    /// A setting to be explained.
    pub(crate) fn set(
        mut self,
        name: &'static str,
        value: impl fmt::Display,
        from: Source,
    ) -> Self {
        self.settings.push(Setting::new(name, value, from));
        self
    }
}

impl LayerSpec<SideLayers> {
    #[cfg(feature = "compress")]
    /// A layer that hands on an io of its own.
    pub(crate) fn wrapper<L>(name: &'static str, layer: L) -> Self
    where
        L: Layer<Slot, Service: SideStack + Clone> + Send + Sync + 'static,
    {
        let mut layers = SideLayers::new();
        layers.push(layer);
        Self {
            bytes: Answer::Asked(splice::of_side),
            ..Self::new(name, layers)
        }
    }

    pub(crate) fn handshake<H, I>(name: &'static str, layer: HandshakeLayer<H>) -> Self
    where
        H: Handshake<Conn<BoxIo>, Output = Conn<I>>,
        HandshakeLayer<H>: Layer<Slot, Service: SideStack + Clone> + Send + Sync + 'static,
        I: Io,
    {
        let times = HandshakeTimes::new();
        let mut layers = SideLayers::new();
        layers.push(layer.times(times.clone()));
        let mut spec = Self {
            bytes: Answer::Known(splice::of_io::<I>()),
            ..Self::new(name, layers)
        };
        spec.watch.times = Some(times);
        spec
    }
}

impl LayerSpec<PairLayers> {
    /// A layer that hands on ios of its own, of one side or both.
    pub(crate) fn wrapper<L>(name: &'static str, layer: L) -> Self
    where
        L: Layer<PairSlot, Service: PairStack + Clone> + Send + Sync + 'static,
    {
        let mut layers = PairLayers::new();
        layers.push(layer);
        Self {
            bytes: Answer::Asked(splice::of_pair),
            ..Self::new(name, layers)
        }
    }
}

// ===== impl Setting =====

impl Setting {
    pub(crate) fn new(name: &'static str, value: impl fmt::Display, from: Source) -> Self {
        Self {
            name,
            value: value.to_string(),
            from,
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.escape_debug();
        write!(f, "{} {value} ({})", self.name, self.from)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Flag => "flag",
            Self::Side => "side",
        })
    }
}

// ===== impl Sourced =====

impl<T> Sourced<T> {
    /// What a flag says, or else the default.
    pub(crate) fn flag(given: Option<T>, default: T) -> Self {
        match given {
            Some(value) => Self {
                value,
                from: Source::Flag,
            },
            None => Self {
                value: default,
                from: Source::Default,
            },
        }
    }

    /// What the side itself says wins.
    pub(crate) fn unless(self, side: Option<T>) -> Self {
        match side {
            Some(value) => Self {
                value,
                from: Source::Side,
            },
            None => self,
        }
    }
}
