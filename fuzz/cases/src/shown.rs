//! What a peer sends is shown as text, hex dump or JSON, and no terminal obeys it.

use std::{
    io,
    sync::{Arc, Mutex},
};

use couplet_connector::{
    endpoint::{Conn, Origin, memory},
    layers::TrafficLogLayer,
    pairing::Pair,
    relay::Relay,
};
use tower::{Layer, ServiceExt};

use crate::{
    assert_printable,
    stranger::{Stranger, run},
};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The traffic log of a session, in each of its formats.
pub fn shown(data: &[u8]) {
    let Some(stranger) = Stranger::new(data) else {
        return;
    };
    for format in [
        TrafficLogLayer::text,
        TrafficLogLayer::hex,
        TrafficLogLayer::json,
    ] {
        let written = Written::default();
        let layer = format().to_writer(written.clone());
        run(async {
            let (peer, other) = memory::connection(64);
            drop(peer);
            let pair = Pair::new(
                Conn::new(stranger.io(), Origin::Accepted),
                Conn::new(other, Origin::Accepted),
            );
            // How it ends is not the question here.
            let _ = layer.layer(Relay::new()).oneshot(pair).await;
        });
        let written = written.0.lock().expect("no writer panics");
        assert_printable(str::from_utf8(&written).expect("it is text"));
    }
}
