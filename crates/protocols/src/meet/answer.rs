use std::time::Duration;

use couplet_layers::AnnounceJoin;
use couplet_pairing::{Keyed, Refusal};

use super::{Meeting, MeetingKey, Redirect};

/// The answer when the partner is there.
pub(super) const OK: &str = "ok";

/// How long a refused peer has to read the reason.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Joins connections with the same key, on different sides where both have one, and tells refused peers
/// the reason. The bounds on waiting connections are settings of [`Keyed`].
pub fn by_key() -> Keyed<MeetingKey> {
    Keyed::new(|info| Some(Meeting::of(info)?.key()))
        .side(|info| Meeting::of(info)?.side())
        .refusal_reply(PATIENCE, |info, refusal| {
            let redirect: Option<&Redirect> = info.extensions.get();
            Some(match (refusal, redirect) {
                (Refusal::Redirected, Some(redirect)) => redirect.line().into(),
                _ => format!("{}\n", answer(refusal)).into(),
            })
        })
}

/// Tells both peers that the partner is there.
pub fn announce() -> AnnounceJoin {
    AnnounceJoin::new(format!("{OK}\n")).partner_left("partner left\n")
}

/// The answer to a refused peer.
pub fn answer(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Expired => "expired",
        Refusal::UnknownKey => "unknown key",
        Refusal::Full => "full",
        Refusal::Duplicate => "duplicate",
        Refusal::Replaced => "replaced",
        Refusal::Evicted => "evicted",
        Refusal::Impatient => "impatient",
        Refusal::Redundant => "redundant",
        // Without an address.
        Refusal::Redirected => "redirected",
        _ => "refused",
    }
}
