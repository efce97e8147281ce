//! `token=@FILE`: the first line is a shared secret.

use std::fs;

use couplet_connector::{
    SideLayers,
    endpoint::AddressError,
    layers::{ExpectToken, HandshakeLayer, SendToken, Token},
};

use super::{Context, Does, On, SideOption, SideStep, Value};
use crate::{
    side::Given,
    step::{Bytes, Source, Step},
};

pub(super) static TOKEN: SideOption = SideOption {
    name: "token",
    on: On::Either,
    value: Value::Needed("@FILE"),
    help: "a secret first line: on listen the peer must send it, on dial we do",
    settings: &[],
    does: Does::Layer(layer),
};

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideStep, AddressError> {
    let file = given.needed()?;
    let token = file.parse(read)?;
    let mut layers = SideLayers::new();
    let timeout = context.handshake_timeout.value;
    let bytes = if context.endpoint.is_dialled() {
        layers.push(HandshakeLayer::new(SendToken::new(token)).timeout(timeout));
        [Bytes::Untouched, Bytes::Untouched]
    } else {
        layers.push(HandshakeLayer::new(ExpectToken::new(token)).timeout(timeout));
        [Bytes::ReadAhead, Bytes::Untouched]
    };
    Ok(Step::new("token", layers)
        .for_each()
        .bytes(bytes)
        .set("file", &file.text[1..], Source::Side)
        .deadline(context))
}

/// The first line of a file.
fn read(value: &str) -> Result<Token, String> {
    let Some(path) = value.strip_prefix('@') else {
        return Err(
            "a secret on the command line can be read by everybody on this machine: \
             write it to a file, and `token=@FILE`"
                .into(),
        );
    };
    let text = fs::read(path).map_err(|error| format!("`{path}` can't be read: {error}"))?;
    let line = text.strip_suffix(b"\n").unwrap_or(&text);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Token::new(line).map_err(|error| format!("`{path}` is no token: {error}"))
}
