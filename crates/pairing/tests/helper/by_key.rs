//! What the tests of the rendezvous by key share.

use std::time::Duration;

use couplet_endpoint::{ConnId, Info, Replay, Side, memory::MemoryStream};
use couplet_pairing::{Keyed, Pairs, Policy, Refusal, WaitSlot, WaitingCounts, rendezvous_keyed};
use tokio::io::AsyncReadExt;
use tokio_test::{assert_pending, task};

use super::{conn, fill, joined, next, soon};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What a handshake has found out.
pub(crate) struct Key(pub(crate) u32);
pub(crate) struct Who(pub(crate) &'static str);

pub(crate) type Ends = (
    WaitSlot<MemoryStream>,
    Pairs<Replay<MemoryStream>, Replay<MemoryStream>>,
);

/// By key alone; a refused connection is told why.
pub(crate) fn by_key() -> Keyed<u32> {
    Keyed::new(|info: &Info| info.extensions.get().map(|Key(key)| *key))
        .refusal_reply(SECOND, |_, refusal| Some(refusal.to_string().into()))
}

/// By key, and never two of the same name.
pub(crate) fn by_key_and_name() -> Keyed<u32, &'static str> {
    by_key().side(|info| info.extensions.get().map(|Who(name)| *name))
}

pub(crate) fn keyed<S: Eq + Clone + Send + 'static>(policy: Policy, keyed: Keyed<u32, S>) -> Ends {
    rendezvous_keyed(policy, keyed)
}

/// A connection comes: its number, and its peer.
pub(crate) fn arrive(slot: &mut WaitSlot<MemoryStream>, key: u32) -> (ConnId, MemoryStream) {
    arrive_as(slot, key, None)
}

pub(crate) fn arrive_as(
    slot: &mut WaitSlot<MemoryStream>,
    key: u32,
    name: impl Into<Option<&'static str>>,
) -> (ConnId, MemoryStream) {
    let (mut conn, peer) = conn();
    conn.info.extensions.insert(Key(key));
    if let Some(name) = name.into() {
        conn.info.extensions.insert(Who(name));
    }
    let id = conn.info.id;
    fill(slot, conn);
    (id, peer)
}

pub(crate) async fn next_ids(pairs: &mut Ends) -> [ConnId; 2] {
    joined(&next(&mut pairs.1).await).map(|info| info.id)
}

pub(crate) fn refused(counts: &WaitingCounts, refusal: Refusal) -> u64 {
    counts.refused(Side::A, refusal)
}

/// What a refused peer is told.
pub(crate) async fn reply_to(peer: &mut MemoryStream) -> String {
    let mut heard = String::new();
    soon(peer.read_to_string(&mut heard))
        .await
        .expect("no reset");
    heard
}

#[track_caller]
pub(crate) fn assert_waits(peer: &mut MemoryStream) {
    assert_pending!(task::spawn(peer.read(&mut [0])).poll());
}
