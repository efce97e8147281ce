//! `rendezvous=KEY`: the dialled relay joins us with a peer that presents the same key.

use std::time::Duration;

use couplet_connector::{
    Conn,
    endpoint::{Address, BoxIo, Io, Side},
    layers::{Handshake, HandshakeLayer, Replaceable},
    stack::{SideStack, Slot},
};
use couplet_protocols::{
    SignedToken,
    meet::{Follow, Meet, MeetingKey},
};
use tower::Layer;

use super::{
    Context, Does, EndpointSpec, IN_CLEAR, On, SideLayerSpec, SideOption, SideSetting, Value, Word,
    secret,
};
use crate::{
    layer_spec::{LayerSpec, Source, Sourced},
    mistake::Mistake,
    redial::Redialler,
    reload::OnReload,
    side::Given,
    units::{Limit, limit},
};

/// The name of the option and of its layer.
pub(crate) const NAME: &str = "rendezvous";

/// The name of the setting with the relays that a client may be sent to.
const REDIRECT: &str = "redirect";

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
        SideSetting {
            name: REDIRECT,
            value: "HOST[:PORT]+…",
            help: "go to the relay where the peer waits, if it is one of these [default: none]",
            many: false,
        },
        IN_CLEAR,
    ],
    does: Does::Both(set, layer),
};

fn set(endpoint: &mut EndpointSpec, given: &Given<'_>) -> Result<(), Mistake> {
    let redirect = given.setting(REDIRECT);
    let redial = redirect.map(|relays| relays.parse(Redialler::parse));
    endpoint.redial = redial.transpose()?;
    Ok(())
}

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    if let Some(redirect) = given.setting(REDIRECT) {
        check_redirect(redirect, context.endpoint)?;
    }
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
    let shown_side = match side.value {
        Some(Side::A) => "a",
        Some(Side::B) => "b",
        None => "any",
    };
    let spec = match context.endpoint.redial.clone() {
        None => waits(meet.clone(), wait.value),
        Some(redial) => {
            let meet = meet.clone();
            let follow = move |conn| Follow::new(meet.current(), redial.clone()).handshake(conn);
            waits(follow, wait.value)
        }
    };
    let mut spec = spec
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

/// A handshake that takes its time.
fn waits<H, I>(meet: H, wait: Limit<Duration>) -> SideLayerSpec
where
    H: Handshake<Conn<BoxIo>, Output = Conn<I>>,
    HandshakeLayer<H>: Layer<Slot, Service: SideStack + Clone> + Send + Sync + 'static,
    I: Io,
{
    let waiting = HandshakeLayer::new(meet).timeout(wait.get());
    LayerSpec::handshake(NAME, waiting.bound(usize::MAX))
}

/// A client that is sent elsewhere is dialled anew.
fn check_redirect(redirect: Word<'_>, endpoint: &EndpointSpec) -> Result<(), Mistake> {
    let is_dialled_directly = endpoint.via.is_empty() && endpoint.routes.is_none();
    match &endpoint.address {
        Address::Dial(_) if is_dialled_directly => Ok(()),
        Address::DialSeveral(_) if is_dialled_directly && endpoint.is_all_tcp() => Ok(()),
        address => Err(redirect.wrong(
            format!("no other relay can be dialled in place of `{address}`, from here"),
            "`dial:HOST:PORT`, without `via` and `route`",
        )),
    }
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
