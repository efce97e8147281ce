//! Threads that have nothing to do with each other: each has a runtime, a listening socket and pairs
//! of its own.

use std::{num::NonZeroUsize, sync::Arc, thread};

use anyhow::Context;
use couplet_connector::{Handle, endpoint::Bound};
use tokio::sync::oneshot;
use tracing::subscriber::{NoSubscriber, set_default};

use crate::{
    comes::Comes,
    plan::Plan,
    run::{join, single_threaded},
    side::Endpoint,
};

/// Starts one relay in this thread, and the others in as many new ones.
pub(crate) async fn start_all(
    plan: &Arc<Plan>,
    count: NonZeroUsize,
) -> anyhow::Result<Vec<Handle>> {
    let flags = plan.endpoint_flags;
    // One of the sides listens, and has them all; the other is dialled, and has none.
    let mut bound = plan.a.endpoint.bind_many(flags, count).await?;
    bound.extend(plan.b.endpoint.bind_many(flags, count).await?);
    let mut bound = bound.into_iter();
    let here = bound.next().context("neither side listens")?;
    let mut relays = vec![start(here, plan).await?];
    for (number, bound) in bound.enumerate() {
        relays.push(start_in_thread(number + 1, bound, Arc::clone(plan)).await?);
    }
    Ok(relays)
}

async fn start(bound: Bound, plan: &Plan) -> anyhow::Result<Handle> {
    let listen = bound.listen().context("the runtime can't listen")?;
    let listen = Endpoint::Comes(Comes::Listen(listen));
    let flags = plan.endpoint_flags;
    Ok(match plan.a.endpoint.is_dialled() {
        true => join(plan.a.endpoint.open(flags).await?, listen, plan),
        false => join(listen, plan.b.endpoint.open(flags).await?, plan),
    })
}

async fn start_in_thread(number: usize, bound: Bound, plan: Arc<Plan>) -> anyhow::Result<Handle> {
    let (tell, started) = oneshot::channel();
    let relay = async move {
        let begun = {
            // Where it listens was logged by the first.
            let _quiet = set_default(NoSubscriber::new());
            start(bound, &plan).await
        };
        let running = begun.as_ref().ok().cloned();
        let _ = tell.send(begun);
        if let Some(running) = running {
            // How it ended is told by whoever was given the handle.
            let _ = running.done().await;
        }
    };
    thread::Builder::new()
        .name(format!("relay-{number}"))
        .spawn(move || {
            if let Ok(runtime) = single_threaded() {
                runtime.block_on(relay);
                runtime.shutdown_background();
            }
        })
        .context("a thread could not be started")?;
    started.await.context("a runtime could not be started")?
}
