use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use couplet_endpoint::{
    BoxError, Chain, ConnEvent, ConnId, Info, Origin, Program, Refusal, RelayName, Side, UnixPeer,
    VsockAddr, is_caused_by,
};
use couplet_pairing::{PairError, PairingEnded};
use tokio::time::Instant;

use super::{
    AccessLog, End, Leg, Record, Unjoined,
    record::{canonical, shown_peer},
};
use crate::{Forwarded, Identity};

/// A connection under way. Its drop makes the record, unless the connection was joined.
#[derive(Debug)]
pub(super) struct Entry {
    log: AccessLog,
    side: Side,
    id: ConnId,
    origin: Origin,
    local: Option<SocketAddr>,
    unix: Option<UnixPeer>,
    vsock: Option<VsockAddr>,
    program: Option<Program>,
    since: Instant,
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    progress: Mutex<Progress>,
}

/// The entry as the connection's `Info` carries it.
#[derive(Debug)]
pub(super) struct Tracked(pub(super) Arc<Entry>);

/// The progress of a connection.
#[derive(Debug)]
struct Progress {
    peer: Option<SocketAddr>,
    identity: Option<Identity>,
    /// When the connection had passed its side's stack.
    through: Option<Instant>,
    unjoined: Option<(Unjoined, Option<String>)>,
    joined: bool,
}

// ===== impl Entry =====

impl Entry {
    /// Begins the entry of this connection, and puts it into the connection's `Info`.
    pub(super) fn begin(log: AccessLog, side: Side, info: &mut Info) -> Arc<Self> {
        let entry = Arc::new(Self {
            log,
            side,
            id: info.id,
            origin: info.origin,
            local: info.local,
            unix: info.unix().cloned(),
            vsock: info.vsock().copied(),
            program: info.program().cloned(),
            since: info.since,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            progress: Mutex::new(Progress {
                peer: info.peer,
                identity: None,
                through: None,
                unjoined: None,
                joined: false,
            }),
        });
        let waiting = Arc::clone(&entry);
        let observe = move |info: &Info, event| waiting.observe(info, event);
        info.observe(observe);
        info.extensions.insert(Tracked(Arc::clone(&entry)));
        entry
    }

    /// Takes over what a layer has learned, such as the client behind a proxy.
    fn learn(&self, info: &Info) {
        let mut progress = self.progress();
        progress.peer = info.peer;
        progress.identity = info.extensions.get().cloned();
    }

    fn observe(&self, info: &Info, event: ConnEvent) {
        self.learn(info);
        let mut progress = self.progress();
        match event {
            ConnEvent::Waits => progress.is_through(),
            ConnEvent::Refused(Refusal::Expired) => progress.is_unjoined(Unjoined::Expired, None),
            ConnEvent::Refused(refusal) => {
                progress.is_unjoined(Unjoined::Refused, Some(refusal.to_string()));
            }
            ConnEvent::Gone => progress.is_unjoined(Unjoined::Gone, None),
            _ => {}
        }
    }

    /// The connection has passed its side's stack.
    pub(super) fn through(&self) {
        self.progress().is_through();
    }

    /// The side's stack has failed.
    pub(super) fn failed(&self, error: &BoxError) {
        let why = if is_caused_by::<PairingEnded>(&**error) {
            Unjoined::Stopped
        } else if is_caused_by::<PairError>(&**error) {
            Unjoined::NoPartner
        } else {
            Unjoined::Refused
        };
        self.progress()
            .is_unjoined(why, Some(Chain(&**error).to_string()));
    }

    /// The pair's layer makes the record of the pair.
    pub(super) fn joined(&self) {
        self.progress().joined = true;
    }

    /// The connection's life until it was joined or given up.
    pub(super) fn leg(&self, until: Instant) -> Leg {
        let progress = self.progress();
        let through = progress.through;
        Leg {
            conn: self.id,
            origin: self.origin,
            peer: progress.peer.map(|peer| shown_peer(peer, self.origin)),
            local: self.local.map(canonical),
            unix: self.unix.clone(),
            vsock: self.vsock,
            program: self.program.clone(),
            identity: progress.identity.clone(),
            node: None,
            handshake: through.map(|through| through.saturating_duration_since(self.since)),
            waiting: through.map(|through| until.saturating_duration_since(through)),
            received: Some(self.received.load(Ordering::Relaxed)),
            sent: Some(self.sent.load(Ordering::Relaxed)),
        }
    }

    /// The record of a connection that never was joined.
    fn unjoined(&self, why: Unjoined, error: Option<String>) -> Record {
        let now = Instant::now();
        let mut record = Record {
            time: self.log.now(),
            end: End::Unjoined(self.side, why),
            relay: RelayName::current(),
            error,
            session: None,
            duration: now.saturating_duration_since(self.since),
            a_to_b: 0,
            b_to_a: 0,
            a: None,
            b: None,
        };
        *record.leg_mut(self.side) = Some(self.leg(now));
        record
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut progress = self.progress();
        if progress.joined {
            return;
        }
        let unjoined = progress.unjoined.take();
        drop(progress);
        let (why, error) = unjoined.unwrap_or((Unjoined::Stopped, None));
        self.log.log(&self.unjoined(why, error));
    }
}

// ===== impl Leg =====

impl Leg {
    /// The leg of a connection that was joined at this time.
    pub(super) fn of(info: &Info, joined: Instant) -> Self {
        let node: Option<Forwarded> = info.extensions.get().cloned();
        // The time since the client came to its node.
        let waiting = node
            .is_some()
            .then(|| joined.saturating_duration_since(info.since));
        let bare = Self {
            conn: info.id,
            origin: info.origin,
            peer: info.peer.map(|peer| shown_peer(peer, info.origin)),
            local: info.local.map(canonical),
            unix: info.unix().cloned(),
            vsock: info.vsock().copied(),
            program: info.program().cloned(),
            identity: info.extensions.get().cloned(),
            node,
            handshake: None,
            waiting,
            received: None,
            sent: None,
        };
        match info.extensions.get::<Tracked>() {
            None => bare,
            Some(Tracked(entry)) => {
                let leg = entry.leg(joined);
                Self {
                    handshake: leg.handshake,
                    waiting: leg.waiting,
                    received: leg.received,
                    sent: leg.sent,
                    ..bare
                }
            }
        }
    }
}

// ===== impl Progress =====

impl Progress {
    fn is_through(&mut self) {
        self.through.get_or_insert_with(Instant::now);
    }

    fn is_unjoined(&mut self, why: Unjoined, error: Option<String>) {
        self.unjoined.get_or_insert((why, error));
    }
}
