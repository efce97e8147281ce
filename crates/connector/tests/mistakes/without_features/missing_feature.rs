use couplet_connector::layers::{HandshakeLayer, TlsAccept};

fn main() {}
