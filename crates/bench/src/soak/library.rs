//! A relay made of the library, in a process of its own, which tells how many tasks it has: the
//! command has no way to be asked.

use std::{net::SocketAddr, num::NonZeroU64, time::Duration};

use couplet_connector::{
    Connector,
    endpoint::{Dial, Listen},
    layers::{
        BandwidthLayer, ByteRate, IdleTimeoutLayer, MaxLifetimeLayer, QuotaLayer, Stats, StatsLayer,
    },
};

/// Relays from the one address to the other for ever, and prints `tasks NUMBER` now and then.
pub(crate) fn run(listen: SocketAddr, dial: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let gib = NonZeroU64::new(1 << 30).expect("it is not zero");
        let hour = Duration::from_secs(3600);
        let _relay = Connector::listen_dial(Listen::bind(listen).await?, Dial::new(dial))
            .layer_pair(StatsLayer::new(Stats::new()))
            .layer_pair(BandwidthLayer::per_pair(ByteRate::per_second(gib)))
            .layer_pair(QuotaLayer::new(1 << 40))
            .layer_pair(IdleTimeoutLayer::new(hour))
            .layer_pair(MaxLifetimeLayer::new(hour))
            .start();
        let tasks = tokio::runtime::Handle::current().metrics();
        loop {
            println!("tasks {}", tasks.num_alive_tasks());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
}
