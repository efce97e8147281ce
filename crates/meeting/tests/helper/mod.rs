//! What the tests of this crate share.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "only tests use it")]

pub(crate) mod contract;
#[cfg(feature = "redis")]
pub(crate) mod server;
pub(crate) mod world;

use std::time::Duration;

use couplet_connector::endpoint::Side;
use couplet_meeting::engine::{Answer, Key, NodeAddr, Offer, Request, Ticket};
use tower::{Service, ServiceExt};

pub(crate) const LEASE: Duration = Duration::from_millis(600);

pub(crate) fn key(of: u8) -> Key {
    Key([of; 16])
}

pub(crate) fn home(of: &str) -> NodeAddr {
    NodeAddr::try_from(of).expect("it is the address of a node")
}

/// An offer of a new connection at a node.
pub(crate) fn offer(of: u8, side: impl Into<Option<Side>>) -> Offer {
    Offer {
        key: key(of),
        side: side.into(),
        ticket: Ticket::random(),
        home: home("node:1"),
        lease: LEASE,
        waited: None,
    }
}

pub(crate) async fn ask<E>(engine: &E, request: Request) -> Answer
where
    E: Service<Request, Response = Answer, Error: std::fmt::Debug> + Clone,
{
    let asked = engine.clone().oneshot(request.clone()).await;
    asked.unwrap_or_else(|error| panic!("{request:?}: {error:?}"))
}

pub(crate) async fn meet<E>(engine: &E, offer: &Offer) -> Answer
where
    E: Service<Request, Response = Answer, Error: std::fmt::Debug> + Clone,
{
    ask(engine, Request::Meet(offer.clone())).await
}
