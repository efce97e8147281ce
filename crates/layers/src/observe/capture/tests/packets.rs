use std::net::SocketAddr;

use couplet_endpoint::{Info, Io, Origin};
use couplet_pairing::CloseReason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Joined, Packet, join, join_as, packets, started};
use crate::observe::capture::{Capture, CaptureLayer};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// What a receiver makes of a segment.
#[derive(Debug, PartialEq)]
struct Heard {
    from_a: bool,
    flags: String,
    payload: Vec<u8>,
}

/// Goes through the packets as the two ends would: every segment is the one that comes next, and
/// acknowledges all there was.
fn heard(packets: &[Packet], a: SocketAddr) -> Vec<Heard> {
    let mut next: [Option<u32>; 2] = [None, None];
    let mut heard = Vec::new();
    for Packet { frame, .. } in packets {
        let (ip, tcp) = match frame[12..14] {
            [0x08, 0x00] => (&frame[14..34], &frame[34..]),
            [0x86, 0xdd] => (&frame[14..54], &frame[54..]),
            _ => panic!("neither IPv4 nor IPv6"),
        };
        assert!(frame.len() <= 1514);
        let (source, length) = match ip.len() {
            20 => {
                assert_eq!(sum(ip), 0xffff, "the header's checksum");
                (
                    &ip[12..16],
                    usize::from(u16::from_be_bytes([ip[2], ip[3]])) - 20,
                )
            }
            _ => (&ip[8..24], usize::from(u16::from_be_bytes([ip[4], ip[5]]))),
        };
        assert_eq!(length, tcp.len());
        let addresses = &ip[if ip.len() == 20 { 12 } else { 8 }..];
        let pseudo = [addresses, &[0, 0], &(length as u16).to_be_bytes(), &[0, 6]].concat();
        let both = [&pseudo[..], tcp].concat();
        assert_eq!(sum(&both), 0xffff, "the segment's checksum");

        let port = u16::from_be_bytes([tcp[0], tcp[1]]);
        let octets = match a.ip() {
            std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
            std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let from_a = source == octets && port == a.port();
        let (me, peer) = if from_a { (0, 1) } else { (1, 0) };
        let number = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().unwrap());
        let flags = tcp[13];
        let payload = &tcp[usize::from(tcp[12] >> 4) * 4..];
        assert_eq!(number(4), next[me].unwrap_or(number(4)));
        if flags & 0x10 != 0 {
            assert_eq!(Some(number(8)), next[peer]);
        }
        let taken = payload.len() as u32 + u32::from(flags & 3 != 0);
        next[me] = Some(number(4).wrapping_add(taken));
        let names = [(2, 'S'), (1, 'F'), (4, 'R'), (8, 'P'), (16, 'A')];
        heard.push(Heard {
            from_a,
            flags: names
                .iter()
                .filter(|(bit, _)| flags & bit != 0)
                .map(|(_, name)| name)
                .collect(),
            payload: payload.to_vec(),
        });
    }
    heard
}

/// The ones' complement sum.
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default()));
    words.fold(0, |sum, word| {
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    })
}

/// The flags of each packet, and the end that sent it.
fn flags(heard: &[Heard]) -> Vec<String> {
    let shown = |one: &Heard| format!("{}{}", if one.from_a { '>' } else { '<' }, one.flags);
    heard.iter().map(shown).collect()
}

fn said(heard: &[Heard], from_a: bool) -> Vec<u8> {
    let of = heard.iter().filter(|one| one.from_a == from_a);
    of.flat_map(|one| one.payload.clone()).collect()
}

fn made_up(joined: &Joined) -> SocketAddr {
    let port = 49152 + (joined.session.id().get() % 16384) as u16;
    ([192, 0, 2, 1], port).into()
}

/// Captures what `what` does with a pair.
async fn captured(
    configure: impl FnOnce(CaptureLayer) -> CaptureLayer,
    known: impl FnOnce([&mut Info; 2]),
    what: impl AsyncFnOnce(Joined),
) -> (Vec<Packet>, SocketAddr) {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("trace.pcapng");
    let capture = Capture::to_file(&file);
    let joined = join_as(configure(started(&capture)), known);
    let a = joined.session.info(couplet_endpoint::Side::A).peer;
    let a = a.unwrap_or_else(|| made_up(&joined));
    what(joined).await;
    assert!(capture.finish(PATIENCE));
    (packets(&file), a)
}

/// Each side says something, and ends.
async fn talk(mut joined: Joined) {
    let mut bytes = vec![0; 64 * 1024];
    for (from, to) in [
        (&mut joined.peer_a, &mut joined.a),
        (&mut joined.peer_b, &mut joined.b),
    ] {
        from.write_all(&[b'x'; 3000]).await.unwrap();
        to.read_exact(&mut bytes[..3000]).await.unwrap();
        from.shutdown().await.unwrap();
        assert_eq!(to.read(&mut bytes).await.unwrap(), 0);
        assert_eq!(to.read(&mut bytes).await.unwrap(), 0, "told once");
    }
}

#[tokio::test]
async fn a_conversation_from_its_beginning_to_its_end() {
    let (packets, a) = captured(|layer| layer, |_| {}, talk).await;
    let heard = heard(&packets, a);
    assert_eq!(
        flags(&heard),
        [
            ">S", "<SA", ">A", // it opens
            ">A", ">A", ">PA", "<A", ">FA", "<A", // A's bytes and its end
            "<A", "<A", "<PA", ">A", "<FA", ">A", // B's
        ]
    );
    assert_eq!(said(&heard, true), [b'x'; 3000]);
    assert_eq!(said(&heard, false), [b'x'; 3000]);
    let comment = packets[0].comment.as_ref().unwrap();
    assert!(
        comment.starts_with("session ") && comment.contains("A 192.0.2.1:"),
        "{comment}"
    );
    assert!(packets[1..].iter().all(|packet| packet.comment.is_none()));
}

#[tokio::test]
async fn addresses_of_either_family_and_of_both() {
    let v4: SocketAddr = "10.0.0.1:4711".parse().unwrap();
    let mapped: SocketAddr = "[::ffff:10.0.0.1]:4711".parse().unwrap();
    let v6: SocketAddr = "[fe80::7]:22".parse().unwrap();
    for (a, b, shown, size) in [
        (v4, Some(v4), v4, 20),
        (mapped, Some(v4), v4, 20),
        (v6, Some(v6), v6, 40),
        (v4, Some(v6), mapped, 40),
        (v6, None, v6, 40),
    ] {
        let known = |[of_a, of_b]: [&mut Info; 2]| {
            of_a.peer = Some(a);
            of_b.peer = b.map(|b| SocketAddr::new(b.ip(), b.port() + 1));
        };
        let (packets, _) = captured(|layer| layer, known, talk).await;
        let heard = heard(&packets, shown);
        assert_eq!(said(&heard, true).len(), 3000, "{a} {b:?}");
        assert_eq!(packets[2].frame.len(), 14 + size + 20);
    }
}

#[tokio::test]
async fn the_accepted_side_opens_the_conversation() {
    let known = |[a, b]: [&mut Info; 2]| {
        a.origin = Origin::Dialled;
        b.origin = Origin::Accepted;
    };
    let (packets, a) = captured(|layer| layer, known, talk).await;
    assert_eq!(flags(&heard(&packets, a))[..3], ["<S", ">SA", "<A"]);
}

#[tokio::test]
async fn a_reset_is_a_reset_and_nothing_follows() {
    let reset = async |mut joined: Joined| {
        joined.peer_b.abort();
        drop(joined.peer_b);
        joined.b.read(&mut [0]).await.unwrap_err();
        joined.peer_a.write_all(b"late").await.unwrap();
        joined.a.read_exact(&mut [0; 4]).await.unwrap();
    };
    let (packets, a) = captured(|layer| layer, |_| {}, reset).await;
    assert_eq!(flags(&heard(&packets, a))[3..], ["<RA"]);
    assert_eq!(packets[3].comment.as_deref(), Some("connection reset"));
}

#[tokio::test]
async fn a_cut_session_ends_with_a_reset_and_its_reason() {
    let cut = async |mut joined: Joined| {
        joined.peer_a.shutdown().await.unwrap();
        assert_eq!(joined.a.read(&mut [0]).await.unwrap(), 0);
        joined.session.end(CloseReason::IdleTimeout);
    };
    let (packets, a) = captured(|layer| layer, |_| {}, cut).await;
    assert_eq!(flags(&heard(&packets, a))[3..], [">FA", "<A", "<RA"]);
    assert_eq!(packets[5].comment.as_deref(), Some("idle timeout"));
}

#[tokio::test]
async fn the_first_bytes_are_captured_without_redacted_ones() {
    let configure = |layer: CaptureLayer| {
        layer.limit(2000).redact(|_, bytes| {
            bytes.truncate(bytes.len() - 1);
            bytes.fill(b'*');
        })
    };
    let (packets, a) = captured(configure, |_| {}, talk).await;
    let heard = heard(&packets, a);
    assert_eq!(said(&heard, true), said(&heard, false));
    let said = said(&heard, true);
    assert!(said.len() < 2000 && said.iter().all(|byte| *byte == b'*'));
    let limited = packets[1..].iter().filter(|packet| {
        let comment = packet.comment.as_deref();
        comment.is_some_and(|comment| comment.starts_with("limit reached"))
    });
    assert_eq!(limited.count(), 2, "one a direction");
}

#[tokio::test]
async fn beyond_the_limit_no_end_is_made_up() {
    let finish = async |mut joined: Joined| {
        let session = joined.session.handle();
        joined.peer_a.write_all(&[b'x'; 3000]).await.unwrap();
        joined.a.read_exact(&mut [0; 3000]).await.unwrap();
        joined.peer_b.shutdown().await.unwrap();
        assert_eq!(joined.b.read(&mut [0]).await.unwrap(), 0);
        joined
            .session
            .end(CloseReason::Finished(couplet_endpoint::Side::B));
        assert!(session.end_reason().is_some());
    };
    let (packets, a) = captured(|layer| layer.limit(2000), |_| {}, finish).await;
    let heard = heard(&packets, a);
    assert_eq!(said(&heard, true).len(), 2000);
    let shown = flags(&heard);
    assert_eq!(
        shown[3..],
        [">A", ">PA", "<A", "<FA", ">A"],
        "B's end is known, A's is not"
    );
}

#[tokio::test]
async fn beyond_the_limit_a_cut_is_still_a_cut() {
    let cut = async |mut joined: Joined| {
        joined.peer_a.write_all(&[b'x'; 3000]).await.unwrap();
        joined.a.read_exact(&mut [0; 3000]).await.unwrap();
        joined.session.end(CloseReason::MaxLifetime);
    };
    let (packets, a) = captured(|layer| layer.limit(2000), |_| {}, cut).await;
    assert_eq!(flags(&heard(&packets, a))[3..], [">A", ">PA", "<A", "<RA"]);
    let comment = packets.last().unwrap().comment.as_deref();
    assert_eq!(comment, Some("maximal lifetime reached"));
}

#[tokio::test]
async fn an_end_behind_a_limited_relay_is_not_made_up_either() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("trace.pcapng");
    let capture = Capture::to_file(&file);
    let layer = started(&capture).limit(10).clock(super::time);
    let mut relayed = crate::testing::relay(layer, 1 << 16);
    for peer in [&mut relayed.a, &mut relayed.b] {
        peer.write_all(&[b'x'; 5000]).await.unwrap();
        peer.shutdown().await.unwrap();
    }
    assert!(relayed.end.await.unwrap().is_ok());
    assert!(capture.finish(PATIENCE));
    let packets = packets(&file);
    let ends = packets
        .iter()
        .filter(|packet| tcp_flags(packet) & 0x05 != 0);
    assert_eq!(
        ends.count(),
        0,
        "neither FIN nor RST: {:?}",
        packets.last().unwrap().comment
    );
    assert_eq!(packets.len(), 3 + 2 * 2);
}

/// The flags of an IPv4 packet.
fn tcp_flags(packet: &Packet) -> u8 {
    packet.frame[14 + 20 + 13]
}

#[tokio::test]
async fn two_peers_of_one_address_are_told_apart() {
    let same: SocketAddr = "10.0.0.1:4711".parse().unwrap();
    let known = |[a, b]: [&mut Info; 2]| {
        a.peer = Some(same);
        b.peer = Some(same);
    };
    let (packets, a) = captured(|layer| layer, known, talk).await;
    let heard = heard(&packets, a);
    assert_eq!(said(&heard, true).len(), 3000);
    assert_eq!(said(&heard, false).len(), 3000);
    let comment = packets[0].comment.as_ref().unwrap();
    assert!(
        comment.ends_with("A 10.0.0.1:4711, B 10.0.0.1:4710 (both have 10.0.0.1:4711)"),
        "{comment}"
    );
}

#[tokio::test]
async fn the_methods_of_io_are_passed_on() {
    let mut joined = join(CaptureLayer::new(Capture::to_file("never")));
    assert!(!joined.a.has_unsent());
    joined.a.write_all(b"bye").await.unwrap();
    joined.a.abort();
    drop(joined.a);
    let (heard, end) = crate::testing::read_all(&mut joined.peer_a).await;
    assert_eq!(heard, b"bye");
    crate::testing::assert_reset(&end);
}
