use std::io;

use couplet_connector::{Conn, Connector, Dial, Listen, endpoint::BoxIo, layers::HandshakeLayer};

fn start(listen: Listen, dial: Dial) {
    Connector::listen_dial(listen, dial)
        .layer_a(HandshakeLayer::new(|conn: Conn<BoxIo>| io::Result::Ok(conn)))
        .start();
}

fn main() {}
