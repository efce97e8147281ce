//! The layers of this crate conform.

use std::{io, time::Duration};

use bytes::Bytes;
use couplet_endpoint::{BoxIo, Conn, Info, Side};
use tokio::io::AsyncReadExt;
use tokio_util::codec::LengthDelimitedCodec;
use tower::layer::util::Identity as NoLayer;

use couplet_conformance::{pair, side};
use couplet_layers::*;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn without_a_layer() {
    side(NoLayer::new()).check().unwrap();
    pair(NoLayer::new()).check().unwrap();
}

// ===== sides =====

#[test]
fn codec() {
    let frames = CodecLayer::new(LengthDelimitedCodec::new);
    side(frames.clone()).peer(frames).check().unwrap();
}

#[cfg(feature = "zstd")]
#[test]
fn zstd() {
    let zstd = payload::compress::Zstd::new().layer();
    side(zstd.clone()).peer(zstd).has_end().check().unwrap();
}

#[cfg(feature = "lz4")]
#[test]
fn lz4() {
    let lz4 = payload::compress::Lz4::new().layer();
    side(lz4.clone()).peer(lz4).has_end().check().unwrap();
}

#[test]
fn token() {
    let token = Token::new("open sesame").unwrap();
    let expect = HandshakeLayer::new(ExpectToken::new(token.clone()));
    let send = HandshakeLayer::new(SendToken::new(token));
    side(expect.clone()).peer(send.clone()).check().unwrap();
    side(send).peer(expect).check().unwrap();
}

#[test]
fn replaceable() {
    let token = Token::new("open sesame").unwrap();
    let expect = Replaceable::new(ExpectToken::new(token.clone()));
    let send = HandshakeLayer::new(SendToken::new(token));
    let expect = HandshakeLayer::new(expect);
    side(expect).peer(send).check().unwrap();
}

#[test]
fn access() {
    let anybody = |_: &Info| Ok::<_, io::Error>(());
    side(AccessLayer::new(anybody)).check().unwrap();
}

#[cfg(feature = "access-list")]
#[test]
fn access_list() {
    let list = AccessList::new().allow("127.0.0.0/8".parse().unwrap());
    side(AccessLayer::new(list)).check().unwrap();
}

/// A connection that stays.
#[test]
fn hand_over() {
    let stays = |_: &Info| Ok::<_, io::Error>(None);
    side(HandOverLayer::new(stays)).check().unwrap();
}

#[test]
fn limits() {
    // As many as a check has at a time.
    side(LiveLimitLayer::new(2)).check().unwrap();
    for limit in [ConnLimitLayer::per_address(2), ConnLimitLayer::overall(2)] {
        side(limit).check().unwrap();
    }
    let attempts = Attempts::new(3, HOUR);
    side(AttemptsLayer::new(attempts)).check().unwrap();
}

#[cfg(feature = "rate-limit")]
#[test]
fn rate_limit() {
    let many = Rate::new(
        std::num::NonZeroU32::new(1000).unwrap(),
        Duration::from_secs(1),
    );
    side(ConnRateLayer::per_address(many)).check().unwrap();
}

#[test]
fn side_records() {
    side(SideStatsLayer::new(Stats::new(), Side::A))
        .check()
        .unwrap();
    let log = AccessLog::new(|_| {});
    side(SideAccessLogLayer::new(log, Side::A)).check().unwrap();
}

// ===== pairs =====

#[test]
fn watchers() {
    pair(StatsLayer::new(Stats::new())).check().unwrap();
    pair(IdleTimeoutLayer::new(HOUR)).check().unwrap();
    pair(MaxLifetimeLayer::new(HOUR)).check().unwrap();
    pair(QuotaLayer::new(u64::MAX)).check().unwrap();
    pair(AccessLogLayer::new(AccessLog::new(|_| {})))
        .check()
        .unwrap();
    let log = TrafficLogLayer::hex().to_writer(io::sink());
    pair(log).check().unwrap();
}

#[test]
fn capture() {
    let scratch = tempfile::tempdir().unwrap();
    let capture = Capture::to_file(scratch.path().join("trace.pcapng"));
    capture.start().unwrap();
    pair(CaptureLayer::new(capture)).check().unwrap();
}

#[test]
fn bandwidth() {
    let rate = ByteRate::per_second(std::num::NonZeroU64::new(1024 * 1024).unwrap());
    pair(BandwidthLayer::per_pair(rate)).check().unwrap();
}

#[cfg(feature = "fault")]
#[test]
fn faults() {
    use couplet_layers::payload::fault::Fault;

    let (delay, jitter) = (Duration::from_millis(30), Duration::from_millis(10));
    let size = std::num::NonZeroUsize::new(100).unwrap();
    let pause = Duration::from_millis(1);
    for fault in [
        Fault::Latency { delay, jitter },
        Fault::Slice { size, pause },
        Fault::SlowClose { delay },
    ] {
        pair(FaultLayer::new(fault)).check().unwrap();
    }
}

#[test]
fn transform() {
    let frames = || Codec::new(PlainBytes::new(), LengthDelimitedCodec::new());
    let bytes = || Codec::new(LengthDelimitedCodec::new(), PlainBytes::new());
    // What A says is framed for B, and what B frames is plain for A.
    let transform = TransformLayer::new().a_to_b(frames).b_to_a(bytes);
    let wire = CodecLayer::new(LengthDelimitedCodec::new);
    pair(transform).peer_b(wire).check().unwrap();

    let same = TransformLayer::new().a_to_b(|| map_bytes(|bytes: Bytes| bytes));
    pair(same).check().unwrap();
}

#[test]
fn announce_join() {
    let hears = |mut conn: Conn<BoxIo>| async {
        let mut word = [0; 3];
        conn.io.read_exact(&mut word).await?;
        assert_eq!(&word, b"ok\n");
        Ok::<_, io::Error>(conn)
    };
    let hears = HandshakeLayer::new(hears);
    let announce = pair(HandshakeLayer::new(AnnounceJoin::new("ok\n")));
    announce
        .peer_a(hears.clone())
        .peer_b(hears)
        .check()
        .unwrap();
}
