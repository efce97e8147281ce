use std::time::Duration;

use couplet_connector::{
    Connector, Dial, Listen,
    endpoint::{Backoff, Info},
    pairing::Keyed,
};
use tower::layer::util::Identity;

fn keyed(listen: Listen) {
    Connector::keyed(listen, Keyed::new(|_: &Info| Some(1))).layer_b(Identity::new());
}

fn proxy(listen: Listen, dial: Dial) {
    Connector::listen_dial(listen, dial)
        .reconnect(Backoff::new())
        .wait_timeout(Some(Duration::from_secs(5)));
}

fn both_dialled(a: Dial, b: Dial) {
    Connector::dial_dial(a, b).max_pairs(2).once();
}

fn main() {}
