use std::time::Duration;

use couplet_pairing::{Keyed, Refusal};

use super::{Meeting, MeetingKey};
use crate::AnnounceJoin;

/// The answer of those who have found each other.
pub(super) const OK: &str = "ok";

/// How long somebody may take to hear why not.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Joins those with the same key, on different sides where both have one, and tells those who are
/// refused why. How many may wait is for its settings to say.
pub fn by_key() -> Keyed<MeetingKey> {
    Keyed::new(|info| Some(Meeting::of(info)?.key()))
        .side(|info| Meeting::of(info)?.side())
        .refusal_reply(PATIENCE, |_, refusal| {
            Some(format!("{}\n", answer(refusal)).into())
        })
}

/// Tells two that they have found each other.
pub fn announce() -> AnnounceJoin {
    AnnounceJoin::new(format!("{OK}\n")).partner_left("partner left\n")
}

/// What one who is refused is told.
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
        _ => "refused",
    }
}
