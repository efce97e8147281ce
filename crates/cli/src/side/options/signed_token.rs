//! `signed-token=@FILE`: the first line is a token that is signed and expires.

use couplet_connector::{
    SideLayers,
    layers::{ExpectSignedToken, Keyring, SendToken, SignedToken},
};

use super::{
    Context, Does, IN_CLEAR, On, SideLayerSpec, SideOption, SideSetting, Value, of_file, of_list,
    secret,
};
use crate::{
    layer_spec::{Bytes, LayerSpec, Source},
    mistake::Mistake,
    side::Given,
};

pub(super) static SIGNED_TOKEN: SideOption = SideOption {
    name: "signed-token",
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

const FORM: &str = "signed-token=@FILE";

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let file = given.needed()?;
    let key = given.setting("key");
    let mut layers = SideLayers::new();
    let (bytes, again) = if context.endpoint.is_dialled() {
        if let Some(key) = key {
            let hint = "leave it out: the token names its session";
            return Err(key.wrong("`signed-token.key` is for a listening side", hint));
        }
        let (send, again) = of_file(file, |value| {
            let token: SignedToken = secret::parse(value, FORM)?;
            Ok(SendToken::new(token.into()))
        })?;
        layers.push(context.handshakes.layer(send));
        ([Bytes::Untouched, Bytes::Untouched], again)
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
        layers.push(context.handshakes.layer(expect));
        ([Bytes::ReadAhead, Bytes::Untouched], again)
    };
    Ok(LayerSpec::new("signed-token", layers)
        .bytes(bytes)
        .set("file", &file.text[1..], Source::Side)
        .bounded(context)
        .on_reload(again))
}
