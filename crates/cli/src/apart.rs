//! Threads that have nothing to do with each other: each has a runtime, a listening socket and pairs
//! of its own.

use std::{num::NonZeroUsize, sync::Arc, thread};

use anyhow::Context;
use couplet_connector::{Handle, endpoint::Bound};
use tokio::{runtime, sync::oneshot};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use crate::{
    comes::Comes,
    plan::Plan,
    run::{join, single_threaded},
    side::Endpoint,
};

/// A thread with a runtime of its own.
struct Apart {
    runtime: runtime::Handle,
    /// The thread is over when this is dropped.
    running: oneshot::Sender<()>,
}

/// Starts one relay in this thread, and the others in as many new ones.
pub(crate) async fn start_all(
    plan: &Arc<Plan>,
    count: NonZeroUsize,
) -> anyhow::Result<Vec<Handle>> {
    let flags = plan.endpoint_flags;
    // One of the sides listens, and has them all; the other is dialled, and has none.
    let mut bound = plan.a.endpoint.bind_many(flags, count).await?;
    bound.extend(plan.b.endpoint.bind_many(flags, count).await?);
    // All before the first relay accepts: its connections might take the descriptors they need.
    let mut threads = Vec::new();
    for number in 1..bound.len() {
        threads.push(Apart::new(number).await?);
    }
    let mut bound = bound.into_iter();
    let here = bound.next().context("neither side listens")?;
    let mut relays = vec![start(here, plan).await?];
    for (thread, bound) in threads.into_iter().zip(bound) {
        relays.push(thread.start(bound, Arc::clone(plan)).await?);
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

// ===== impl Apart =====

impl Apart {
    async fn new(number: usize) -> anyhow::Result<Self> {
        let (tell, made) = oneshot::channel();
        let (running, over) = oneshot::channel();
        thread::Builder::new()
            .name(format!("relay-{number}"))
            .spawn(move || match single_threaded() {
                Ok(runtime) => {
                    let _ = tell.send(Ok(runtime.handle().clone()));
                    let _ = runtime.block_on(over);
                    runtime.shutdown_background();
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            })
            .context("a thread could not be started")?;
        let runtime = made.await.context("a thread has ended too early")??;
        Ok(Self { runtime, running })
    }

    /// Starts a relay there, which takes the thread with it when it is done.
    async fn start(self, bound: Bound, plan: Arc<Plan>) -> anyhow::Result<Handle> {
        // Where it listens was logged by the first.
        let starting =
            async move { start(bound, &plan).await }.with_subscriber(NoSubscriber::new());
        let relay = self.runtime.spawn(starting).await??;
        let running = self.running;
        self.runtime.spawn({
            let relay = relay.clone();
            async move {
                // How it ended is told by whoever was given the handle.
                let _ = relay.done().await;
                drop(running);
            }
        });
        Ok(relay)
    }
}
