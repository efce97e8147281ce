//! `challenge=@FILE`: the peer signs a challenge with a known key (Ed25519).

use couplet_protocols::{AnswerChallenge, AuthorizedKeys, Challenge, Ed25519Key};

use super::{
    Context, Does, On, SideLayerSpec, SideOption, SideSetting, Value, of_file, of_list, secret,
};
use crate::{
    layer_spec::{LayerSpec, Source},
    mistake::Mistake,
    side::Given,
};

pub(super) static CHALLENGE: SideOption = SideOption {
    name: NAME,
    on: On::Either,
    value: Value::Needed("@FILE"),
    help: "the peer proves its identity; FILE: on listen the accepted keys, on dial our private key",
    settings: &[SideSetting {
        name: "context",
        value: "TEXT",
        help: "the purpose, which both ends must agree on [default: none]",
        many: false,
    }],
    does: Does::Layer(layer),
};

const NAME: &str = "challenge";

const FORM: &str = "challenge=@FILE";

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let file = given.needed()?;
    let what_for = given.setting("context").map_or("", |word| word.text);
    let what_for = what_for.to_owned();
    let (spec, again) = if context.endpoint.is_dialled() {
        let (answer, again) = of_file(file, move |value| {
            let key: Ed25519Key = secret::parse(value, FORM)?;
            Ok(AnswerChallenge::new(key).context(what_for.as_str()))
        })?;
        (
            LayerSpec::handshake(NAME, context.handshakes.layer(answer)),
            again,
        )
    } else {
        let (ask, again) = of_list(file, move |value| {
            let authorized: AuthorizedKeys = secret::parse_public(value, FORM)?;
            Ok(Challenge::new(authorized).context(what_for.as_str()))
        })?;
        (
            LayerSpec::handshake(NAME, context.handshakes.layer(ask)),
            again,
        )
    };
    Ok(spec
        .set("file", &file.text[1..], Source::Side)
        .bounded(context)
        .on_reload(again))
}
