//! Joins two connections into one, whichever way round each of them comes.

mod assembly;
mod connector;
mod error;
mod handle;
mod lifecycle;
mod modes;
mod refusals;
mod seat;
mod serve;
mod settings;
mod track;

pub use couplet_endpoint as endpoint;
pub use couplet_layers as layers;
pub use couplet_pairing as pairing;
pub use couplet_relay as relay;

pub use self::{
    connector::Connector,
    error::ConnectorError,
    handle::Handle,
    modes::{
        Dials, Mode, PartnerStack, ServerToServer, ServerToSocket, SideStack, SocketToServer,
        SocketToSocket,
    },
    seat::{Arrival, Partner, Seat},
    serve::{ServeError, serve, serve_with},
};

use couplet_endpoint::BoxIo;
use couplet_pairing::Pair;

/// A pair as the pair stack of a [`Connector`] gets it.
pub type BoxPair = Pair<BoxIo, BoxIo>;
