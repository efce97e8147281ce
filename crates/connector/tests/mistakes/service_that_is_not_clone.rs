use std::time::Duration;

use couplet_connector::{Connector, Dial, Listen};
use tower::limit::RateLimitLayer;

fn start(listen: Listen, dial: Dial) {
    Connector::listen_dial(listen, dial)
        .layer_b(RateLimitLayer::new(10, Duration::from_secs(1)))
        .start();
}

fn main() {}
