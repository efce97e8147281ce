//! `noise=psk:@FILE` and `noise=kk:@FILE`: encrypts between two relays.

use couplet_connector::layers::Replaceable;
use couplet_protocols::{
    NoiseInitiator, NoiseKey, NoisePeers, NoisePsk, NoisePublicKey, NoiseResponder,
};

use super::{Context, Does, On, SideLayerSpec, SideOption, SideSetting, Value, secret};
use crate::{
    layer_spec::{LayerSpec, Source},
    mistake::Mistake,
    reload::OnReload,
    side::{Given, Word},
};

pub(super) static NOISE: SideOption = SideOption {
    name: NAME,
    on: On::Either,
    value: Value::Needed("psk:@FILE|kk:@FILE"),
    help: "encrypt towards another Couplet, with a shared secret or our private key",
    settings: &[SideSetting {
        name: "peer",
        value: "KEY|@FILE",
        help: "with kk: the peer's public key; on listen also a file of them",
        many: false,
    }],
    does: Does::Layer(layer),
};

/// By what an end encrypts.
enum Keys {
    Psk(NoisePsk),
    Own(NoiseKey),
}

const NAME: &str = "noise";

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let value = given.needed()?;
    let peer = given.setting("peer");
    let (spec, again) = if context.endpoint.is_dialled() {
        let (initiator, again) = of_files(value, peer, public, |keys, peer| match (keys, peer) {
            (Keys::Psk(psk), None) => Ok(NoiseInitiator::psk(psk)),
            (Keys::Own(key), Some(peer)) => Ok(NoiseInitiator::kk(key, peer)),
            (keys, _) => Err(unmatched(&keys)),
        })?;
        (
            LayerSpec::handshake(NAME, context.handshakes.layer(initiator)),
            again,
        )
    } else {
        let (responder, again) = of_files(value, peer, peers, |keys, peers| match (keys, peers) {
            (Keys::Psk(psk), None) => Ok(NoiseResponder::psk(psk)),
            (Keys::Own(key), Some(peers)) => Ok(NoiseResponder::kk(key, peers)),
            (keys, _) => Err(unmatched(&keys)),
        })?;
        (
            LayerSpec::handshake(NAME, context.handshakes.layer(responder)),
            again,
        )
    };
    Ok(spec
        .set("keys", value.text, Source::Side)
        .bounded(context)
        .on_reload(again))
}

/// An end that is made of the files of its own keys and of its peer's, and anew at each SIGHUP.
fn of_files<T, P>(
    value: Word<'_>,
    peer: Option<Word<'_>>,
    read_peer: fn(&str) -> Result<P, Mistake>,
    end: fn(Keys, Option<P>) -> Result<T, Mistake>,
) -> Result<(Replaceable<T>, OnReload), Mistake>
where
    T: Send + Sync + 'static,
    P: 'static,
{
    let own_peer = peer.map(|peer| peer.text.to_owned());
    let make = move |value: &str| {
        end(
            keys(value)?,
            own_peer.as_deref().map(read_peer).transpose()?,
        )
    };
    // So that what is wrong with it is shown where it stands.
    peer.map(|peer| peer.parse(read_peer)).transpose()?;
    let part = Replaceable::new(value.parse(&make)?);
    let (again, text) = (part.clone(), value.text.to_owned());
    let (_, file) = value.text.split_once('@').unwrap_or_default();
    let again = OnReload::replace(again, file, move || make(&text));
    Ok((part, again))
}

fn unmatched(keys: &Keys) -> Mistake {
    match keys {
        Keys::Psk(_) => Mistake::new(
            "`noise.peer` does nothing with a shared secret",
            "`noise=psk:@FILE` alone, or keys: `noise=kk:@FILE,noise.peer=KEY`",
        ),
        Keys::Own(_) => Mistake::new(
            "`noise=kk` needs the public key of the peer",
            "`noise=kk:@FILE,noise.peer=KEY`",
        ),
    }
}

fn keys(value: &str) -> Result<Keys, Mistake> {
    match value.split_once(':') {
        Some(("psk", file)) => {
            let psk = NoisePsk::from_secret(secret::line(file, "noise=psk:@FILE")?);
            let psk = psk.map_err(|error| {
                Mistake::new(
                    format!("`{}` holds no usable secret: {error}", &file[1..]),
                    "a file of one line, as `couplet keygen --kind=secret FILE` makes it",
                )
            })?;
            Ok(Keys::Psk(psk))
        }
        Some(("kk", file)) => secret::parse(file, "noise=kk:@FILE").map(Keys::Own),
        _ => Err(Mistake::new(
            "`noise` needs a kind of key",
            "a shared secret: `noise=psk:@FILE`; our private key: `noise=kk:@FILE`",
        )),
    }
}

fn public(value: &str) -> Result<NoisePublicKey, Mistake> {
    let key = value.parse::<NoisePublicKey>();
    key.map_err(|error| {
        Mistake::new(
            format!("`noise.peer` is not a public key: {error}"),
            "the line that `couplet keygen --kind=noise FILE` prints",
        )
    })
}

fn peers(value: &str) -> Result<NoisePeers, Mistake> {
    match value.starts_with('@') {
        true => secret::parse_public(value, "noise.peer=@FILE"),
        false => public(value).map(NoisePeers::one),
    }
}
