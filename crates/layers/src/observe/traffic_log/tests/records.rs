use std::{
    io,
    time::{Duration, SystemTime},
};

use couplet_endpoint::{Io, Side};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{HELLO, Writes, hear, join};
use crate::observe::traffic_log::{Colour, TrafficLogLayer};

fn time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_795_425_302, 123_456)
}

#[tokio::test]
async fn a_text_record_has_direction_and_bytes() {
    let writes = Writes::default();
    let mut joined = join(
        &TrafficLogLayer::text()
            .to_writer(writes.clone())
            .clock(time),
    );
    let id = joined.session.id();

    joined.peer_a.write_all(HELLO).await.unwrap();
    assert_eq!(hear(&mut joined.a).await.unwrap(), HELLO);
    joined.peer_b.write_all(b"221\n").await.unwrap();
    joined.peer_b.shutdown().await.unwrap();
    hear(&mut joined.b).await.unwrap();
    for _ in 0..2 {
        assert_eq!(hear(&mut joined.b).await.unwrap(), b"");
    }
    joined.peer_a.abort();
    drop(joined.peer_a);
    hear(&mut joined.a).await.unwrap_err();
    assert!(joined.a.take_error().is_some(), "told once in the log");

    let time = "2026-11-23T09:15:02.000123Z";
    assert_eq!(
        writes.take(),
        [
            format!(
                "{time} session={id} A -> B: EHLO relay\\r\\n\n\
                 {time} session={id} A -> B: QUIT\\x07\n"
            ),
            format!("{time} session={id} B -> A: 221\\n\n"),
            format!("{time} session={id} B -> A total=4 EOF\n"),
            format!("{time} session={id} A -> B total=17 error: connection reset\n"),
        ]
    );
}

#[tokio::test]
async fn a_hex_record_has_rows_of_sixteen() {
    let writes = Writes::default();
    let mut joined = join(&TrafficLogLayer::hex().to_writer(writes.clone()).clock(time));
    let id = joined.session.id();

    joined.peer_a.write_all(HELLO).await.unwrap();
    hear(&mut joined.a).await.unwrap();
    joined.peer_a.write_all(b"\r\n").await.unwrap();
    hear(&mut joined.a).await.unwrap();
    drop(joined.peer_b);
    hear(&mut joined.b).await.unwrap();

    let time = "2026-11-23T09:15:02.000123Z";
    assert_eq!(
        writes.take(),
        [
            format!(
                "> {time} session={id} length=17 from=0 to=16\n\
                 00000000  45 48 4c 4f 20 72 65 6c  61 79 0d 0a 51 55 49 54  |EHLO relay..QUIT|\n\
                 00000010  07                                                |.|\n"
            ),
            format!(
                "> {time} session={id} length=2 from=17 to=18\n\
                 00000011  0d 0a                                             |..|\n"
            ),
            format!("< {time} session={id} total=0 EOF\n"),
        ]
    );
}

#[tokio::test]
async fn an_error_without_a_read_is_logged() {
    let writes = Writes::default();
    let mut joined = join(&TrafficLogLayer::hex().to_writer(writes.clone()).clock(time));
    joined.peer_b.abort();
    drop(joined.peer_b);
    joined.b.take_error().unwrap();
    let [record] = writes.take().try_into().unwrap();
    assert!(record.ends_with("total=0 error: connection reset\n"));
}

#[tokio::test]
async fn half_a_character_is_not_lost_with_the_pair() {
    let writes = Writes::default();
    let mut joined = join(
        &TrafficLogLayer::text()
            .to_writer(writes.clone())
            .clock(time),
    );
    joined.peer_a.write_all(b"\xe2\x82").await.unwrap();
    hear(&mut joined.a).await.unwrap();
    assert_eq!(writes.take(), [""; 0]);
    drop(joined.a);
    let [record] = writes.take().try_into().unwrap();
    assert!(record.ends_with("A -> B: \\xe2\\x82\n"), "{record}");
}

#[tokio::test]
async fn an_empty_read_is_no_end() {
    let writes = Writes::default();
    let mut joined = join(&TrafficLogLayer::text().to_writer(writes.clone()));
    joined.peer_a.write_all(b"x").await.unwrap();
    assert_eq!(joined.a.read(&mut []).await.unwrap(), 0);
    assert_eq!(writes.take(), [""; 0]);
}

#[tokio::test]
async fn one_direction_alone_can_be_logged() {
    let writes = Writes::default();
    let layer = TrafficLogLayer::text().to_writer(writes.clone());
    let mut joined = join(&layer.only(Side::B));
    joined.peer_a.write_all(b"unseen").await.unwrap();
    joined.peer_b.write_all(b"seen").await.unwrap();
    assert_eq!(hear(&mut joined.a).await.unwrap(), b"unseen");
    assert_eq!(hear(&mut joined.b).await.unwrap(), b"seen");
    drop(joined.peer_a);
    hear(&mut joined.a).await.unwrap();
    let [record] = writes.take().try_into().unwrap();
    assert!(record.ends_with("B -> A: seen\n"));
}

#[tokio::test]
async fn each_direction_has_its_colour_and_auto_means_a_terminal() {
    let writes = Writes::default();
    let layer = TrafficLogLayer::text()
        .to_writer(writes.clone())
        .clock(time);
    for (colour, around) in [
        (Colour::Auto, [("", ""), ("", "")]),
        (Colour::Never, [("", ""), ("", "")]),
        (
            Colour::Always,
            [("\x1b[36m", "\x1b[0m"), ("\x1b[33m", "\x1b[0m")],
        ),
    ] {
        let mut joined = join(&layer.clone().colour(colour));
        joined.peer_a.write_all(b"1\n2").await.unwrap();
        hear(&mut joined.a).await.unwrap();
        drop(joined.peer_b);
        hear(&mut joined.b).await.unwrap();
        let [(a_on, a_off), (b_on, b_off)] = around;
        let lines = writes.take().concat();
        let lines: Vec<_> = lines.lines().collect();
        assert!(lines[0].starts_with(&format!("{a_on}2026-")));
        assert!(lines[0].ends_with(&format!(": 1\\n{a_off}")));
        assert!(lines[1].ends_with(&format!(": 2{a_off}")));
        assert!(lines[2].starts_with(&format!("{b_on}2026-")));
        assert!(lines[2].ends_with(&format!("EOF{b_off}")));
    }
}

#[tokio::test]
async fn a_clock_before_its_epoch_breaks_nothing() {
    let writes = Writes::default();
    let early = || SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    let layer = TrafficLogLayer::text().to_writer(writes.clone());
    let mut joined = join(&layer.clock(early));
    drop(joined.peer_a);
    hear(&mut joined.a).await.unwrap();
    assert!(writes.take()[0].starts_with("1970-01-01T00:00:00.000000Z"));
}

proptest! {
    #[test]
    fn offsets_go_on_over_every_cut(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let records = runtime.block_on(async {
            let writes = Writes::default();
            let mut joined = join(&TrafficLogLayer::hex().to_writer(writes.clone()));
            for chunk in &chunks {
                joined.peer_a.write_all(chunk).await.unwrap();
                let mut heard = vec![0; chunk.len()];
                joined.a.read_exact(&mut heard).await.unwrap();
                assert_eq!(&heard, chunk);
            }
            writes.take()
        });
        prop_assert_eq!(records.len(), chunks.len());
        let mut offset = 0;
        for (record, chunk) in records.iter().zip(&chunks) {
            let (header, rows) = record.split_once('\n').unwrap();
            let (length, to) = (chunk.len(), offset + chunk.len() - 1);
            let expected = format!("length={length} from={offset} to={to}");
            prop_assert!(header.ends_with(&expected), "{header}");
            let mut bytes = Vec::new();
            for row in rows.lines() {
                let (at, digits) = row.split_at(8);
                let at = usize::from_str_radix(at, 16).unwrap();
                prop_assert_eq!(at, offset + bytes.len());
                let digits = digits[..50].split_whitespace();
                bytes.extend(digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
            }
            prop_assert_eq!(&bytes, chunk);
            offset += chunk.len();
        }
    }
}

#[tokio::test]
async fn the_methods_of_io_are_passed_on() {
    let mut joined = join(&TrafficLogLayer::text());
    assert!(!joined.a.has_unsent());
    joined.a.write_all(b"bye").await.unwrap();
    joined.a.abort();
    drop(joined.a);
    let mut heard = Vec::new();
    let error = joined.peer_a.read_to_end(&mut heard).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(heard, b"bye");
}
