use std::time::Duration;

use couplet_connector::{Connector, Dial, Listen, layers::IdleTimeoutLayer};

fn start(listen: Listen, dial: Dial) {
    Connector::listen_dial(listen, dial)
        .layer_a(IdleTimeoutLayer::new(Duration::from_secs(60)))
        .start();
}

fn main() {}
