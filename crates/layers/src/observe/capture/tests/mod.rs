mod files;
mod packets;

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use couplet_endpoint::memory::{self, MemoryStream};
use couplet_pairing::{OwnedSession, Pair};
use tower::{Service, service_fn};
use tower_layer::Layer;

use super::{Capture, CaptureLayer, Captured};
use crate::testing::conn;

/// The two ends that were joined, wrapped, and the ends of the peers.
struct Joined {
    a: Captured<MemoryStream>,
    b: Captured<MemoryStream>,
    peer_a: MemoryStream,
    peer_b: MemoryStream,
    session: OwnedSession,
}

fn time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_795_425_302, 123_456_789)
}

fn join(layer: CaptureLayer) -> Joined {
    join_as(layer, |_| {})
}

/// As [`join`], with what is known of the two.
fn join_as(layer: CaptureLayer, known: impl FnOnce([&mut couplet_endpoint::Info; 2])) -> Joined {
    let (peer_a, a) = memory::connection(256 * 1024);
    let (peer_b, b) = memory::connection(256 * 1024);
    let (mut a, mut b) = (conn(a), conn(b));
    known([&mut a.info, &mut b.info]);
    let inner = service_fn(|pair: Pair<_, _>| std::future::ready(Ok::<_, ()>(pair)));
    let mut service = layer.clock(time).layer(inner);
    let Pair { a, b, session } = service.call(Pair::new(a, b)).into_inner().unwrap();
    Joined {
        a,
        b,
        peer_a,
        peer_b,
        session,
    }
}

fn started(capture: &Capture) -> CaptureLayer {
    capture.start().unwrap();
    CaptureLayer::new(capture.clone())
}

/// A packet as a file has it.
#[derive(Debug, PartialEq)]
struct Packet {
    frame: Vec<u8>,
    comment: Option<String>,
}

/// The packets of a file whose blocks are as they should be.
fn packets(file: &Path) -> Vec<Packet> {
    let bytes = fs::read(file).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut kinds, mut packets) = (0, Vec::new(), Vec::new());
    while at < bytes.len() {
        let (kind, length) = (word(at), word(at + 4) as usize);
        assert_eq!(length % 4, 0);
        assert_eq!(word(at + length - 4) as usize, length, "told at both ends");
        kinds.push(kind);
        if kind == 6 {
            let nanos = (u64::from(word(at + 12)) << 32) | u64::from(word(at + 16));
            assert_eq!(nanos, 1_795_425_302_123_456_789);
            let size = word(at + 20) as usize;
            let frame = bytes[at + 28..at + 28 + size].to_vec();
            let options = at + 28 + size.div_ceil(4) * 4;
            let comment = (options < at + length - 4).then(|| {
                assert_eq!(word(options) & 0xffff, 1);
                let size = (word(options) >> 16) as usize;
                String::from_utf8(bytes[options + 4..options + 4 + size].to_vec()).unwrap()
            });
            packets.push(Packet { frame, comment });
        }
        at += length;
    }
    assert_eq!(kinds[..2], [0x0a0d_0d0a, 1]);
    assert!(kinds[2..].iter().all(|kind| *kind == 6));
    packets
}
