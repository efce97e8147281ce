use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
};

use couplet_endpoint::{
    Conn, Side,
    memory::{self, MemoryStream},
};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_layer::Layer;

use super::{Records, relay_error};
use crate::{
    observe::access_log::{AccessLog, AccessLogLayer, Counted, Format, SideAccessLogLayer},
    testing::{Relayed, conn, relay},
};

#[tokio::test]
async fn without_the_side_layers_the_other_fields_are_logged() {
    let records = Records::default();
    let layers = ServiceBuilder::new()
        .map_err(relay_error)
        .layer(AccessLogLayer::new(records.log()));
    let Relayed { a, b, end, .. } = relay(layers, 64);
    drop((a, b));
    end.await.unwrap().unwrap();
    let leg = records.one().a.unwrap();
    assert_eq!(
        (leg.received, leg.sent, leg.handshake, leg.waiting),
        (None, None, None, None)
    );
}

#[tokio::test]
async fn a_sink_that_panics_or_fails_harms_no_pair() {
    let log = AccessLog::new(|_| panic!("as it was told"));
    let side = SideAccessLogLayer::new(log, Side::A);
    let refuses = side.layer(service_fn(async |_: Conn<Counted<MemoryStream>>| {
        Err::<(), _>(io::Error::other("no"))
    }));
    refuses
        .oneshot(conn(memory::connection(1).1))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_writer_gets_lines() {
    /// Keeps each write apart.
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<String>>>);

    impl io::Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let line = String::from_utf8(bytes.to_vec()).unwrap();
            self.0.lock().unwrap().push(line);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let formats = [
        Format::Text,
        #[cfg(feature = "json")]
        Format::Json,
    ];
    for format in formats {
        let writes = Writes::default();
        let log = AccessLog::to_writer(format, writes.clone());
        for _ in 0..2 {
            let side = SideAccessLogLayer::new(log.clone(), Side::B);
            let mut service = side.layer(service_fn(|_: Conn<Counted<()>>| {
                std::future::pending::<Result<(), Infallible>>()
            }));
            drop(service.call(conn(())));
        }
        let lines = writes.0.lock().unwrap();
        assert_eq!(lines.len(), 2);
        for line in lines.iter() {
            assert!(line.contains("bS") && line.ends_with('\n') && line.lines().count() == 1);
        }
    }
}

#[cfg(feature = "json")]
#[tokio::test]
async fn json_has_the_same_names_and_nothing_raw() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use crate::HandshakeLayer;

    let records = Records::default();
    let step = HandshakeLayer::new(async |mut conn: Conn<Counted<MemoryStream>>| {
        conn.io.read_u8().await?;
        Err::<Conn<Counted<MemoryStream>>, _>(io::Error::other("\u{1b}[31m\u{202e}"))
    });
    let inner = service_fn(async |_: Conn<Counted<MemoryStream>>| Ok::<_, Infallible>(()));
    let side = SideAccessLogLayer::new(records.log(), Side::A).layer(step.layer(inner));
    let (mut peer, io) = memory::connection(64);
    peer.write_all(b"?").await.unwrap();
    let mut conn = conn(io);
    conn.info.peer = Some(([10, 0, 0, 1], 4711).into());
    let id = conn.info.id.get();
    side.oneshot(conn).await.unwrap_err();
    let line = crate::observe::json::line(&records.one());
    assert!(
        line.bytes().all(|byte| matches!(byte, b' '..=b'~')),
        "{line}"
    );
    let mut value: serde_json::Value = serde_json::from_str(&line).unwrap();
    value["duration"].take().as_f64().unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "time": "2026-11-23T09:15:02.000123Z",
            "event": "connection",
            "state": "aR",
            "reason": "refused",
            "error": "handshake failed: \u{1b}[31m\u{202e}",
            "duration": null,
            "a": {
                "conn": id,
                "origin": "accepted",
                "peer": "10.0.0.1:4711",
                "received": 1,
                "sent": 0,
            },
        })
    );
}
