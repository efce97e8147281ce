//! `proxy-protocol=…`: the client's address behind a proxy, read or sent.

use std::time::Duration;

use couplet_protocols::{ExpectProxyHeader, SendProxyHeader, proxy_protocol::Addition};

use super::{Context, Does, On, SideLayerSpec, SideOption, SideSetting, Value, access};
use crate::{
    layer_spec::{LayerSpec, Source},
    mistake::Mistake,
    side::{EndpointSpec, Given},
    units::Limit,
};

pub(super) static PROXY_PROTOCOL: SideOption = SideOption {
    name: NAME,
    on: On::Either,
    value: Value::Needed("MODE"),
    help: "PROXY headers: on listen require or accept them, on dial send v1 or v2",
    settings: &[
        SideSetting {
            name: "from",
            value: "NETWORK+…|@FILE",
            help: "on listen: the networks of the proxies whose headers are trusted",
            many: false,
        },
        SideSetting {
            name: "add",
            value: "NAME+…",
            help: "with v2: also send the client's authority, alpn, unique-id, tls [default: none]",
            many: false,
        },
        SideSetting {
            name: "wait",
            value: "TIME",
            help: "with accept: how long to wait for a header [default: 3s]",
            many: false,
        },
    ],
    does: Does::Both(set, layer),
};

/// The library's default.
const WAIT: Duration = Duration::from_secs(3);

fn set(endpoint: &mut EndpointSpec, _: &Given<'_>) -> Result<(), Mistake> {
    endpoint.tells_for_whom = endpoint.is_dialled();
    Ok(())
}

const NAME: &str = "proxy-protocol";

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let spec = match context.endpoint.is_dialled() {
        true => send(given, context),
        false => expect(given, context),
    }?;
    Ok(spec.bounded(context))
}

fn send(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let version = given.needed()?;
    let add = given.setting("add");
    let header = match (version.text, add) {
        ("v1", None) => SendProxyHeader::v1(),
        ("v1", Some(add)) => {
            let message = "`proxy-protocol.add` does nothing in version 1";
            return Err(add.wrong(message, "`proxy-protocol=v2`"));
        }
        ("v2", None) => SendProxyHeader::v2(),
        ("v2", Some(add)) => SendProxyHeader::v2_adding(add.parse(additions)?),
        ("require" | "accept", _) => {
            let message = format!("`{}` is for a listening side", version.text);
            return Err(version.wrong(message, "on a dialled side `v1` or `v2`"));
        }
        (other, _) => {
            let message = format!("`{other}` is not a version of the PROXY protocol");
            return Err(version.unknown(message, &["v1", "v2"]));
        }
    };
    for setting in ["from", "wait"] {
        if let Some(value) = given.setting(setting) {
            let message = format!("`proxy-protocol.{setting}` is for a listening side");
            return Err(value.wrong(message, "leave it out"));
        }
    }
    let header = context.handshakes.layer(header);
    let spec = LayerSpec::handshake(NAME, header).set("send", version.text, Source::Side);
    Ok(match add {
        Some(add) => spec.set("add", add.text, Source::Side),
        None => spec,
    })
}

fn additions(names: &str) -> Result<Vec<Addition>, Mistake> {
    let addition = |name| match name {
        "authority" => Ok(Addition::Authority),
        "alpn" => Ok(Addition::Alpn),
        "unique-id" => Ok(Addition::UniqueId),
        "tls" => Ok(Addition::Tls),
        _ => {
            let message = format!("`{name}` can't be added to a PROXY header");
            Err(Mistake::unknown(
                message,
                name,
                &["authority", "alpn", "unique-id", "tls"],
            ))
        }
    };
    names.split('+').map(addition).collect()
}

fn expect(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    if let Some(add) = given.setting("add") {
        let message = "`proxy-protocol.add` is for a dialled side";
        return Err(add.wrong(message, "leave it out"));
    }
    let mode = given.needed()?;
    let wait = match (mode.text, given.setting("wait")) {
        ("require", None) => None,
        ("require", Some(wait)) => {
            return Err(wait.wrong(
                "`proxy-protocol.wait` does nothing where a header is required",
                "leave it out; --handshake-timeout bounds the wait",
            ));
        }
        ("accept", wait) => Some(context.wait(given, wait, WAIT)?),
        ("v1" | "v2", _) => {
            let message = format!("`{}` is for a dialled side", mode.text);
            return Err(mode.wrong(message, "on a listening side `require` or `accept`"));
        }
        (other, _) => {
            let message = format!("`{other}` is not a mode of `proxy-protocol`");
            return Err(mode.unknown(message, &["require", "accept"]));
        }
    };
    let Some(from) = given.setting("from") else {
        let from = match context.endpoint.is_unix() {
            true => "uid:NUMBER",
            false => "10.0.0.0/8",
        };
        return Err(given.wrong(
            "`proxy-protocol` needs the networks of the proxies: any other client could forge a header",
            format!(
                "`proxy-protocol={},proxy-protocol.from={from}`",
                mode.text
            ),
        ));
    };
    let (expect, again) = access::of_networks(from, move |trusted| match wait {
        None => ExpectProxyHeader::required(trusted),
        Some(wait) => ExpectProxyHeader::accepted(trusted).wait(wait.value),
    })?;
    let expect = context.handshakes.layer(expect);
    let spec = LayerSpec::handshake(NAME, expect)
        .set("headers", mode.text, Source::Side)
        .set("from", from.text, Source::Side)
        .on_reload(again);
    Ok(match wait {
        None => spec,
        Some(wait) => spec.set("wait", Limit::At(wait.value), wait.from),
    })
}
