use couplet_connector::layers::FaultLayer;

fn main() {}
