//! The running relays, as JSON and for the page.

use std::{sync::Arc, time::Duration};

use couplet_connector::{Side, endpoint::Info, layers::Identity, pairing::Session};
use serde_json::{Value, json};

use crate::{
    Admin, Relay,
    journal::{Entry, One, What},
    pair_query::{Generation, PairQuery, Sort},
    relay::peer,
};

/// How many pairs are listed unless more are asked for.
const PAIRS: usize = 100;

/// A live pair, as it is now.
#[derive(Clone, Debug)]
pub(crate) struct PairView {
    pub(crate) relay: Arc<Relay>,
    pub(crate) session: Session,
    /// Bytes per second, from A and from B.
    pub(crate) rate: [f64; 2],
}

// ===== impl PairView =====

impl PairView {
    pub(crate) fn bytes(&self, from: Side) -> u64 {
        self.session.meter().bytes(from)
    }

    pub(crate) fn idle(&self) -> Duration {
        self.session.meter().last_progress().elapsed()
    }

    /// How long the other side has taken nothing of what came from this one.
    pub(crate) fn stalled(&self, from: Side) -> Option<Duration> {
        let since = self.session.meter().stalled_since(from)?;
        Some(since.elapsed())
    }

    pub(crate) fn stall(&self) -> Duration {
        let stalls = [Side::A, Side::B].map(|from| self.stalled(from));
        stalls.into_iter().flatten().max().unwrap_or_default()
    }

    pub(crate) fn generation(&self) -> Generation {
        let stats = self.relay.handle().stats();
        match stats.is_older(self.session.id()) {
            true => Generation::Older,
            false => Generation::Current,
        }
    }

    fn total_rate(&self) -> f64 {
        self.rate[0] + self.rate[1]
    }

    pub(crate) fn json(&self) -> Value {
        let ways = [Side::A, Side::B].map(|from| {
            json!({
                "bytes": self.bytes(from),
                "bytes_per_second": self.rate[from as usize].round(),
                "moved_by": if self.session.meter().is_spliced(from) { "splice" } else { "copy" },
                "stalled_seconds": self.stalled(from).map(seconds),
            })
        });
        let [a_to_b, b_to_a] = ways;
        json!({
            "id": self.session.id().get(),
            "relay": self.relay.name(),
            "age_seconds": seconds(self.session.duration()),
            "idle_seconds": seconds(self.idle()),
            "a": leg(self.session.info(Side::A)),
            "b": leg(self.session.info(Side::B)),
            "a_to_b": a_to_b,
            "b_to_a": b_to_a,
            "generation": self.generation().name(),
            "captured": self.session.is_tapped(),
        })
    }
}

/// The live pairs that a query asks for, in its order; and how many there are without its limit.
pub(crate) fn pairs(admin: &Admin, query: &PairQuery) -> (Vec<PairView>, usize) {
    let mut found = chosen(admin, query);
    let total = found.len();
    sort(&mut found, query);
    if let Some(after) = query.after {
        found.retain(|pair| pair.session.id() > after);
    }
    found.truncate(query.limit.unwrap_or(PAIRS));
    (found, total)
}

/// All live pairs that a query's filters choose, the oldest of each relay first.
pub(crate) fn chosen(admin: &Admin, query: &PairQuery) -> Vec<PairView> {
    let mut found = Vec::new();
    for relay in admin.relays() {
        if query
            .relay
            .as_ref()
            .is_some_and(|name| name != relay.name())
        {
            continue;
        }
        let sessions = relay.handle().sessions();
        let rates = relay.rates.of(&sessions);
        let pairs = sessions
            .into_iter()
            .zip(rates)
            .map(|(session, rate)| PairView {
                relay: Arc::clone(&relay),
                session,
                rate,
            });
        found.extend(pairs.filter(|pair| is_chosen(pair, query)));
    }
    found
}

fn is_chosen(pair: &PairView, query: &PairQuery) -> bool {
    let infos = [Side::A, Side::B].map(|side| pair.session.info(side));
    let any = |is: &dyn Fn(&Info) -> bool| infos.iter().any(|info| is(info));
    query
        .older
        .is_none_or(|older| pair.session.duration() >= older)
        && query.idle.is_none_or(|idle| pair.idle() >= idle)
        && query
            .generation
            .is_none_or(|generation| pair.generation() == generation)
        && query
            .addr
            .as_ref()
            .is_none_or(|addr| any(&|info| peer(info).contains(addr.as_str())))
        && query.identity.as_ref().is_none_or(|name| {
            any(&|info| identity(info).is_some_and(|identity| identity.name() == name))
        })
}

fn sort(pairs: &mut [PairView], query: &PairQuery) {
    match query.sort {
        Sort::Age => pairs.sort_by_key(|pair| pair.session.id()),
        Sort::Rate => pairs.sort_by(|a, b| b.total_rate().total_cmp(&a.total_rate())),
        Sort::Bytes => {
            let moved = |pair: &PairView| pair.bytes(Side::A) + pair.bytes(Side::B);
            pairs.sort_by_key(|pair| std::cmp::Reverse(moved(pair)));
        }
        Sort::Stall => pairs.sort_by_key(|pair| std::cmp::Reverse(pair.stall())),
        Sort::Idle => pairs.sort_by_key(|pair| std::cmp::Reverse(pair.idle())),
    }
}

pub(crate) fn identity(info: &Info) -> Option<&Identity> {
    info.extensions.get()
}

fn leg(info: &Info) -> Value {
    json!({
        "conn": info.id.get(),
        "peer": peer(info),
        "target": info.target.as_ref().map(ToString::to_string),
        "identity": identity(info).map(Identity::name),
        "handshake_seconds": info.handshake().map(seconds),
    })
}

/// To the millisecond.
pub(crate) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

// ===== what runs =====

pub(crate) fn status(admin: &Admin) -> Value {
    let relays = admin.relays();
    let mut status = json!({
        "version": admin.shown_version(),
        "pid": std::process::id(),
        "uptime_seconds": seconds(admin.uptime()),
        "ready": relays.iter().all(|relay| relay.not_ready().is_none()),
        "relays": relays.iter().map(|relay| in_short(relay)).collect::<Vec<_>>(),
    });
    if let Some(told) = admin.0.reloads.known() {
        status["generation"] = told.generation.into();
        status["reload_failure"] = told.failure.into();
    }
    status
}

fn in_short(relay: &Relay) -> Value {
    let snapshot = relay.handle().snapshot();
    json!({
        "name": relay.name(),
        "state": relay.not_ready().unwrap_or("ready"),
        "live": snapshot.live_pairs,
        "waiting": snapshot.a.waiting + snapshot.b.waiting,
        "joined": snapshot.total_pairs,
        "a_to_b": snapshot.a_to_b,
        "b_to_a": snapshot.b_to_a,
    })
}

pub(crate) fn relay(relay: &Relay) -> Value {
    let stats = relay.handle().stats();
    let snapshot = stats.snapshot();
    let ended: serde_json::Map<_, _> = stats
        .ended()
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| (state.to_owned(), count.into()))
        .collect();
    let side = |side: Side| {
        let counts = match side {
            Side::A => snapshot.a,
            Side::B => snapshot.b,
        };
        let refused: serde_json::Map<_, _> = stats
            .refusals(side)
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(cause, count)| (cause.label().to_owned(), count.into()))
            .collect();
        let mut shown = json!({
            "end": relay.end(side),
            "stack": steps(&relay.sides[side as usize]),
            "connections": counts.connections,
            "arriving": stats.arriving(side),
            "waiting": counts.waiting,
            "addresses": counts.addresses,
            "refused": refused,
        });
        if let Some(status) = relay.carrier_status(side) {
            shown["carriers"] = json!({
                "there": status.carriers,
                "total": status.total_carriers,
                "streams": status.streams,
                "total_streams": status.total_streams,
                "refused": status.refused,
                "lost": status.failed,
                "silent": status.silent,
            });
        }
        shown
    };
    let moved = stats.moved();
    let way = |from| {
        json!({
            "bytes": moved.bytes(from),
            "spliced": moved.spliced(from),
            "stalled_seconds": seconds(moved.stalled(from)),
        })
    };
    json!({
        "name": relay.name(),
        "state": relay.not_ready().unwrap_or("ready"),
        "pairing": relay.pairing(),
        "a": side(Side::A),
        "b": side(Side::B),
        "pair_stack": steps(&relay.pair),
        "pairs": {
            "live": snapshot.live_pairs,
            "joined": snapshot.total_pairs,
            "ended": ended,
        },
        "a_to_b": way(Side::A),
        "b_to_a": way(Side::B),
    })
}

fn steps(steps: &[crate::Step]) -> Value {
    let shown = |step: &crate::Step| json!({"name": step.name, "settings": step.about});
    steps.iter().map(shown).collect()
}

// ===== what waits, and what happened =====

pub(crate) fn waiting(relay: &Relay, one: &One) -> Value {
    json!({
        "relay": relay.name(),
        "conn": one.conn.get(),
        "side": one.side.map(|side| side.to_string()),
        "peer": peer_text(one.peer),
        "identity": one.identity.as_ref().map(Identity::name),
        "waited_seconds": seconds(one.waited()),
    })
}

pub(crate) fn peer_text(peer: Option<std::net::SocketAddr>) -> String {
    couplet_connector::endpoint::PeerName::from(peer).to_string()
}

/// The kind of an event.
pub(crate) fn kind(entry: &Entry) -> &'static str {
    match entry.what {
        What::Joined(_) => "joined",
        What::Ended { .. } => "ended",
        What::Refused { .. } => "refused",
    }
}

pub(crate) fn time(entry: &Entry) -> String {
    humantime::format_rfc3339_millis(entry.time).to_string()
}

pub(crate) fn entry(entry: &Entry) -> Value {
    let mut value = match &entry.what {
        What::Joined(session) => json!({
            "session": session.id().get(),
            "a": leg(session.info(Side::A)),
            "b": leg(session.info(Side::B)),
        }),
        What::Ended {
            session,
            reason,
            error,
        } => json!({
            "session": session.id().get(),
            "state": reason.termination_state(),
            "reason": reason.to_string(),
            "error": error,
            "duration_seconds": seconds(session.duration()),
            "a_to_b": session.meter().bytes(Side::A),
            "b_to_a": session.meter().bytes(Side::B),
            "a": leg(session.info(Side::A)),
            "b": leg(session.info(Side::B)),
        }),
        What::Refused {
            side,
            conn,
            peer,
            cause,
            error,
        } => json!({
            "side": side.to_string(),
            "conn": conn.get(),
            "peer": peer_text(*peer),
            "reason": cause.label(),
            "error": error,
        }),
    };
    value["time"] = time(entry).into();
    value["relay"] = (*entry.relay).into();
    value
}
