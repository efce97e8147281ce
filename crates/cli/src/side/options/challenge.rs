//! `challenge=@FILE`: the peer signs a challenge with a key that is known.

use couplet_connector::{
    SideLayers,
    endpoint::AddressError,
    layers::{AnswerChallenge, AuthorizedKeys, Challenge, Ed25519Key, HandshakeLayer},
};

use super::{Context, Does, On, SideOption, SideSetting, SideStep, Value, secret};
use crate::{
    side::Given,
    step::{Bytes, Source, Step},
};

pub(super) static CHALLENGE: SideOption = SideOption {
    name: "challenge",
    on: On::Either,
    value: Value::Needed("@FILE"),
    help: "the peer proves who it is; FILE: on listen the keys it may have, on dial our key",
    settings: &[SideSetting {
        name: "context",
        value: "TEXT",
        help: "what for: both ends must have the same [default: nothing]",
        many: false,
    }],
    does: Does::Layer(layer),
};

const FORM: &str = "challenge=@FILE";

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideStep, AddressError> {
    let file = given.needed()?;
    let what_for = given.setting("context").map(|word| word.text);
    let timeout = context.handshake_timeout.value;
    let mut layers = SideLayers::new();
    if context.endpoint.is_dialled() {
        let key: Ed25519Key = file.parse(|value| secret::parse(value, FORM))?;
        let answer = AnswerChallenge::new(key).context(what_for.unwrap_or_default());
        layers.push(HandshakeLayer::new(answer).timeout(timeout));
    } else {
        let authorized: AuthorizedKeys = file.parse(|value| secret::parse(value, FORM))?;
        let ask = Challenge::new(authorized).context(what_for.unwrap_or_default());
        layers.push(HandshakeLayer::new(ask).timeout(timeout));
    }
    let mut step = Step::new("challenge", layers)
        .for_each()
        .bytes([Bytes::ReadAhead, Bytes::Untouched])
        .set("file", &file.text[1..], Source::Side);
    if let Some(what_for) = what_for {
        step = step.set("context", what_for, Source::Side);
    }
    Ok(step.deadline(context))
}
