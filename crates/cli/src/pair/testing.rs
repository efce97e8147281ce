//! The pair stack of some flags, in memory.

use clap::Parser;
use couplet_connector::{
    PairLayers,
    endpoint::{
        Conn, Origin,
        memory::{self, MemoryStream},
    },
    pairing::Pair,
    relay::Relay,
};
use tower::{Layer, ServiceExt};

use crate::args::Args;

/// The layer of this flag.
pub(super) fn layer(flag: &str) -> PairLayers {
    let args = Args::try_parse_from(["couplet", "listen:1", "dial:h:2", flag]).unwrap();
    args.relay.plan().unwrap().pair.remove(0).layers
}

/// The ends of a pair that is relayed below these layers, whose client comes from there.
pub(crate) fn relay(layers: &PairLayers, client: &str) -> [MemoryStream; 2] {
    let (a, a_io) = memory::connection(64 * 1024);
    let (b, b_io) = memory::connection(64 * 1024);
    let mut client_conn = Conn::new(a_io, Origin::Accepted);
    client_conn.info.peer = Some(client.parse().unwrap());
    let pair = Pair::new(client_conn, Conn::new(b_io, Origin::Dialled));
    tokio::spawn(layers.layer(Relay::new()).oneshot(pair.boxed()));
    [a, b]
}
