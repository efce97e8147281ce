//! `proxy-protocol=…`: who the client behind a proxy is, told to us and told by us.

use std::time::Duration;

use couplet_connector::{
    SideLayers,
    layers::{ExpectProxyHeader, HandshakeLayer, SendProxyHeader, handshake::proxy_protocol::Tlv},
};

use super::{Context, Does, On, SideLayerSpec, SideOption, SideSetting, Value, access};
use crate::{
    layer_spec::{Bytes, LayerSpec, Source},
    mistake::Mistake,
    side::{EndpointSpec, Given},
    units::Limit,
};

pub(super) static PROXY_PROTOCOL: SideOption = SideOption {
    name: "proxy-protocol",
    on: On::Either,
    value: Value::Needed("MODE"),
    help: "PROXY headers: on listen require or accept them, on dial send v1 or v2",
    settings: &[
        SideSetting {
            name: "from",
            value: "NETWORK+…|@FILE",
            help: "on listen: where the proxies are whose headers are believed",
            many: false,
        },
        SideSetting {
            name: "wait",
            value: "TIME",
            help: "with accept: how long one that need not come is waited for [default: 3s]",
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

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let mut layers = SideLayers::new();
    let spec = match context.endpoint.is_dialled() {
        true => send(given, context, &mut layers),
        false => expect(given, context, &mut layers),
    }?;
    Ok(LayerSpec { layers, ..spec }.deadline(context))
}

fn send(
    given: &Given<'_>,
    context: &Context<'_>,
    layers: &mut SideLayers,
) -> Result<SideLayerSpec, Mistake> {
    let version = given.needed()?;
    let header = match version.text {
        "v1" => SendProxyHeader::v1(),
        "v2" => SendProxyHeader::v2_with(Tlv::known),
        "require" | "accept" => {
            let message = format!("`{}` is for a listening side", version.text);
            return Err(version.wrong(message, "on a dialled side `v1` or `v2`"));
        }
        other => {
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
    layers.push(HandshakeLayer::new(header).timeout(context.handshake_timeout.value));
    let spec = LayerSpec::new("proxy-protocol", SideLayers::new());
    Ok(spec.set("send", version.text, Source::Side))
}

fn expect(
    given: &Given<'_>,
    context: &Context<'_>,
    layers: &mut SideLayers,
) -> Result<SideLayerSpec, Mistake> {
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
        return Err(given.wrong(
            "`proxy-protocol` needs the networks of the proxies: any other client could forge a header",
            format!(
                "`proxy-protocol={},proxy-protocol.from=10.0.0.0/8`",
                mode.text
            ),
        ));
    };
    let (expect, again) = access::of_networks(from, move |trusted| match wait {
        None => ExpectProxyHeader::required(trusted),
        Some(wait) => ExpectProxyHeader::accepted(trusted).wait(wait.value),
    })?;
    layers.push(HandshakeLayer::new(expect).timeout(context.handshake_timeout.value));
    let spec = LayerSpec::new("proxy-protocol", SideLayers::new())
        .bytes([Bytes::ReadAhead, Bytes::Untouched])
        .set("headers", mode.text, Source::Side)
        .set("from", from.text, Source::Side)
        .on_reload(again);
    Ok(match wait {
        None => spec,
        Some(wait) => spec.set("wait", Limit::At(wait.value), wait.from),
    })
}
