//! What is not logged, though it flows.

use couplet_endpoint::Side;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{HELLO, Writes, hear, join};
use crate::observe::traffic_log::TrafficLogLayer;

/// What stands behind the head of each record.
fn said(writes: &Writes) -> Vec<String> {
    let behind = |record: String| {
        let (_, said) = record.split_once(" session=").unwrap();
        let (_, said) = said.split_once(' ').unwrap();
        said.to_owned()
    };
    writes.take().into_iter().map(behind).collect()
}

#[tokio::test]
async fn the_first_bytes_of_each_direction_are_logged() {
    let writes = Writes::default();
    let layer = TrafficLogLayer::text().limit(7);
    let mut joined = join(&layer.to_writer(writes.clone()));
    joined.peer_a.write_all(HELLO).await.unwrap();
    let mut heard = vec![0; 5];
    joined.a.read_exact(&mut heard).await.unwrap();
    assert_eq!(said(&writes), ["A -> B: EHLO \n"]);
    assert_eq!(hear(&mut joined.a).await.unwrap(), &HELLO[5..]);
    let reached = format!("A -> B total={} limit reached\n", HELLO.len());
    assert_eq!(said(&writes), ["A -> B: re\n", &reached]);

    joined.peer_a.write_all(b"unseen").await.unwrap();
    assert_eq!(hear(&mut joined.a).await.unwrap(), b"unseen");
    drop(joined.peer_a);
    assert_eq!(hear(&mut joined.a).await.unwrap(), b"");
    joined.peer_b.write_all(b"short").await.unwrap();
    hear(&mut joined.b).await.unwrap();
    assert_eq!(said(&writes), ["B -> A: short\n"]);
}

#[tokio::test]
async fn redacted_bytes_are_not_logged() {
    let writes = Writes::default();
    let redact = |from, bytes: &mut Vec<u8>| match from {
        Side::A => bytes.fill(b'*'),
        Side::B => bytes.truncate(1),
    };
    let text = TrafficLogLayer::text().redact(redact);
    let mut joined = join(&text.to_writer(writes.clone()));
    joined.peer_a.write_all(b"secret").await.unwrap();
    assert_eq!(hear(&mut joined.a).await.unwrap(), b"secret");
    joined.peer_b.write_all(b"secret").await.unwrap();
    assert_eq!(hear(&mut joined.b).await.unwrap(), b"secret");
    assert_eq!(said(&writes), ["A -> B: ******\n", "B -> A: s\n"]);

    let hex = TrafficLogLayer::hex().redact(redact);
    let mut joined = join(&hex.to_writer(writes.clone()));
    joined.peer_b.write_all(b"secret").await.unwrap();
    hear(&mut joined.b).await.unwrap();
    let [record] = said(&writes).try_into().unwrap();
    assert!(record.starts_with("length=6 from=0 to=5\n00000000  73   "));
}

#[cfg(feature = "json")]
#[tokio::test]
async fn json_lines_are_bounded_and_redacted_too() {
    use couplet_endpoint::Io;
    use serde_json::{Value, json};

    let writes = Writes::default();
    let mut joined = join(&TrafficLogLayer::json().to_writer(writes.clone()));
    let session = joined.session.id().get();
    for bytes in [HELLO, b"\x1b[31m\xc2\x9b\n", b"\xff\x00"] {
        joined.peer_a.write_all(bytes).await.unwrap();
        hear(&mut joined.a).await.unwrap();
    }
    drop(joined.peer_a);
    hear(&mut joined.a).await.unwrap();
    joined.peer_b.abort();
    drop(joined.peer_b);
    hear(&mut joined.b).await.unwrap_err();
    let records = writes.take();
    let values: Vec<_> = records
        .iter()
        .map(|record| {
            let line = record.strip_suffix('\n').unwrap();
            assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            let mut value: Value = serde_json::from_str(line).unwrap();
            assert!(value["time"].take().is_string());
            value
        })
        .collect();
    let hello = str::from_utf8(HELLO).unwrap();
    assert_eq!(
        values,
        [
            json!({"time": null, "session": session, "from": "A", "offset": 0, "length": 17, "text": hello}),
            json!({"time": null, "session": session, "from": "A", "offset": 17, "length": 8,
                "text": "\u{1b}[31m\u{9b}\n"}),
            json!({"time": null, "session": session, "from": "A", "offset": 25, "length": 2, "hex": "ff00"}),
            json!({"time": null, "session": session, "from": "A", "total": 27, "end": "EOF"}),
            json!({"time": null, "session": session, "from": "B", "total": 0, "end": "error: connection reset"}),
        ]
    );
}
