use std::{sync::Arc, time::Duration};

use couplet_endpoint::KeepAlive;
use quinn::{IdleTimeout, TransportConfig, VarInt};

/// The settings of a [`QuicListen`](super::QuicListen) or a [`QuicDial`](super::QuicDial).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicOptions {
    pub(super) streams: u32,
    window: u32,
    keep_alive: Option<KeepAlive>,
}

/// The default of [`QuicOptions::keep_alive`].
const KEEP_ALIVE: KeepAlive = KeepAlive::new()
    .idle(Duration::from_secs(15))
    .interval(Duration::from_secs(5))
    .count(3);

/// The largest idle timeout that QUIC can say: a varint of milliseconds.
const LONGEST: Duration = Duration::from_millis((1 << 62) - 1);

// ===== impl QuicOptions =====

impl QuicOptions {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            streams: 100,
            window: 256 * 1024,
            keep_alive: Some(KEEP_ALIVE),
        }
    }

    /// At most this many streams of a carrier at a time. 100 by default. A dial with more opens another carrier;
    /// at a listener more wait.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[must_use]
    pub const fn streams(mut self, streams: u32) -> Self {
        assert!(streams > 0, "no stream could come: 1 or more");
        self.streams = streams;
        self
    }

    /// How many bytes a peer may send ahead of the reader of a stream. 256 KiB by default: a stream moves at most
    /// so much a round trip.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[must_use]
    pub const fn window(mut self, bytes: u32) -> Self {
        assert!(bytes > 0, "no byte could come: 1 or more");
        self.window = bytes;
        self
    }

    /// Asks a silent peer whether it is there after the [idle time](KeepAlive::idle), and gives a peer up that has
    /// been silent for that and [`count`](KeepAlive::count) intervals more: all its streams are reset. By default
    /// after 15 s, and after 30 s. With [`KeepAlive::OFF`] a peer that has vanished is never noticed, unless the
    /// peer itself says so of us. The shorter of both ends' times counts.
    #[must_use]
    pub fn keep_alive(mut self, keep_alive: impl Into<Option<KeepAlive>>) -> Self {
        self.keep_alive = keep_alive.into();
        self
    }

    /// What quinn makes of it. `accepts`: streams that the peer opens.
    pub(super) fn transport(self, accepts: bool) -> Arc<TransportConfig> {
        let mut transport = TransportConfig::default();
        let all = u64::from(self.streams) * u64::from(self.window);
        transport
            .max_concurrent_bidi_streams(match accepts {
                true => self.streams.into(),
                false => 0_u8.into(),
            })
            .max_concurrent_uni_streams(0_u8.into())
            .datagram_receive_buffer_size(None)
            .stream_receive_window(self.window.into())
            .receive_window(VarInt::from_u64(all).unwrap_or(VarInt::MAX))
            .keep_alive_interval(self.keep_alive.map(|keep_alive| keep_alive.idle_time()))
            .max_idle_timeout(self.keep_alive.map(idle_timeout));
        Arc::new(transport)
    }
}

impl Default for QuicOptions {
    fn default() -> Self {
        Self::new()
    }
}

fn idle_timeout(keep_alive: KeepAlive) -> IdleTimeout {
    let timeout = keep_alive.dead_after().min(LONGEST);
    timeout.try_into().expect("it is no longer than QUIC has")
}
