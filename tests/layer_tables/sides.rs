//! The layers of a side stack, measured.

use std::{io, num::NonZeroU32, time::Duration};

use couplet_connector::{
    endpoint::{Conn, Dial, Info, Origin, Side},
    layers::{
        AccessLayer, AccessList, AccessLog, Attempts, AttemptsLayer, CodecLayer, ConnLimitLayer,
        ConnRateLayer, DialledForLayer, HandOverLayer, HandshakeLayer, LiveLimitLayer, Rate,
        Replaceable, SideAccessLogLayer, SideStatsLayer, Stats,
        payload::compress::{Lz4, Zstd},
    },
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::LengthDelimitedCodec;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::{
    Cost, NOTHING,
    rig::{side, tcp, ways},
};

pub(crate) async fn measure(name: &str) -> Option<Cost> {
    Some(match name {
        "AccessLayer" => access().await,
        "ConnLimitLayer" => side(ConnLimitLayer::per_address(1), b"", b"").await,
        "ConnRateLayer" => {
            let rate = Rate::new(NonZeroU32::MIN, Duration::from_secs(1));
            side(ConnRateLayer::per_address(rate), b"", b"").await
        }
        "LiveLimitLayer" => side(LiveLimitLayer::new(1), b"", b"").await,
        "AttemptsLayer" => {
            let attempts = Attempts::new(1, Duration::from_secs(60));
            side(AttemptsLayer::new(attempts), b"", b"").await
        }
        "SideStatsLayer" => side(SideStatsLayer::new(Stats::new(), Side::A), b"", b"").await,
        "SideAccessLogLayer" => {
            let log = AccessLog::new(|_| {});
            side(SideAccessLogLayer::new(log, Side::A), b"", b"").await
        }
        "DialledForLayer" => dialled_for().await,
        "HandOverLayer" => hand_over().await,
        "CodecLayer" => side(codec(), b"", b"").await,
        "Zstd" => side(Zstd::new().layer(), b"", b"").await,
        "Lz4" => side(Lz4::new().layer(), b"", b"").await,
        _ => return None,
    })
}

pub(crate) fn codec() -> CodecLayer {
    CodecLayer::new(LengthDelimitedCodec::new)
}

/// By a list, and by a closure.
async fn access() -> Cost {
    let list = AccessList::new().allow("127.0.0.0/8".parse().unwrap());
    let by_list = side(AccessLayer::new(list), b"", b"").await;
    let all = |_: &Info| io::Result::Ok(());
    assert_eq!(side(AccessLayer::new(all), b"", b"").await, by_list);
    by_list
}

/// A connection that stays; its place answers nothing.
async fn hand_over() -> Cost {
    let stays = HandOverLayer::new(|_: &Info| Ok::<_, io::Error>(None));
    let place = service_fn(async |conn: Conn<TcpStream>| {
        assert_eq!(ways(&conn.io), [true, true]);
        io::Result::Ok(())
    });
    let (_peer, conn) = tcp().await;
    ServiceBuilder::new()
        .layer(stays)
        .service(place)
        .oneshot(conn)
        .await
        .unwrap();
    NOTHING
}

async fn dialled_for() -> Cost {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dial = Dial::to(&listener.local_addr().unwrap().to_string()).unwrap();
    let dial = ServiceBuilder::new().layer(DialledForLayer).service(dial);
    let conn = dial.oneshot(Info::new(Origin::Accepted)).await.unwrap();
    assert_eq!(ways(&conn.io), [true, true]);
    NOTHING
}

/// A step that leaves the connection as it is.
pub(crate) async fn free_step() -> Cost {
    side(
        HandshakeLayer::new(async |conn| io::Result::Ok(conn)),
        b"",
        b"",
    )
    .await
}

/// The same, where it can be replaced.
pub(crate) async fn replaceable_step() -> Cost {
    let step = Replaceable::new(async |conn| io::Result::Ok(conn));
    side(HandshakeLayer::new(step), b"", b"").await
}

/// A step that wraps it.
pub(crate) async fn dear_step() -> Cost {
    let step = async |conn: Conn<TcpStream>| io::Result::Ok(codec().apply(conn));
    side(HandshakeLayer::new(step), b"", b"").await
}
