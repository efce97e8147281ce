//! Connections to other nodes that are kept ready, so that a client is joined with one there in one round trip.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use couplet_connector::endpoint::{BoxIo, Conn, Replay};
use futures::FutureExt;
use tokio::{
    io::AsyncWriteExt,
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::{ServiceExt, util::BoxCloneSyncService};

use super::{
    Shared, WireError,
    wire::{Reply, Secret, Transcript},
};
use crate::engine::NodeAddr;

/// How old one becomes: the other node keeps it for twice as long.
const AGE: Duration = Duration::from_secs(30);

/// How long after the last request to a node connections to it are kept, and how many nodes there are at most.
const USED: Duration = Duration::from_secs(60);
const NODES: usize = 64;

/// How often dead ones are looked for.
const ROUND: Duration = Duration::from_secs(5);

/// How long they are not made after one was taken: the client that is joined through it is told first, at both nodes.
const REST: Duration = Duration::from_millis(1);

/// How long making one may take, and the pause after a failure.
const WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(5);

/// A connection to another node, before JOIN.
pub(super) struct Spare {
    pub(super) conn: Conn<Replay<BoxIo>>,
    pub(super) transcript: Transcript,
}

/// Those that are kept, for each node.
pub(super) struct Spares {
    each: usize,
    nodes: Mutex<HashMap<NodeAddr, Kept>>,
    wanted: Notify,
}

struct Kept {
    ready: Vec<(Instant, Spare)>,
    making: usize,
    used: Instant,
    not_before: Instant,
}

// ===== impl Spares =====

impl Spares {
    pub(super) fn new(each: usize) -> Self {
        Self {
            each,
            nodes: Mutex::default(),
            wanted: Notify::new(),
        }
    }

    /// The freshest that lives, if there is one.
    pub(super) fn take(&self, home: &NodeAddr) -> Option<Spare> {
        let mut nodes = self.lock();
        let kept = nodes.get_mut(home)?;
        while let Some((since, mut spare)) = kept.ready.pop() {
            if spare.is_alive(since) {
                return Some(spare);
            }
        }
        None
    }

    /// This node was asked for a client, and may be again: makes those that are missing.
    pub(super) fn is_in_use(&self, home: &NodeAddr) {
        if self.each == 0 {
            return;
        }
        let mut nodes = self.lock();
        let now = Instant::now();
        if !nodes.contains_key(home) && nodes.len() >= NODES {
            let oldest = nodes.iter().min_by_key(|(_, kept)| kept.used);
            if let Some(oldest) = oldest.map(|(home, _)| home.clone()) {
                nodes.remove(&oldest);
            }
        }
        let kept = nodes.entry(home.clone()).or_insert_with(|| Kept {
            ready: Vec::new(),
            making: 0,
            used: now,
            not_before: now,
        });
        kept.used = now;
        drop(nodes);
        self.wanted.notify_one();
    }

    /// Lets go of all.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Lets go of those that are dead or old; returns the nodes of those to be made.
    fn missing(&self) -> Vec<NodeAddr> {
        let mut nodes = self.lock();
        let now = Instant::now();
        nodes.retain(|_, kept| kept.used + USED > now || kept.making > 0);
        let mut missing = Vec::new();
        for (home, kept) in nodes.iter_mut() {
            kept.ready
                .retain_mut(|(since, spare)| spare.is_alive(*since));
            if kept.not_before <= now && kept.used + USED > now {
                let lacks = self.each.saturating_sub(kept.ready.len() + kept.making);
                kept.making += lacks;
                missing.extend(std::iter::repeat_n(home.clone(), lacks));
            }
        }
        missing
    }

    fn made(&self, home: &NodeAddr, made: Option<Spare>) {
        if let Some(kept) = self.lock().get_mut(home) {
            kept.making = kept.making.saturating_sub(1);
            match made {
                // The freshest is taken first.
                Some(spare) => kept.ready.push((Instant::now(), spare)),
                None => kept.not_before = Instant::now() + PAUSE,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeAddr, Kept>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps them, for ever.
pub(super) async fn keep(node: &Shared) {
    let mut making = JoinSet::new();
    loop {
        for home in node.spares.missing() {
            let made = make(node.dial.clone(), home.clone(), node.secret.clone());
            making.spawn(async move {
                let made = timeout(WITHIN, made).await;
                (home, made.ok().and_then(Result::ok))
            });
        }
        tokio::select! {
            () = async {
                node.spares.wanted.notified().await;
                sleep(REST).await;
            } => {}
            Some(Ok((home, made))) = making.join_next() => node.spares.made(&home, made),
            () = sleep(ROUND), if !node.spares.lock().is_empty() => {}
        }
    }
}

async fn make(
    dial: BoxCloneSyncService<NodeAddr, Conn<BoxIo>, couplet_connector::BoxError>,
    home: NodeAddr,
    secret: Secret,
) -> Result<Spare, couplet_connector::BoxError> {
    let mut conn = dial.oneshot(home).await?.map_io(Replay::new);
    let mut transcript = Transcript::new(&secret);
    conn.io.write_all(&transcript.hello()).await?;
    conn.io.flush().await?;
    match transcript.read_reply(&mut conn.io).await? {
        Reply::Ready => {}
        _ => return Err(WireError::Malformed.into()),
    }
    conn.io.write_all(&transcript.known()).await?;
    conn.io.flush().await?;
    Ok(Spare { conn, transcript })
}

// ===== impl Spare =====

impl Spare {
    /// The other node says nothing before JOIN, so anything that can be read is an end.
    fn is_alive(&mut self, since: Instant) -> bool {
        since.elapsed() < AGE && self.conn.io.read_ahead(1).now_or_never().is_none()
    }
}
