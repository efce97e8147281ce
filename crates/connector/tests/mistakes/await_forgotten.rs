use couplet_connector::{Connector, Dial, Listen};

fn start(dial: Dial) {
    Connector::listen_dial(Listen::bind("127.0.0.1:0"), dial).start();
}

fn main() {}
