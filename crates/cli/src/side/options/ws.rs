//! `ws=/PATH`: WebSocket, on a listening side as the server, on a dialled one as the client.

use std::time::Duration;

use couplet_connector::endpoint::Side;
use couplet_protocols::{
    WsAccept, WsConnect,
    ws::{WsOrigins, WsPath},
};

use super::{Context, Does, On, SideLayerSpec, SideOption, SideSetting, Value};
use crate::{
    layer_spec::{LayerSpec, Source, Sourced},
    mistake::Mistake,
    side::{Given, Word},
    units::{Limit, limit},
};

pub(super) static WS: SideOption = SideOption {
    name: NAME,
    on: On::Either,
    value: Value::Needed("/PATH"),
    help: "WebSocket at this path: on listen as the server, on dial as the client",
    settings: &[
        SideSetting {
            name: "host",
            value: "NAME+…",
            help: "on listen: accept only requests for these hosts; on dial: the host to ask for [default: the dialled one]",
            many: false,
        },
        SideSetting {
            name: "origin",
            value: "SITE+…|any",
            help: "on listen: pages of these sites may connect: https://example.org [default: none]",
            many: false,
        },
        SideSetting {
            name: "ping",
            value: "TIME|never",
            help: "ping the peer every TIME; drop a peer that is silent twice in a row [default: 30s]",
            many: false,
        },
    ],
    does: Does::Layer(layer),
};

const NAME: &str = "ws";

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let value = given.needed()?;
    let path = value.parse(path)?;
    let said = given.setting("ping").map(|word| word.parse(limit));
    let ping = Sourced {
        value: Limit::At(Duration::from_secs(30)),
        from: Source::Default,
    };
    let ping = ping.unless(said.transpose()?);
    let spec = match context.endpoint.is_dialled() {
        true => connect(given, context, path, ping.value.get()),
        false => accept(given, context, path, ping.value.get()),
    }?;
    Ok(spec
        .set("path", value.text, Source::Side)
        .set("ping", ping.value, ping.from)
        .bounded(context))
}

fn connect(
    given: &Given<'_>,
    context: &Context<'_>,
    path: WsPath,
    ping: Option<Duration>,
) -> Result<SideLayerSpec, Mistake> {
    if let Some(word) = given.setting("origin") {
        return Err(word.wrong("`ws.origin` is for a listening side", "leave it out"));
    }
    let connect = WsConnect::new(path).ping(ping);
    let connect = match given.setting("host") {
        Some(word) => connect.host(word.parse(host)?),
        None => connect,
    };
    Ok(LayerSpec::handshake(
        NAME,
        context.handshakes.layer(connect),
    ))
}

fn accept(
    given: &Given<'_>,
    context: &Context<'_>,
    path: WsPath,
    ping: Option<Duration>,
) -> Result<SideLayerSpec, Mistake> {
    let mut accept = WsAccept::new(path).ping(ping);
    if let Some(word) = given.setting("host") {
        accept = accept.hosts(word.parse(|text| each(text, host))?);
    }
    if let Some(word) = given.setting("origin") {
        accept = accept.origins(origins(word)?);
    }
    // What goes to a client is not masked.
    let spec = LayerSpec::handshake(NAME, context.handshakes.layer(accept)).copies(Some(Side::A));
    Ok(match given.setting("origin") {
        Some(_) => spec,
        None => spec.set("origin", "none", Source::Default),
    })
}

fn path(text: &str) -> Result<WsPath, Mistake> {
    text.parse()
        .map_err(|error| Mistake::new(format!("`{text}` is not a path: {error}"), "`ws=/relay`"))
}

fn origins(word: Word<'_>) -> Result<WsOrigins, Mistake> {
    if word.text == "any" {
        return Ok(WsOrigins::Any);
    }
    word.parse(|text| each(text, site)).map(WsOrigins::These)
}

fn each(text: &str, one: fn(&str) -> Result<String, Mistake>) -> Result<Vec<String>, Mistake> {
    text.split('+').map(one).collect()
}

fn host(text: &str) -> Result<String, Mistake> {
    let is_host = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"/+".contains(&byte));
    match is_host {
        true => Ok(text.to_owned()),
        false => Err(Mistake::new(
            format!("`{text}` is not a host"),
            "`example.org`, or with its port `example.org:8080`",
        )),
    }
}

/// As a browser names it: a scheme, a host and perhaps a port, without a path.
fn site(text: &str) -> Result<String, Mistake> {
    let host_of = |text: &str| host(text.split_once("://")?.1).ok();
    match host_of(text).is_some() || text == "null" {
        true => Ok(text.to_owned()),
        false => Err(Mistake::new(
            format!("`{text}` is not a site"),
            "a scheme and a host, without a path: `https://example.org`; `any` for all",
        )),
    }
}
