//! The layers of a pair stack, measured.

use std::{io, num::NonZeroU64, time::Duration};

use couplet_connector::{
    endpoint::{Conn, Io, Origin, Side},
    layers::{
        AccessLog, AccessLogLayer, AnnounceJoin, BandwidthLayer, ByteRate, Capture, CaptureLayer,
        Fault, FaultLayer, HandshakeLayer, IdleTimeoutLayer, MaxLifetimeLayer, QuotaLayer, Stats,
        StatsLayer, TrafficLogLayer, TransformLayer, map_bytes,
    },
    pairing::Pair,
};
use couplet_protocols::SendProxyHeader;
use tokio::net::TcpStream;

use crate::{
    BOTH, BOTH_WHILE_ON, Cost, DIRECTION, DIRECTION_WHILE_ON, NOTHING,
    rig::{direction, pair},
    sides::codec,
};

const LONG: Duration = Duration::from_secs(3600);

pub(crate) async fn measure(name: &str) -> Option<Cost> {
    Some(match name {
        "StatsLayer" => pair(StatsLayer::new(Stats::new())).await,
        "AccessLogLayer" => pair(AccessLogLayer::new(AccessLog::new(|_| {}))).await,
        "IdleTimeoutLayer" => pair(IdleTimeoutLayer::new(LONG)).await,
        "MaxLifetimeLayer" => pair(MaxLifetimeLayer::new(LONG)).await,
        "BandwidthLayer" => bandwidth().await,
        "QuotaLayer" => pair(QuotaLayer::new(1)).await,
        "AnnounceJoin" => pair(HandshakeLayer::new(AnnounceJoin::new("ok\n"))).await,
        "SendProxyHeaderBeforeJoin" => proxy_header().await,
        "TransformLayer" => {
            let same = || map_bytes(|bytes| bytes);
            let layer = TransformLayer::new();
            direction(layer.clone().a_to_b(same), layer.b_to_a(same)).await
        }
        "TrafficLogLayer" => {
            let layer = TrafficLogLayer::text();
            direction(layer.clone().only(Side::A), layer.only(Side::B)).await
        }
        "CaptureLayer" => capture().await,
        "FaultLayer" => fault().await,
        _ => return None,
    })
}

/// The client for which bytes are counted.
async fn bandwidth() -> Cost {
    let rate = ByteRate::per_second(NonZeroU64::MIN);
    let shared = pair(BandwidthLayer::shared(rate)).await;
    assert_eq!(pair(BandwidthLayer::per_pair(rate)).await, shared);
    let per_address = BandwidthLayer::per_address(Side::A, rate);
    assert_eq!(pair(per_address).await, shared);
    shared
}

async fn proxy_header() -> Cost {
    let send = SendProxyHeader::v2().before_join(Side::B);
    pair(HandshakeLayer::new(send)).await
}

async fn capture() -> Cost {
    let scratch = tempfile::tempdir().unwrap();
    let capture = Capture::to_file(scratch.path().join("trace.pcapng"));
    let layer = CaptureLayer::new(capture.clone());
    assert_eq!(pair(layer.clone()).await, NOTHING, "before its start");
    capture.start().unwrap();
    assert_eq!(pair(layer.clone()).await, BOTH);
    capture.finish(Duration::from_secs(60));
    assert_eq!(pair(layer).await, NOTHING, "after its end");
    BOTH_WHILE_ON
}

async fn fault() -> Cost {
    let layer = FaultLayer::new(Fault::Blackhole);
    let one_way = [Side::A, Side::B].map(|side| layer.clone().only(side));
    let [a_to_b, b_to_a] = one_way;
    assert_eq!(direction(a_to_b, b_to_a).await, DIRECTION);
    layer.switch().off();
    assert_eq!(pair(layer).await, NOTHING, "while off");
    DIRECTION_WHILE_ON
}

/// A step that leaves the connections as they are.
pub(crate) async fn free_step() -> Cost {
    pair(HandshakeLayer::new(async |pair| io::Result::Ok(pair))).await
}

/// A step that wraps them.
pub(crate) async fn dear_step() -> Cost {
    fn wrap<I: Io>(io: I) -> impl Io {
        codec().apply(Conn::new(io, Origin::Accepted)).io
    }
    let step = async |pair: Pair<TcpStream, TcpStream>| {
        let Pair { a, b, session } = pair;
        let (a, b) = (wrap(a), wrap(b));
        io::Result::Ok(Pair { a, b, session })
    };
    pair(HandshakeLayer::new(step)).await
}
