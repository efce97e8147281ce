//! `token=@FILE`: the first line is a shared secret, or one of several.

use couplet_connector::layers::{ExpectToken, SendToken, Token, Tokens};

use super::{
    Context, Does, IN_CLEAR, On, SideLayerSpec, SideOption, Value, of_file, of_list, secret,
};
use crate::{
    layer_spec::{LayerSpec, Source},
    mistake::Mistake,
    side::Given,
};

pub(super) static TOKEN: SideOption = SideOption {
    name: NAME,
    on: On::Either,
    value: Value::Needed("@FILE"),
    help: "a secret first line; FILE: on listen the tokens, `name: token` a line, on dial the one sent",
    settings: &[IN_CLEAR],
    does: Does::Layer(layer),
};

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let file = given.needed()?;
    let (spec, again) = if context.endpoint.is_dialled() {
        let (send, again) = of_file(file, |value| read(value).map(SendToken::new))?;
        (
            LayerSpec::handshake(NAME, context.handshakes.layer(send)),
            again,
        )
    } else {
        let (expect, again) = of_list(file, |value| {
            let tokens: Tokens = secret::parse(value, FORM)?;
            Ok(ExpectToken::any_of(tokens))
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

const NAME: &str = "token";

const FORM: &str = "token=@FILE";

/// The line of a file.
fn read(value: &str) -> Result<Token, Mistake> {
    let line = secret::line(value, FORM)?;
    Token::new(line).map_err(|error| {
        Mistake::new(
            format!("`{}` holds no token: {error}", &value[1..]),
            "a file of one line, as `couplet keygen --kind=secret FILE` makes it",
        )
    })
}
