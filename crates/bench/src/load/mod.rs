//! The load generator: clients and backend, in a process of their own so that the relay's CPU can
//! be told apart from theirs.
//!
//! What it says and hears, a line each: see [`control`].

mod backend;
mod bytes;
mod client;
mod connect;
mod control;
mod exchange;
mod idle;
mod latency;
mod outcome;
mod pairing;
mod request;
mod setting;
mod stuck;
mod work;

use anyhow::Context;

use self::control::Control;
pub(crate) use self::{
    client::NAME, latency::Latencies, outcome::Outcome, setting::Setting, work::Work,
};
use crate::descriptors;

/// Does the work it is told to, when it is told to.
pub(crate) fn run(setting: Setting, work: Work) -> anyhow::Result<()> {
    descriptors::raise(work.descriptors(&setting));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime could not be started")?;
    // Spawned: in `block_on`'s own thread each wake-up would cross threads.
    runtime.block_on(async { tokio::spawn(load(work, Control::new(setting))).await? })
}

async fn load(work: Work, control: Control) -> anyhow::Result<()> {
    match work {
        Work::Exchange {
            connections,
            up,
            down,
        } => exchange::run(control, connections, up, down).await,
        Work::Request {
            connections,
            size,
            requests,
        } => request::run(control, connections, size, requests).await,
        Work::Connect {
            parallel,
            connections,
        } => connect::run(control, parallel, connections).await,
        Work::Pairing { parallel, pairs } => pairing::run(control, parallel, pairs).await,
        Work::Idle {
            pairs,
            movers,
            bytes,
        } => idle::run(control, pairs, movers, bytes).await,
        Work::Stuck { pairs } => stuck::run(control, pairs).await,
    }
}
