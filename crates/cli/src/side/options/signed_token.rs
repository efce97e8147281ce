//! `signed-token=@FILE`: the first line is a token that is signed and expires.

use couplet_connector::layers::SendToken;
use couplet_protocols::{ExpectSignedToken, Keyring, SignedToken};

use super::{
    Context, Does, IN_CLEAR, On, SideLayerSpec, SideOption, SideSetting, Value, of_file, of_list,
    secret,
};
use crate::{
    layer_spec::{LayerSpec, Source},
    mistake::Mistake,
    side::Given,
};

pub(super) static SIGNED_TOKEN: SideOption = SideOption {
    name: NAME,
    on: On::Either,
    value: Value::Needed("@FILE"),
    help: "a signed first line that expires; FILE: on listen the secrets, on dial the token",
    settings: &[
        SideSetting {
            name: "key",
            value: "NAME",
            help: "on listen: accept only tokens for this session",
            many: false,
        },
        IN_CLEAR,
    ],
    does: Does::Layer(layer),
};

const NAME: &str = "signed-token";

const FORM: &str = "signed-token=@FILE";

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let file = given.needed()?;
    let key = given.setting("key");
    let (spec, again) = if context.endpoint.is_dialled() {
        if let Some(key) = key {
            let hint = "leave it out: the token names its session";
            return Err(key.wrong("`signed-token.key` is for a listening side", hint));
        }
        let (send, again) = of_file(file, |value| {
            let token: SignedToken = secret::parse(value, FORM)?;
            Ok(SendToken::new(token.into()))
        })?;
        (
            LayerSpec::handshake(NAME, context.handshakes.layer(send)),
            again,
        )
    } else {
        let key = key.map(|key| key.text.to_owned());
        let (expect, again) = of_list(file, move |value| {
            let keyring: Keyring = secret::parse(value, FORM)?;
            let expect = ExpectSignedToken::new(keyring);
            Ok(match &key {
                Some(key) => expect.key(key.as_str()),
                None => expect,
            })
        })?;
        (
            LayerSpec::handshake(NAME, context.handshakes.layer(expect)),
            again,
        )
    };
    Ok(spec
        .set("file", &file.text[1..], Source::Side)
        .bounded(context)
        .on_reload(again))
}
