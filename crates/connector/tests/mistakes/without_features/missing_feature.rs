use couplet_connector::layers::TlsAccept;

fn main() {}
