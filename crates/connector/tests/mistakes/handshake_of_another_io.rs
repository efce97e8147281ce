use std::io;

use couplet_connector::{Conn, Connector, Dial, Listen, layers::HandshakeLayer};
use tokio::net::TcpStream;

async fn greet(conn: Conn<TcpStream>) -> io::Result<Conn<TcpStream>> {
    Ok(conn)
}

fn start(listen: Listen, dial: Dial) {
    Connector::listen_dial(listen, dial)
        .layer_a(HandshakeLayer::new(greet))
        .start();
}

fn main() {}
