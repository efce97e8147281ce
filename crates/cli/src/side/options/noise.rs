//! `noise=psk:@FILE` and `noise=kk:@FILE`: encrypts between two relays.

use couplet_connector::{
    SideLayers,
    endpoint::AddressError,
    layers::{
        HandshakeLayer, NoiseInitiator, NoiseKey, NoisePeers, NoisePsk, NoisePublicKey,
        NoiseResponder,
    },
};

use super::{Context, Does, On, SideOption, SideSetting, SideStep, Value, secret};
use crate::{
    side::{Given, Word},
    step::{Bytes, Source, Step},
};

pub(super) static NOISE: SideOption = SideOption {
    name: "noise",
    on: On::Either,
    value: Value::Needed("psk:@FILE|kk:@FILE"),
    help: "encrypt, facing another couplet: by a shared secret, or by our private key",
    settings: &[SideSetting {
        name: "peer",
        value: "KEY|@FILE",
        help: "with kk: the peer's public key; on listen also a file of them",
        many: false,
    }],
    does: Does::Layer(layer),
};

/// The two ends of what was asked for.
enum Pattern {
    Psk(NoisePsk),
    Keys(NoiseKey),
}

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideStep, AddressError> {
    let value = given.needed()?;
    let pattern = value.parse(pattern)?;
    let peer = given.setting("peer");
    let timeout = context.handshake_timeout.value;
    let mut layers = SideLayers::new();
    if context.endpoint.is_dialled() {
        let initiator = match (pattern, peer) {
            (Pattern::Psk(psk), None) => NoiseInitiator::psk(psk),
            (Pattern::Keys(key), Some(peer)) => NoiseInitiator::kk(key, peer.parse(public)?),
            (pattern, peer) => return Err(unmatched(given, &pattern, peer)),
        };
        layers.push(HandshakeLayer::new(initiator).timeout(timeout));
    } else {
        let responder = match (pattern, peer) {
            (Pattern::Psk(psk), None) => NoiseResponder::psk(psk),
            (Pattern::Keys(key), Some(peer)) => NoiseResponder::kk(key, peer.parse(peers)?),
            (pattern, peer) => return Err(unmatched(given, &pattern, peer)),
        };
        layers.push(HandshakeLayer::new(responder).timeout(timeout));
    }
    let step = Step::new("noise", layers)
        .for_each()
        .bytes([Bytes::Copied("noise encrypts them"); 2])
        .set("keys", value.text, Source::Side);
    let step = match peer {
        Some(peer) => step.set("peer", peer.text, Source::Side),
        None => step,
    };
    Ok(step.deadline(context))
}

fn unmatched(given: &Given<'_>, pattern: &Pattern, peer: Option<Word<'_>>) -> AddressError {
    match (pattern, peer) {
        (Pattern::Psk(_), Some(peer)) => peer.wrong(
            "whoever has the secret is the peer",
            "`noise=kk:@FILE` has peers",
        ),
        _ => given.wrong(
            "it does not know its peer",
            "`noise=kk:@FILE,noise.peer=KEY`",
        ),
    }
}

fn pattern(value: &str) -> Result<Pattern, String> {
    match value.split_once(':') {
        Some(("psk", file)) => {
            let text = secret::read(file, "noise=psk:@FILE")?;
            let psk = NoisePsk::from_secret(secret::line(&text));
            let psk = psk.map_err(|error| format!("`{}` will not do: {error}", &file[1..]))?;
            Ok(Pattern::Psk(psk))
        }
        Some(("kk", file)) => secret::parse(file, "noise=kk:@FILE").map(Pattern::Keys),
        _ => Err("it is not said by what to encrypt: `noise=psk:@FILE` or `noise=kk:@FILE`".into()),
    }
}

fn public(value: &str) -> Result<NoisePublicKey, String> {
    value
        .parse()
        .map_err(|error| format!("it is no public key: {error}"))
}

fn peers(value: &str) -> Result<NoisePeers, String> {
    match value.starts_with('@') {
        true => secret::parse(value, "noise.peer=@FILE"),
        false => public(value).map(NoisePeers::one),
    }
}
