//! `rendezvous=KEY`: the dialled relay joins us with a peer that presents the same key.

use couplet_connector::{
    endpoint::Side,
    layers::{
        HandshakeLayer, Replaceable, SignedToken,
        handshake::meet::{Meet, MeetingKey},
    },
};

use super::{Context, Does, IN_CLEAR, On, SideLayerSpec, SideOption, SideSetting, Value, secret};
use crate::{
    layer_spec::{LayerSpec, Source, Sourced},
    mistake::Mistake,
    reload::OnReload,
    side::Given,
    units::{Limit, limit},
};

/// The name of the option and of its layer.
pub(crate) const NAME: &str = "rendezvous";

pub(super) static RENDEZVOUS: SideOption = SideOption {
    name: NAME,
    on: On::Dial,
    value: Value::Needed("KEY|@FILE"),
    help: "meet a peer that presents the same key at a `couplet rendezvous`",
    settings: &[
        SideSetting {
            name: "side",
            value: "a|b|any",
            help: "meet only clients of the other side [default: b if dialled for others, else a]",
            many: false,
        },
        SideSetting {
            name: "token",
            value: "@FILE",
            help: "the signed token that the rendezvous demands",
            many: false,
        },
        SideSetting {
            name: "wait",
            value: "TIME|never",
            help: "how long to wait for the peer [default: never]",
            many: false,
        },
        IN_CLEAR,
    ],
    does: Does::Layer(layer),
};

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let value = given.needed()?;
    let (_, shown) = value.parse(key)?;
    if !value.text.starts_with('@') {
        tracing::warn!(
            "every user of this machine can read the key of `rendezvous=KEY`, with ps: \
             rendezvous=@FILE"
        );
    }
    let side = given.setting("side").map(|side| side.parse(side_name));
    // So that the sessions of one end never meet each other.
    let side = Sourced {
        value: Some(match context.is_dialled_by_itself() {
            true => Side::A,
            false => Side::B,
        }),
        from: Source::Default,
    }
    .unless(side.transpose()?);
    let wait = given.setting("wait").map(|wait| wait.parse(limit));
    let wait = Sourced {
        value: Limit::Off,
        from: Source::Default,
    }
    .unless(wait.transpose()?);
    let token = given.setting("token");
    // So that what is wrong with it is shown where it stands.
    token.map(|token| token.parse(read_token)).transpose()?;
    let (text, token_text) = (
        value.text.to_owned(),
        token.map(|token| token.text.to_owned()),
    );
    let side_is = side.value;
    let make = move || {
        let mut meet = Meet::new(key(&text)?.0);
        if let Some(side) = side_is {
            meet = meet.side(side);
        }
        if let Some(file) = &token_text {
            meet = meet.token(read_token(file)?);
        }
        Ok(meet)
    };
    let meet = Replaceable::new(value.parse(|_| make())?);
    // The others of this process are bounded by what they are dialled for, or by their pool.
    let waiting = HandshakeLayer::new(meet.clone()).timeout(wait.value.get());
    let shown_side = match side.value {
        Some(Side::A) => "a",
        Some(Side::B) => "b",
        None => "any",
    };
    let mut spec = LayerSpec::handshake(NAME, waiting.bound(usize::MAX))
        .set("key", shown, Source::Side)
        .set("side", shown_side, side.from)
        .set("wait", wait.value, wait.from);
    let key_file = value.text.strip_prefix('@');
    let token_file = token.map(|token| &token.text[1..]);
    if let Some(file) = token_file {
        spec = spec.set("token", file, Source::Side);
    }
    if let Some(file) = token_file.or(key_file) {
        spec = spec.on_reload(OnReload::replace(meet, file, make));
    }
    Ok(spec)
}

/// The token of `@FILE`.
fn read_token(value: &str) -> Result<SignedToken, Mistake> {
    secret::parse(value, "rendezvous.token=@FILE")
}

/// The key, and how it is shown: knowing one is enough.
fn key(value: &str) -> Result<(MeetingKey, &str), Mistake> {
    let Some(path) = value.strip_prefix('@') else {
        return match value.is_empty() {
            true => Err(Mistake::new(
                "`rendezvous` needs a key",
                "`rendezvous=@FILE`, or `rendezvous=KEY`",
            )),
            false => Ok((MeetingKey::of(value), "(given)")),
        };
    };
    let line = secret::line(value, "rendezvous=@FILE")?;
    Ok((MeetingKey::of(line), path))
}

fn side_name(value: &str) -> Result<Option<Side>, Mistake> {
    match value {
        "a" => Ok(Some(Side::A)),
        "b" => Ok(Some(Side::B)),
        "any" => Ok(None),
        _ => Err(Mistake::unknown(
            format!("`{value}` is not a side"),
            value,
            &["a", "b", "any"],
        )),
    }
}
